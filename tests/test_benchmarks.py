"""Benchmarks from files, from the hub's cache, and made here: what is read, what is refused, and what pins it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from probe.data import Problem
from probe.errors import BadInput
from probe.tasks.benchmarks import BENCHMARKS, names, problems
from probe.tasks.chain import chain_problems
from probe.tasks.gold import gold_answer
from probe.tasks.published_outputs import read_gsm8k_graded, read_math500
from probe.tasks.random_calculation import random_calculations

Rows = list[dict[str, Any]]
PUBLIC = ("math500", "gsm8k", "amc23", "aime24", "aime25", "deepscaler", "dapo17k")


def write(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    elif path.suffix == ".csv":
        lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
        path.write_text(
            "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in line) + "\n" for line in lines)
        )
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROBE_DATA", raising=False)


def test_math500_from_the_folder(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_DATA", str(real_data))
    found = problems("math500")
    assert list(found.problems) == read_math500(real_data / "math500")
    digest = hashlib.sha256((real_data / "math500" / "test.jsonl").read_bytes()).hexdigest()
    assert (found.name, found.leak, found.source, found.pin) == (
        "math500",
        "public",
        "file test.jsonl",
        f"file:{digest}",
    )
    assert problems("math500", limit=7).problems == found.problems[:7]
    assert problems("math500", limit=7).pin == found.pin


def test_gsm8k_as_published(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """question and "... #### 18", as on the hub: the same problems as those of the graded solutions."""
    graded = read_gsm8k_graded(real_data / "gsm8k_graded").problems
    rows = [{"question": p.prompt, "answer": f"Because\nof that <<1+1=2>>2\n#### {p.answer}"} for p in graded]
    write(tmp_path / "gsm8k" / "test.parquet", rows)
    monkeypatch.setenv("PROBE_DATA", str(tmp_path))
    assert problems("gsm8k").problems == graded


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_a_file_of_ones_own(tmp_path: Path, kind: str) -> None:
    rows = [{"Problem": "What is 1,5\n+ 1?", "Answer": "2", "ID": "a"}, {"Problem": "2+2?", "Answer": "4", "ID": "b"}]
    found = problems(write(tmp_path / f"mine.{kind}", rows))
    assert found.problems == (
        Problem("mine/a", "What is 1,5\n+ 1?", "2", "mine", "public"),
        Problem("mine/b", "2+2?", "4", "mine", "public"),
    )
    assert found.leak == "public"
    assert found.pin.startswith("file:")


@pytest.mark.parametrize(
    ("row", "id_", "answer"),
    [
        ({"problem": "p", "solution": r"so it is \boxed{204}", "id": 60}, "aime24/60", "204"),  # math-ai/aime24
        ({"problem": "p", "answer": 204.0, "id": 60}, "aime24/60", "204"),
        ({"problem": "p", "answer": 204}, "aime24/test/0", "204"),
        ({"question": "p", "answer": "204", "id": "2024/I/1"}, "2024/I/1", "204"),
        ({"Problem": " p\n", "Answer": "204", "Solution": r"\boxed{9}", "ID": "2024-I-1"}, "aime24/2024-I-1", "204"),
    ],
)
def test_known_columns(
    row: dict[str, Any], id_: str, answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "aime24.jsonl", [row])
    monkeypatch.setenv("PROBE_DATA", str(tmp_path))
    assert problems("aime24").problems == (Problem(id_, "p", answer, "aime24", "public"),)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("18", "18"),
        (" 18\n", "18"),
        ("It is 9.\n#### 1,018", "1,018"),
        ("so\nA: 18", "18"),
        (r"Thus $x = \boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"\boxed{1} or \boxed{2}", "2"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"\left( 3, \frac{\pi}{2} \right)"),
        ("#### 3\nbut then", "#### 3\nbut then"),
        ("\n" * 100_000 + "A", "A"),
    ],
)
def test_the_answer_a_solution_ends_in(text: str, answer: str) -> None:
    assert gold_answer(text) == answer


def test_what_is_made_here() -> None:
    fresh, chain = problems("random-calculation"), problems("chain")
    assert list(fresh.problems) == random_calculations(20)
    assert list(chain.problems) == chain_problems(256, "test", 0)
    assert {fresh.leak, chain.leak} == {"synthetic"}
    assert fresh.pin == "generated:random-calculation 1 per_level=20 levels=1-20 seed=0"
    assert chain.pin == "generated:chain 1 n=256 split=test seed=0 modulus=7"
    assert len(problems("chain", limit=3).problems) == 3


def test_the_table() -> None:
    assert names() == (*PUBLIC, "random-calculation", "chain", "chain97")
    assert {name: known.leak for name, known in BENCHMARKS.items() if known.leak != "public"} == {
        "aime25": "dated after"
    }
    assert all(bool(known.dated) == (known.leak == "dated after") for known in BENCHMARKS.values())
    with pytest.raises(TypeError):
        BENCHMARKS["mine"] = BENCHMARKS["math500"]  # type: ignore[index]


def test_problems_to_train_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a pair that contradicts itself would be the wrong label: both go, and are counted."""
    monkeypatch.setenv("PROBE_DATA", str(tmp_path))
    rows = [{"problem": f"{n} + 1", "answer": str(n + 1), "solution": "so"} for n in range(4)]
    torn = {"problem": "2 + 1", "answer": "4", "solution": "no"}
    write(tmp_path / "deepscaler" / "train.jsonl", [*rows, torn, rows[0]])
    write(tmp_path / "dapo17k" / "train.jsonl", [{"prompt": "1 + 1", "solution": "2"}])
    assert [(p.prompt, p.answer) for p in problems("dapo17k").problems] == [("1 + 1", "2")]
    with pytest.raises(BadInput, match=r"again, with another answer[\s\S]*--keep-readable"):
        problems("deepscaler")
    found = problems("deepscaler", keep_readable=True)
    assert [p.answer for p in found.problems] == ["1", "2", "4"] and found.problems[2].prompt == "3 + 1"
    assert dict(found.left_out) == {"it stands there again, with another answer": 1} and found.dropped == 2
    assert found.pin.endswith(" readable") and found.leak == "public"


def test_repeated_problems(tmp_path: Path) -> None:
    row = {"problem": "1+1", "answer": "2"}
    found = problems(write(tmp_path / "a.jsonl", [row, {"problem": "2+2", "answer": "4"}, row]))
    assert ([p.prompt for p in found.problems], found.dropped) == (["1+1", "2+2"], 1)
    with pytest.raises(BadInput, match="again, with another answer") as caught:
        problems(write(tmp_path / "b.jsonl", [row, row | {"answer": "3"}]))
    assert f"{tmp_path / 'b.jsonl'}:2" in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"problem": "p", "answer": " "}], "no answer"),
        ([{"problem": "p", "answer": None}], "no answer"),
        ([{"problem": "p"}], "no answer"),
        ([{"problem": "p", "answer": ["1", "2"]}], "several answers"),
        ([{"problem": "p", "answer": float("nan")}], "no answer"),
        ([{"problem": "p", "answer": float("inf")}], "no answer"),
        ([{"problem": "p", "answer": True}], "no answer"),
        ([{"problem": "", "answer": "1"}], "no problem"),
        ([{"text": "p", "answer": "1"}], "no problem"),
        ([{"problem": "p", "answer": "1", "id": 1}, {"problem": "q", "answer": "1", "id": 1}], "a second problem has"),
        ([], "no problems in it"),
    ],
)
def test_bad_rows(rows: Rows, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        problems(write(tmp_path / "a.jsonl", rows))


@pytest.mark.parametrize("name", ["math50", "nowhere.jsonl", "../chain", ""])
def test_unknown_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"no problems called|no data-\*\.arrow"):
        problems(name)


def test_limit_is_at_least_one() -> None:
    with pytest.raises(BadInput, match="limit is 0"):
        problems("chain", limit=0)


def test_two_files_that_could_be_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"problem": "p", "answer": "1"}
    write(tmp_path / "amc23" / "one.jsonl", [row])
    monkeypatch.setenv("PROBE_DATA", str(tmp_path))
    assert len(problems("amc23").problems) == 1  # the only file there
    write(tmp_path / "amc23" / "two.jsonl", [row])
    with pytest.raises(BadInput, match="several files"):
        problems("amc23")
    write(tmp_path / "amc23" / "test.csv", [row | {"answer": "2"}])
    assert problems("amc23").problems[0].answer == "2"
    write(tmp_path / "amc23.json", [row])
    with pytest.raises(BadInput, match="several files"):
        problems("amc23")


CACHED = """
import sys
from probe.errors import BadInput
from probe.tasks.benchmarks import problems
found = problems("math500")
print(found.pin, found.source, found.leak, [(p.id, p.prompt, p.answer) for p in found.problems])
try:
    problems("gsm8k")
except BadInput as err:
    print("refused:", err.what.splitlines()[0][:60], "|", err.do)
"""


def test_the_hub_offline(tmp_path: Path) -> None:
    """From the cache of `datasets`, pinned to the commit that is there; what is not there says what to do."""
    commit = "ff5b20257d8185524591543f8ff5993951537bb8"
    cached = tmp_path / "HuggingFaceH4___math-500" / "default" / "0.0.0" / commit
    cached.mkdir(parents=True)
    table = pa.table({"problem": ["1+1"], "answer": ["2"], "unique_id": ["test/a/1.json"]})
    with pa.OSFile(str(cached / "math-500-test.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    features = {name: {"dtype": "string", "_type": "Value"} for name in table.column_names}
    split = {"name": "test", "num_bytes": 30, "num_examples": 1, "dataset_name": "math-500"}
    info = {"features": features, "splits": {"test": split}, "dataset_name": "math-500", "config_name": "default"}
    (cached / "dataset_info.json").write_text(json.dumps(info | {"version": "0.0.0"}))
    offline = {"HF_DATASETS_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    env = {key: value for key, value in os.environ.items() if key != "PROBE_DATA"} | offline
    done = subprocess.run([sys.executable, "-c", CACHED], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.strip().splitlines()
    assert (
        first
        == f"hub:HuggingFaceH4/MATH-500@{commit} hub HuggingFaceH4/MATH-500 public [('test/a/1.json', '1+1', '2')]"
    )
    assert second.startswith("refused: gsm8k is not here and cannot be fetched")
    assert "hf download openai/gsm8k --repo-type dataset" in second
    assert "$PROBE_DATA/gsm8k/test.jsonl" in second
