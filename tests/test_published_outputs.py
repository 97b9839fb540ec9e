"""Real outputs: golden numbers of the published pair, one's own files, what is refused, and what is drawn."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.text import Text
from typer.testing import CliRunner

from probe.cli import app
from probe.errors import BadInput, ProbeError
from probe.experiments.published_outputs.files import read_answers
from probe.experiments.published_outputs.import_file import import_rollouts
from probe.experiments.published_outputs.job import READOUTS, PublishedJob, published_job
from probe.experiments.result import run
from probe.plots import figures
from probe.store import Store

ACCURACY = {"before": 0.468, "RLVR": 0.386, "RLCR": 0.454}
BRIER = {"before": 0.4845, "RLVR": 0.6104, "RLCR": 0.2514}
ECE = {"before": 0.4921, "RLVR": 0.6112, "RLCR": 0.1879}
CELLS = {"both": 160, "only_before": 74, "only_after": 33, "neither": 233}

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def job(real_data: Path) -> PublishedJob:
    return published_job([real_data / "rlcr_math500"])


@pytest.fixture(scope="module")
def rows(job: PublishedJob, store: Store) -> Rows:
    return run(job, store).rows


def values(rows: Rows, name: str) -> dict[str, float]:
    """before, and after by reward."""
    found = {row["reward"]: row["value"] for row in rows if row["name"] == name and row["side"] == "after"}
    before = {row["value"] for row in rows if row["name"] == name and row["side"] == "before"}
    assert len(before) == 1  # the baseline is one system, whichever it is compared with
    return found | {"before": before.pop()}


@pytest.mark.parametrize(("name", "golden"), [("accuracy", ACCURACY), ("brier", BRIER), ("ece", ECE)])
def test_golden_numbers(rows: Rows, name: str, golden: dict[str, float]) -> None:
    assert values(rows, name) == pytest.approx(golden, abs=5.1e-5)


def test_golden_cells(rows: Rows) -> None:
    counts = {r["cell"]: r for r in rows if r["name"] == "outcome_count" and r["reward"] == "RLVR"}
    assert {level: row["value"] for level, row in counts.items()} == CELLS
    assert all(row["lo"] < row["value"] < row["hi"] and row["n_problems"] == 500 for row in counts.values())
    assert counts["only_before"]["null"] == (74 + 33) / 2


def test_golden_code_shares(rows: Rows) -> None:
    """Both metrics: 4.0 % of Base mention python, 3.4 % write it; nothing after RL."""
    assert values(rows, "python_share") == {"before": 0.04, "RLVR": 0.0, "RLCR": 0.0}
    assert values(rows, "code_share") == {"before": 0.034, "RLVR": 0.0, "RLCR": 0.0}


def test_parts_of_the_change_add_up(rows: Rows) -> None:
    """Every answer could be read, so that nothing is parse; the little code there was did worse than prose."""
    for reward in ("RLVR", "RLCR"):
        parts = {r["part"]: r for r in rows if r["name"] == "gain_parts" and r["reward"] == reward}
        mix, parse, within = (parts[part]["value"] for part in ("mix", "parse", "within"))
        change = ACCURACY[reward] - ACCURACY["before"]
        assert mix + parse + within == pytest.approx(change, abs=1e-9) == parts["total"]["value"]
        assert parse == 0 < parts["mix"]["lo"]


def test_parts_of_the_change_add_up_where_few_answers_are_read(real_data: Path, store: Store) -> None:
    """Read as boxes, 17 % of the base's answers are found: mix is what it is where all of them are."""
    rows = run(published_job([real_data / "rlcr_math500"], "published", "boxed"), store).rows
    parts = {r["part"]: r["value"] for r in rows if r["name"] == "gain_parts" and r["reward"] == "RLVR"}
    assert sum(parts[part] for part in ("mix", "parse", "within")) == pytest.approx(-0.082, abs=1e-9)
    assert parts["parse"] < -0.1
    assert parts["mix"] == pytest.approx(0.012763, abs=1e-6)  # the published labels are the same, whatever is read


def test_what_a_row_is_about(rows: Rows) -> None:
    about = {(row["study"], row["kind"], row["family"], row["temperature"]) for row in rows}
    assert about == {("real", "rl", "Qwen2.5-7B", 0.0)}
    assert {row["reward"] for row in rows} == {"RLVR", "RLCR"}  # other readings of one model are no models
    assert not {row["reward"] for row in rows} & set(READOUTS)
    assert not any(row["destroyed"] for row in rows)


def test_only_the_real_figures_are_drawn(rows: Rows) -> None:
    drawn = {name: drawing for name in figures.names() if (drawing := figures.get(name)(rows)) is not None}
    assert set(drawn) == set(PublishedJob.FIGURES)
    cells = {
        r["cell"]: r["value"] for r in drawn["real_outcomes"].table if r["reward"] == "RLVR" and r["mark"] != "null"
    }
    assert cells["only_before"] == 74
    assert cells["only_after"] == 33


def test_graded_once_and_pinned_to_the_file(job: PublishedJob, rows: Rows, store: Store) -> None:
    made = [artifact.spec["created"] for artifact in store.artifacts()]
    assert run(job, store).rows == rows
    assert [artifact.spec["created"] for artifact in store.artifacts()] == made
    (pinned,) = store.why(job.recipe.digest).inputs[0].inputs
    assert pinned.kind == "pinned"
    assert pinned.name.startswith("file:")


def test_the_grading_is_part_of_the_identity(job: PublishedJob, real_data: Path) -> None:
    ours = published_job([real_data / "rlcr_math500"], "probe")
    assert job.source.grading == "published"
    assert ours.recipe.digest != job.recipe.digest
    assert "math-verify" in ours.source.recipe.params["grader"]


def test_a_truncated_arrow_file_is_refused(real_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(real_data / "rlcr_math500", folder)
    arrow = next(folder.glob("data-*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[:100_000])
    with pytest.raises(BadInput, match="not a whole Arrow stream"):
        run(published_job([folder]), Store(tmp_path / "store"))


def own_rows(answers: list[str], **more: Any) -> Rows:
    """One response to each of four problems whose answer is 1, 2, 3, 4."""
    texts = [rf"so \boxed{{{answer}}}" if answer else "I do not know" for answer in answers]
    return [{"problem": i, "text": text, "answer": str(i + 1), **more} for i, text in enumerate(texts)]


def write(path: Path, rows: Rows) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_two_files_of_ones_own(tmp_path: Path, kind: str) -> None:
    before = write(tmp_path / f"base.{kind}", own_rows(["1", "9", "9", ""]))
    after = write(tmp_path / f"tuned.{kind}", own_rows(["1", "2", "3", "9"]))
    job = published_job([before, after])
    rows = run(job, Store(tmp_path / "store")).rows
    assert job.source.grading == "probe"  # there are no labels
    assert values(rows, "accuracy") == {"before": 0.25, "tuned": 0.75}
    assert values(rows, "parse_rate") == {"before": 0.75, "tuned": 1.0}
    assert {(row["family"], row["reward"]) for row in rows} == {("base", "tuned")}
    assert not any(row["name"] == "ece" for row in rows)  # no confidence was stated


def test_labels_and_confidence_of_ones_own(tmp_path: Path) -> None:
    before = write(tmp_path / "a.jsonl", own_rows(["9", "9", "9", "9"], right=True, confidence=0.5))
    after = write(tmp_path / "b.jsonl", own_rows(["1", "2", "3", "4"], right=False, confidence=0.5))
    rows = run(published_job([before, after]), Store(tmp_path / "store")).rows
    assert values(rows, "accuracy") == {"before": 1.0, "b": 0.0}  # the labels, not our grades
    assert values(rows, "brier") == {"before": 0.25, "b": 0.25}
    ours = run(published_job([before, after], "probe"), Store(tmp_path / "store")).rows
    assert values(ours, "accuracy") == {"before": 0.0, "b": 1.0}


def test_several_responses_to_a_problem_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", own_rows(["1", "2", "3", "4"]) * 2)
    assert read_answers(path)["sample"] == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": None}, "column 'text', row 1 is NoneType"),
        ({"answer": 3}, "column 'answer', row 1 is int"),
        ({"confidence": 95}, r"leaves \[0, 1\]"),
        ({"confidence": float("nan")}, r"leaves \[0, 1\]"),
        ({"confidence": "high"}, "column 'confidence', row 1 is str"),
        ({"sample": True}, "column 'sample', row 1 is bool"),
        ({"right": 1}, "column 'right', row 1 is int"),
    ],
)
def test_wrong_columns_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "a.jsonl", [row | change for row in own_rows(["1", "2", "3", "4"])])
    with pytest.raises(BadInput, match=message):
        read_answers(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column 'problem'"),
        ('{"problem": 1, "text": "x"}\n', "no column 'answer'"),
        ('{"problem": 1, "te', "not JSON lines"),
        ("[1, 2]\n", "not JSON lines: line 1 is no JSON object"),
        ("\ufeff\x00", "not JSON lines"),
    ],
)
def test_broken_lines_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    with pytest.raises(BadInput, match=message):
        read_answers(path)


def test_broken_parquet_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", own_rows(["1", "2", "3", "4"]))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadInput, match="not a whole parquet file"):
        read_answers(path)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "a.jsonl", own_rows(["1", "2", "3", "4"]))
    (tmp_path / "other").mkdir()
    same = write(tmp_path / "other" / "a.jsonl", own_rows(["1", "2", "3", "4"]))
    fewer = write(tmp_path / "fewer.jsonl", own_rows(["1", "2", "3"]))
    for paths, message in (
        ([tmp_path / "absent"], "no such file or folder"),
        ([one], "not outputs to compare"),
        ([one, tmp_path / "other"], "not outputs to compare"),
        ([one, same], "both files are called a"),
        ([tmp_path / "other"], r"no data-\*.arrow"),
    ):
        with pytest.raises(BadInput, match=message):
            published_job(paths)
    with pytest.raises(BadInput, match="not every file has a column `right`"):
        published_job([one, fewer], "published")
    others = [row | {"problem": f"other {row['problem']}"} for row in own_rows(["1", "2"])]
    apart = write(tmp_path / "apart.jsonl", others)
    with pytest.raises(ProbeError, match="no problem is answered on both sides"):
        run(published_job([one, apart]), Store(tmp_path / "store"))


@pytest.mark.parametrize("samples", [1, 3])
def test_several_samples_are_called_pairs_of_responses(samples: int, tmp_path: Path) -> None:
    """64 gained of 240 pairs on 30 problems are not 64 problems gained."""
    before = write(tmp_path / "a.jsonl", own_rows(["1", "9", "9", ""]) * samples)
    after = write(tmp_path / "b.jsonl", own_rows(["1", "2", "3", "9"]) * samples)
    drawing = figures.get("real_outcomes")(run(published_job([before, after]), Store(tmp_path / "s")).rows)
    assert drawing is not None
    words = " ".join([drawing.caption, *(text.get_text() for text in drawing.figure.findobj(Text))])
    words = " ".join(words.split())  # titles are broken into lines
    said = CliRunner().invoke(app, ["compare-rollouts", str(before), str(after), "--store", str(tmp_path / "s"),
                                    "--figures", str(tmp_path / "f")]).stdout  # fmt: skip
    if samples == 1:
        assert "share of problems" in words and "response pairs" not in words
        assert "a -> b: problems" in said
    else:
        assert "share of response pairs" in words and "share of problems" not in words
        assert "6 response pairs gained" in words and "12 response pairs on 4 problems" in words
        assert "a -> b: pairs of responses to 4 problems" in said


def test_an_ordinary_saved_dataset_is_read(tmp_path: Path) -> None:
    """`Dataset.save_to_disk` writes no row counts of its splits."""
    datasets = pytest.importorskip("datasets")
    rows = own_rows(["1", "2", "3", "4"])
    datasets.Dataset.from_list([row | {"problem": str(row["problem"])} for row in rows]).save_to_disk(tmp_path / "d")
    found = import_rollouts(tmp_path / "d", tmp_path / "out.parquet")
    assert (found.rows, found.problems) == (4, 4)
    assert read_answers(tmp_path / "out.parquet")["text"] == [row["text"] for row in rows]
