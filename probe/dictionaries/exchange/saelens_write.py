"""How does one side of a dictionary become a folder that SAELens reads? `SAE.load_from_disk(folder)`.

    ReLU -> standard    TopK -> topk    JumpReLU -> jumprelu

SAELens knows no scale: W_enc is multiplied by it and W_dec divided, so latents and reconstruction stay what they were.
The rows of one side have norms below 1, since 1 is the norm over all models: TopK chooses by pre-activation here, so
rescale_acts_by_decoder_norm, with which SAELens would choose by contribution, is off. Left out: several models at once,
and BatchTopK, which belongs to training.
"""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from probe.dictionaries.activation import BatchTopK, JumpReLU, TopK
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange.hook_names import hook_of
from probe.dictionaries.exchange.saelens_read import CONFIG, NORMALISE, WEIGHTS
from probe.errors import BadInput
from probe.store import write_atomic
from probe.store.folders import whole_folder

VERSION = "6.54.12"  # of SAELens, whose format this is; without it SAELens drops the metadata


def write_saelens(side: Dictionary, folder: Path, *, overwrite: bool = False) -> None:
    """Write a dictionary of one model there, whole or not at all. BadInput for several models, BatchTopK, and a folder
    that holds something else."""
    if len(side.models) > 1:
        what = f"SAELens has one model a dictionary, this has {', '.join(side.models)}"
        raise BadInput(what, where=side.where, do="write each dictionary.side(model) to a folder of its own")
    if isinstance(side.activation, BatchTopK):
        raise BadInput("BatchTopK is for training alone", where=side.where, do="calibrate a JumpReLU threshold first")
    with whole_folder(folder, overwrite=overwrite, shows=CONFIG) as made:
        write_atomic(made / WEIGHTS, save(_tensors(side)))
        write_atomic(made / CONFIG, json.dumps(_config(side), indent=1).encode())


def _tensors(side: Dictionary) -> dict[str, Tensor]:
    scale = side.scale[0]
    parts = {
        "W_enc": side.W_enc[0] * scale,
        "b_enc": side.b_enc,
        "W_dec": side.W_dec[:, 0] / scale,
        "b_dec": side.b_dec[0],
    }
    if isinstance(side.activation, JumpReLU):
        parts["threshold"] = side.activation.threshold
    return {name: tensor.detach().float().cpu().clone().contiguous() for name, tensor in parts.items()}


def _config(side: Dictionary) -> dict[str, Any]:
    hook, head = hook_of(side.site)
    metadata = {"sae_lens_version": VERSION, "model_name": side.models[0], "hook_name": hook, "hook_head_index": head}
    names = {ours: theirs for theirs, ours in NORMALISE.items()}
    config: dict[str, Any] = {
        "architecture": "jumprelu" if isinstance(side.activation, JumpReLU) else "standard",
        "d_in": side.d,
        "d_sae": side.n_latents,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": side.centred,
        "normalize_activations": names.get(side.normalise, "none"),
        "reshape_activations": "none",
        "metadata": metadata,
    }
    if isinstance(side.activation, TopK):
        config |= {"architecture": "topk", "k": side.activation.k, "rescale_acts_by_decoder_norm": False}
    return config
