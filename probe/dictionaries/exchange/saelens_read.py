"""How does a dictionary of SAELens, in a local folder, become one of ours? Read without SAELens.

    cfg.json, sae_weights.safetensors     W_enc [d latent]  b_enc [latent]  W_dec [latent d]  b_dec [d]
    standard      ReLU
    topk          TopK(k)
    jumprelu      + threshold [latent]; BatchTopK and Matryoshka dictionaries are exported as these
    batchtopk     a checkpoint of the training: + topk_threshold [], one for all latents
    gated         + b_gate, b_mag, r_mag [latent] for b_enc; the gate u > -b_gate and the size e^r u + b_mag share
                  u = z W_enc, so it is JumpReLU of e^r u + b_mag at b_mag - e^r b_gate           (2404.16014 sec. 3.2)

With a factor s (normalize_activations "expected_average_only_in") z = s x - b_dec: here scale = s and b_dec / s. With
rescale_acts_by_decoder_norm the norm of each decoder direction goes into its encoder, and the direction to norm 1. Left
out: finetuning_scaling_factor, whitening that was not folded.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from probe.dictionaries.activation import Activation, JumpReLU, ReLU, TopK
from probe.dictionaries.dictionary import Dictionary, Normalise
from probe.dictionaries.exchange.described import Described
from probe.dictionaries.exchange.saelens_config import SaeLensConfig, positive, read_config
from probe.dictionaries.exchange.weight_files import MAX_CONFIG, MAX_WEIGHTS, Shapes, own_file, read_tensors
from probe.errors import BadInput
from probe.models.hooks.sites import Site
from probe.models.loading.strict_json import read_json

CONFIG, WEIGHTS, SCALER = "cfg.json", "sae_weights.safetensors", "activation_scaler.json"
NORMALISE: dict[str, Normalise] = {"layer_norm": "layer_norm", "constant_norm_rescale": "constant_norm"}
Tensors = dict[str, Tensor]


def read_saelens(
    folder: Path,
    *,
    model: str | None = None,
    site: Site | None = None,
    norm_factor: float | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Dictionary:
    """The dictionary in `folder`. `model` and `site` are for files that do not say them.

    `norm_factor` is s of "expected_average_only_in" where no activation_scaler.json tells it; `overrides` go before
    cfg.json. BadInput for damaged or other files, another architecture, and what would be computed otherwise here.
    """
    config = _config(folder, model, site, overrides)
    scale = _factor(config, folder, norm_factor)
    weights, also = _shapes(config)
    tensors = read_tensors(own_file(folder, WEIGHTS, MAX_WEIGHTS), weights, also)
    if not (tensors.pop("scaling_factor", torch.ones(1)) == 1).all():
        raise BadInput("its latents are rescaled (scaling_factor)", where=str(folder), do="take another dictionary")
    return dictionary_of(tensors, config, scale)


def describe(
    folder: Path, *, model: str | None = None, site: Site | None = None, overrides: Mapping[str, Any] | None = None
) -> Described:
    """What its cfg.json says; arguments and errors as those of `read_saelens`."""
    config = _config(folder, model, site, overrides)
    return Described(str(folder), (config.model,), config.site, config.d)


def dictionary_of(tensors: Tensors, config: SaeLensConfig, scale: float = 1.0) -> Dictionary:
    """Tensors named as in SAELens, as a dictionary; `scale` is s."""
    activation = BUILT[config.architecture](tensors, config, scale)
    if config.rescale:
        _fold_norms(tensors, scale)
    return Dictionary(
        config.site,
        (config.model,),
        activation,
        tensors["W_enc"][None],
        tensors["b_enc"],
        tensors["W_dec"][:, None],
        tensors["b_dec"][None] / scale,
        torch.tensor([scale], dtype=tensors["W_enc"].dtype),
        centred=config.centred,
        normalise=NORMALISE.get(config.normalize_activations, "none"),
    )


def _config(folder: Path, model: str | None, site: Site | None, overrides: Mapping[str, Any] | None) -> SaeLensConfig:
    raw = read_json(own_file(folder, CONFIG, MAX_CONFIG), MAX_CONFIG)
    return read_config({**raw, **(overrides or {})}, str(folder), model, site)


def _shapes(config: SaeLensConfig) -> tuple[Shapes, Shapes]:
    """What must be there, and what may be."""
    d, n = config.d, config.n_latents
    encoder: Shapes = {"b_enc": (n,)}
    if config.architecture == "gated":
        encoder = {"b_gate": (n,), "b_mag": (n,), "r_mag": (n,)}
    if config.architecture == "jumprelu":
        encoder = {"b_enc": (n,), "threshold": (n,)}
    if "batchtopk" in config.architecture:
        encoder = {"b_enc": (n,), "topk_threshold": ()}
    return {"W_enc": (d, n), "W_dec": (n, d), "b_dec": (d,), **encoder}, {"scaling_factor": (n,)}


def _jumprelu(tensors: Tensors, config: SaeLensConfig, scale: float) -> Activation:
    return JumpReLU(tensors["threshold"])


def _batchtopk(tensors: Tensors, config: SaeLensConfig, scale: float) -> Activation:
    """Its threshold is in units of what it was compared with: pre-activations, times decoder norms where rescaled."""
    threshold = tensors["topk_threshold"] / (scale if config.rescale else 1)
    return JumpReLU(threshold.expand(config.n_latents).clone())


def _gated(tensors: Tensors, config: SaeLensConfig, scale: float) -> Activation:
    stretch = tensors["r_mag"].exp()
    tensors["W_enc"] = tensors["W_enc"] * stretch
    tensors["b_enc"] = tensors["b_mag"]
    return JumpReLU(tensors["b_mag"] - stretch * tensors["b_gate"])


BUILT: dict[str, Callable[[Tensors, SaeLensConfig, float], Activation]] = {
    "standard": lambda tensors, config, scale: ReLU(),
    "topk": lambda tensors, config, scale: TopK(config.k),
    "jumprelu": _jumprelu,
    "gated": _gated,
    "batchtopk": _batchtopk,
    "matryoshka_batchtopk": _batchtopk,
}


def _fold_norms(tensors: Tensors, scale: float) -> None:
    """Decoder directions of norm 1 in units of x, and latents as large as SAELens has them once s is folded in."""
    norms = tensors["W_dec"].norm(dim=-1).clamp(min=1e-8) / scale
    tensors["W_enc"] = tensors["W_enc"] * norms
    tensors["b_enc"] = tensors["b_enc"] * norms
    tensors["W_dec"] = tensors["W_dec"] / norms[:, None]


def _factor(config: SaeLensConfig, folder: Path, given: float | None) -> float:
    """s: as given, or as the trainer stored it beside its checkpoint; 1 where nothing is to be multiplied."""
    if config.normalize_activations != "expected_average_only_in":
        return 1.0
    if given is None and (folder / SCALER).exists():
        given = read_json(own_file(folder, SCALER, MAX_CONFIG), MAX_CONFIG).get("scaling_factor")
    if given is None:
        what = "activations are to be multiplied by a factor that is not told (expected_average_only_in)"
        raise BadInput(what, where=str(folder), do=f"give norm_factor=, or the {SCALER} of its training")
    return positive(given, "the factor of its activations", str(folder), "give one above 0")
