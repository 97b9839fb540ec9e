"""Crossed pairs as artifacts: ends are the two models' own answers, plants are recovered, places at random are not."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from probe.checkpoints.checkpoint import of_organism, of_run
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.pair import Pair
from probe.checkpoints.run_job import RunJob
from probe.errors import BadInput
from probe.experiments.cross_sampling.crossing import BUDGETS, Arm, CrossJob, arms
from probe.experiments.cross_sampling.estimates import Arms, estimates
from probe.experiments.cross_sampling.job import CrossSampleJob
from probe.experiments.responses import RESPONSES, SampleJob
from probe.experiments.result import Result, run
from probe.models.loading.load import Loaded, save_folder
from probe.rewards import rewards
from probe.rl.labels import Gold
from probe.rl.train import GRPO
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SamplingOptions
from probe.store import Store
from probe.tasks.benchmarks import problems

ORGANISM = OrganismJob("latent-code", "tiny", 0)
RUN = RunJob("ground_truth", ORGANISM, GRPO(rewards.get("ground_truth")(), batches=3, save_every=3, seed=9), Gold())
PAIR = Pair(of_organism(ORGANISM), of_run(RUN))
FEW = Elicitation(problems("chain", limit=48))
OPTIONS = SamplingOptions(samples=2, max_new=20)


@pytest.fixture(scope="module")
def store(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    held.build(ORGANISM.recipe, lambda work: save_folder(organism, work))
    return held


@pytest.fixture(scope="module")
def found(store: Store) -> Result:
    return run(CrossSampleJob(PAIR, FEW, OPTIONS), store, workers=1)


def test_the_ends_are_what_both_answer_anyway(store: Store, found: Result) -> None:
    """Texts of the arms "own" are those of the usual samples, at the same addresses, sampled and greedy."""
    for job, way in zip(found.job.needs, (OPTIONS, OPTIONS.greedy), strict=True):
        table = store.get(job.recipe).read_table().to_pylist()
        for side, checkpoint in PAIR.sides.items():
            usual = SampleJob(checkpoint, FEW, way)
            artifact = store.build(usual.recipe, lambda work, usual=usual: usual.make(store, work))
            own = [row["text"] for row in table if (row["writer"], row["chosen"]) == (side, "own")]
            assert own == artifact.read_table(RESPONSES)["text"].to_pylist()


def test_every_arm_and_budget_has_its_rows(found: Result) -> None:
    rows = {(r["temperature"], r["name"], r["side"], r["quantile"], r["edit"]): r for r in found.rows}
    assert len(rows) == len(found.rows)
    for temperature, side, budget in itertools.product((1.0, 0.0), ("before", "after"), BUDGETS):
        for how in ("divergence", "random"):
            share = rows[temperature, "cross_swapped", side, round(1 - budget, 6), how]
            assert share["value"] == pytest.approx(budget, abs=0.12)  # texts change as they are written
            assert share["null"] == budget
        own = rows[temperature, "cross_accuracy", side, round(1 - budget, 6), "divergence"]
        assert own["null"] == rows[temperature, "cross_accuracy", side, round(1 - budget, 6), "random"]["value"]
    base, other = (rows[1.0, "cross_accuracy", "before", q, None]["value"] for q in (1.0, 0.0))
    assert other - base == pytest.approx(rows[1.0, "cross_gain_accuracy", "change", None, None]["value"])
    unchanged = rows[1.0, "cross_unchanged", "before", None, None]
    assert unchanged["null"] == rows[1.0, "cross_unchanged", "before", None, "noise"]["value"]
    assert all(not row["lo"] > row["value"] for row in found.rows)


def test_what_diverges_most_is_swapped_and_as_much_at_random(store: Store, found: Result) -> None:
    table = store.get(found.job.needs[0].recipe).read_table()
    totals = {arm: [0, 0] for arm in arms()}
    for row in table.to_pylist():
        one = totals[Arm(row["writer"], row["chosen"], row["budget"])]
        one[0] += row["swapped"]
        one[1] += row["written"]
    shares = {arm: swapped / written for arm, (swapped, written) in totals.items()}
    for writer, budget in itertools.product(("before", "after"), BUDGETS):
        chosen, random = (shares[Arm(writer, how, budget)] for how in ("divergence", "random"))  # type: ignore[arg-type]
        assert random == pytest.approx(chosen, abs=0.02)


def test_a_pair_of_the_same_weights_has_no_change_to_recover(store: Store) -> None:
    base = of_organism(ORGANISM)
    rows = run(CrossSampleJob(Pair(base, base), FEW, OPTIONS), store, workers=1).rows
    assert {row["value"] for row in rows if row["name"] == "cross_swapped" and row["edit"] == "divergence"} == {0.0}
    assert {row["value"] for row in rows if row["name"] == "cross_unchanged"} == {1.0}
    assert all(math.isnan(row["value"]) and row["reason"] for row in rows if row["name"].startswith("recovered"))
    assert {row["kind"] for row in rows} == {"null"}


def planted(n: int = 40) -> pa.Table:
    """The base is right at 1 of 4 problems, RL at 3 of 4; swaps by divergence bring half of that, random ones none."""
    rows = []
    for arm in arms():
        right = {"before": 0.25, "after": 0.75}[arm.writer]
        if arm.chosen == "divergence":
            right = 0.5
        for i in range(n):
            outcome = "right" if i % 4 < 4 * right else "wrong"
            row = {"writer": arm.writer, "chosen": arm.chosen, "budget": arm.budget, "problem": f"p{i}", "sample": 0}
            row |= {"outcome": outcome, "strategy": "code", "boxed": "1", "written": 10, "unchanged": 9}
            rows.append(row | {"swapped": round(10 * arm.budget)})
    return pa.Table.from_pylist(rows)


def test_a_planted_half_is_recovered_and_removed() -> None:
    found = {(e.name, e.params["side"], e.params.get("quantile"), e.params.get("edit")): e for e in of(planted())}
    for name, side in (("recovered_accuracy", "before"), ("removed_accuracy", "after")):
        own, null = (found[name, side, 0.96, how] for how in ("divergence", "random"))
        assert own.value == pytest.approx(0.5)
        assert (own.null, null.value) == (0.0, 0.0)
        assert own.lo < 0.5 < own.hi
        assert own.p is not None and own.p < 0.01
    assert found["recovered_code_share", "before", 0.96, "divergence"].params["reason"]  # both write code alone
    assert found["cross_gain_accuracy", "change", None, None].value == pytest.approx(0.5)
    unchanged = found["cross_unchanged", "after", None, None]
    assert (unchanged.value, unchanged.n) == (0.9, 400)


def of(table: pa.Table) -> list:
    return estimates(Arms.read(table))


def test_arms_of_other_problems_are_refused() -> None:
    table = planted().to_pylist()
    table[-1] |= {"problem": "other"}
    with pytest.raises(BadInput, match="different problems"):
        Arms.read(pa.Table.from_pylist(table))


@pytest.mark.parametrize(
    ("asked", "options", "match"),
    [
        (replace(FEW, problems=replace(FEW.problems, problems=FEW.problems.problems[:1])), OPTIONS, "one problem"),
        (FEW, replace(OPTIONS, temperature=0.7), "a temperature of 0.7"),
        (FEW, OPTIONS.greedy, "greedy alone"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(asked: Elicitation, options: SamplingOptions, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        CrossSampleJob(PAIR, asked, options)


def test_a_base_alone_is_refused() -> None:
    with pytest.raises(BadInput, match="a checkpoint after RL"):
        CrossJob(Pair(PAIR.before), FEW, OPTIONS)


def test_what_is_finished_of_an_arm_is_not_made_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after some arms, the job goes on from there to the same table."""
    from probe.experiments.cross_sampling import crossing

    few = replace(FEW, problems=replace(FEW.problems, problems=FEW.problems.problems[:8]))
    job = CrossJob(PAIR, few, replace(OPTIONS, samples=1, max_new=8))
    calls, real = [], crossing.cross_sample

    def dying(*about: object, **more: object) -> object:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(*about, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(crossing, "cross_sample", dying)
    with pytest.raises(KeyboardInterrupt):
        store.build(job.recipe, lambda work: job.make(store, work))
    whole = store.build(job.recipe, lambda work: job.make(store, work)).read_table()
    assert len(calls) == len(arms()) + 1
    calm = Store(store.root.parent / "calm")
    for each in (ORGANISM, RUN):
        calm.build(each.recipe, lambda work, each=each: _copy(store.get(each.recipe).path, work))
    assert calm.build(job.recipe, lambda work: job.make(calm, work)).read_table().equals(whole)


def _copy(source: Path, work: Path) -> None:
    for file in source.iterdir():
        if file.is_file():
            (work / file.name).write_bytes(file.read_bytes())


def test_the_command_on_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of any architecture, with more than one row of vocabulary than the tokenizer has; tables and JSON."""
    from outside_checkpoints import save_tiny
    from typer.testing import CliRunner

    from probe.cli import app

    monkeypatch.chdir(tmp_path)
    pair = [str(save_tiny("qwen2", tmp_path / f"seed{seed}", seed=seed)) for seed in (0, 1)]
    ask = ["--problems", "random-calculation", "--limit", "6", "--max-new", "5", "--samples", "1", "--store", "s"]
    manifest = ["--manifest", str(Path(__file__).parents[1] / "checkpoints_manifest.yaml")]
    told = CliRunner().invoke(app, ["cross-sample", *pair, *ask, *manifest])
    assert told.exit_code == 0, told.output
    assert "the base writes, RL steps in" in told.stdout and "of tokens unchanged" in told.stdout
    rows = json.loads(CliRunner().invoke(app, ["cross-sample", *pair, *ask, *manifest, "--json"]).stdout)
    names = {row["name"] for row in rows["measurements"]}
    assert {"cross_accuracy", "cross_swapped", "cross_unchanged", "recovered_accuracy", "removed_accuracy"} <= names
    assert np.isfinite([row["value"] for row in rows["measurements"] if row["name"] == "cross_swapped"]).all()
