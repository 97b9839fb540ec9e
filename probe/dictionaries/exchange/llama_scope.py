"""How is a dictionary of Llama Scope (2410.20526) read? A folder Llama3_1-8B-Base-L{layer}{sublayer}-{width}x holds

    hyperparams.json                 d_model, d_sae, jump_relu_threshold, dataset_average_activation_norm, hook_point_in
    checkpoints/final.safetensors    encoder.weight [latent d]  encoder.bias  decoder.weight [d latent]  decoder.bias

s = sqrt(d) / (average norm of an activation) is `scale`; as in SAELens, which loads them as JumpReLU, the one threshold
of all latents is multiplied by s too. Refused, where SAELens is silent: a GLU encoder, another activation, two sites.
Source: sae_lens/loading/pretrained_sae_loaders.py, llama_scope_sae_huggingface_loader (6.54).
"""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange.described import Described
from probe.dictionaries.exchange.saelens_config import SaeLensConfig, positive, read_config
from probe.dictionaries.exchange.saelens_read import dictionary_of
from probe.dictionaries.exchange.weight_files import MAX_CONFIG, MAX_WEIGHTS, own_file, read_tensors
from probe.errors import BadInput
from probe.models.loading.strict_json import read_json

CONFIG, WEIGHTS, MODEL = "hyperparams.json", "checkpoints/final.safetensors", "meta-llama/Llama-3.1-8B"
FIXED = {"architecture": "jumprelu", "model_name": MODEL}
KEYS = {
    "d_model": "d_in",
    "d_sae": "d_sae",
    "hook_point_in": "hook_name",
    "hook_point_out": "hook_name_out",
    "apply_decoder_bias_to_pre_encoder": "apply_b_dec_to_input",
}


def read_llama_scope(folder: Path, *, norm_factor: float | None = None) -> Dictionary:
    """The dictionary in `folder`; `norm_factor` goes before the s of its hyperparams.json. BadInput: see the module."""
    raw, config = _config(folder)
    factor = math.sqrt(config.d) / _number(_norms(raw), "in", folder)
    threshold = _number(raw, "jump_relu_threshold", folder) * factor
    tensors = _tensors(own_file(folder, WEIGHTS, MAX_WEIGHTS), config.d, config.n_latents)
    tensors["threshold"] = torch.full((config.n_latents,), threshold)
    return dictionary_of(tensors, config, factor if norm_factor is None else norm_factor)


def describe(folder: Path) -> Described:
    """What its hyperparams.json says. BadInput: see the module."""
    config = _config(folder)[1]
    return Described(str(folder), (config.model,), config.site, config.d)


def _config(folder: Path) -> tuple[dict[str, Any], SaeLensConfig]:
    """As it stands there, and as SAELens would write it."""
    raw = read_json(own_file(folder, CONFIG, MAX_CONFIG), MAX_CONFIG)
    _check_read(raw, folder)
    renamed = {name: raw[key] for key, name in KEYS.items() if key in raw}
    return raw, read_config({"apply_b_dec_to_input": False} | renamed | FIXED, str(folder), None, None)


def _tensors(file: Path, d: int, n: int) -> dict[str, Tensor]:
    """Named and turned as in SAELens."""
    shapes = {"encoder.weight": (n, d), "encoder.bias": (n,), "decoder.weight": (d, n), "decoder.bias": (d,)}
    read = read_tensors(file, shapes)
    turned = {"W_enc": read["encoder.weight"].T.contiguous(), "W_dec": read["decoder.weight"].T.contiguous()}
    return turned | {"b_enc": read["encoder.bias"], "b_dec": read["decoder.bias"]}


def _check_read(raw: dict[str, Any], folder: Path) -> None:
    """BadInput where it would be another function than SAELens computes."""
    if raw.get("act_fn", "jumprelu") != "jumprelu" or raw.get("use_glu_encoder"):
        what = f"act_fn {str(raw.get('act_fn'))[:60]!r}, use_glu_encoder {str(raw.get('use_glu_encoder'))[:60]}"
        raise BadInput(what, where=str(folder), do="take one with jumprelu and a plain encoder")


def _norms(raw: dict[str, Any]) -> dict[str, Any]:
    norms = raw.get("dataset_average_activation_norm")
    return norms if isinstance(norms, dict) else {}


def _number(raw: dict[str, Any], key: str, folder: Path) -> float:
    name = "dataset_average_activation_norm.in" if key == "in" else key
    return positive(raw.get(key), name, str(folder), f"mend {CONFIG}, or download it again")
