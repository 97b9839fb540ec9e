"""How do single responses become the parts of a table, whatever their number? Checked, numbered, counted, graded.

A part is what fits into memory with ease; beside it only hashes are kept: 8 bytes for each response of a file that
numbers its samples, one count for each problem. A sample that occurs twice is found at the end, by the hashes that
agree and then by a second look at what was written.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from probe.errors import BadInput
from probe.experiments.published_outputs.files import Columns, check_columns
from probe.strategy import detect, mentions_python
from probe.tasks.grading import Grader
from probe.tasks.import_fields import NULLABLE

PART, PART_BYTES = 4096, 32 << 20  # responses written at a time
SCHEMA = {
    "problem": pa.string(),
    "sample": pa.int32(),
    "temperature": pa.float64(),
    "prompt": pa.string(),
    "text": pa.string(),
    "answer": pa.string(),
    "right": pa.bool_(),
    "stop": pa.string(),
    "confidence": pa.float64(),
}
ALWAYS = ("problem", "sample", "temperature", "text", "answer", "confidence")
GRADES = {"boxed": pa.string(), "outcome": pa.string(), "strategy": pa.string(), "python": pa.bool_()}


Hashes: TypeAlias = "array[int]"


@dataclass
class Tally:
    """What is counted while responses pass."""

    rows: int = 0
    seen: Counter[int] = field(default_factory=Counter)  # responses to each problem, by its hash
    pairs: Hashes = field(default_factory=lambda: array("q"))  # hashes of (problem, sample)
    right: int = 0
    graded: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    late: dict[str, str] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    golds: dict[int, int] = field(default_factory=dict)  # hash of the answer to each problem


def schema(fields: Iterable[str], graded: bool, about: dict[str, str]) -> pa.Schema:
    """Of the written file: what it always has, the fields that were found, and grades."""
    kinds = {"checkpoint": pa.string()} | {name: kind for name, kind in SCHEMA.items() if name in {*ALWAYS, *fields}}
    return pa.schema(list((kinds | (GRADES if graded else {})).items()), metadata=about)


def parts(responses: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Lists of responses that fit into memory together."""
    part: list[dict[str, Any]] = []
    held = 0
    for one in responses:
        part.append(one)
        held += sum(len(value) for value in one.values() if isinstance(value, str))
        if len(part) == PART or held > PART_BYTES:
            yield part
            part, held = [], 0
    if part:
        yield part


def table_of(part: list[dict[str, Any]], grader: Grader | None, tally: Tally, where: str) -> pa.Table:
    """One part, checked, numbered and counted, with grades where a grader is given."""
    columns: Columns = {name: [one[name] for one in part] for name in part[0]}
    columns = check_columns(columns, where, tally.rows + 1)
    columns.setdefault("answer", [None] * len(part))
    _number(columns, tally)
    _check_golds(columns, tally, where)
    n = len(part)
    for what in set(NULLABLE) & set(columns):
        tally.missing[what] += columns[what].count(None)
    tally.right += columns.get("right", []).count(True)
    tally.rows += n
    columns.setdefault("temperature", [0.0] * n)
    columns.setdefault("confidence", [None] * n)
    if grader is not None:
        columns |= _graded(columns, grader)
        tally.graded += columns["outcome"].count("right")
    return pa.table(
        {name: pa.array(columns[name], kind) for name, kind in (SCHEMA | GRADES).items() if name in columns}
    )


def _number(columns: Columns, tally: Tally) -> None:
    """Count responses to each problem; number them where the file does not, else keep what tells them apart."""
    numbered = "sample" in columns
    samples = columns.setdefault("sample", [])
    for place, problem in enumerate(columns["problem"]):
        known = hash(problem)
        if numbered:
            tally.pairs.append(hash((problem, samples[place])))
        else:
            samples.append(tally.seen[known])
        tally.seen[known] += 1


def _check_golds(columns: Columns, tally: Tally, where: str) -> None:
    """BadInput where one problem has two answers: then two problems, or two files, share an id."""
    for problem, answer in zip(columns["problem"], columns["answer"], strict=True):
        if tally.golds.setdefault(hash(problem), hash(answer)) != hash(answer):
            what = f"problem {problem[:80]!r} has two gold answers"
            do = "map another id: --map problem=COLUMN, or # for the number of the row"
            raise BadInput(what, where=where, do=do)


def _graded(columns: Columns, grader: Grader) -> Columns:
    grades = grader.grade_many(columns["text"], columns["answer"])
    return {
        "boxed": [grade.prediction for grade in grades],
        "outcome": [str(grade.outcome) for grade in grades],
        "strategy": [str(detect(text).label) for text in columns["text"]],
        "python": [mentions_python(text) for text in columns["text"]],
    }


def check_pairs(file: Path, hashes: Hashes, where: str) -> None:
    """BadInput where a sample of a problem occurs twice. Only those whose hashes agree are looked at."""
    values, counts = np.unique(np.frombuffer(hashes, np.int64), return_counts=True) if hashes else ((), ())
    again = {int(value) for value, count in zip(values, counts, strict=True) if count > 1}
    if not again:
        return
    met: set[tuple[str, int]] = set()
    for pair in _pairs(file):
        if pair in met:
            what = f"sample {pair[1]} of problem {pair[0][:80]!r} occurs twice"
            raise BadInput(what, where=where, do="leave samples to be counted: --map sample=")
        if hash(pair) in again:
            met.add(pair)


def _pairs(file: Path) -> Iterator[tuple[str, int]]:
    for batch in pq.ParquetFile(file).iter_batches(columns=["problem", "sample"]):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
