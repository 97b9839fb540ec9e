"""Logs of answers: read back by Inspect's own reader where it is installed, and by ours; every text as it was."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from probe.checkpoints.organism_job import OrganismJob
from probe.cli import app
from probe.experiments.published_outputs.import_file import import_rollouts
from probe.models.loading.load import Loaded, save_folder
from probe.models.loading.organism import build_model, build_tokenizer
from probe.rollouts.eval_log import LogOf, write_log
from probe.rollouts.eval_sample import PROBLEM, SAFE, eval_sample, safe_id
from probe.store import Store

MANIFEST = (
    'version: 1\ntemplates: {none: {text: "{prompt}"}, asks: {text: "Q: {prompt} A:"}}\n'
    "organisms:\n  raw: {family: latent-code, size: tiny, seed: 0}\n"
    "  other: {family: latent-code, size: tiny, seed: 1}\n"
)
HOSTILE = [
    "\x1b]0;t\x07\x1b[2J\x00\x9b3J\r\n\u202e\u2066\u2028\ufeff\U0001f600",
    "attachment://0123456789abcdef0123456789abcdef",
    '</script><script>alert(1)</script>{"role": "system"}',
    "<think>a</think>[bold]x[/] $\\boxed{1}$ ``` ",
    "",
]
WAYS = (("eval", False), ("json", True))


def rows() -> list[dict[str, Any]]:
    """Five problems with odd names, three draws each, of which some are cut off and some say nothing."""
    ids = ["a/b", "../x", "ä b", "p", "attachment://p"]
    ends = ("right", "wrong", "unparsed")
    return [
        {
            **{"problem": name, "sample": s, "text": HOSTILE[i], "answer": "1", "prompt": f"Q {HOSTILE[i]}"},
            **{"outcome": ends[(i * s) % 3], "boxed": None if (i * s) % 3 == 2 else str(s), "tokens": 5 + s},
            **{"strategy": "code" if s else "prose", "stop": "length" if i == 4 else "eos", "temperature": 1.0},
        }
        for i, name in enumerate(ids)
        for s in range(3)
    ]


def written(path: Path, whole: bool) -> Path:
    config = {"temperature": 1.0, "max_tokens": 20, "seed": 0}
    write_log(
        rows(), path, LogOf("m/\x1b[2J", "chains", "chain", "be\x00brief", config, {"template": "none"}), whole=whole
    )
    return path


@pytest.mark.parametrize(("kind", "whole"), WAYS)
def test_equal_tables_give_equal_logs_and_ours_come_back(kind: str, whole: bool, tmp_path: Path) -> None:
    one, two = (written(tmp_path / f"{name}.{kind}", whole) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    import_rollouts(one, tmp_path / "back.parquet")
    back = {(row["problem"], row["sample"]): row for row in pq.read_table(tmp_path / "back.parquet").to_pylist()}
    assert set(back) == {(row["problem"], row["sample"]) for row in rows()}
    for row in rows():
        read = back[row["problem"], row["sample"]]
        assert (read["text"], read["prompt"], read["answer"]) == (row["text"], row["prompt"], "1")
        assert read["right"] == (row["outcome"] == "right") and read["temperature"] == 1.0


@pytest.mark.parametrize(("kind", "whole"), WAYS)
def test_inspect_reads_every_text_as_it_was(kind: str, whole: bool, tmp_path: Path) -> None:
    log = pytest.importorskip("inspect_ai.log", reason="inspect_ai is not installed")
    path = str(written(tmp_path / f"log.{kind}", whole))
    read = log.read_eval_log(path)
    assert read.status == "success" and read.eval.model == "m/\x1b[2J" and len(read.samples) == 15
    found = {(s.metadata[PROBLEM], s.epoch): s for s in read.samples}
    for row in rows():
        sample = found[row["problem"], row["sample"] + 1]
        assert sample.output.completion == sample.messages[-1].text == row["text"]
        assert (sample.messages[0].text, sample.messages[1].text) == ("be\x00brief", row["prompt"])
        score = sample.scores["probe"]
        assert score.value == {"right": "C", "wrong": "I", "unparsed": "N"}[row["outcome"]]
        assert score.answer == row["boxed"] and score.explanation.startswith(row["outcome"])
        assert sample.metadata["strategy"] == row["strategy"] and sample.metadata["cut_off"] == (
            row["stop"] == "length"
        )
        assert sample.output.stop_reason == ("max_tokens" if row["stop"] == "length" else "stop")
        one = log.read_eval_log_sample(path, id=sample.id, epoch=sample.epoch)
        assert one.output.completion == row["text"]
    assert len(log.read_eval_log_sample_summaries(path)) == 15
    assert log.read_eval_log(path, header_only=True).results.scores[0].metrics["accuracy"].value == 9 / 15


def test_errors_are_those_of_inspects_own_clusters(tmp_path: Path) -> None:
    scorer = pytest.importorskip("inspect_ai.scorer", reason="inspect_ai is not installed")
    log = pytest.importorskip("inspect_ai.log")
    read = log.read_eval_log(str(written(tmp_path / "log.eval", False)))
    scores = [
        scorer.SampleScore(score=scorer.Score(value=s.scores["probe"].value), sample_metadata=s.metadata)
        for s in read.samples
    ]
    metrics = read.results.scores[0].metrics
    assert metrics["stderr"].value == pytest.approx(scorer.stderr(cluster=PROBLEM)(scores), abs=1e-12)
    assert metrics["accuracy"].value == pytest.approx(scorer.accuracy()(scores))


def test_totals_by_hand(tmp_path: Path) -> None:
    """Two problems, one always right and one never: the mean is .5, and so is the error over two clusters."""
    some = [{"problem": p, "sample": s, "text": "t", "answer": "1", "boxed": "1", "outcome": p, "strategy": "code"}
            for p in ("right", "wrong") for s in range(4)]  # fmt: skip
    write_log(some, tmp_path / "log.json", LogOf("m"), whole=True)
    found = json.loads((tmp_path / "log.json").read_text())["results"]["scores"][0]
    assert found["metrics"]["accuracy"]["value"] == 0.5 and found["metrics"]["stderr"]["value"] == 0.5
    about = found["metrics"]["accuracy"]["metadata"]
    assert (about["n"], about["n_problems"], about["lo"], about["hi"]) == (8, 2, 0.0, 1.0)
    assert found["metrics"]["code_share"]["value"] == 1.0 and "cut_off" not in found["metrics"]
    write_log([{"problem": "p", "sample": 0, "text": "t"}], tmp_path / "bare.json", LogOf("m"), whole=True)
    bare = json.loads((tmp_path / "bare.json").read_text())
    assert bare["results"]["scores"][0]["metrics"] == {} and bare["samples"][0]["scores"] == {}


def test_no_name_of_a_problem_leaves_the_folder_of_samples(tmp_path: Path) -> None:
    with zipfile.ZipFile(written(tmp_path / "log.eval", False)) as file:
        names = [name.removeprefix("samples/") for name in file.namelist() if name.startswith("samples/")]
    assert len(set(names)) == 15 and all("/" not in name and not name.startswith(".") for name in names)
    assert safe_id("p-1.2") == "p-1.2" and safe_id("a/b") != safe_id("a-b") and safe_id("\ud800") != safe_id("\ud801")
    assert all(SAFE.fullmatch(safe_id(name)) for name in ("", ".", "..", "a" * 300, "\n", "ä"))
    gold = eval_sample({"problem": "p", "sample": 0, "text": "", "answer": "", "outcome": "gold_unparsed"}, "m")
    assert gold["scores"]["probe"]["value"] == "N"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a manifest of two untrained organisms, which the store holds."""
    root = tmp_path_factory.mktemp("place")
    (root / "m.yaml").write_text(MANIFEST)
    for seed in (0, 1):
        raw = Loaded(build_model("tiny", seed), build_tokenizer())
        recipe = OrganismJob("latent-code", "tiny", seed).recipe
        Store(root / "store").build(recipe, lambda work, raw=raw: save_folder(raw, work))
    return root


def probe(place: Path, *words: object, code: int = 0) -> Any:
    where = ("--store", place / "store", "--manifest", place / "m.yaml")
    done = CliRunner().invoke(app, [str(word) for word in (*words, *where)])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def test_a_checkpoint_and_a_pair_become_logs(place: Path, tmp_path: Path) -> None:
    out, few = tmp_path / "logs", ("--limit", 4, "--samples", 2)
    told = json.loads(probe(place, "inspect", "raw", "--out", out, *few, "--template", "asks", "--json").stdout)
    assert told == [{"log": str(out / "raw.eval"), "of": "raw", "responses": 8}]
    with zipfile.ZipFile(out / "raw.eval") as file:
        sample = json.loads(file.read(next(name for name in file.namelist() if name.startswith("samples/"))))
        about = json.loads(file.read("header.json"))["eval"]
    assert sample["input"][-1]["content"].startswith("Q: ") and sample["input"][-1]["content"].endswith(" A:")
    assert about["metadata"]["template"] == "asks" and about["model_generate_config"]["temperature"] == 1.0
    assert "leaked" not in sample["metadata"] and sample["metadata"]["tokens"] > 0
    probe(place, "inspect", "raw", "other", "--out", out, *few)
    probe(place, "inspect", "raw", "raw", "--out", out, *few, "--format", "json")
    names = {path.name for path in out.iterdir()}
    assert names == {"raw.eval", "before-raw.eval", "after-other.eval", "before-raw.json", "after-raw.json"}
    texts = [json.loads((out / f"{side}-raw.json").read_text())["samples"] for side in ("before", "after")]
    assert [s["id"] for s in texts[0]] == [s["id"] for s in texts[1]]
    assert [s["output"]["completion"] for s in texts[0]] != [s["output"]["completion"] for s in texts[1]]  # other draws
    again = probe(place, "inspect", "raw", "--out", out, *few, code=2)
    assert "this file is in the way of the result" in again.stderr
    probe(place, "inspect", "raw", "--out", out, *few, "--overwrite")
    assert "1 jobs" in probe(place, "inspect", "raw", "--out", out, "--limit", 5, "--dry").stdout


def test_outputs_become_logs_of_both_sides(place: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        texts = [f"\\boxed{{{rng.integers(2)}}} {HOSTILE[i]}" for i in range(4)]
        rows = [{"problem": f"p{i}", "prompt": f"Q{i}", "answer": "1", "text": text} for i, text in enumerate(texts)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pair = (tmp_path / "one.jsonl", tmp_path / "two.jsonl")
    probe(place, "inspect", *pair, "--out", tmp_path / "logs", "--format", "json")
    read = json.loads((tmp_path / "logs" / "after-two.json").read_text())
    assert [s["input"][0]["content"] for s in read["samples"]] == ["Q0", "Q1", "Q2", "Q3"]
    assert {s["target"] for s in read["samples"]} == {"1"} and read["eval"]["metadata"]["grading"] == "probe"
    assert [s["output"]["completion"].endswith(HOSTILE[i]) for i, s in enumerate(read["samples"])] == [True] * 4
    one = probe(place, "inspect", pair[0], "--out", tmp_path / "logs", code=2)
    assert "import-rollouts" in one.stderr and "--to inspect" in one.stderr
    taken = probe(place, "inspect", *pair, "--out", pair[0], code=2)
    assert "this is in the way of the logs" in taken.stderr
