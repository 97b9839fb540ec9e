"""Published outputs become responses: columns mapped and recognised, samples, golden numbers, and what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from probe.cli import app
from probe.errors import BadInput
from probe.experiments.published_outputs.files import read_answers
from probe.experiments.published_outputs.import_file import Imported, import_rollouts
from probe.experiments.published_outputs.job import published_job
from probe.experiments.result import run as run_experiment
from probe.store import Store
from probe.tasks.published_outputs import GSM8K_SYSTEMS, read_gsm8k_graded, read_rlcr, read_tora

Rows = list[dict[str, Any]]
GSM8K_SHARES = {"6b_finetuning": 21.7, "6b_verification": 39.0, "175b_finetuning": 34.7, "175b_verification": 56.3}
ROW = {"problem": "p", "text": "so \\boxed{3}", "answer": "3"}


def lines(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def imported(tmp_path: Path, rows: Rows, given: dict[str, str] | None = None, **how: Any) -> tuple[Imported, Rows]:
    """What is reported, and what was written."""
    out = tmp_path / "out.parquet"
    found = import_rollouts(lines(tmp_path / "in.jsonl", rows), out, given, overwrite=True, **how)
    return found, pq.read_table(out).to_pylist()


def test_columns_that_are_ours_need_no_map(tmp_path: Path) -> None:
    found, rows = imported(tmp_path, [ROW, ROW | {"problem": "q"}])
    assert found == Imported(
        {"problem": "problem", "text": "text", "answer": "answer", "prompt": "problem"},
        tuple(found.paths),
        rows=2,
        problems=2,
        right=None,
        graded_right=None,
    )
    blank = {"sample": 0, "temperature": 0.0, "confidence": None, "prompt": "p"}
    assert rows[0] == ROW | blank | {"checkpoint": "out"}
    assert read_answers(tmp_path / "out.parquet")["problem"] == ["p", "q"]


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        # lm-evaluation-harness
        ({"doc_id": 7, "doc": {"question": "q"}, "target": "so #### 3", "resps": [["a"]], "exact_match": 1.0},
         [("7", "a", "3", True, 0)]),
        # ToRA
        ({"idx": 0, "question": "q", "gt": "3", "code": ["a"], "pred": ["3"], "report": [None]},
         [("q", "a", "3", None, 0)]),
        # several samples a problem, with a grade each
        ({"question_id": "x", "gold": 3, "responses": ["a", "b", "c"], "correct": [True, False, True]},
         [("x", "a", "3", True, 0), ("x", "b", "3", False, 1), ("x", "c", "3", True, 2)]),
        # OpenAI-style choices
        ({"id": "c1", "answer": 3.0, "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
          "choices": [{"message": {"role": "assistant", "content": "a"}}, {"message": {"content": "b"}}]},
         [("q", "a", "3", None, 0), ("q", "b", "3", None, 1)]),
    ],
)  # fmt: skip
def test_known_layouts_are_recognised(row: dict[str, Any], wanted: list[tuple[Any, ...]], tmp_path: Path) -> None:
    _, rows = imported(tmp_path, [row])
    assert [(r["problem"], r["text"], r["answer"], r.get("right"), r["sample"]) for r in rows] == wanted


def test_paths_go_into_nested_values(tmp_path: Path) -> None:
    row = {"q.id": "x", "runs": {"a.b": {"out": "A"}, "list": [{"t": "B"}, {"t": "C"}]}, "gold": ["3"]}
    given = {"problem": "q.id", "answer": "gold", "text": "runs.a.b.out"}
    assert imported(tmp_path, [row], given)[1][0]["text"] == "A"
    assert imported(tmp_path, [row], given | {"text": "runs.list.1.t"})[1][0]["text"] == "C"
    assert [r["text"] for r in imported(tmp_path, [row], given | {"text": "runs.list.t"})[1]] == ["B", "C"]


def test_what_is_given_comes_first_and_can_be_left_out(tmp_path: Path) -> None:
    row = ROW | {"right": True, "other": "9", "confidence": 0.5}
    found, rows = imported(tmp_path, [row], {"answer": "other", "right": ""})
    assert (rows[0]["answer"], rows[0]["confidence"]) == ("9", 0.5)
    assert "right" not in rows[0]
    assert found.recognised == ("problem", "text", "confidence", "prompt")


def test_samples_are_counted_over_the_whole_file(tmp_path: Path) -> None:
    _, rows = imported(tmp_path, [ROW | {"problem": i % 700} for i in range(2100)])
    assert [r["sample"] for r in rows] == [0] * 700 + [1] * 700 + [2] * 700


def test_numbers_and_labels_of_a_csv_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("problem,text,answer,right,sample,temperature,confidence\np,t,1,True,3,0.6,\n")
    import_rollouts(tmp_path / "a.csv", tmp_path / "b.parquet")
    (row,) = pq.read_table(tmp_path / "b.parquet").to_pylist()
    assert (row["right"], row["sample"], row["temperature"], row["confidence"]) == (True, 3, 0.6, None)


def test_texts_are_only_ever_text(tmp_path: Path) -> None:
    wild = "=HYPERLINK()\x00\x1b[31m../../x {{7*7}} ${jndi} <script> \u202e"
    _, rows = imported(tmp_path, [{"problem": "../../../evil", "text": wild, "answer": "../a"}], name="../name")
    assert (rows[0]["problem"], rows[0]["text"], rows[0]["checkpoint"]) == ("../../../evil", wild, "../name")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in.jsonl", "out.parquet"]


def test_where_it_came_from_is_kept(tmp_path: Path) -> None:
    imported(tmp_path, [ROW])
    about = pq.read_schema(tmp_path / "out.parquet").metadata
    assert about[b"probe.source"].startswith(b"in.jsonl:")
    assert about[b"probe.map.text"] == b"text"


def test_grades_are_added(tmp_path: Path) -> None:
    rows = [ROW, ROW | {"text": "\\boxed{4}"}, ROW | {"text": "```python\nx = 1\nprint(x)\n```\nno box"}]
    found, graded = imported(tmp_path, rows, grade="boxed")
    assert found.graded_right == pytest.approx(1 / 3)
    assert [(r["outcome"], r["boxed"], r["python"]) for r in graded] == [
        ("right", "3", False), ("wrong", "4", False), ("unparsed", None, True)
    ]  # fmt: skip
    assert graded[2]["strategy"] == "code"


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        ({"text": None}, {"text": "text"}, r"text \(text\) is NoneType"),
        ({"text": 3}, {"text": "text"}, r"text \(text\) is int"),
        ({"text": []}, {"text": "text"}, "text is an empty list"),
        ({"text": ["a", "b"], "right": [True, False, True]}, {"right": "right"}, "right has 3 values for 2 responses"),
        ({"answer": ""}, {"answer": "answer"}, r"answer \(answer\) is empty"),
        ({"answer": float("nan")}, {"answer": "answer"}, r"answer \(answer\) is float"),
        ({"right": "perhaps"}, {"right": "right"}, "'perhaps', neither right nor wrong"),
        ({"right": 0.5}, {"right": "right"}, "0.5, neither right nor wrong"),
        ({"sample": 1.5}, {"sample": "sample"}, "1.5, a whole number is needed"),
        ({"sample": -1}, {"sample": "sample"}, r"'sample' leaves \[0, 2\^31\)"),
        ({"sample": 2**31}, {"sample": "sample"}, r"'sample' leaves \[0, 2\^31\)"),
        ({"temperature": float("nan")}, {}, r"'temperature' leaves \[0, 100\]"),
        ({"temperature": float("inf")}, {}, r"'temperature' leaves \[0, 100\]"),
        ({"confidence": float("nan")}, {}, r"'confidence' leaves \[0, 1\]"),
        ({"confidence": 95}, {}, r"'confidence' leaves \[0, 1\]"),
        ({"confidence": "high"}, {"confidence": "confidence"}, "'high', a number is needed"),
        ({}, {"text": "nowhere"}, "there is no 'nowhere'"),
        ({}, {"text": "text.more"}, "nothing is called 'more' in a str"),
        ({}, {"outcome": "x"}, "no column 'outcome' to map to"),
        ({"text": {"a": 1}}, {}, "no column is recognised as 'text'"),
        ({"problem": {"a": 1}}, {"problem": "problem"}, "problem is dict|is dict"),
    ],
)
def test_what_cannot_be_read_is_named(
    change: dict[str, Any], given: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        imported(tmp_path, [ROW | change], given)
    assert caught.value.where
    assert caught.value.do
    assert not (tmp_path / "out.parquet").exists()


def test_later_rows_are_named_too(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"text \(text\) is NoneType") as caught:
        imported(tmp_path, [ROW, ROW | {"problem": "q", "text": None}])
    assert caught.value.where.endswith("in.jsonl:2")
    with pytest.raises(BadInput, match="sample 0 of problem 'p' occurs twice"):
        imported(tmp_path, [ROW | {"sample": 0}, ROW | {"sample": 0}])
    with pytest.raises(BadInput, match="no rows"):
        imported(tmp_path, [])


def test_nothing_is_overwritten_silently(tmp_path: Path) -> None:
    source, out = lines(tmp_path / "a.jsonl", [ROW]), tmp_path / "b.parquet"
    import_rollouts(source, out)
    with pytest.raises(BadInput, match="in the way"):
        import_rollouts(source, out)
    import_rollouts(source, out, overwrite=True)
    with pytest.raises(BadInput, match="what the result is made from"):
        import_rollouts(out, out, overwrite=True)
    with pytest.raises(BadInput, match="a parquet file"):
        import_rollouts(source, tmp_path / "b.jsonl")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(BadInput, match="in the way"):
        import_rollouts(source, tmp_path / "folder.parquet", overwrite=True)
    assert pq.read_table(out).num_rows == 1


@pytest.fixture(scope="module")
def gsm8k(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Imported]]:
    """The four systems in one file, each from its nested columns, graded."""
    folder, file = tmp_path_factory.mktemp("gsm8k"), real_data / "gsm8k_graded" / "example_model_solutions.jsonl"
    made = {}
    for system in GSM8K_SYSTEMS:
        given = {"problem": "question", "text": f"{system}.solution", "answer": "ground_truth"}
        given |= {"right": f"{system}.is_correct"}
        out = folder / f"{system}.parquet"
        made[system] = (out, import_rollouts(file, out, given, grade="final_number"))
    return made


def test_golden_gsm8k(gsm8k: dict[str, tuple[Path, Imported]], real_data: Path) -> None:
    """Labels, and our grades of the answers in "A: 18": science.md 8."""
    known = read_gsm8k_graded(real_data / "gsm8k_graded")
    for system, (out, found) in gsm8k.items():
        assert round(100 * (found.right or 0), 1) == GSM8K_SHARES[system]
        assert round(100 * (found.graded_right or 0), 1) == GSM8K_SHARES[system]
        columns = read_answers(out)
        assert columns["text"] == list(known.systems[system].texts)
        assert columns["answer"] == [problem.answer for problem in known.problems]


def test_golden_gsm8k_compared(gsm8k: dict[str, tuple[Path, Imported]], tmp_path: Path) -> None:
    rows = run_experiment(published_job([out for out, _ in gsm8k.values()][:2]), Store(tmp_path / "s")).rows
    accuracy = {row["side"]: row["value"] for row in rows if row["name"] == "accuracy"}
    assert (round(accuracy["before"], 3), round(accuracy["after"], 3)) == (0.217, 0.390)


def test_golden_tora(real_data: Path, tmp_path: Path) -> None:
    """Every column is recognised, every output mentions Python."""
    found = import_rollouts(real_data / "tora_gsm8k" / "tora-code-34b.jsonl", tmp_path / "tora.parquet", grade="boxed")
    assert found.paths == {"problem": "question", "text": "code", "answer": "gt", "prompt": "question"}
    assert set(found.recognised) == set(found.paths)
    table = pq.read_table(tmp_path / "tora.parquet")
    (known,) = read_tora(real_data / "tora_gsm8k").systems.values()
    assert table["text"].to_pylist() == list(known.texts)
    assert set(table["python"].to_pylist()) == {True}
    assert found.graded_right == pytest.approx(0.804, abs=0.001)


@pytest.fixture(scope="module")
def rlcr(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """base.parquet and rlvr.parquet, imported."""
    folder = tmp_path_factory.mktemp("rlcr")
    for system in ("Base", "RLVR"):
        given = {"text": f"{system}-output_0", "right": f"{system}-evals", "confidence": f"{system}-confidence_levels"}
        import_rollouts(real_data / "rlcr_math500", folder / f"{system.lower()}.parquet", given, name=system)
    return folder


def test_golden_pair(rlcr: Path, real_data: Path, tmp_path: Path) -> None:
    """Imported, the pair gives what the reader of its own gives: science.md 8."""
    files = [rlcr / "base.parquet", rlcr / "rlvr.parquet"]
    rows = run_experiment(published_job(files), Store(tmp_path / "s")).rows
    side = {(row["name"], row["side"]): row["value"] for row in rows}
    for name, before, after in (("accuracy", 0.468, 0.386), ("brier", 0.4845, 0.6104), ("ece", 0.4921, 0.6112)):
        assert (side[name, "before"], side[name, "after"]) == pytest.approx((before, after), abs=5.1e-5)
    assert (side["python_share", "before"], side["python_share", "after"]) == (0.04, 0.0)
    counts = {row["cell"]: row["value"] for row in rows if row["name"] == "outcome_count"}
    assert counts == {"both": 160, "only_before": 74, "only_after": 33, "neither": 233}
    known = read_rlcr(real_data / "rlcr_math500")
    assert read_answers(files[0])["problem"] == [problem.id for problem in known.problems]
    assert read_answers(files[0])["confidence"] == pytest.approx(list(known.systems["Base"].confidence or ()))


def run(*words: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result


def test_the_command(tmp_path: Path) -> None:
    source, out = lines(tmp_path / "a.jsonl", [ROW | {"right": True}]), tmp_path / "b.parquet"
    done = run("import-rollouts", source, "--map", "answer=answer", "--out", out)
    assert "1 responses to 1 problems, labelled right 1.000" in done.stdout
    assert [line.split() for line in done.stdout.splitlines()][1:4] == [
        ["problem", "problem", "recognised"], ["text", "text", "recognised"], ["answer", "answer"]
    ]  # fmt: skip
    told = " ".join(done.stderr.split())
    assert f"wrote {out}" in told and "next: probe compare-rollouts BEFORE" in told
    told = json.loads(run("import-rollouts", source, "--out", out, "--overwrite", "--grade", "boxed", "--json").stdout)
    assert (told["rows"], told["right"], told["graded_right"], told["paths"]["text"]) == (1, 1.0, 1.0, "text")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("absent.jsonl", "--out", "b.parquet"), "no such file"),
        (("a.jsonl", "--out", "b.parquet", "--map", "text"), "maps nothing"),
        (("a.jsonl", "--out", "b.parquet", "--map", "words=text"), "no column 'words' to map to"),
        (("a.jsonl", "--out", "a.jsonl"), "a parquet file"),
        (("a.jsonl",), "--out"),
    ],
)
def test_the_command_refuses(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines(tmp_path / "a.jsonl", [ROW])
    assert says in run("import-rollouts", *words, code=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl"]


def test_half_a_character_does_not_reach_parquet(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="half a character"):
        imported(tmp_path, [ROW | {"text": "\ud800"}])
    assert pa.array(["\U0001f600"])[0].as_py() == "\U0001f600"
