"""Labels that are missing stay missing, are counted and said; whose labels are compared never changes unsaid."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from probe.cli import app
from probe.errors import BadInput
from probe.experiments.published_outputs.files import read_answers
from probe.experiments.published_outputs.import_file import FIRST, import_rollouts
from probe.experiments.published_outputs.job import published_job
from probe.experiments.result import run
from probe.store import Store

Rows = list[dict[str, Any]]
N = 200


def responses(rights: list[bool | None], kind: str = "jsonl", **more: Any) -> Rows:
    """Every answer is wrong; the labels say otherwise. In jsonl a missing label is a missing key, half of the time."""
    rng, rows = random.Random(0), []
    for i, right in enumerate(rights):
        row = {"problem": f"p{i}", "text": "\\boxed{9}", "answer": "1", "right": right} | more
        if right is None and kind == "jsonl" and rng.random() < 0.5:
            del row["right"]
        rows.append(row)
    return rows


def write(path: Path, rows: Rows) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def some(seed: int, share: float) -> list[bool | None]:
    """Random labels, some of them missing."""
    rng = random.Random(seed)
    return [None if rng.random() < share else rng.random() < 0.5 for _ in range(N)]


def compared(*files: Path, words: tuple[str, ...] = ()) -> dict[str, Any]:
    said = [str(word) for word in ("compare-rollouts", *files, "--store", files[0].parent / "s", *words, "--json")]
    done = CliRunner().invoke(app, [*said, "--figures", str(files[0].parent / "f")])
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def accuracy(found: dict[str, Any]) -> dict[str, tuple[float, int]]:
    return {row["side"]: (row["value"], row["n"]) for row in found["measurements"] if row["name"] == "accuracy"}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("share", [1 / N, 0.3])
def test_missing_labels_are_left_out_in_pairs_and_counted(kind: str, share: float, tmp_path: Path) -> None:
    """One missing label used to drop the column, so that our grades were compared instead."""
    rights = some(1, share), some(2, share)
    rights[0][7] = None
    files = [write(tmp_path / f"{name}.{kind}", responses(each, kind)) for name, each in zip("ab", rights, strict=True)]
    both = [(x, y) for x, y in zip(*rights, strict=True) if x is not None and y is not None]
    found = compared(*files)
    assert found["grading"] == "published"
    for side, values in zip(("before", "after"), zip(*both, strict=True), strict=True):
        assert accuracy(found)[side] == (pytest.approx(sum(values) / len(both)), len(both))
    notes = "\n".join(found["notes"])
    assert f"labels of a.{kind}: its column right; {rights[0].count(None)} of {N} responses have none" in notes
    assert f"b: {N - len(both)} pairs are left out" in notes


def test_missing_confidence_stays_missing(tmp_path: Path) -> None:
    rows = responses([True] * 4)
    for row, stated in zip(rows, (0.5, None, 0.7, 0.9), strict=True):
        row["confidence"] = stated
    del rows[1]["confidence"]
    assert read_answers(write(tmp_path / "a.jsonl", rows))["confidence"] == [0.5, None, 0.7, 0.9]


def test_whose_labels_are_compared_is_said(tmp_path: Path) -> None:
    with_labels = write(tmp_path / "a.jsonl", responses([True] * 5))
    without = write(tmp_path / "b.jsonl", responses([None] * 5, "parquet"))  # a column of nothing
    found = compared(with_labels, without)
    assert found["grading"] == "probe"
    assert found["notes"][0] == "labels: ours on both sides, as b.jsonl has none; those of a.jsonl are not used"
    with pytest.raises(BadInput, match="not every file has a column `right`"):
        published_job([with_labels, without], "published")
    assert compared(with_labels, without, words=("--grading", "probe"))["notes"] == [
        f"temperature of {name}: not stated, taken as 0" for name in ("a.jsonl", "b.jsonl")
    ]


def test_nothing_labelled_on_both_sides(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.jsonl", responses([True, None])), write(tmp_path / "b.jsonl", responses([None, True]))]
    with pytest.raises(BadInput, match="no response is labelled on both sides"):
        run(published_job(files), Store(tmp_path / "s"))


@pytest.mark.parametrize("field", ["problem", "text", "answer", "sample", "temperature"])
@pytest.mark.parametrize("gone", [True, False])
def test_what_every_response_needs_is_never_filled_in(field: str, gone: bool, tmp_path: Path) -> None:
    rows = responses([True, False], sample=0, temperature=0.5)
    rows[1][field] = None
    if gone:
        del rows[1][field]
    path = write(tmp_path / "a.jsonl", rows)
    with pytest.raises(BadInput, match=field):
        read_answers(path)
    with pytest.raises(BadInput, match=field):
        import_rollouts(path, tmp_path / "out.parquet")


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("first", [0, 1, FIRST - 1, None])
def test_an_imported_label_may_be_missing(kind: str, first: int | None, tmp_path: Path) -> None:
    """Also in the first rows, by which columns are recognised."""
    rights = some(3, 0.2)
    rights[:FIRST] = [None] * FIRST
    if first is not None:
        rights[first] = True
    rows = responses(rights, "parquet")  # with its key in every row
    found = import_rollouts(write(tmp_path / f"a.{kind}", rows), tmp_path / "out.parquet")
    assert found.missing == {"right": rights.count(None)}
    assert found.right == pytest.approx(rights.count(True) / (N - rights.count(None)))
    assert pq.read_table(tmp_path / "out.parquet")["right"].to_pylist() == rights
    assert f"{rights.count(None)} of {N} responses have no right (right)" in found.notes


def test_a_label_that_is_first_met_late_is_said(tmp_path: Path) -> None:
    rows = responses([None] * (FIRST + 1) + [True] * 3, "parquet")
    for row in rows[: FIRST + 1]:
        del row["right"]
    path = write(tmp_path / "a.jsonl", rows)
    found = import_rollouts(path, tmp_path / "out.parquet")
    assert "right" not in found.paths
    assert found.notes == [f"right was not taken: it is first met at {path}:{FIRST + 2}; --map right=COLUMN takes it"]
    assert import_rollouts(path, tmp_path / "o.parquet", {"right": ""}).notes == []


def test_which_of_two_label_columns_was_taken_is_said(tmp_path: Path) -> None:
    rows = [row | {"exact_match": 0, "acc": None, "score": 0.5} for row in responses([True] * 3)]
    found = import_rollouts(write(tmp_path / "a.jsonl", rows), tmp_path / "out.parquet")
    assert (found.paths["right"], found.others) == ("right", {"right": ("exact_match", "acc")})
    assert found.notes == ["right is right; it also stands in exact_match and acc: --map right=COLUMN takes another"]
    mapped = import_rollouts(tmp_path / "a.jsonl", tmp_path / "b.parquet", {"right": "exact_match"})
    assert (mapped.right, mapped.notes) == (0.0, [])
    note = compared(tmp_path / "b.parquet", write(tmp_path / "c.jsonl", rows))["notes"][0]
    assert note == "labels of b.parquet: its column right, imported from exact_match"
