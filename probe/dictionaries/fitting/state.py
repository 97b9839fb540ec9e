"""How does training go on after a kill, to the same bits? Tensors and Adam's moments, and a record that names them.

    state-<step>.safetensors   learned tensors, their "<name>.exp_avg" and so on, scale, rows since each latent fired
    log.jsonl                  a line a told step
    state.json                 written last: step, the tensors' file and sha256, and of what recipe and rows it is

A state counts once its json is there; the state before it is removed after that, so a kill at any place leaves one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from probe.errors import BadInput
from probe.store import Damaged, write_atomic

STATE, LOG = "state.json", "log.jsonl"


@dataclass(frozen=True, eq=False)
class Saved:
    """After `step` updates."""

    step: int
    tensors: dict[str, Tensor]
    log: list[dict[str, Any]]


def keep_state(
    folder: Path, step: int, tensors: Mapping[str, Tensor], log: Sequence[Mapping[str, Any]], key: str
) -> None:
    """That many updates are done. `key` says of which recipe, on which rows."""
    folder.mkdir(parents=True, exist_ok=True)
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    file = folder / f"state-{step:08d}.safetensors"
    write_atomic(file, data)
    write_atomic(folder / LOG, "".join(json.dumps(row) + "\n" for row in log).encode())
    record = {"step": step, "file": file.name, "sha256": hashlib.sha256(data).hexdigest(), "key": key}
    write_atomic(folder / STATE, json.dumps(record, sort_keys=True).encode())
    for old in folder.glob("state-*.safetensors"):
        if old != file:
            old.unlink(missing_ok=True)


def kept_state(folder: Path, key: str) -> Saved | None:
    """What was kept last; None where nothing was. BadInput where it is another recipe's, Damaged where not whole."""
    if not (folder / STATE).is_file():
        return None
    try:
        record = json.loads((folder / STATE).read_bytes())
        step, same = int(record["step"]), record["key"] == key
        data = (folder / Path(record["file"]).name).read_bytes()
        if hashlib.sha256(data).hexdigest() != record["sha256"]:
            raise ValueError("its sha256 has changed")
        tensors = load(data)
        log = [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as err:
        what = f"damaged training state: {type(err).__name__}: {err}"
        raise Damaged(what, where=str(folder), do="empty the folder: training begins again") from err
    if not same:
        do = "give an empty folder, or the same options, rows and site"
        raise BadInput("this state is another recipe's, or of other rows", where=str(folder), do=do)
    return Saved(step, tensors, [row for row in log if row["step"] < step])
