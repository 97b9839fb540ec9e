"""`probe compare` end to end on checkpoints of every architecture: as transformers saves them, whole and in shards."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from outside_checkpoints import KINDS, qwen_tokenizer, save_tiny
from probe.rollouts.sample_job import PART, AskJob, How
from typer.testing import CliRunner

from probe.checkpoints.resolve import Folder, Subject
from probe.cli import app
from probe.models.loading.load import load_folder
from probe.store import Store
from probe.tasks.benchmarks import problems

ASKED = ("--problems", "random-calculation", "--limit", 6, "--max-new", 6, "--samples", 2)
MANIFEST = Path(__file__).parents[1] / "checkpoints_manifest.yaml"


def run(*words: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("shards", "dtype"), [(1, "float32"), (3, "bfloat16")])
@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_is_compared(tmp_path: Path, kind: str, shards: int, dtype: str) -> None:
    pair = [save_tiny(kind, tmp_path / f"seed{s}", shards=shards, dtype=dtype, seed=s) for s in (0, 1)]
    how = (*ASKED, "--prompts", "boxed", "--dtype", dtype, "--manifest", MANIFEST, "--store", "s", "--json")
    found = json.loads(run("compare", *pair, *how).stdout)
    rows = {(r["reward"], r["name"], r["side"], r["temperature"]): r for r in found["measurements"]}
    assert rows["seed1", "accuracy", "change", 1.0]["n"] == 12 and rows["seed1", "accuracy", "change", 0.0]["n"] == 6
    assert rows["seed1", "kl_per_token", "", 1.0]["value"] > 0.01  # two random models disagree
    assert ("boxed", "accuracy", "change", 0.0) in rows and (
        "seed1 over best prompt",
        "accuracy",
        "change",
        0.0,
    ) in rows


def test_the_null_pair_of_a_real_checkpoint_has_no_divergence(tmp_path: Path) -> None:
    folder = save_tiny("qwen2", tmp_path / "m")
    where = ("--prompts", "none", "--manifest", MANIFEST, "--store", "s", "--json")
    found = json.loads(run("compare", folder, folder, *ASKED, *where).stdout)
    (row,) = [r for r in found["measurements"] if r["name"] == "kl_per_token"]
    assert row["kind"] == "null" and row["value"] == 0.0


def test_with_the_real_qwen_vocabulary(tmp_path: Path, real_data: Path) -> None:
    tokenizer = qwen_tokenizer(real_data)
    pair = [save_tiny("qwen2", tmp_path / f"seed{s}", tokenizer=tokenizer, seed=s) for s in (0, 1)]
    how = ("--template", "qwen-math", "--prompts", "none", "--manifest", MANIFEST, "--store", "s")
    shown = run("compare", *pair, *ASKED, *how).stdout
    assert "seed0 -> seed1, random-calculation (synthetic), template qwen-math, T = 1" in shown


def test_sampling_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """Parts that are on disk are not made again, and the result is that of an undisturbed run."""
    subject = Subject("m", Folder(save_tiny("llama", tmp_path / "m")))
    how = How(problems("random-calculation", limit=PART + 4), max_new=4)
    calm = Store(tmp_path / "calm").build(AskJob(subject, how, 1.0, 2).recipe, maker(subject, how, Store(tmp_path)))
    store, made = Store(tmp_path / "killed"), []

    def killed(done: int, of: int) -> None:
        made.append(done)
        if len(made) == 1:
            raise KeyboardInterrupt

    job = AskJob(subject, how, 1.0, 2, on_part=killed)
    with pytest.raises(KeyboardInterrupt):
        store.build(job.recipe, lambda work: job.make(store, work))
    whole = store.build(job.recipe, lambda work: job.make(store, work))
    assert made == [2 * PART, 2 * PART, 2 * (PART + 4)]
    for name in ("rollouts.parquet", "responses.parquet"):
        assert whole.read_table(name).equals(calm.read_table(name))


def maker(subject: Subject, how: How, store: Store) -> Any:
    return lambda work: AskJob(subject, how, 1.0, 2).make(store, work)


def test_batches_change_no_answer(tmp_path: Path) -> None:
    subject = Subject("m", Folder(save_tiny("qwen3", tmp_path / "m")))
    how = How(problems("random-calculation", limit=7), max_new=5)
    tables = []
    for batch, devices in ((1, ()), (64, ()), (2, ("cpu", "cpu"))):
        job = AskJob(subject, how, 1.0, 3, batch=batch, devices=devices)
        store = Store(tmp_path / str(batch))
        tables.append(store.build(job.recipe, lambda work, job=job, store=store: job.make(store, work)))
    one, *many = (table.read_table("rollouts.parquet")["completion_ids"] for table in tables)
    assert all(one.equals(each) for each in many)
    assert len({table.digest for table in tables}) == 1


def test_rollouts_are_scored_by_another_checkpoint(tmp_path: Path) -> None:
    pair = [save_tiny("olmo2", tmp_path / f"seed{s}", seed=s) for s in (0, 1)]
    where = ("--manifest", MANIFEST, "--store", "s")
    run(
        "sample",
        pair[0],
        "--problems",
        "random-calculation",
        "--n",
        3,
        "--max-new",
        5,
        "--samples",
        2,
        "--out",
        "r",
        *where,
    )
    run("score", "r", "--scorer", pair[0], "--out", "t", *where)
    rows, tokens = pq.read_table("r").to_pylist(), pq.read_table("t")["logprob"].to_pylist()
    drawn = [value for row in rows for value in row["logprob"]]
    assert tokens == pytest.approx(drawn, abs=1e-4)  # teacher-forced, it gives what it drew
    assert {row["stop"] for row in rows} <= {"eos", "length"}


def test_a_prefix_is_part_of_the_answer(tmp_path: Path) -> None:
    folder = save_tiny("llama", tmp_path / "m")
    words = ("--prefix", "Let's solve this using Python.", "--problems", "random-calculation", "--n", 3)
    run("sample", folder, *words, "--max-new", 4, "--samples", 1, "--out", "r", "--manifest", MANIFEST, "--store", "s")
    rows = pq.read_table("r").to_pylist()
    assert all(row["text"].startswith("Let's solve this using Python.") and row["python"] for row in rows)
    loaded = load_folder(folder)
    forced = loaded.tokenizer("Let's solve this using Python.")["input_ids"]
    assert all(row["prompt_ids"][-len(forced) :] == forced for row in rows)
    with torch.inference_mode():
        ids = torch.tensor([rows[0]["prompt_ids"] + rows[0]["completion_ids"]])
        logp = torch.log_softmax(loaded.model(ids).logits[0].double(), -1)
    at = len(rows[0]["prompt_ids"]) - 1
    assert float(logp[at, rows[0]["completion_ids"][0]]) == pytest.approx(rows[0]["logprob"][0], abs=1e-4)


def test_the_dry_run_tells_memory_and_hours() -> None:
    pair = ("qwen2.5-math-7b", "qwen2.5-math-7b-ground_truth-150")
    how = ("--problems", "random-calculation", "--dtype", "bfloat16", "--dry", "--manifest", MANIFEST, "--store", "s")
    told = json.loads(run("compare", *pair, *how, "--json").stdout)
    assert told["weights"] == 4 * 7_615_616_512 and told["memory"] > told["weights"] and told["hours"] > 0
    assert "GPU-hours" in run("compare", *pair, *how).stdout


def test_a_prompt_longer_than_the_positions_is_refused(tmp_path: Path) -> None:
    folder = save_tiny("llama", tmp_path / "m")
    words = ("--problems", "random-calculation", "--n", 2, "--max-new", 300, "--manifest", MANIFEST, "--store", "s")
    assert "more than its 256 positions" in run("sample", folder, *words, code=2).stderr


def test_different_vocabularies_are_refused(tmp_path: Path, real_data: Path) -> None:
    one = save_tiny("qwen2", tmp_path / "one")
    two = save_tiny("qwen2", tmp_path / "two", tokenizer=qwen_tokenizer(real_data))
    where = ("--prompts", "none", "--manifest", MANIFEST, "--store", "s")
    assert "different vocabularies" in run("compare", one, two, *ASKED, *where, code=2).stderr
