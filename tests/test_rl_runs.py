"""Jobs have stable identities and make what they say; measurements are flat on null pairs."""

import itertools
import math
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from grpo_cases import recipe
from safetensors.torch import load_file

from probe.checkpoints import organism_job
from probe.checkpoints import run_job as runs
from probe.checkpoints.checkpoint import of_organism, of_run
from probe.checkpoints.organism_job import OrganismJob, load_organism, train_problems
from probe.checkpoints.run_job import RunJob, VotesJob, load_step
from probe.data import RESPONSES, ROLLOUTS, TOKENS, Estimate, check_schema
from probe.engine.job import Job
from probe.engine.plan import plan
from probe.engine.pool import make_one
from probe.errors import BadInput
from probe.experiments.measuring import (
    ALONG_THE_WAY,
    LOGGED_EVERY_BATCH,
    at_step,
    first_samples,
    log_rows,
    measure_pair,
)
from probe.experiments.response_law import job as law_runs
from probe.experiments.response_law.job import LawJob, law
from probe.experiments.responses import RunResponsesJob, SampleJob
from probe.experiments.rl_runs import first_change, tokens
from probe.experiments.rl_runs import job as measuring_runs
from probe.experiments.rl_runs.first_change import FirstChangeJob
from probe.experiments.rl_runs.job import MeasureBaseJob, MeasureRunJob
from probe.experiments.rl_runs.tokens import TokensJob
from probe.measurements import COLUMNS, SCHEMA, RowKey, label, row_of, to_table
from probe.measures import PairData
from probe.models.loading.load import Loaded, save_folder
from probe.models.loading.manifest import Template
from probe.models.sampling.organism_sampler import sample
from probe.rl.labels import Gold, OfflineMajority, OneShot, WrongMajority
from probe.rl.train import METRICS
from probe.rng import uniforms
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import GREEDY, SAMPLED, Compute, SamplingOptions
from probe.store import Store
from probe.tasks.answers import boxed
from probe.tasks.benchmarks import problems as problem_set
from probe.tasks.chain import chain_problems

ORGANISM = OrganismJob("latent-code", "tiny", 0)
ASKED = Elicitation(problem_set("chain", limit=12))  # in place of 256
SAMPLES = SAMPLED.samples


def run_job(reward: str = "random", name: str | None = None, **changes: Any) -> RunJob:
    return RunJob(name or reward, ORGANISM, recipe(reward, **changes), Gold())


def by_name(rows: list[dict[str, Any]], name: str, **where: Any) -> list[dict[str, Any]]:
    return [r for r in rows if r["name"] == name and all(r[k] == v for k, v in where.items())]


# ---- identity


def test_equal_descriptions_are_one_artifact() -> None:
    assert run_job().recipe.digest == run_job().recipe.digest
    first, second = (MeasureRunJob("s", RunJob("r", replace(ORGANISM), recipe(), Gold())) for _ in range(2))
    assert first == second
    assert first.recipe.digest == second.recipe.digest


RUN = run_job()
CHANGED: list[tuple[Job, dict[str, Any]]] = [
    (ORGANISM, {"family": "no-code", "size": "small", "seed": 1}),
    (VotesJob(ORGANISM), {"organism": OrganismJob("latent-code", "tiny", 1)}),
    (RUN, {"organism": OrganismJob("no-code", "tiny", 0), "grpo": recipe(seed=5), "labels": OneShot("x")}),
    (
        SampleJob(of_organism(ORGANISM), CHAIN, SAMPLED),
        {"checkpoint": of_run(RUN), "elicitation": ASKED, "options": GREEDY},
    ),
    (
        RunResponsesJob(RUN, CHAIN, SAMPLED),
        {"run": run_job("python"), "elicitation": ASKED, "options": GREEDY},
    ),
    (TokensJob(RUN), {"run": run_job("python")}),
    (MeasureRunJob("s", RUN), {"study": "t", "run": run_job("python")}),
    (MeasureBaseJob("s", ORGANISM), {"study": "t", "organism": OrganismJob("bad-code", "tiny", 0)}),
]


@pytest.mark.parametrize(("job", "changes"), CHANGED, ids=[type(job).__name__ for job, _ in CHANGED])
def test_every_field_changes_the_artifact(job: Any, changes: dict[str, Any]) -> None:
    digests = {replace(job, **{name: value}).recipe.digest for name, value in changes.items()}
    assert len(digests | {job.recipe.digest}) == 1 + len(changes)
    assert set(changes) | {"name", "compute"} == {*vars(job), "name", "compute"} - {"recipe"}  # every field was tried


@pytest.mark.parametrize("job", [job for job, _ in CHANGED if job.recipe.stage == "responses"])
def test_everything_that_changes_an_answer_changes_the_artifact(job: Any) -> None:
    """How it is asked and sampled; not the template's name, nor where and in what batches it is computed."""
    options = {"temperature": 0.5, "samples": 4, "seed": 1, "max_new": 9, "sampler": "vllm"}
    asked = {"problems": ASKED.problems, "text": Template(text="Q: {prompt}"), "prefix": "x", "extract": "answer_tag"}
    assert set(options) == set(vars(SAMPLED))
    assert {*asked, "template"} == set(vars(CHAIN))
    others = [replace(job, options=replace(SAMPLED, **{name: value})) for name, value in options.items()]
    others += [replace(job, elicitation=replace(CHAIN, **{name: value})) for name, value in asked.items()]
    assert len({each.recipe.digest for each in (job, *others)}) == 1 + len(options) + len(asked)
    assert replace(job, elicitation=replace(CHAIN, template="other")).recipe.digest == job.recipe.digest
    if isinstance(job, SampleJob):
        assert replace(job, compute=Compute(1, ("cpu", "cpu"))).recipe.digest == job.recipe.digest


def test_the_name_in_figures_is_no_part_of_a_run() -> None:
    assert run_job(name="other").recipe.digest == RUN.recipe.digest
    assert MeasureRunJob("s", run_job(name="other")).recipe.digest != MeasureRunJob("s", RUN).recipe.digest


@pytest.mark.parametrize("job", [job for job, _ in CHANGED], ids=[type(job).__name__ for job, _ in CHANGED])
def test_what_a_job_needs_is_what_its_recipe_names(job: Job) -> None:
    assert job.recipe.inputs == tuple(need.recipe.digest for need in job.needs)
    assert pickle.loads(pickle.dumps(job)).recipe.digest == job.recipe.digest  # noqa: S301 - as the pool sends it
    assert job.label


def test_only_labels_of_a_majority_need_votes() -> None:
    for labels, stages in (
        (Gold(), ["organism"]),
        (OneShot("x"), ["organism"]),
        (OfflineMajority(), ["organism", "votes"]),
        (WrongMajority(), ["organism", "votes"]),
    ):
        assert [need.recipe.stage for need in replace(RUN, labels=labels).needs] == stages


@pytest.mark.parametrize(("batches", "every", "steps"), [(30, 10, (10, 20, 30)), (25, 10, (10, 20, 25)), (3, 10, (3,))])
def test_kept_steps_by_hand(batches: int, every: int, steps: tuple[int, ...]) -> None:
    assert run_job(batches=batches, save_every=every).steps == steps


# ---- the jobs of a study, on twelve problems


@pytest.fixture(scope="module")
def made(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with the organism in it, where a study asks 12 problems instead of 256."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (organism_job, runs):
            patch.setattr(module, "TRAIN_POOL", 12)
        for module in (measuring_runs, tokens, law_runs, first_change):
            patch.setattr(module, "asked_of", lambda organism: (ASKED, SAMPLED))
        patch.setattr(runs, "VOTES", replace(runs.VOTES, samples=4))
        train_problems.cache_clear()
        store = Store(tmp_path_factory.mktemp("made"))
        store.build(ORGANISM.recipe, lambda work: save_folder(organism, work))
        yield store
    train_problems.cache_clear()


def finish(store: Store, target: Job) -> pa.Table | None:
    """Make a job and what it needs in this process; its table, if it has the usual one."""
    for job in plan([target], store).todo.values():
        make_one(job, str(store.root))
    artifact = store.get(target.recipe)
    return artifact.read_table() if (artifact.path / "data.parquet").exists() else None


def asking(source: OrganismJob | RunJob, options: SamplingOptions = SAMPLED) -> SampleJob | RunResponsesJob:
    if isinstance(source, RunJob):
        return RunResponsesJob(source, ASKED, options)
    return SampleJob(of_organism(source), ASKED, options)


def responses(store: Store, source: OrganismJob | RunJob, options: SamplingOptions = SAMPLED) -> list[dict]:
    job = asking(source, options)
    finish(store, job)
    return store.get(job.recipe).read_table("responses.parquet").to_pylist()


def test_problems_of_a_study_are_the_held_out_ones(made: Store) -> None:
    assert CHAIN.problems.problems == tuple(chain_problems(256, "test", 0))
    assert ASKED.problems.problems == CHAIN.problems.problems[:12]
    assert not {p.prompt for p in CHAIN.problems.problems} & {p.prompt for p in chain_problems(512, "train", 0)}
    assert train_problems() == tuple(chain_problems(12, "train", 0))


def test_a_run_artifact_holds_checkpoints_and_log_and_no_scratch(made: Store) -> None:
    job = run_job(batches=3, save_every=2)
    finish(made, job)
    artifact = made.get(job.recipe)
    assert sorted(artifact.spec["files"]) == [METRICS, "step-002.safetensors", "step-003.safetensors"]
    assert job.steps == (2, 3)
    assert not (artifact.path / "scratch").exists()


def test_a_step_is_loaded_with_its_tensors(made: Store, organism: Loaded) -> None:
    finish(made, run_job())
    steps = [load_step(made, run_job(), step).model.lm_head.weight for step in run_job().steps]
    assert not torch.equal(steps[0], steps[1])
    assert torch.equal(load_organism(made, ORGANISM).model.lm_head.weight, organism.model.lm_head.weight)
    assert load_organism(made, ORGANISM).tokenizer("A:1+2*3    =") == organism.tokenizer("A:1+2*3    =")
    with pytest.raises(BadInput, match=r"step-007\.safetensors"):
        load_step(made, run_job(), 7)


def test_responses_are_what_the_model_says_graded(made: Store, organism: Loaded) -> None:
    job = asking(run_job())
    rows, artifact = responses(made, run_job()), made.get(job.recipe)
    check_schema(artifact.read_table("responses.parquet"), RESPONSES, where="responses")
    check_schema(artifact.read_table("rollouts.parquet"), ROLLOUTS, where="rollouts")
    assert [r["step"] for r in rows] == [1] * 12 + [2] * 12 * SAMPLES  # on the way once each, at the end eight times
    gold, decode = {p.id: p for p in ASKED.problems.problems}, organism.tokenizer.decode
    for row, rollout in zip(rows, artifact.read_table("rollouts.parquet").to_pylist(), strict=True):
        assert row["checkpoint"] == f"{run_job().label}@{row['step']}"
        assert all(row[k] == rollout[k] for k in ("problem", "sample", "text", "stop", "temperature"))
        ended = row["stop"] == "eos"
        assert decode(rollout["completion_ids"][: -1 if ended else None]) == row["text"]  # no other token is left out
        assert decode(rollout["prompt_ids"]) == gold[row["problem"]].prompt
        assert row["tokens"] == len(rollout["completion_ids"]) == len(rollout["logprob"]) == len(rollout["entropy"])
        assert (row["outcome"] == "right") == (boxed(row["text"]) == gold[row["problem"]].answer)
        assert (row["boxed"] is None) == (row["outcome"] == "unparsed")
        assert (row["stop"] == "eos") == (rollout["completion_ids"][-1] == 1)


def test_greedy_is_one_answer_that_no_seed_changes(made: Store) -> None:
    first, again = (responses(made, ORGANISM, replace(GREEDY, seed=seed)) for seed in (0, 1))
    assert len(first) == 12
    assert [r["text"] for r in first] == [r["text"] for r in again]
    assert {r["temperature"] for r in first} == {0.0}


def test_checkpoints_answer_with_the_same_draws(made: Store) -> None:
    """A run that changes nothing gives the very texts of its base: before and after are paired sample by sample."""
    base, after = responses(made, ORGANISM), responses(made, run_job("constant"))
    assert [r["text"] for r in after if r["step"] == 2] == [r["text"] for r in base]
    assert [r["text"] for r in after if r["step"] == 1] == [r["text"] for r in base if r["sample"] == 0]
    assert [r["text"] for r in responses(made, ORGANISM, replace(SAMPLED, seed=1))] != [r["text"] for r in base]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"temperature": -0.5}, r"temperature -0\.5"),
        ({"temperature": float("nan")}, "temperature nan"),
        ({"temperature": float("inf")}, "temperature inf"),
        ({"samples": 0}, "0 samples"),
        ({"max_new": 0}, "of 0 tokens"),
    ],
)
def test_sampling_that_is_none_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        SamplingOptions(**wrong)


def test_votes_are_boxed_answers_of_the_initial_model(made: Store, organism: Loaded) -> None:
    table = finish(made, VotesJob(ORGANISM))
    assert table is not None
    assert table["problem"].to_pylist() == [p.id for p in train_problems()]
    assert {len(answers) for answers in table["answers"].to_pylist()} == {4}
    prompts = organism.tokenizer([p.prompt for p in train_problems()])["input_ids"]
    draws = np.stack([uniforms(20, "votes", 0, p.id, s) for p in train_problems() for s in range(4)])
    said = sample(organism.model, prompts, n_samples=4, max_new=20, stop=1, pad=0, uniforms=torch.from_numpy(draws))
    kept = (said.lengths - said.stopped.long()).tolist()
    texts = [organism.tokenizer.decode(row[:n]) for row, n in zip(said.ids.tolist(), kept, strict=True)]
    assert [a for answers in table["answers"].to_pylist() for a in answers] == [boxed(t) for t in texts]


def test_labels_decide_what_is_trained_on(made: Store) -> None:
    """The label sources that read votes give other runs than the true answers do, under the very same recipe."""
    how = recipe("ground_truth", lr=0.01)
    sources = (Gold(), OfflineMajority(), WrongMajority(), OneShot(train_problems()[0].id))
    runs = [RunJob("x", ORGANISM, how, labels) for labels in sources]
    for run in runs:
        finish(made, run)
    last = [load_file(made.get(run.recipe).file("step-002.safetensors"))["lm_head.weight"] for run in runs]
    assert len({tensor.numpy().tobytes() for tensor in last}) == 4


def test_tokens_are_the_final_texts_scored_before_and_after(made: Store) -> None:
    job = TokensJob(run_job())
    finish(made, job)
    artifact, rows = made.get(job.recipe), responses(made, run_job())
    before, after = (check_schema(artifact.read_table(f"{s}.parquet"), TOKENS, where=s) for s in ("before", "after"))
    for name in ("generator", "problem", "sample", "pos", "token", "span"):
        assert before[name] == after[name]
    assert before["scorer"].unique().to_pylist() == [ORGANISM.label]
    assert after["scorer"].unique().to_pylist() == after["generator"].unique().to_pylist() == [f"{run_job().label}@2"]
    said: dict[str, str] = {}
    for row in after.to_pylist():
        said[row["problem"]] = said.get(row["problem"], "") + row["span"]
    texts = {r["problem"]: r["text"] for r in rows if r["step"] == 2 and r["sample"] == 0}
    assert {k: v.removesuffix("<eos>") for k, v in said.items()} == texts
    rollouts = made.get(asking(run_job()).recipe).read_table("rollouts.parquet").to_pylist()
    kept = [r["logprob"] for r in rollouts if r["checkpoint"].endswith("@2") and r["sample"] == 0]
    assert after["logprob"].to_pylist() == pytest.approx([x for row in kept for x in row], abs=2e-5)
    assert after["logprob"].to_pylist() != pytest.approx(before["logprob"].to_pylist(), abs=2e-5)
    divergence = artifact.read_table("kl.parquet")["kl"].to_pylist()
    assert len(divergence) == len(after)
    assert min(divergence) >= 0 < max(divergence)


def test_a_run_of_another_name_shares_its_artifacts(made: Store) -> None:
    """Two studies may call one run by two names: what was sampled under the first serves the second."""
    finish(made, asking(run_job(seed=3)))
    other = TokensJob(run_job(seed=3, name="other"))
    assert [job.recipe.stage for job in plan([other], made).todo.values()] == ["tokens"]
    finish(made, other)
    assert len(made.get(other.recipe).read_table("after.parquet")) > 12


# ---- measurements


@pytest.fixture(scope="module")
def measured(made: Store) -> dict[str, list[dict[str, Any]]]:
    wanted = {"base": MeasureBaseJob("s", ORGANISM), "random": MeasureRunJob("s", run_job())}
    wanted["constant"] = MeasureRunJob("s", run_job("constant"))
    tables = {name: finish(made, job) for name, job in wanted.items()}
    assert all(table is not None and table.schema.equals(SCHEMA) for table in tables.values())
    return {name: table.to_pylist() for name, table in tables.items() if table is not None}


def test_the_schema_is_that_of_the_figures() -> None:
    assert tuple(SCHEMA.names) == COLUMNS


def test_rows_say_what_they_are_about(measured: dict[str, list[dict[str, Any]]]) -> None:
    about = {"study": "s", "family": "latent-code", "size": "tiny", "base_seed": 0, "destroyed": False}
    for rows in measured.values():
        assert all({k: row[k] for k in about} == about for row in rows)
    assert {(r["kind"], r["reward"]) for r in measured["base"]} == {("base", ""), ("null", "")}
    assert {(r["kind"], r["reward"], r["clip"]) for r in measured["random"]} == {("rl", "random", "0.2")}
    assert {(r["kind"], r["reward"]) for r in measured["constant"]} == {("null", "constant")}
    assert {r["temperature"] for r in measured["random"]} == {0.0, 1.0}


def test_values_lie_in_their_intervals(measured: dict[str, list[dict[str, Any]]]) -> None:
    for row in (r for rows in measured.values() for r in rows if r["lo"] is not None and math.isfinite(r["lo"])):
        assert row["lo"] - 1e-9 <= row["value"] <= row["hi"] + 1e-9, row


def test_accuracy_is_the_share_of_right_responses(made: Store, measured: dict[str, list[dict[str, Any]]]) -> None:
    for step, n in ((1, 12), (2, 12 * SAMPLES)):
        (row,) = by_name(measured["random"], "accuracy", side="after", temperature=1.0, step=step)
        right = [r["outcome"] == "right" for r in responses(made, run_job()) if r["step"] == step]
        assert (row["value"], row["n"], row["n_problems"]) == (pytest.approx(sum(right) / n), n, 12)


def test_chance_stands_beside_accuracy(measured: dict[str, list[dict[str, Any]]]) -> None:
    """What one answer to the twelve problems would get, at both temperatures; a base alone has it, a null pair not."""
    answers = [problem.answer for problem in ASKED.problems.problems]
    most = max(answers.count(answer) for answer in answers) / 12
    for name, where in (("base", {"kind": "base"}), ("random", {"step": 2})):
        found = by_name(measured[name], "chance")
        assert found == by_name(found, "chance", side="", value=most, n=12, n_problems=12, **where)
        assert sorted(row["temperature"] for row in found) == [0.0, 1.0]


def test_entropy_is_told_on_the_same_held_out_problems_at_every_step(
    made: Store, measured: dict[str, list[dict[str, Any]]]
) -> None:
    """Mean entropy of the tokens sampled for a problem, then over problems; a constant reward leaves it."""
    rollouts = made.get(asking(run_job()).recipe).read_table("rollouts.parquet").to_pylist()
    for step in (1, 2):
        by_problem: dict[str, list[float]] = {}
        for row in (row for row in rollouts if row["checkpoint"].endswith(f"@{step}")):
            by_problem.setdefault(row["problem"], []).extend(row["entropy"])
        wanted = [sum(some) / len(some) for some in by_problem.values()]
        (row,) = by_name(measured["random"], "held_out_entropy", side="after", step=step)
        assert (row["value"], row["n_problems"]) == (pytest.approx(sum(wanted) / 12), 12)
    changes = by_name(measured["constant"], "held_out_entropy", side="change")
    assert [row["value"] for row in changes] == [pytest.approx(0.0, abs=1e-6)] * 2  # sampled in other batches
    moved = by_name(measured["random"], "held_out_entropy", side="change")
    assert all(row["value"] != 0 for row in moved)


def test_steps_on_the_way_meet_the_cheap_measures_and_the_last_all(measured: dict[str, list[dict[str, Any]]]) -> None:
    found = {
        step: {r["name"] for r in measured["random"] if r["step"] == step and not r["name"].startswith("train/")}
        for step in run_job().steps
    }
    assert {"accuracy", "code_share", "parse_rate"} <= found[1] < found[2]
    assert {"kl_per_token", "fork_overlap", "entropy_shift", "pass_at_k", "switch_share"} <= found[2] - found[1]
    assert set(ALONG_THE_WAY) >= {"accuracy", "code_share", "parse_rate"}


def test_a_base_is_described_and_compared_with_nothing(measured: dict[str, list[dict[str, Any]]]) -> None:
    rows = [r for r in measured["base"] if r["kind"] == "base"]
    assert {r["side"] for r in rows if r["name"] != "chance"} == {"before"}
    assert {r["temperature"] for r in by_name(rows, "accuracy")} == {0.0, 1.0}


def test_the_null_pair_is_flat(measured: dict[str, list[dict[str, Any]]]) -> None:
    """The same weights sampled twice: no change that noise would not make (p > .001)."""
    rows = [r for r in measured["base"] if r["kind"] == "null"]
    changes = [r for r in rows if r["side"] == "change"]
    assert {"accuracy", "code_share", "parse_rate"} <= {r["name"] for r in changes}
    assert all(r["p"] > 0.001 for r in rows if r["p"] is not None and not math.isnan(r["p"]))
    assert all(abs(r["value"]) < 0.25 for r in changes if r["name"] in ("accuracy", "code_share", "parse_rate"))


def test_a_constant_reward_changes_nothing_at_all(measured: dict[str, list[dict[str, Any]]]) -> None:
    rows = measured["constant"]
    changes = [r for r in rows if r["side"] == "change" and not math.isnan(r["value"])]
    assert len({r["name"] for r in changes}) >= 6
    assert {r["value"] for r in changes if r["name"] not in ("entropy_shift", "held_out_entropy")} == {0.0}
    assert all(abs(r["value"]) < 1e-6 for r in changes)
    assert {r["value"] for r in by_name(rows, "fork_overlap")} == {1.0}
    assert {r["value"] for r in by_name(rows, "kl_per_token")} == {0.0}
    assert {r["value"] for r in by_name(rows, "train/kl")} == {0.0}


def test_the_training_log_becomes_rows(made: Store, measured: dict[str, list[dict[str, Any]]]) -> None:
    rows = measured["random"]
    assert [r["step"] for r in by_name(rows, "train/accuracy")] == [1, 2]
    (last,) = by_name(rows, "train/clip_ratio/region_mean/update_1")
    assert (last["update"], last["step"], last["n"]) == (1, 2, 2)


CONTEXT = RowKey("s", "rl", "f", "tiny", 0, "random", "0.2", 7, 5, 1.0)


def test_log_rows_by_hand() -> None:
    log = [
        {"batch": 0, "reward": 0.5, "clip_ratio/dual_mean": 0.1, "loss": 9.0},
        {"batch": 1, "reward": 0.7, "kl": 0.2, "clip_ratio/dual_mean": 0.3},
    ]
    rows = [(r["name"], label(r), r["step"], r["value"], r["n"]) for r in log_rows(CONTEXT, log)]
    assert rows == [
        ("train/reward", "", 1, 0.5, 1),
        ("train/reward", "", 2, 0.7, 1),
        ("train/kl", "", 2, 0.2, 1),
        ("train/clip_ratio/dual_mean", "", 5, pytest.approx(0.2), 2),
    ]
    assert to_table(list(log_rows(CONTEXT, log))).schema.equals(SCHEMA)
    assert "loss" not in LOGGED_EVERY_BATCH


def test_a_row_holds_the_estimate_and_its_context() -> None:
    params = {"side": "change", "k": 4}
    estimate = Estimate("accuracy", 0.1, -0.1, 0.3, 96, 12, null=0.0, p=0.4, params=params)
    row = row_of(CONTEXT, estimate, destroyed=True)
    assert set(row) == set(COLUMNS)
    assert (row["side"], row["k"], row["value"], row["p"], row["destroyed"]) == ("change", 4, 0.1, 0.4, True)
    assert to_table([row]).to_pylist() == [row]


def test_addresses_of_two_contexts_differ() -> None:
    others = {"study": "t", "kind": "null", "base_seed": 1, "rl_seed": 8, "step": 6, "temperature": 0.0, "clip": "none"}
    found = {CONTEXT.address} | {replace(CONTEXT, **{name: value}).address for name, value in others.items()}
    assert len(found) == 1 + len(others)
    assert all(type(part) in (str, int) for address in found for part in address)


def test_a_destroyed_model_is_marked_on_every_row(made: Store) -> None:
    """Half the problems were answered; now none is: never "no effect"."""
    rows = responses(made, ORGANISM)
    before = pa.Table.from_pylist(rows, schema=RESPONSES)
    silent = [r | {"boxed": None, "outcome": "unparsed", "text": ""} for r in rows]
    found = measure_pair(CONTEXT, PairData(before, pa.Table.from_pylist(silent, schema=RESPONSES)), ALONG_THE_WAY)
    assert found
    assert all(row["destroyed"] for row in found)


def test_rows_of_a_step_and_first_samples_by_hand() -> None:
    table = pa.table({"step": [1, 1, 2, 2, 2, 2], "sample": [0, 0, 0, 1, 0, 1]})
    assert len(at_step(table, 1)) == 2
    base = pa.table({"sample": [0, 1, 2, 0, 1, 2]})
    assert first_samples(base, at_step(table, 2))["sample"].to_pylist() == [0, 1, 0, 1]
    assert first_samples(base, at_step(table, 1))["sample"].to_pylist() == [0, 0]


def test_a_run_is_held_against_the_law(made: Store) -> None:
    """Realised and predicted at both temperatures; a constant reward moves nothing, so nothing is predicted of it."""
    found = {name: finish(made, LawJob("s", run_job(name))).to_pylist() for name in ("random", "constant")}
    for rows in found.values():
        told = {(row["name"], row["side"], row["temperature"]) for row in rows}
        for way in (0.0, 1.0):
            assert {("predicted", "change", way), ("gap", "before", way), ("accuracy", "change", way)} <= told
            nulls = itertools.product(("predicted", "accuracy", "code_share"), ("walk", "opposite"), (way,))
            assert set(nulls) <= told
        assert {row["step"] for row in rows} == {run_job().grpo.batches}
        assert {row["informative"] for row in rows} == {False}
    moved = [row["value"] for row in found["constant"] if row["side"] in ("change", "walk", "opposite")]
    assert moved
    assert not any(moved)


def test_a_first_change_is_what_all_measures_say_of_it(made: Store) -> None:
    """Sampled alone, at the last step; a constant reward changes nothing."""
    short, whole = (finish(made, kind("s", run_job("random"))).to_pylist() for kind in (FirstChangeJob, LawJob))
    names = ("accuracy", "code_share", "parse_rate")
    told = {(row["name"], row["side"]): row["value"] for row in short if row["name"] in names}
    assert {row["temperature"] for row in short} == {1.0}
    assert len(told) == 9
    law = {(row["name"], row["side"]): row["value"] for row in whole if row["temperature"] == 1.0}
    assert told == {key: law[key] for key in told}
    still = finish(made, FirstChangeJob("s", run_job("constant"))).to_pylist()
    assert {row["value"] for row in still if row["name"] in names and row["side"] == "change"} == {0.0}


def test_the_law_of_tables_by_hand() -> None:
    """Two problems: the first moves from prose to code, which is right there and prose is not; the second stays."""

    def table(**columns: list[str]) -> pa.Table:
        return pa.table({"problem": ["b", "a", "a", "b"], **columns})

    before = table(strategy=["code", "prose", "prose", "code"])
    after = table(strategy=["code", "code", "prose", "code"])
    code, prose = (
        table(outcome=["wrong", "right", "right", "wrong"]),
        table(outcome=["wrong", "wrong", "wrong", "right"]),
    )
    gap, predicted = law(before, after, code, prose)
    assert gap.value == pytest.approx((1.0 + -0.5) / 2)
    assert predicted.value == pytest.approx(0.5 * 1.0 / 2)
