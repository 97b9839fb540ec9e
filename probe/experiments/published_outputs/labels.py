"""Whose labels are compared, where do they stand, and which responses have none?

The authors' labels are taken where every file has some, ours otherwise; either way it is said. A response without a
label is neither right nor wrong: in a comparison by published labels it is left out, with the response it is paired
with, and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from probe.errors import BadInput
from probe.experiments.published_outputs.files import about
from probe.tasks.rows import read_rows

Grading = Literal["published", "probe"]


@dataclass(frozen=True)
class Labels:
    """Whose they are, and what a reader must know of them."""

    grading: Grading
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    """One file: how many rows have a label, the column it came from; whether the temperature is stated."""

    path: Path
    rows: int
    labelled: int
    column: str
    temperature: bool

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
    heat = tuple(f"temperature of {each.path.name}: not stated, taken as 0" for each in found if not each.temperature)
    if asked == "published" or (asked is None and not lack):
        return Labels("published", (*(each.said for each in found), *heat))
    if asked == "probe" or not have:
        return Labels("probe", heat)
    some, none = (" and ".join(each.path.name for each in each_side) for each_side in (have, lack))
    return Labels("probe", (f"labels: ours on both sides, as {none} has none; those of {some} are not used", *heat))


def _labels(path: Path) -> _Found:
    rows = labelled = 0
    stated = False
    for _, row in read_rows(path, ["right", "temperature"], streamed=True):
        rows += 1
        labelled += row.get("right") is not None
        stated = stated or "temperature" in row
    said = about(path)
    before = said.get("probe.map.right", "right")
    column = f"right, imported from {before}" if before != "right" else "right"
    stated = stated and ("probe.source" not in said or "probe.map.temperature" in said)
    return _Found(path, rows, labelled, column, stated)
