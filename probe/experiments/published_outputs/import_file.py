"""How do published outputs become responses that can be compared? Any table of them -> the file `real_files` reads.

    problem text answer [sample temperature confidence right prompt]  <-  a path into each row, given or recognised

A path is a column, or names joined by dots into nested objects (`6b_verification.solution`, `choices.0.text`). A list
of responses becomes one row a sample; lists of the same length go with it, single values are repeated, lists of one
are opened. A chat prompt is its last message of the user. A gold solution gives the answer it ends in ("#### 18").

Names are recognised by the first rows, in the order of `NAMES`. What is recognised is reported, as it may be wrong:
`field=` (no path) leaves a field out. A label or confidence may be missing: it stays missing, and is counted. Rows pass
through one part at a time, whatever the size of the file. Everything is only ever text and numbers: nothing in a file
is run, no value is a path, and what cannot be read is a BadInput that names the row. Left out: messages of several
turns, images, tools.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from probe.errors import BadInput
from probe.experiments.published_outputs.import_parts import Tally, check_pairs, parts, schema, table_of
from probe.store import file_digest
from probe.store.outputs import Output, named_output
from probe.tasks.grading import Extract, Grader
from probe.tasks.import_fields import NAMES, NULLABLE, PARSERS, Paths, dig, find_paths, opened
from probe.tasks.row_limits import Row
from probe.tasks.rows import read_rows

ZSTD = "zstd"
FIRST = 64  # rows by which columns are recognised


@dataclass(frozen=True)
class Imported:
    """What was read: the path of each field, those of them that were recognised, how much, and how much is right.

    `right` is a share of the labelled. `missing`: how many responses lack a label or a confidence, where others have
    one. `others`: columns that could have been taken for one instead.
    """

    paths: dict[str, str]
    recognised: tuple[str, ...]
    rows: int
    problems: int
    right: float | None
    graded_right: float | None
    missing: dict[str, int] = field(default_factory=dict)
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)
    late: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the labels and confidences that were, or were not, taken."""
        said = [f"{n} of {self.rows} responses have no {what} ({self.paths[what]})" for what, n in self.missing.items()]
        for what, names in self.others.items():
            others = " and ".join(names)
            said.append(f"{what} is {self.paths[what]}; it also stands in {others}: --map {what}=COLUMN takes another")
        for what, place in self.late.items():
            said.append(f"{what} was not taken: it is first met at {place}; --map {what}=COLUMN takes it")
        return said


def import_rollouts(
    path: Path,
    out: Path,
    given: Mapping[str, str] | None = None,
    *,
    name: str | None = None,
    grade: Extract | None = None,
    overwrite: bool = False,
) -> Imported:
    """Write the responses of a file (or of a saved dataset's folder) to `out`, a parquet file, whole or not at all.

    `given` maps our fields to paths, `name` names the system [the file of `out`], `grade` adds our grades.
    """
    written = _output(path, out, overwrite)
    first = list(islice(read_rows(path, streamed=True), FIRST))
    if not first:
        raise BadInput("the file has no rows", where=str(path), do="give at least one response")
    paths = find_paths([row for _, row in first], dict(given or {}), str(path))
    tally = Tally()
    rows = _watched(read_rows(path, _columns_read(paths), streamed=True), paths, given or {}, tally)
    responses = (each for where, row in rows for each in _responses(row, paths.of, where))
    about = {
        "probe.source": _source(path),
        **({"probe.name": name} if name else {}),
        **{f"probe.map.{what}": each for what, each in paths.of.items()},
    }
    kinds = schema(paths.of, grade is not None, about)

    def write(temporary: Path) -> None:
        with Grader(extract=grade or "boxed") as grader, pq.ParquetWriter(temporary, kinds, compression=ZSTD) as file:
            for part in parts(responses):
                table = table_of(part, grader if grade else None, tally, str(path))
                names = pa.array([name or out.stem] * len(part), pa.string())
                file.write_table(table.add_column(0, "checkpoint", names).select(kinds.names).cast(kinds))
        check_pairs(temporary, tally.pairs, str(path))

    written.write(write)
    return _report(paths, tally, grade is not None)


def _output(path: Path, out: Path, overwrite: bool) -> Output:
    if out.suffix != ".parquet":
        raise BadInput("the result is a parquet file", where=str(out), do="give a name that ends in .parquet")
    return named_output(out, inputs=[path], overwrite=overwrite)


def _columns_read(paths: Paths) -> set[str]:
    """The columns that the paths may start with."""
    parts = [each.split(".") for each in paths.of.values()]
    return {".".join(names[:length]) for names in parts for length in range(1, len(names) + 1)}


def _watched(rows: Iterable[Row], paths: Paths, given: Mapping[str, str], tally: Tally) -> Iterator[Row]:
    """The rows; where a label or confidence is first met behind the rows that were recognised, it is noted."""
    unseen = {what: NAMES[what] for what in NULLABLE if what not in paths.of and what not in given}
    for where, row in rows:
        for what, names in unseen.items():
            if what not in tally.late and any(row.get(name) is not None for name in names):
                tally.late[what] = where
        yield where, row


def _responses(row: dict[str, Any], paths: dict[str, str], where: str) -> Iterator[dict[str, Any]]:
    """The responses of one row, each with its values parsed."""
    values = {name: _value(row, name, each, where) for name, each in paths.items()}
    texts = values["text"] if isinstance(values["text"], list) else [values["text"]]
    for place in range(len(texts)):
        one = {}
        for name, value in values.items():
            if isinstance(value, list):
                if len(value) not in (1, len(texts)):
                    what = f"{name} has {len(value)} values for {len(texts)} responses"
                    raise BadInput(what, where=where, do="map it to one value, or to one for each response")
                value = value[place if len(value) == len(texts) else 0]
            one[name] = PARSERS[name](value, f"{name} ({paths[name]})", where)
        yield one


def _value(row: dict[str, Any], field: str, path: str, where: str) -> Any:
    """What stands there; None where a response may lack it and does."""
    try:
        found = dig(row, path, where)
    except BadInput:
        if field not in NULLABLE:
            raise
        return None
    return opened(field, found, where)


def _source(path: Path) -> str:
    files = [path] if path.is_file() else sorted(path.glob("data-*.arrow"))
    return " ".join(f"{file.name}:{file_digest(file)}" for file in files)


def _report(paths: Paths, tally: Tally, graded: bool) -> Imported:
    labelled = tally.rows - tally.missing["right"] if "right" in paths.of else 0
    return Imported(
        paths.of,
        paths.recognised,
        tally.rows,
        len(tally.seen),
        tally.right / labelled if labelled else None,
        tally.graded / tally.rows if graded else None,
        {what: n for what, n in tally.missing.items() if n},
        paths.others,
        tally.late,
    )
