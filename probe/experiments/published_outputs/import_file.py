"""How do published outputs become responses that can be compared? Any table of them -> the file `real_files` reads.

    problem text answer [sample temperature confidence right stop prompt]  <-  a path into each row, given or recognised

A path is a column, or names joined by dots into nested objects (`6b_verification.solution`, `choices.0.text`). A list
of responses becomes one row a sample; lists of the same length go with it, single values are repeated, lists of one
are opened. A chat prompt is its last message of the user. A gold solution gives the answer it ends in ("#### 18").

Names are recognised by the first rows, in the order of `NAMES`. What is recognised is reported, as it may be wrong:
`field=` (no path) leaves a field out. A label or confidence may be missing: it stays missing, and is counted. Rows pass
through one part at a time, whatever the size of the file. Everything is only ever text and numbers: nothing in a file
is run, no value is a path, and what cannot be read is a BadInput that names the row. Left out: messages of several
turns, images, tools.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from probe.errors import BadInput
from probe.experiments.published_outputs.import_parts import Tally, check_pairs, parts, schema, table_of
from probe.experiments.published_outputs.selection import GOLD, Mixture, Selection, chosen_rows, source_files, values_of
from probe.rollouts.eval_log import LogOf, write_log
from probe.store import file_digest
from probe.store.outputs import Output, named_output
from probe.tasks.column_aliases import ROW
from probe.tasks.extractors import Extract
from probe.tasks.grading import Grader
from probe.tasks.import_fields import NAMES, NULLABLE, PARSERS, Paths, dig, find_paths, opened
from probe.tasks.row_limits import Row

ZSTD = "zstd"
FIRST = 64  # rows by which columns are recognised


@dataclass(frozen=True)
class Imported:
    """What was read: the path of each field, those of them that were recognised, how much, and how much is right.

    `right` is a share of the labelled. `missing`: how many responses lack a label or a confidence, where others have
    one. `others`: columns that could have been taken for one instead. `dropped`: rows that were left out, by reason.
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
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the labels and confidences that were, or were not, taken."""
        said = [f"{n} of {self.rows} responses have no {what} ({self.paths[what]})" for what, n in self.missing.items()]
        for what, names in self.others.items():
            others = " and ".join(names)
            said.append(f"{what} is {self.paths[what]}; it also stands in {others}: --map {what}=COLUMN takes another")
        for what, place in self.late.items():
            said.append(f"{what} was not taken: it is first met at {place}; --map {what}=COLUMN takes it")
        said += [f"left out, {n} rows: {why}" for why, n in self.dropped.items()]
        return said


@dataclass(frozen=True)
class Asked:
    """How a file is read: `name` of the system, `grade` adds our grades, `keep_readable` drops rows that are not."""

    name: str | None = None
    grade: Extract | None = None
    overwrite: bool = False
    keep_readable: bool = False
    selection: Selection = field(default_factory=Selection)
    to: Literal["parquet", "inspect"] = "parquet"


def import_rollouts(
    paths: Path | Sequence[Path],
    out: Path,
    given: Mapping[str, str] | None = None,
    asked: Asked | None = None,
    **how: Any,
) -> Imported:
    """Write the responses of files to `out`, a parquet file or an Inspect log, whole or not at all.

    `given` maps our fields to paths; `asked`, or its fields one by one, says the rest.
    """
    files = source_files([paths] if isinstance(paths, Path) else paths)
    asked, where = asked or Asked(**how), str(files[0])
    chosen, given = asked.selection, _given(given or {}, asked.selection)
    written = _output(files, out, asked)
    first = list(islice(chosen_rows(files, None, chosen), FIRST))
    if not first:
        raise BadInput("the file has no rows", where=where, do="give at least one response")
    paths_of = find_paths([row for _, row in first], given, where)
    tally, mixture = Tally(), Mixture(frozenset(_fixed(paths_of, given, chosen)))
    rows = mixture.watch(chosen_rows(files, _columns_read(paths_of), chosen))
    rows = _watched(rows, paths_of, given, tally)
    responses = (each for at, row in rows for each in _read(row, paths_of.of, at, tally, asked.keep_readable))
    kinds = schema(paths_of.of, asked.grade is not None, _about(files, paths_of, asked))

    def write(temporary: Path) -> None:
        with (
            Grader(extract=asked.grade or "boxed") as grader,
            pq.ParquetWriter(temporary, kinds, compression=ZSTD) as file,
        ):
            for part in parts(responses):
                table = table_of(part, grader if asked.grade else None, tally, where)
                names = pa.array([asked.name or out.stem] * len(part), pa.string())
                file.write_table(table.add_column(0, "checkpoint", names).select(kinds.names).cast(kinds))
        mixture.check(where)
        check_pairs(temporary, tally.pairs, where)
        if not tally.rows:
            raise BadInput(f"no row can be read: {next(iter(tally.dropped))}", where=where, do="map other columns")

    def log(temporary: Path) -> None:
        table = temporary.with_suffix(".table.tmp")
        try:
            write(table)
            write_log(_rows_of(table), temporary, LogOf(asked.name or out.stem))
        finally:
            table.unlink(missing_ok=True)

    written.write(log if asked.to == "inspect" else write)
    return _report(paths_of, tally, asked.grade is not None)


def import_by(
    column: str, paths: Sequence[Path], out: Path, given: Mapping[str, str], asked: Asked
) -> dict[Path, Imported]:
    """One file for each value of a column, OUT with the value in its name, and named after it."""
    files = source_files(paths)
    values = values_of(files, column, asked.selection)
    slugs = {value: re.sub(r"[^A-Za-z0-9._-]+", "-", value).strip("-.")[:80] or "blank" for value in values}
    if len(set(slugs.values())) < len(slugs):
        raise BadInput(f"values of {column!r} give one file name", where=str(files[0]), do="take each by --where")
    made = {value: out.with_name(f"{out.stem}-{slug}{out.suffix}") for value, slug in slugs.items()}
    for each in made.values():
        _output(files, each, asked)
    found = {}
    for value, each in made.items():
        selection = replace(asked.selection, where=(*asked.selection.where, (column, value)))
        found[each] = import_rollouts(paths, each, given, replace(asked, name=value, selection=selection))
    return found


def _rows_of(table: Path) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(table).iter_batches(256):
        yield from batch.to_pylist()


def _given(given: Mapping[str, str], chosen: Selection) -> dict[str, str]:
    if chosen.gold is None:
        return dict(given)
    if not chosen.on:
        raise BadInput("--gold needs a column that both files have", where=str(chosen.gold), do="say --on COLUMN")
    return {"problem": chosen.on.partition("=")[0], "answer": GOLD} | dict(given)


def _fixed(paths: Paths, given: Mapping[str, str], chosen: Selection) -> set[str]:
    """Columns that may hold several values: chosen by, mapped to something else, or left out."""
    mapped = {each for name, each in paths.of.items() if name != "temperature"}
    return {name for name, _ in chosen.where} | mapped | {name for name, each in given.items() if not each}


def _about(files: Sequence[Path], paths: Paths, asked: Asked) -> dict[str, str]:
    """What is written of where it came from."""
    named = {"probe.name": asked.name} if asked.name else {}
    where = {f"probe.where.{name}": value for name, value in asked.selection.where}
    return {
        "probe.source": _source(files),
        **named,
        **where,
        **{f"probe.map.{k}": each for k, each in paths.of.items()},
    }


def _output(files: Sequence[Path], out: Path, asked: Asked) -> Output:
    suffix, what = {"parquet": (".parquet", "a parquet file"), "inspect": (".eval", "an Inspect log")}[asked.to]
    if out.suffix != suffix:
        raise BadInput(f"the result is {what}", where=str(out), do=f"give a name that ends in {suffix}")
    gold = [asked.selection.gold] if asked.selection.gold else []
    return named_output(out, inputs=[*files, *gold], overwrite=asked.overwrite)


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


def _read(row: dict[str, Any], paths: Mapping[str, str], where: str, tally: Tally, keep: bool) -> list[dict[str, Any]]:
    """The responses of one row; none, and counted, where it cannot be read and the readable ones are kept."""
    try:
        return list(_responses(row, paths, where))
    except BadInput as err:
        if not keep:
            raise
        tally.dropped[err.what] += 1
        return []


def _responses(row: dict[str, Any], paths: Mapping[str, str], where: str) -> Iterator[dict[str, Any]]:
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
    if path.startswith(ROW + "//") and path[3:].isdecimal() and int(path[3:]):
        return row[ROW] // int(path[3:])
    try:
        found = dig(row, path, where)
    except BadInput:
        if field not in NULLABLE:
            raise
        return None
    return opened(field, found, where)


def _source(paths: Sequence[Path]) -> str:
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.glob("data-*.arrow")))]
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
        dict(tally.dropped),
    )
