"""Weights and tokenizer of a checkpoint in a local folder: safetensors only, no remote code, no network.

What is loaded is what the files say, or it is an error: a missing, unused or misshapen tensor, a value that is not
finite, a tokenizer that is not the checkpoint's own. (For many model types transformers 5 builds a tokenizer of its own
class from the checkpoint's vocabulary and drops the rest: a Qwen2 checkpoint with another vocabulary would lose tokens.
Here tokenizer.json, where there is one, is the tokenizer.) Checkpoints of the hub: `hub`; LoRA adapters: `adapter`;
what can be said before a tensor is read: `integrity`, all beside this file.
"""

import re
from pathlib import Path
from typing import Literal

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
from probe.models.loading.card import Card
from probe.models.loading.integrity import TOKENIZER, check_folder
from probe.models.loading.loaded import Loaded, n_rows
from probe.models.loading.quarantine import estrange, rehearse
from probe.models.loading.self_test import QUESTIONS, check_itself
from probe.models.loading.strict_json import AGAIN

Dtype = Literal["float32", "bfloat16", "float16"]
DeviceMap = str | dict[str, int | str]
RECOMPUTED = re.compile(r"rotary_emb\.inv_freq$")  # old checkpoints carry it: a function of the config
LOCAL = {"local_files_only": True, "trust_remote_code": False}


def load_folder(
    folder: Path,
    *,
    dtype: Dtype = "float32",
    device_map: DeviceMap | None = None,
    self_test: bool = False,
    trusted: bool = False,
) -> Loaded:
    """An ordinary Hugging Face checkpoint in `dtype`, on the CPU or where `device_map` says ("cuda", "auto", ...).

    BadInput: see the module. With `self_test` also where it does not behave as everything downstream assumes. Only what
    was made here is `trusted`: the tokenizer of any other is opened in quarantine first, and spells prompts there.
    """
    check_folder(folder)
    transformers_logging.disable_progress_bar()
    tokenizer = _tokenizer(folder, trusted)
    loaded = Loaded(_model(folder, dtype, device_map), tokenizer)
    _check_fit(loaded, folder)
    if self_test:
        check_itself(loaded, str(folder))
    return loaded


def save_folder(loaded: Loaded, folder: Path, card: Card | None = None) -> None:
    """Write an ordinary Hugging Face checkpoint: config, safetensors, fast tokenizer; and its card."""
    transformers_logging.disable_progress_bar()
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    if card is not None:
        card.write(folder)


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


def _tokenizer(folder: Path, trusted: bool) -> PreTrainedTokenizerBase:
    own = PreTrainedTokenizerFast if (folder / TOKENIZER).is_file() else AutoTokenizer
    if not trusted:
        rehearse(folder, own.__name__, LOCAL, QUESTIONS)
    try:
        tokenizer = own.from_pretrained(folder, **LOCAL)
        return tokenizer if trusted else estrange(tokenizer)
    except Exception as err:  # the tokenizers library raises bare exceptions
        raise _unreadable(folder, err, "its tokenizer: ") from err


def _check_fit(loaded: Loaded, folder: Path) -> None:
    needed = max(loaded.tokenizer.get_vocab().values(), default=-1) + 1
    rows = n_rows(loaded.model)
    if not 0 < needed <= rows:
        what = f"the tokenizer has {needed:,} tokens, the embedding {rows:,} rows"
        raise BadInput(what, where=str(folder), do="put the tokenizer of this very model beside its weights")


def _unreadable(folder: Path, err: Exception, part: str = "") -> BadInput:
    return BadInput(f"cannot load this checkpoint: {part}{err}", where=str(folder), do=AGAIN)
