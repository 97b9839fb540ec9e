"""The table of variants: agreement and entropy by hand, flat on null pairs; every row of the study; predictions."""

import math
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from grpo_cases import recipe
from plot_rows_law import laws
from plot_rows_variants import GAINS, tried

from probe.checkpoints.organism_job import OrganismJob, train_problems
from probe.checkpoints.run_job import RunJob
from probe.errors import BadInput
from probe.experiments.responses import ROLLOUTS, RunResponsesJob, SampleJob, asked_of, at_the_end
from probe.experiments.result import run
from probe.experiments.variants import job as module
from probe.experiments.variants.job import VariantJob, often, once
from probe.experiments.variants.traits import entropies, with_agreement
from probe.models.loading.load import Loaded, save_folder
from probe.plots import figures
from probe.plots.variants import ORDER
from probe.rewards.compose import spec
from probe.rl.labels import Gold, OneShot
from probe.rl.variants import variants
from probe.stats.variant_predictions import CONTRASTS, of_variants
from probe.stats.variant_predictions import judged as found_true
from probe.store import Store
from probe.studies.variants import COMPOUND, FAMILY, ONE_SHOT, runs

ORGANISM = OrganismJob("latent-code", "tiny", 0)
SHORT = RunJob("format", ORGANISM, recipe("format", seed=400), Gold())


@pytest.fixture(scope="module")
def store(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    held.build(ORGANISM.recipe, lambda work: save_folder(organism, work))
    return held


def answered(boxes: list[str | None], names: list[str]) -> pa.Table:
    return pa.table({"problem": names, "boxed": boxes, "confidence": pa.nulls(len(boxes), pa.float32())})


def test_agreement_by_hand() -> None:
    """a: 3, 3, 4, none; b: 3, 3. What another problem was answered does not count."""
    shares = with_agreement(answered(["3", "3", "4", None, "3", "3"], [*"aaaabb"]))["confidence"].to_pylist()
    assert shares == [pytest.approx(1 / 3), pytest.approx(1 / 3), 0.0, None, 1.0, 1.0]
    with pytest.raises(BadInput, match="answered once"):
        with_agreement(answered(["3", "3", "4"], [*"aab"]))


def test_entropy_by_hand() -> None:
    """Of each response the mean over its tokens, of each problem the mean over its responses."""
    before = pa.table({"problem": [*"aab"], "entropy": [[1.0, 3.0], [0.0], [2.0]]})
    after = pa.table({"problem": [*"bab"], "entropy": [[1.0], [0.5], [0.0, 0.0]]})
    values = {each.params["side"]: each.value for each in entropies(before, after)}
    assert values == pytest.approx({"before": (1.0 + 2.0) / 2, "after": (0.5 + 0.5) / 2, "change": -1.0})
    assert all(each.value == 0 for each in entropies(before, before) if each.params["side"] == "change")


def test_a_run_has_every_trait_beside_its_walk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY", 8)
    monkeypatch.setattr(module, "FEW", 24)
    monkeypatch.setattr(module, "KS", (1, 8))
    made = run(VariantJob("test", SHORT), store, workers=1)
    warm = {(row["name"], row["k"], row["side"]) for row in made.rows if row["temperature"] == 1.0}
    names = [(name, None) for name in ("accuracy", "code_share", "parse_rate", "entropy", "brier", "ece", "auroc")]
    names += [(name, k) for name in ("pass_at_k", "cot_pass_at_k") for k in (1, 8)]
    assert warm == {(*name, side) for name in names for side in ("before", "after", "change", "walk")}
    greedy = {row["name"] for row in made.rows if row["temperature"] == 0.0}
    assert greedy == {"accuracy", "code_share", "parse_rate"}
    assert all(row["lo"] <= row["value"] <= row["hi"] for row in made.rows if not math.isnan(row["lo"] or math.nan))
    at = {(row["name"], row["k"], row["side"]): row["value"] for row in made.rows if row["temperature"] == 1.0}
    for name in names:
        assert at[*name, "change"] == pytest.approx(at[*name, "after"] - at[*name, "before"], abs=0.05)
    assert of_variants(made.rows) and {row["reward"] for row in made.rows} == {"format"}
    for name in ("variants", "variant_table"):
        assert figures.get(name)(made.rows) is not None


def test_the_same_weights_change_nothing(store: Store) -> None:
    """A null pair: every change is 0, whatever the trait."""
    asked, sampled = asked_of(ORGANISM)
    few = replace(asked, problems=replace(asked.problems, problems=asked.problems.problems[:24]))
    base = SampleJob(VariantJob("test", SHORT).needs[0].checkpoint, few, sampled)  # type: ignore[attr-defined]
    run_job(base, store)
    held = at_the_end(store, base)
    for measured in (once, often):
        moved = [each for each in measured(held, held, ("null",)) if each.params["side"] == "change"]
        assert moved and all(each.value == 0 for each in moved)


def run_job(job: SampleJob | RunResponsesJob, store: Store) -> None:
    for each in (*job.needs, job):
        if not store.holds(each.recipe):
            store.build(each.recipe, lambda work, each=each: each.make(store, work))  # type: ignore[misc]


def test_of_a_run_the_last_step_is_read(store: Store) -> None:
    asked, sampled = asked_of(ORGANISM)
    few = replace(asked, problems=replace(asked.problems, problems=asked.problems.problems[:8]))
    job = RunResponsesJob(SHORT, few, replace(sampled, samples=2))
    run_job(job, store)
    whole = store.get(job.recipe).read_table(ROLLOUTS)
    responses, rollouts = at_the_end(store, job)
    assert len(SHORT.steps) == 2 and whole.num_rows == 8 + 16
    assert responses["step"].unique().to_pylist() == [2]
    assert responses.num_rows == rollouts.num_rows == 16
    assert responses["text"].to_pylist() == rollouts["text"].to_pylist()


def test_the_study_has_a_row_for_every_variant_and_each_is_another_run() -> None:
    """`antithetic` turns draws round, and there are none under the true reward."""
    one, other = (runs(OrganismJob(FAMILY, "mini", 0), place) for place in (0, 1))
    names = [each.name for each in one]
    assert set(names) == set(ORDER) == set(GAINS)
    assert set(variants.names()) - {"antithetic"} <= set(names)
    assert len({each.recipe.digest for each in one}) == len(names)
    by = {each.name: each for each in one}
    assert {spec(by[name].grpo.reward)["reward"] for name in variants.names() if name in by} == {"ground_truth"}
    assert [a.name for a, b in zip(one, other, strict=True) if a.recipe.digest != b.recipe.digest] == [ONE_SHOT]


def test_one_example_fills_every_batch_under_its_true_answer() -> None:
    """Duplicated to the batch (2504.20571): one problem, its gold, 64 copies for batches of 32."""
    (job,) = (each for each in runs(OrganismJob(FAMILY, "mini", 0), 3) if each.name == ONE_SHOT)
    problems = train_problems(job.organism.grammar)
    assert job.labels == OneShot(problems[3].id)
    chosen = job.labels({}, {each.id: each.answer for each in problems})
    assert set(chosen.kept) == {problems[3].id} and len(chosen.kept) >= job.grpo.prompts
    assert chosen.label == {problems[3].id: problems[3].answer}


def test_compound_rewards_by_hand() -> None:
    by = {each.name: each.grpo.reward for each in runs(OrganismJob(FAMILY, "mini", 0), 0)}
    texts = ["```python\nx=1\n```\n\\boxed{5}", "So \\boxed{5}", "So \\boxed{6}", "So 5."]
    batch = {"prompts": ["1+4="] * 4, "completions": texts, "answers": ["5"] * 4}
    both, without = (by[name](**batch) for name in COMPOUND)
    assert both == [1.5, 1.5, 0.5, 0.0]
    assert without == [0.0, 1.0, 0.0, 0.0]


def test_predictions_by_hand() -> None:
    found = {each.contrast.name: each for each in found_true(tried())}
    assert len(found) == len(CONTRASTS)
    assert {name for name, each in found.items() if each.verdict != "holds"} == set()
    turned = [row | {"value": -row["value"]} if row["side"] == "change" else row for row in tried()]
    fails = {each.contrast.name for each in found_true(turned) if each.verdict == "fails"}
    assert fails >= {"others worse", "wrong alone gains", "one example gains", "right alone narrows", "overconfident"}
    assert "walk" not in fails
    assert not found_true(laws())


def title_of(name: str, rows: list[dict[str, object]]) -> str:
    drawing = figures.get(name)(rows)
    assert drawing is not None
    return drawing.figure.texts[0].get_text().replace("\n", " ")


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a run and its walk share."""
    return tuple(row[name] for name in ("reward", "size", "base_seed", "rl_seed", "temperature", "name", "k"))


def test_titles_tell_what_the_rows_hold() -> None:
    assert "truth without code −.50" in title_of("variants", tried())
    alike = [row for row in tried() if row["reward"] in ("ground_truth", "rloo", "centred")]
    assert title_of("variants", alike).startswith("None of 2 variants")
    assert "changes by 16 variants are not those of a walk" in title_of("variant_table", tried())
    walks = {key_of(row): row["value"] for row in tried() if row["side"] == "walk"}
    own = [
        row | {"value": walks[key_of(row)]} if row["side"] == "change" and key_of(row) in walks else row
        for row in tried()
    ]
    assert title_of("variant_table", own).startswith("0 of 128 changes")
    assert figures.get("variants")(laws()) is None and figures.get("variant_table")(laws()) is None


def test_the_table_has_one_row_a_variant_beside_base_and_walk() -> None:
    drawing = figures.get("variant_table")(tried())
    assert drawing is not None
    assert [row["reward"] for row in drawing.table] == ["the base", "random walk", *ORDER]
    truth = next(row for row in drawing.table if row["reward"] == "ground_truth")
    assert truth["accuracy lo"] <= truth["accuracy"] <= truth["accuracy hi"]
    assert truth["ECE"] == pytest.approx(0.1, abs=0.01)
    lost = [row | {"destroyed": row["reward"] == "no_clip" and row["base_seed"] == 0} for row in tried()]
    told = {row["reward"]: row["n_destroyed"] for row in figures.get("variant_table")(lost).table}  # type: ignore[union-attr]
    assert told["no_clip"] == 1 and told["rloo"] == 0
