"""Weights and tokenizer of a checkpoint, from the store or from a folder: safetensors only, no remote code, no network.

Hub ids, adapters, half precision and devices are a later chapter; what is here loads organisms, their RL descendants
and any ordinary local Hugging Face folder.
"""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from probe.errors import BadInput


@dataclass(frozen=True)
class Loaded:
    """A model in eval mode and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_folder(folder: Path) -> Loaded:
    """An ordinary Hugging Face checkpoint in fp32.

    Missing files or tensors (transformers would draw those at random), pickled weights and NaN weights are a BadInput.
    """
    _check_folder(folder)
    transformers_logging.disable_progress_bar()
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype="float32",
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as err:
        what = f"cannot load this checkpoint: {err}"
        raise BadInput(what, where=str(folder), do="re-download or re-save it") from err
    if info["missing_keys"]:
        what = f"tensors are missing: {sorted(info['missing_keys'])[:3]}"
        raise BadInput(what, where=str(folder), do="re-download or re-save it")
    broken = [name for name, p in model.named_parameters() if not p.isfinite().all()]
    if broken:
        raise BadInput(f"weights are not finite: {broken[:3]}", where=str(folder), do="use an earlier checkpoint")
    return Loaded(model.eval(), tokenizer)


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise BadInput("no config.json here", where=str(folder), do="give the folder of a Hugging Face checkpoint")
    if not any(folder.glob("*.safetensors")):
        do = "pickled weights are never read: convert them"
        raise BadInput("no safetensors weights here", where=str(folder), do=do)


def save_folder(loaded: Loaded, folder: Path) -> None:
    """Write an ordinary Hugging Face checkpoint: config, safetensors, fast tokenizer."""
    transformers_logging.disable_progress_bar()
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
