"""Whose labels are compared, where do they stand, and which responses have none?

The authors' labels are taken where every file has some, ours otherwise; either way it is said. A response without a
label is neither right nor wrong: in a comparison by published labels it is left out, with the response it is paired
with, and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from probe.errors import BadInput
from probe.tasks.rows import read_rows

Grading = Literal["published", "probe"]


@dataclass(frozen=True)
class Labels:
    """Whose they are, and what a reader must know of them."""

    grading: Grading
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    """The labels of one file: how many rows have one, and the column that they came from."""

    path: Path
    rows: int
    labelled: int
    column: str

    @property
    def said(self) -> str:
        none = self.rows - self.labelled
        without = f"; {none} of {self.rows} responses have none and are left out" if none else ""
        return f"labels of {self.path.name}: its column {self.column}{without}"


def choose_labels(paths: Sequence[Path], asked: Grading | None) -> Labels:
    """Whose labels the files are compared by. BadInput where published ones are asked for and a file has none."""
    found = [_labels(path) for path in paths]
    have, lack = [each for each in found if each.labelled], [each for each in found if not each.labelled]
    if asked == "published" and lack:
        what = "not every file has a column `right` with published labels"
        raise BadInput(what, where=str(lack[0].path), do="grade with probe")
    if asked == "published" or (asked is None and not lack):
        return Labels("published", tuple(each.said for each in found))
    if asked == "probe" or not have:
        return Labels("probe")
    some, none = (" and ".join(each.path.name for each in each_side) for each_side in (have, lack))
    return Labels("probe", (f"labels: ours on both sides, as {none} has none; those of {some} are not used",))


def _labels(path: Path) -> _Found:
    rows = labelled = 0
    for _, row in read_rows(path, ["right"], streamed=True):
        rows += 1
        labelled += row.get("right") is not None
    return _Found(path, rows, labelled, _column(path))


def _column(path: Path) -> str:
    """What the column was called before `probe import-rollouts`, where that is known."""
    try:
        about = pq.read_schema(path).metadata or {} if path.suffix == ".parquet" else {}
    except (pa.ArrowException, OSError):
        about = {}
    before = about.get(b"probe.map.right", b"").decode("utf-8", "replace")
    return f"right, imported from {before}" if before and before != "right" else "right"
