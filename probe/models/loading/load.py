"""Weights and tokenizer of a checkpoint in a local folder: safetensors only, no remote code, no network.

What is loaded is what the files say, or it is an error: a missing, unused or misshapen tensor, a value that is not
finite, a tokenizer that is not the checkpoint's own. (For many model types transformers 5 builds a tokenizer of its own
class from the checkpoint's vocabulary and drops the rest: a Qwen2 checkpoint with another vocabulary would lose tokens.
Here tokenizer.json, where there is one, is the tokenizer.) Checkpoints of the hub: `hub`; LoRA adapters: `adapter`;
what can be said before a tensor is read: `integrity`, all beside this file.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from probe.errors import BadInput, ProbeError
from probe.models.loading.integrity import AGAIN, TOKENIZER, check_folder

Dtype = Literal["float32", "bfloat16", "float16"]
DeviceMap = str | dict[str, int | str]
RECOMPUTED = re.compile(r"rotary_emb\.inv_freq$")  # old checkpoints carry it: a function of the config
LOCAL = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Loaded:
    """A model in eval mode and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_folder(
    folder: Path, *, dtype: Dtype = "float32", device_map: DeviceMap | None = None, self_test: bool = False
) -> Loaded:
    """An ordinary Hugging Face checkpoint in `dtype`, on the CPU or where `device_map` says ("cuda", "auto", ...).

    BadInput: see the module. With `self_test` also where it does not behave as everything downstream assumes.
    """
    check_folder(folder)
    transformers_logging.disable_progress_bar()
    loaded = Loaded(_model(folder, dtype, device_map), _tokenizer(folder))
    _check_fit(loaded, folder)
    if self_test:
        check_itself(loaded, str(folder))
    return loaded


def save_folder(loaded: Loaded, folder: Path) -> None:
    """Write an ordinary Hugging Face checkpoint: config, safetensors, fast tokenizer."""
    transformers_logging.disable_progress_bar()
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)


def stop_ids(loaded: Loaded) -> list[int]:
    """Every token that ends a response: those of generation_config.json, of config.json and of the tokenizer.

    A tuned model often has two (end of turn, end of text), a base model one. BadInput where there is none.
    """
    model = loaded.model
    configs = (model.generation_config, model.config, model.config.get_text_config())
    named = [*(getattr(config, "eos_token_id", None) for config in configs), loaded.tokenizer.eos_token_id]
    ids: list[Any] = [each for one in named for each in (one if isinstance(one, list) else [one])]
    stops = [each for each in dict.fromkeys(ids) if _is_token(each, loaded.model)]
    if not stops:
        do = "name eos_token_id in generation_config.json"
        raise BadInput("no token ends a response", where=str(model.config.name_or_path), do=do)
    return stops


def pad_id(loaded: Loaded) -> int:
    """A token to fill batches with: the pad token, else one that ends a response. It is masked wherever it stands."""
    named = (loaded.tokenizer.pad_token_id, getattr(loaded.model.config.get_text_config(), "pad_token_id", None))
    pads = [each for each in named if _is_token(each, loaded.model)]
    return (pads or stop_ids(loaded))[0]


def check_finite(model: PreTrainedModel, where: str) -> None:
    """BadInput naming the weights that are NaN or infinite."""
    broken = [name for name, p in model.named_parameters() if not p.is_meta and not p.isfinite().all()]
    if broken:
        raise BadInput(f"weights are not finite: {broken[:3]}", where=where, do="use an earlier checkpoint")


def _model(folder: Path, dtype: Dtype, device_map: DeviceMap | None) -> PreTrainedModel:
    try:
        config = AutoConfig.from_pretrained(folder, **LOCAL)
        config._attn_implementation = None  # a config.json may name a kernel to fetch from the hub and run
        model, info = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            device_map=device_map,
            use_safetensors=True,
            output_loading_info=True,
            **LOCAL,
        )
    except (torch.OutOfMemoryError, MemoryError) as err:
        do = "choose bfloat16, or a device_map over more devices"
        raise ProbeError(f"no room for the weights in {dtype}", where=str(folder), do=do) from err
    except Exception as err:  # whatever a strange file makes transformers raise
        raise _unreadable(folder, err) from err
    _check_names(info, folder)
    check_finite(model, str(folder))
    return model.eval()


def _check_names(info: dict, folder: Path) -> None:
    unused = {name for name in info["unexpected_keys"] if not RECOMPUTED.search(name)}
    faults = {"are missing": info["missing_keys"], "have the wrong shape": info["mismatched_keys"]}
    faults["are there that its model type has no place for"] = unused
    for what, names in faults.items():
        if names:
            do = AGAIN if names is not unused else "config.json names the wrong model type, or they are not its weights"
            raise BadInput(f"tensors {what}: {sorted(map(str, names))[:3]}", where=str(folder), do=do)


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    own = PreTrainedTokenizerFast if (folder / TOKENIZER).is_file() else AutoTokenizer
    try:
        return own.from_pretrained(folder, **LOCAL)
    except Exception as err:  # the tokenizers library raises bare exceptions
        raise _unreadable(folder, err, "its tokenizer: ") from err


def _check_fit(loaded: Loaded, folder: Path) -> None:
    needed = max(loaded.tokenizer.get_vocab().values(), default=-1) + 1
    rows = _rows(loaded.model)
    if not 0 < needed <= rows:
        what = f"the tokenizer has {needed:,} tokens, the embedding {rows:,} rows"
        raise BadInput(what, where=str(folder), do="put the tokenizer of this very model beside its weights")


def check_itself(loaded: Loaded, where: str) -> None:
    """BadInput naming what fails of `probe.models.loading.self_test`."""
    from probe.models.loading.self_test import self_test  # it is written on top of this module

    failed = [check for check in self_test(loaded) if not check.holds]
    if failed:
        what = "; ".join(f"{check.name}: {check.detail}" for check in failed)
        do = "nothing measured on this model could be trusted; another dtype or transformers version may help"
        raise BadInput(f"the model fails its self-test: {what}", where=where, do=do)


def _is_token(number: object, model: PreTrainedModel) -> TypeGuard[int]:
    return type(number) is int and 0 <= number < _rows(model)


def _rows(model: PreTrainedModel) -> int:
    return model.get_input_embeddings().weight.shape[0]


def _unreadable(folder: Path, err: Exception, part: str = "") -> BadInput:
    return BadInput(f"cannot load this checkpoint: {part}{err}", where=str(folder), do=AGAIN)
