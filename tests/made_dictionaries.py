"""Dictionaries with drawn weights for the tests, in our format and in others; how far SAELens and ours are apart."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from probe.dictionaries.activation import Activation, JumpReLU
from probe.dictionaries.dictionary import Dictionary, Normalise
from probe.dictionaries.exchange import llama_scope
from probe.dictionaries.exchange.saelens_library import sae_lens
from probe.models.hooks.sites import site
from probe.rng import torch_rng

D, N, ROWS = 12, 30, 40
CLASS = {"standard": "Standard", "topk": "TopK", "jumprelu": "JumpReLU", "gated": "Gated", "batchtopk": "BatchTopK"}
CLASS |= {"matryoshka_batchtopk": "MatryoshkaBatchTopK"}
METADATA = {"model_name": "Qwen/Qwen3-1.7B-Base", "hook_name": "blocks.4.hook_resid_post"}


def draw(*shape: int, at: str) -> Tensor:
    """Standard normal numbers of an address."""
    return torch.randn(shape, generator=torch_rng("made dictionaries", at))


def rows(models: int = 1, d: int = D) -> Tensor:
    """Activations [row model d] with a mean and unequal sizes."""
    return draw(ROWS, models, d, at="rows") * (1 + torch.arange(ROWS)[:, None, None] / ROWS) + 0.7


def made(
    activation: Activation | None = None, models: int = 1, centred: bool = True, normalise: Normalise = "none"
) -> Dictionary:
    """One of ours: no two of its numbers are alike, scale and b_dec included."""
    return Dictionary(
        site("resid.5"),
        tuple(f"org/model-{m}" for m in range(models)),
        activation or JumpReLU(draw(N, at="threshold").abs()),
        draw(models, D, N, at="W_enc") / 3,
        draw(N, at="b_enc") / 3,
        draw(N, models, D, at="W_dec") / 3,
        draw(models, D, at="b_dec"),
        torch.arange(models) * 0.25 + 0.5,
        centred,
        normalise,
    )


def theirs(architecture: str, training: bool = False, **config: Any) -> Any:
    """An object of SAELens, every weight drawn anew, decoder norms unequal."""
    library = sae_lens()
    kind = f"{CLASS[architecture]}{'Training' if training else ''}SAE"
    metadata = sae_lens("saes.sae").SAEMetadata(**METADATA)
    with torch.random.fork_rng(devices=[]):
        sae = getattr(library, kind)(getattr(library, f"{kind}Config")(d_in=D, d_sae=N, metadata=metadata, **config))
    with torch.no_grad():
        for name, weight in [*sae.named_parameters(), *sae.named_buffers()]:
            drawn = draw(*weight.shape, at=name) / 3
            weight.copy_(drawn.abs() if "threshold" in name else drawn)
    return sae


def saved(sae: Any, folder: Path, inference: bool = False) -> Path:
    """SAELens' own files of it."""
    (sae.save_inference_model if inference else sae.save_model)(folder)
    return folder


def furthest(sae: Any, dictionary: Dictionary, x: Tensor) -> tuple[float, float]:
    """The largest difference of latents and of reconstructions, SAELens' [row d] against ours [row 1 d]."""
    with torch.no_grad():
        latents, out = sae.encode(x[:, 0]), sae(x[:, 0])
    assert (latents != 0).any() and (latents == 0).any()
    ours = dictionary.encode(x), dictionary.reconstruct(x)[:, 0]
    return float((latents - ours[0]).abs().max()), float((out - ours[1]).abs().max())


def llama_folder(folder: Path, **change: Any) -> Path:
    """A folder in the shape of Llama Scope, its hyperparams.json changed."""
    place = folder / "Llama3_1-8B-Base-L7R-8x"
    (place / "checkpoints").mkdir(parents=True)
    norms = {"in": 2.5, "out": 2.5}
    raw = {"d_model": D, "d_sae": N, "jump_relu_threshold": 0.4, "dataset_average_activation_norm": norms}
    hooks = dict.fromkeys(("hook_point_in", "hook_point_out"), "blocks.7.hook_resid_post")
    raw |= {"act_fn": "jumprelu", "use_glu_encoder": False, "apply_decoder_bias_to_pre_encoder": False, **hooks}
    (place / llama_scope.CONFIG).write_text(json.dumps(raw | change))
    shapes = {"encoder.weight": (N, D), "encoder.bias": (N,), "decoder.weight": (D, N), "decoder.bias": (D,)}
    save_file({name: draw(*shape, at=name) for name, shape in shapes.items()}, place / llama_scope.WEIGHTS)
    return place
