"""Adapters of a pair: a planted change is recovered beside its nulls; killed, resumed, null pairs, and the command."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from typer.testing import CliRunner

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.cli import app
from probe.dictionaries.causes.recovered_change import nats_from, recovered_change
from probe.engine.job import Job
from probe.engine.listener import heard_by
from probe.errors import BadInput
from probe.experiments.adapter import fits
from probe.experiments.adapter.estimates import Graded, answered_of, latents_of, nats_of, recovered_of
from probe.experiments.adapter.fits import FROZEN, ITSELF, RL, WALK, Training, adapters_of, fitting, texts_of
from probe.experiments.adapter.job import AdapterJob
from probe.experiments.adapter.trials import ANSWERS, LATENTS, NATS, SCHEMAS, UNTRAINED, WALKED, asked
from probe.experiments.budget import BYTES
from probe.experiments.result import run
from probe.interventions.steering import part_of
from probe.models.loading.load import Loaded, save_folder
from probe.models.loading.organism import shape_of
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import SamplingOptions
from probe.store import Store
from probe.tasks.benchmarks import ProblemSet
from probe.tasks.chain import chain_problems

PROBLEMS = tuple(chain_problems(48, "test", 0))
ASKED = replace(CHAIN, problems=ProblemSet("mini", PROBLEMS, "synthetic", "made up", "mini:48"))
TRAINING = Training(n_latents=24, steps=80, lr=0.02, batch=24, warm_up=5)
RUNGS = (0, 2, 24)
SMALL: dict[str, Any] = {"elicitation": ASKED, "options": SamplingOptions(samples=3), "training": TRAINING}


def outside(folder: Path) -> Checkpoint:
    return Checkpoint(folder.name, Folder(folder))


@pytest.fixture(scope="module")
def pair(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The organism, and the same with its last MLP writing twice as much: a change that latents beside it can make."""
    place, changed = tmp_path_factory.mktemp("pair"), copy.deepcopy(organism)
    with torch.no_grad():
        changed.model.model.layers[-1].mlp.down_proj.weight *= 2
    for name, loaded in (("before", organism), ("after", changed)):
        save_folder(loaded, place / name)
    return Pair(outside(place / "before"), outside(place / "after"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def job(pair: Pair) -> AdapterJob:
    return AdapterJob(pair, **SMALL, rungs=RUNGS)


@pytest.fixture(scope="module")
def rows(job: AdapterJob, store: Store) -> list[dict[str, Any]]:
    return list(run(job, store, workers=1).rows)


def pick(rows: list[dict[str, Any]], name: str, **where: Any) -> list[dict[str, Any]]:
    return [row for row in rows if row["name"] == name and all(row[key] == value for key, value in where.items())]


def share(rows: list[dict[str, Any]], part: str, k: int, group: str = "after") -> dict[str, Any]:
    (row,) = pick(rows, "adapter_recovered", part=part, k=k, group=group)
    return row


@pytest.mark.parametrize("group", ["before", "after"])
def test_a_planted_change_is_recovered_the_more_the_more_latents_there_are(rows: Any, group: str) -> None:
    found = [share(rows, RL, k, group) for k in RUNGS]
    assert found[0]["value"] < found[1]["value"] < found[2]["value"]
    assert found[2]["lo"] > 0.4
    assert {row["n_problems"] for row in found} == {sum(part_of(p.id) == "report" for p in PROBLEMS)}


def test_what_should_recover_less_does(rows: list[dict[str, Any]]) -> None:
    own = share(rows, RL, 24)
    for part in (UNTRAINED, WALKED, ITSELF):  # all latents with a frozen decoder can write anything
        assert share(rows, part, 24)["hi"] < own["lo"], part
    (beyond,) = pick(rows, "adapter_beyond", part=UNTRAINED, k=24, group="after")
    assert beyond["value"] == pytest.approx(own["value"] - share(rows, UNTRAINED, 24)["value"])
    assert abs(share(rows, ITSELF, 24)["value"]) < 0.05
    assert own["null"] == pytest.approx(share(rows, FROZEN, 24)["value"])
    assert own["p"] < 0.01


def test_every_comparison_has_its_budgets(rows: list[dict[str, Any]]) -> None:
    budgets: dict[str, list[int]] = {}
    for row in pick(rows, "adapter_recovered", group="after"):
        budgets.setdefault(row["part"], []).append(row["k"])
    every, latents = list(RUNGS), list(RUNGS[1:])
    assert budgets == {
        RL: every, FROZEN: latents, UNTRAINED: latents, WALK: every, WALKED: every, ITSELF: latents[-1:],
    }  # fmt: skip
    for part in (RL, FROZEN):
        for k in latents:
            (mean,) = pick(rows, "adapter_l0", part=part, k=k, group="after", site=None)
            each = pick(rows, "adapter_l0", part=part, k=k, group="after")
            assert 0 < mean["value"] <= k
            assert mean["value"] == pytest.approx(np.mean([row["value"] for row in each if row["site"]]))
    assert pick(rows, "adapter_l0", part=RL, k=0, group="after", site=None)[0]["value"] == 0


def test_the_share_is_that_of_the_library(job: AdapterJob, store: Store, rows: list[dict[str, Any]]) -> None:
    base, after = (each.model for each in job.pair.load(store))
    trials = job.trials[0]
    told = texts_of(store, trials.written[1:], "report")
    adapters, _ = adapters_of(store, trials.fits[-1])
    found = recovered_change(base, after, adapters, told.prompts, told.completions, told.problems)
    own = share(rows, RL, 24)
    assert (own["value"], own["lo"]) == (pytest.approx(found.share.value), pytest.approx(found.share.lo))
    (change,) = pick(rows, "adapter_change", part=RL, group="after")
    assert change["value"] == pytest.approx(found.change.value)
    tokens = nats_from(after, base, adapters, told.prompts, told.completions)
    (left,) = pick(rows, "adapter_left", part=RL, k=24, group="after")
    assert (left["value"], left["n"]) == (pytest.approx(tokens.mean()), len(tokens))


def test_what_is_told_trained_nothing(job: AdapterJob, store: Store, rows: list[dict[str, Any]]) -> None:
    trials = job.trials[0]
    trained, told = (texts_of(store, trials.written, part) for part in ("choose", "report"))
    assert trained.problems
    assert not set(trained.problems) & set(told.problems)
    for name in (NATS, ANSWERS):
        table = store.get(trials.recipe).read_table(name)
        assert set(table["problem"].to_pylist()) == set(told.problems) == {p.id for p in asked(trials.written[0])}
    few = texts_of(store, trials.written, "report", 5)
    assert few.samples == [0] * 10


def test_answers_under_no_change_are_those_of_before(job: AdapterJob, store: Store, rows: list[dict[str, Any]]) -> None:
    """Adapters of before itself have learned nothing: with the same draws, it answers what it answered alone."""
    for measure in ("code_share", "accuracy", "parse_rate"):
        (alone,) = pick(rows, f"adapter_{measure}", side="before")
        (beside,) = pick(rows, f"adapter_{measure}", part=ITSELF)
        assert beside["value"] == pytest.approx(alone["value"], abs=0.02)


def killed(job: Job, store: Store, work: Path, after: int) -> None:
    done: list[int] = []

    def kill(made: int, of: int, unit: str) -> None:
        done.append(made)
        if len(done) == after:
            raise KeyboardInterrupt

    work.mkdir()
    with pytest.raises(KeyboardInterrupt), heard_by(kill):
        job.make(store, work)


def test_a_killed_fit_goes_on_to_the_same_bits(
    job: AdapterJob, store: Store, rows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fits, "EVERY", 30)
    fit, heard = job.trials[0].fits[1], list[int]()
    killed(fit, store, tmp_path / "work", 2)
    with heard_by(lambda done, of, unit: heard.append(done)):
        fit.make(store, tmp_path / "work")
    assert heard == [80]  # 60 were kept
    whole = store.get(fit.recipe)
    for name in ("mlp.0", "mlp.1"):
        (one,), (other,) = ([*(folder / name).glob("latents-*")] for folder in (tmp_path / "work", whole.path))
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()
    about = [json.loads((folder / fits.ABOUT).read_text()) for folder in (tmp_path / "work", whole.path)]
    assert about[0] == about[1]


def test_killed_trials_go_on_and_end_the_same(job: AdapterJob, store: Store, rows: Any, tmp_path: Path) -> None:
    trials, work = job.trials[1], tmp_path / "work"
    killed(trials, store, work, 1)
    kept = {file: file.stat().st_mtime_ns for file in (work / "scratch").glob("*.parquet")}
    trials.make(store, work)
    assert len(kept) == len(SCHEMAS)
    assert all(file.stat().st_mtime_ns == then for file, then in kept.items())
    for name in SCHEMAS:
        assert (work / name).read_bytes() == store.get(trials.recipe).file(name).read_bytes()


def test_a_null_pair_has_nothing_to_recover(pair: Pair, store: Store) -> None:
    short = replace(TRAINING, steps=3)
    job = AdapterJob(Pair(pair.before, pair.before), **SMALL | {"training": short}, rungs=(2,))
    found = list(run(job, store, workers=1).rows)
    assert {row["kind"] for row in found} == {"null"}
    for row in (*pick(found, "adapter_recovered"), *pick(found, "adapter_recovered_code_share")):
        assert math.isnan(row["value"])
        assert row["reason"]
    assert [row["value"] for row in pick(found, "adapter_change", part=RL)] == [0.0, 0.0]


def nats_table(*rows: tuple[str, int, str, str, int, float, float]) -> pa.Table:
    names = [name for name in SCHEMAS[NATS].names if name != "sample"]
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) | {"sample": 0} for row in rows], SCHEMAS[NATS])


def test_shares_by_hand() -> None:
    """Of 6 nats the pair's own leave 1.5, the frozen decoder 3."""
    at = [("p", 4, 4.0), ("q", 2, 2.0)]
    own = [(RL, 1, "after", *each, left) for each, left in zip(at, (0.5, 1.0), strict=True)]
    frozen = [(FROZEN, 1, "after", *each, left) for each, left in zip(at, (2.0, 1.0), strict=True)]
    found = {(each.name, each.params["part"]): each for each in recovered_of(nats_of(nats_table(*own, *frozen)))}
    assert found["adapter_recovered", RL].value == pytest.approx(0.75)
    assert found["adapter_recovered", RL].null == found["adapter_recovered", FROZEN].value == pytest.approx(0.5)
    assert found["adapter_beyond", FROZEN].value == pytest.approx(0.25)
    assert (found["adapter_beyond", FROZEN].n, found["adapter_beyond", FROZEN].n_problems) == (6, 2)
    assert found["adapter_change", RL].value == pytest.approx(1.0)
    assert found["adapter_left", RL].value == pytest.approx(0.25)
    assert found["adapter_recovered", RL].p == found["adapter_beyond", FROZEN].p


def test_further_away_is_below_nothing() -> None:
    rows = [(RL, 1, "after", name, 2, 1.0, 3.0) for name in "pqr"]
    (own, *_) = recovered_of(nats_of(nats_table(*rows)))
    assert own.value == pytest.approx(-2.0)


def graded(code: list[float]) -> Graded:
    columns = dict.fromkeys(("code_share", "accuracy", "parse_rate"), np.array(code))
    return Graded([f"p{i // 2}" for i in range(len(code))], columns)


def test_answers_by_hand() -> None:
    """Before writes no code and after always does; with its adapters before does in three of four."""
    before, after = graded([0.0] * 8), graded([1.0] * 8)
    beside = {(RL, 1): graded([1.0, 1, 1, 0] * 2), (FROZEN, 1): graded([1.0, 0, 0, 0] * 2)}
    found = {(each.name, each.params.get("part")): each for each in answered_of(before, after, beside)}
    own = found["adapter_recovered_code_share", RL]
    assert (own.value, own.null) == (pytest.approx(0.75), pytest.approx(0.25))
    assert found["adapter_accuracy", FROZEN].value == 0.25
    with pytest.raises(BadInput, match="other problems"):
        list(answered_of(before, graded([1.0] * 6), beside))


def test_a_training_that_failed_is_told() -> None:
    row = {"part": RL, "k": 4, "writer": "after", "site": "mlp.0", "l0": math.nan, "silent": math.nan, "tokens": 9}
    (told,) = latents_of(pa.Table.from_pylist([row | {"failed": "at step 3 the loss is nan"}], SCHEMAS[LATENTS]), 7)
    assert math.isnan(told.value)
    assert told.params["reason"] == "training failed: at step 3 the loss is nan"


def test_bad_options(pair: Pair) -> None:
    for rungs, message in (((), "budgets none"), ((4, 1), "budgets 4, 1"), ((0,), "budgets 0"), ((1, 25), "25 of 24")):
        with pytest.raises(BadInput, match=message):
            AdapterJob(pair, **SMALL, rungs=rungs)
    with pytest.raises(BadInput, match="after RL"):
        AdapterJob(Pair(pair.before), **SMALL, rungs=RUNGS)
    with pytest.raises(BadInput, match="steps 0"):
        AdapterJob(pair, **SMALL | {"training": replace(TRAINING, steps=0)}, rungs=RUNGS)


def test_what_a_fit_needs_by_hand(job: AdapterJob) -> None:
    """Two MLPs of width 48 with 24 latents: 2 x (2304 + 72) weights, 16 bytes each; of a token what is kept behind."""
    assert (shape_of("tiny").layers, shape_of("tiny").d_model) == (2, 48)
    found = fitting(TRAINING, job.pair.before, 100)
    assert found.weights == 16 * 2 * (2 * 48 * 24 + 24 + 48)
    assert found.batch == 100 * 2 * (17 * BYTES["float32"] * 48 + 12 * 24)
    before, after = job.trials[3].fits[0].work
    assert (before.copies, after.copies) == (2, 1)  # a walk stands beside before
    assert before.beside == job.trials[3].fits[0].fitting.weights + job.trials[3].fits[0].fitting.batch
    assert before.read == 3 * after.read


def test_the_command_tells_draws_and_refuses(
    pair: Pair, job: AdapterJob, store: Store, rows: Any, tmp_path: Path
) -> None:
    names = [str(each.source.path) for each in pair.checkpoints]  # type: ignore[union-attr]
    runner, figures = CliRunner(), tmp_path / "figures"
    words = ["adapter", *names, "--limit", "24", "--samples", "2", "--latents", "8", "--steps", "4", "--texts", "8"]
    words += ["--store", str(store.root), "--figures", str(figures)]
    told = runner.invoke(app, [*words, "--active", "0,all"])
    assert told.exit_code == 0, told.output
    for said in ("share of the nats from before", "nats a token to recover", "frozen decoder", "code share: "):
        assert said in told.stdout
    assert (figures / "adapter.png").exists()
    dry = runner.invoke(app, [*words, "--active", "16", "--dry", "--json"])
    assert dry.exit_code == 2
    assert "16 of 8 latents" in dry.stderr
    plan = json.loads(runner.invoke(app, [*words, "--active", "1,all", "--dry", "--json"]).stdout)
    assert plan["fits"] == 2 + 2 + 2 + 1
    bad = runner.invoke(app, [*words, "--active", "few"])
    assert bad.exit_code == 2
    assert "no budgets" in bad.stderr
