"""Which rows of which files are one system's responses? Files, shards, a choice of rows, answers from beside.

    files   as they are named; a folder gives its shards (those called samples_* alone, where there are such)
    where   COLUMN=VALUE: only rows that hold it; VALUE * takes all of them together
    gold    another file with an answer for each value of a column that both have

A file may hold several systems, temperatures or steps: they are never merged unasked. Every column that tells systems
apart is watched while rows pass; more than one value is a BadInput that lists them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probe.errors import BadInput
from probe.tasks.column_aliases import NAMES, ROW, STEPS, SYSTEMS
from probe.tasks.import_fields import PARSERS, dig, opened
from probe.tasks.row_limits import Row
from probe.tasks.rows import READERS, read_rows

GOLD = "#gold"  # the column under which an answer from another file is put
SHOWN = 12
MAX_VALUES = 1000  # of a column that tells systems apart


@dataclass(frozen=True)
class Selection:
    """Which rows, and where their answers come from; `on`: the column of both files, or OURS=THEIRS."""

    where: tuple[tuple[str, str], ...] = ()
    gold: Path | None = None
    on: str = ""

    @property
    def columns(self) -> set[str]:
        """Every column that choosing looks at."""
        mine = {name for name, _ in self.where} | ({self.on.partition("=")[0]} if self.gold else set())
        return mine | {*SYSTEMS, *STEPS}


def source_files(paths: Sequence[Path]) -> list[Path]:
    """The files that are meant. A folder of a saved dataset is one; any other gives its shards, in order."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir() or any(path.glob("data-*.arrow")) or any(path.glob("*/state.json")):
            found.append(path)
            continue
        shards = sorted(each for each in path.iterdir() if each.suffix in READERS and not each.name.startswith("."))
        shards = [each for each in shards if each.name.startswith("samples_")] or shards
        if len({each.suffix for each in shards}) != 1:
            kinds = sorted({each.suffix for each in shards})
            what = (
                f"a folder with files of the kinds {kinds}" if kinds else "no data-*.arrow in this folder, nor shards"
            )
            raise BadInput(what, where=str(path), do="name the files themselves")
        found += shards
    return found


def chosen_rows(files: Sequence[Path], columns: set[str] | None, selection: Selection) -> Iterator[Row]:
    """The rows that are chosen, numbered under ROW, each with its answer where that comes from beside."""
    read = None if columns is None else columns | selection.columns
    answers = read_gold(selection) if selection.gold else None
    met: Counter[str] = Counter()
    number = 0
    for file in files:
        for where, row in read_rows(file, read, streamed=True):
            if all(_holds(row, name, value, where, met) for name, value in selection.where):
                row[ROW] = number
                number += 1
                if answers is not None:
                    row[GOLD] = _answer(answers, row, selection, where)
                yield where, row
    if not number and met:
        held = ", ".join(value for value, _ in met.most_common(SHOWN))
        asked = " ".join("=".join(each) for each in selection.where)
        raise BadInput(f"no row holds {asked}", where=str(files[0]), do=f"it holds {held}")


def values_of(files: Sequence[Path], column: str, selection: Selection) -> list[str]:
    """Every value of a column in the chosen rows, in order of appearance."""
    found: dict[str, None] = {}
    for where, row in chosen_rows(files, {column, *_prefixes(column)}, selection):
        found[as_text(dig(row, column, where))] = None
        if len(found) > MAX_VALUES:
            raise BadInput(f"more than {MAX_VALUES} values of {column!r}", where=where, do="name another column")
    return list(found)


def read_gold(selection: Selection) -> dict[str, Any]:
    """The answer for each value of the column that both files have."""
    assert selection.gold is not None
    theirs = selection.on.partition("=")[2] or selection.on
    found: dict[str, Any] = {}
    for number, (where, row) in enumerate(read_rows(selection.gold)):
        key = as_text(number if theirs == ROW else dig(row, theirs, where))
        answer = _recognised(row, where)
        if found.setdefault(key, answer) != answer:
            raise BadInput(f"two answers for {key[:80]!r}", where=where, do="leave one of them")
    return found


def as_text(value: Any) -> str:
    """A value as it is compared: 1 and 1.0 are one number."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


@dataclass
class Mixture:
    """What tells systems apart, counted while rows pass. `fixed`: columns that were chosen by, or mapped away."""

    fixed: frozenset[str]
    met: dict[str, Counter[str]] = field(default_factory=dict)

    def watch(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows as they are."""
        columns = {*SYSTEMS, *STEPS} - self.fixed
        for where, row in rows:
            for name in columns & row.keys():
                value = row.get(name)
                if isinstance(value, str | int | float):
                    counts = self.met.setdefault(name, Counter())
                    if len(counts) <= SHOWN or as_text(value) in counts:
                        counts[as_text(value)] += 1
            yield where, row

    def check(self, where: str) -> None:
        """BadInput where rows of several systems passed."""
        for name in (*SYSTEMS, *STEPS):
            counts = self.met.get(name, Counter())
            if len(counts) > 1:
                listed = ", ".join(f"{value[:40]} ({n})" for value, n in counts.most_common(SHOWN))
                more = ", ..." if len(counts) > SHOWN else ""
                first = next(iter(counts))[:40]
                do = f"take one: --where {name}={first}; a file each: --by {name}; all together: --where {name}=*"
                raise BadInput(f"there are several values of {name!r}: {listed}{more}", where=where, do=do)


def _holds(row: Mapping[str, Any], name: str, value: str, where: str, met: Counter[str]) -> bool:
    if value == "*":
        return True
    held = as_text(dig(row, name, where))
    if len(met) <= SHOWN:
        met[f"{name}={held[:40]}"] += 1
    if held == value:
        return True
    try:
        return float(held) == float(value)
    except ValueError:
        return False


def _answer(answers: Mapping[str, Any], row: dict[str, Any], selection: Selection, where: str) -> Any:
    key = as_text(dig(row, selection.on.partition("=")[0], where))
    if key not in answers:
        what = f"{selection.gold.name if selection.gold else ''} has no answer for {key[:80]!r}"
        raise BadInput(what, where=where, do="give a file that has one, or --where to choose rows")
    return answers[key]


def _recognised(row: Mapping[str, Any], where: str) -> Any:
    for name in (*NAMES["answer"], "solution"):
        if row.get(name) is not None:
            value = opened("answer", row[name], where)
            return PARSERS["answer"](value[0] if isinstance(value, list) and len(value) == 1 else value, name, where)
    do = f"call it one of {NAMES['answer']}; it has {list(row)[:20]}"
    raise BadInput("no column is recognised as the answer", where=where, do=do)


def _prefixes(path: str) -> set[str]:
    names = path.split(".")
    return {".".join(names[:length]) for length in range(1, len(names) + 1)}
