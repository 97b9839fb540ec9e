"""Studies are declarations: every one of them plans, and no seed of a treatment is a seed of a truth."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.run_job import RunJob
from probe.cli.run import named
from probe.engine.job import Job
from probe.engine.plan import plan
from probe.errors import BadInput
from probe.experiments.antithetic.job import AntitheticJob
from probe.experiments.built_in.job import BuiltInJob
from probe.experiments.probing.job import ProbesJob
from probe.experiments.response_law.job import LawJob
from probe.experiments.rl_runs.first_change import FirstChangeJob
from probe.experiments.rl_runs.job import MeasureBaseJob, MeasureRunJob
from probe.experiments.weight_difference.job import WeightsJob
from probe.families import families
from probe.families.factorial import CELLS, cell
from probe.families.planted import DOSES, planted
from probe.grammar import LETTERED
from probe.plots import figures
from probe.rewards.random import Random
from probe.stats.accounting.atoms import CLAIMANTS
from probe.store import Store
from probe.studies import studies, study
from probe.studies.forecasts import BATCHES
from probe.studies.why import BASES, MIDDLE, ON_ALL, ON_SOME
from probe.tasks.benchmarks import problems

GRIDS = ("random", "tiny")  # the studies of organisms
KINDS = {name: families.get(name)() for name in families.names()}
CLEAN = {name for name, kind in KINDS.items() if kind.grammar is LETTERED and not kind.leak}


def runs(name: str) -> list[RunJob]:
    return [job.run for job in studies.get(name)() if isinstance(job, MeasureRunJob)]


def organisms(name: str) -> list[OrganismJob]:
    return [job.organism for job in studies.get(name)() if isinstance(job, MeasureBaseJob)]


@pytest.mark.parametrize("name", studies.names())
def test_every_study_plans(name: str, tmp_path: Path) -> None:
    """In full where the store is empty, every need before what needs it, each thing once."""
    targets = studies.get(name)()
    todo = list(plan(targets, Store(tmp_path)).todo.values())
    place = {job.recipe.digest: i for i, job in enumerate(todo)}
    assert len(place) == len(todo)
    assert {job.recipe.digest for job in targets} <= set(place)
    assert all(place[need.recipe.digest] < place[job.recipe.digest] for job in todo for need in job.needs)
    assert studies.get(name).__doc__


@pytest.mark.parametrize("name", GRIDS)
def test_no_two_targets_are_one_artifact(name: str) -> None:
    digests = Counter(job.recipe.digest for job in studies.get(name)())
    assert max(digests.values()) == 1


@pytest.mark.parametrize("name", GRIDS)
def test_organisms_come_first_so_that_something_can_be_looked_at_early(name: str) -> None:
    kinds = [isinstance(job, MeasureBaseJob) for job in studies.get(name)()]
    assert kinds == sorted(kinds, reverse=True)
    assert {run.organism for run in runs(name)} <= set(organisms(name))


@pytest.mark.parametrize("name", GRIDS)
def test_no_rl_seed_is_a_base_seed(name: str) -> None:
    base = {organism.seed for organism in organisms(name)}
    assert len(base) >= 6
    for run in runs(name):
        seeds = {run.grpo.seed} | ({run.grpo.reward.seed} if isinstance(run.grpo.reward, Random) else set())
        assert not seeds & base
        assert len(seeds) == 1


def test_studies_share_no_rl_seed() -> None:
    assert not {r.grpo.seed for r in runs("tiny")} & {r.grpo.seed for r in runs("random")}


def test_every_family_meets_every_reward() -> None:
    cells = Counter((run.organism.family, run.name) for run in runs("tiny"))
    rewards = {name for _, name in cells}
    assert {family for family, _ in cells} == CLEAN
    assert len(cells) == len(CLEAN) * len(rewards)
    assert rewards >= {"ground_truth", "random", "majority", "format", "incorrect", "python", "constant"}
    assert set(cells.values()) == {6}  # bases, one RL seed on each


def test_random_reward_has_its_replicates_and_its_control() -> None:
    cells: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for run in runs("random"):
        assert (run.organism.size, run.name) == ("small", "random")
        cells.setdefault((run.organism.family, run.clip), set()).add((run.organism.seed, run.grpo.seed))
    assert set(cells) == {(family, clip) for family in ("latent-code", "no-code") for clip in ("0.05", "0.2", "none")}
    assert all(len({base for base, _ in replicates}) >= 6 for replicates in cells.values())


def test_clip_settings_differ_in_the_clip_alone() -> None:
    first, *others = {run.clip: run for run in runs("random")}.values()
    for run in others:
        mine, its = first.grpo.spec(), run.grpo.spec()
        assert {k for k in mine if mine[k] != its[k]} == {"loss"}
        assert {k for k in mine["loss"] if mine["loss"][k] != its["loss"][k]} == {"clip_low", "clip_high"}


def test_an_unknown_study_is_named() -> None:
    with pytest.raises(BadInput, match=r"(?s)'tinny'.*tiny"):
        studies.get("tinny")


def test_targets_are_measurements() -> None:
    targets: list[Job] = [job for name in GRIDS for job in studies.get(name)()]
    assert {job.recipe.stage for job in targets} == {"measurements"}


def test_inside_has_its_seeds_and_is_run_by_name_alone() -> None:
    """Six bases, each trained in its head and in every weight; no RL seed is a base seed."""
    subjects = [
        each for job in studies.get("inside")() if isinstance(job, ProbesJob) for each in job.pair.sides.values()
    ]
    bases = {each.source.seed for each in subjects if isinstance(each.source, OrganismJob)}
    runs = [each.source for each in subjects if isinstance(each.source, RunJob)]
    assert len(bases) == 6
    assert {(run.organism.seed, run.grpo.trainable) for run in runs} == {(b, t) for b in bases for t in ("head", "all")}
    assert not {run.grpo.seed for run in runs} & bases
    assert "inside" not in named("all")
    assert named("inside") == ["inside"]


def test_weights_inside_stand_beside_those_of_the_random_reward_on_every_base() -> None:
    """The same recipe but for the reward, and its cosine is that with the true reward's change."""
    pairs = [job.pair for job in studies.get("inside")() if isinstance(job, WeightsJob)]
    found = {(pair.before.organism.seed, pair.after.run.name): pair for pair in pairs}
    assert {name for _, name in found} == {"ground_truth_all", "random_all"}
    assert len(found) == len(pairs) == 2 * 6
    for seed in {seed for seed, _ in found}:
        true, noise = (found[seed, f"{reward}_all"] for reward in ("ground_truth", "random"))
        one, two = true.after.run.grpo.spec(), noise.after.run.grpo.spec()
        assert {key for key in one if one[key] != two[key]} == {"reward"}
        assert noise.other == true.after
        assert true.other.run.grpo.seed != true.after.run.grpo.seed
        assert isinstance(noise.after.run.grpo.reward, Random)
        assert noise.after.run.grpo.reward.seed not in {seed for seed, _ in found}


def law_runs(name: str) -> list[RunJob]:
    return [job.run for job in studies.get(name)() if isinstance(job, LawJob | FirstChangeJob)]


@pytest.mark.parametrize("name", ["why", "forecasts"])
def test_the_factorial_is_crossed_on_every_base(name: str) -> None:
    """Every base has the same cells under each reward, once; half of the bases have the other architecture."""
    short = [run for run in law_runs(name) if name == "why" or run.grpo.batches == BATCHES]
    found = Counter((run.organism.size, run.organism.seed, run.name, run.organism.family) for run in short)
    assert set(found.values()) == {1}
    middle = {cell(*levels) for levels in (MIDDLE if name == "why" else CELLS)}
    for base in {(size, seed) for size, seed, _, _ in found}:
        for reward in (*ON_ALL, *ON_SOME):
            cells = {family for *where, its, family in found if tuple(where) == base and its == reward}
            assert cells == (middle if reward in ON_SOME else {cell(*levels) for levels in CELLS})
    sizes = Counter(size for size, _ in {(size, seed) for size, seed, _, _ in found})
    assert sizes["mini"] == sizes["mini-qwen2"] > 0


@pytest.mark.parametrize("name", ["why", "forecasts", "planted"])
def test_organisms_of_one_base_share_their_trunk_and_no_seed_with_training(name: str) -> None:
    for run in law_runs(name):
        organism, trunk = run.organism, run.organism.trunk
        assert trunk is not None
        assert (trunk.size, trunk.seed, trunk.trunk) == (organism.size, organism.seed, None)
        assert run.grpo.seed not in {job.seed for job in (organism, trunk)}
        assert run.grpo.max_new == organism.grammar.max_new


def test_the_why_study_has_six_bases_and_more_runs_than_it_promises() -> None:
    runs_of = law_runs("why")
    assert len({(run.organism.size, run.organism.seed) for run in runs_of}) == 6
    assert len({run.organism for run in runs_of}) >= 100
    assert len(runs_of) >= 300
    assert study("why").figures == ("response_law", "predictions")
    assert set(study("why").figures) <= set(figures.names())


def test_every_forecast_base_is_also_trained_for_long_under_a_reward_for_code() -> None:
    """With the recipe of `why`: who responds shows later. Not on what the pace was fitted to."""
    long = {run.recipe.digest: run for run in law_runs("forecasts") if run.grpo.batches > BATCHES}
    assert len(long) == 6 * len(CELLS)
    assert {repr(run.grpo) for run in long.values()} == {
        repr(run.grpo) for run in law_runs("why") if run.name == "python"
    }
    assert not {(run.organism.size, run.organism.seed) for run in long.values()} & {("mini", 0), ("mini-qwen2", 10)}


def test_known_pairs_are_of_fresh_bases_and_know_one_truth_each() -> None:
    """Six bases that no other study has; a truth is an explanation that has an amount, or nothing."""
    jobs = [job for job in studies.get("verdicts")() if isinstance(job, BuiltInJob)]
    bases = {
        (run.organism.size, run.organism.seed) for name in ("why", "forecasts", "planted") for run in law_runs(name)
    }
    mine = {job.explained.pair.before.organism for job in jobs}
    fresh = {(organism.size, organism.seed) for organism in mine if organism}
    assert len(fresh) == 6
    assert not fresh & bases
    counts = Counter((job.truth, job.explained.pair.before.family, job.kind) for job in jobs)
    assert set(counts.values()) == {6}
    assert {truth for truth, _, _ in counts} == {*CLAIMANTS, "nothing"}
    assert all(job.explained.pair.is_null == (job.truth == "nothing") == (job.kind == "null") for job in jobs)


def test_every_pair_is_judged_from_the_same_evidence() -> None:
    """The rule may not know from what it is shown which explanation was built in."""
    jobs = [job.explained for job in studies.get("verdicts")() if isinstance(job, BuiltInJob)]
    shown = {(job.elicitation, job.options, job.prompts, job.ladder, job.fresh) for job in jobs}
    assert len(shown) == 1


def test_doses_differ_in_the_planted_code_alone() -> None:
    kinds = [KINDS[planted(dose)] for dose in DOSES]
    assert {replace(kind, p_code=(0.0,)) for kind in kinds} == {replace(kinds[0], p_code=(0.0,))}
    assert [kind.p_code for kind in kinds] == [(dose,) for dose in DOSES]
    cells = Counter((run.name, run.organism.family) for run in law_runs("planted"))
    assert cells == {(reward, planted(dose)): 6 for reward in ("python", "ground_truth") for dose in DOSES}


def test_the_quick_form_of_the_law_goes_on_to_the_full_one() -> None:
    """Its runs are runs of `why`, on every base, so nothing is trained twice; only its rows are its own."""
    quick, full = ({run.recipe.digest for run in law_runs(name)} for name in ("law", "why"))
    assert quick < full
    assert {(run.organism.size, run.organism.seed) for run in law_runs("law")} == set(BASES)
    assert {"law", "twins", "trainable"} <= set(named("all"))
    assert not {"why", "antithetic", "random", "inside"} & set(named("all"))


def test_every_weight_is_trained_where_the_head_is() -> None:
    """Same organisms, rewards and seeds, twice each; heads are the runs of `tiny`."""
    runs_ = law_runs("trainable")
    heads = {run.recipe.digest for run in runs_ if run.grpo.trainable == "head"}
    assert heads < {run.recipe.digest for run in runs("tiny")}
    cells = Counter((run.organism.label, run.name.removesuffix("_all"), run.grpo.seed) for run in runs_)
    assert set(cells.values()) == {2}
    assert len({run.organism.seed for run in runs_}) == 6


def test_twins_in_brief_have_both_priors_on_every_base() -> None:
    jobs = [job for job in studies.get("twins")() if isinstance(job, AntitheticJob)]
    cells = Counter((job.run.organism.family, job.setting) for job in jobs)
    assert set(cells.values()) == {len(BASES)}
    assert len(cells) == 4
    assert all(job.twin.grpo.seed == job.run.grpo.seed for job in jobs)
    assert all(job.twin.recipe.digest != job.run.recipe.digest for job in jobs)


def test_a_real_language_model_is_asked_short_calculations_in_every_way(tmp_path: Path) -> None:
    """Without its weights there is nothing to do; what it is trained on is asked of no one."""
    from outside_checkpoints import save_tiny

    from probe.studies.real_lm import (
        LEVELS,
        MODEL,
        PAIRS,
        PER_LEVEL,
        RUNS,
        SITE,
        SITES,
        other_calculations,
        short_calculations,
    )  # fmt: skip

    assert studies.get("real-lm")(tmp_path) == [] and study("real-lm").dataset == MODEL
    save_tiny("llama", tmp_path / "published" / MODEL)
    jobs = studies.get("real-lm")(tmp_path)
    pair = ["CompareJob", "ProbesJob", "SteerJob"]
    alone = [*pair, "PrefixJob", "PromptSteerJob"]
    assert [type(job).__name__ for job in jobs] == [*alone, *["OutsideCurveJob"] * len(RUNS), *pair * PAIRS]
    compared, probed, steered, forced, toward, *curves = jobs[: len(alone) + len(RUNS)]
    assert [(job.run.name, job.run.grpo.seed) for job in curves] == list(RUNS) and toward.toward == compared.elicitation
    trained, never = (problems.problems for problems in (other_calculations(), short_calculations()))
    assert len(trained) > 100 and not {p.prompt for p in trained} & {p.prompt for p in never}
    assert {job.run.elicitation.problems for job in curves} == {other_calculations()}
    assert compared.pair.is_null and probed.pair.after is steered.pair.after is None
    asked = {job.elicitation.problems for job in jobs}
    assert asked == {short_calculations()} and len(short_calculations().problems) == len(LEVELS) * PER_LEVEL
    assert Counter(p.id.split("/")[2] for p in short_calculations().problems) == dict.fromkeys("123", PER_LEVEL)
    assert short_calculations().pin != problems("random-calculation").pin
    assert {name for name, _ in compared.prompts} == {
        "ask-words",
        "chat",
    } and compared.elicitation.template == "ask-code"
    assert forced.elicitation == compared.elicitation and steered.site == SITE and SITE in SITES
    assert "real-lm" not in named("all")
    assert len(plan(jobs, Store(tmp_path / "s")).todo) > len(jobs)
