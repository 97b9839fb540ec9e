"""May these files of a dictionary be read, and are the tensors in them those that were expected? Asked before reading.

    own_file       a regular file that lies in its folder, or, in the hub's cache, in that repository's store of blobs
    read_tensors   names and shapes are compared in the header; only then are the values read, as fp32, and all finite

Left out: pickles, see `probe.dictionaries.exchange.qwen_scope`; the dtype in which a dictionary was run elsewhere.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from probe.errors import BadInput
from probe.models.loading.integrity import check_safetensors
from probe.models.loading.strict_json import AGAIN
from probe.store.regular import regular

MAX_CONFIG = 1_000_000  # bytes of a JSON file that describes a dictionary
MAX_WEIGHTS = 1 << 36  # bytes of its weights: 500,000 latents of width 16,000
Shapes = Mapping[str, tuple[int, ...]]


def own_file(folder: Path, name: str, limit_bytes: int) -> Path:
    """The file of that name, once it may be read. BadInput where it is none, too large, or a link that leads out."""
    file = regular(folder / name, limit_bytes)
    root = _root(folder.resolve())
    if not file.resolve().is_relative_to(root):
        raise BadInput(f"{name} is a link out of {root}", where=str(folder), do="put the file itself there")
    return file


def read_tensors(
    file: Path, wanted: Shapes, also: Shapes | None = None, *, keep_dtype: bool = False
) -> dict[str, Tensor]:
    """The tensors `wanted`, and those of `also` that are there. BadInput for others, other shapes, NaN, a torn file."""
    known = {**wanted, **(also or {})}
    _check_names(file, check_safetensors(file), wanted, known)
    try:
        with safe_open(file, "pt") as opened:
            names = sorted(opened.keys())
            for name in names:
                check_shape(file, name, opened.get_slice(name).get_shape(), known[name])
            read = {name: opened.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as err:
        raise BadInput(f"cannot load: {file.name}: {err}", where=str(file), do=AGAIN) from err
    check_finite(file, read)
    return read if keep_dtype else {name: tensor.to(torch.float32) for name, tensor in read.items()}


def check_shape(file: Path, name: str, found: Iterable[int], wanted: tuple[int, ...]) -> None:
    """BadInput unless both are the same."""
    if tuple(found) != wanted:
        what = f"{name} has shape {tuple(found)}, not {wanted}"
        raise BadInput(what, where=str(file), do="give the weights and the description of one dictionary")


def check_finite(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """BadInput naming what is NaN or infinite."""
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise BadInput(f"weights are not finite: {broken[:3]}", where=str(file), do="use another dictionary")


def _check_names(file: Path, names: Iterable[str], wanted: Iterable[str], known: Iterable[str]) -> None:
    missing, odd = sorted(set(wanted) - set(names)), sorted(set(names) - set(known))
    if missing or odd:
        parts = [f"it lacks {', '.join(missing)}"] * bool(missing) + [f"it has {', '.join(odd[:5])[:200]} too"] * bool(
            odd
        )
        do = "these are weights of another architecture, or of something else"
        raise BadInput(f"{file.name} holds no such dictionary: {' and '.join(parts)}", where=str(file), do=do)


def _root(place: Path) -> Path:
    """Where links may lead: in the hub's cache, models--ORG--NAME/snapshots/COMMIT links into its neighbour blobs."""
    homes = (each.parent for each in place.parents if each.name == "snapshots")
    return next((home for home in homes if home.name.startswith("models--")), place)
