"""How does a kept step of any causal LM lie on the disk? As a folder that others read too, with a model card.

    step-010/    adapter_config.json, adapter_model.safetensors (peft's format), or config.json, model.safetensors, ...,
                 and the tokenizer (a whole checkpoint, in the dtype that was sampled from); README.md
    scratch/step-010.json    the names of its files: all of them must be whole, or the run starts again

A whole checkpoint is written by transformers, file by file moved into place with its digest.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from probe.models.loading.card import CARD
from probe.models.loading.load import save_folder
from probe.models.loading.loaded import Loaded
from probe.rl.causal_policy import CausalPolicy, cast
from probe.rl.lora import adapter_files
from probe.rl.policy import Policy
from probe.store import is_kept, keep
from probe.store.unfinished import keep_file


def step_folder(step: int) -> str:
    """The name of the folder of a step."""
    return f"step-{step:03d}"


class StepFolders:
    """`base` is what the weights are of, a hub id where it has one; `card` says what stands in the README of a step."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, base: str, card: Callable[[int], str]) -> None:
        self.tokenizer, self.base, self.card = tokenizer, base, card

    def keep(self, policy: Policy, out: Path, done: int) -> None:
        """Write the folder, then the list of its files."""
        assert isinstance(policy, CausalPolicy)
        folder = out / step_folder(done)
        names = self._whole(policy, out, folder) if policy.lora is None else self._adapter(policy, folder)
        keep(folder / CARD, self.card(done).encode())
        keep(_listed(out, done), json.dumps(sorted([*names, CARD])).encode())

    def is_kept(self, out: Path, done: int) -> bool:
        """Whether every file of the folder is there and whole."""
        if not is_kept(_listed(out, done)):
            return False
        names = json.loads(_listed(out, done).read_text())
        return all(is_kept(out / step_folder(done) / name) for name in names)

    def _adapter(self, policy: CausalPolicy, folder: Path) -> list[str]:
        assert policy.lora is not None
        files = adapter_files(policy.tensors, policy.lora, self.base)
        for name, data in files.items():
            keep(folder / name, data)
        return list(files)

    def _whole(self, policy: CausalPolicy, out: Path, folder: Path) -> list[str]:
        made = out / "scratch" / f"{folder.name}.tmp"
        shutil.rmtree(made, ignore_errors=True)  # of a killed process
        save_folder(Loaded(cast(policy.model) if policy.half else policy.model, self.tokenizer), made)
        names = sorted(each.name for each in made.iterdir())
        for name in names:
            keep_file(folder / name, lambda file, source=made / name: os.replace(source, file))  # type: ignore[misc]
        shutil.rmtree(made)
        return names


def _listed(out: Path, done: int) -> Path:
    return out / "scratch" / f"{step_folder(done)}.json"
