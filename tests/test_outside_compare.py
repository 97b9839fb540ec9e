"""`probe compare` end to end on checkpoints of every architecture: as transformers saves them, whole and in shards."""

import importlib
import json
import pkgutil
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from outside_checkpoints import KINDS, qwen_tokenizer, save_tiny
from typer.testing import CliRunner

import probe.experiments
from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.checkpoints.resolve import resolve
from probe.cli import app
from probe.dictionaries.activation import ReLU
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange.folder import Kept, write_dictionary
from probe.engine.executor import make
from probe.engine.job import Job
from probe.engine.listener import Listener, heard_by
from probe.experiments.activation_dataset import ActivationsJob
from probe.experiments.adapter.job import AdapterJob
from probe.experiments.budget import width_of
from probe.experiments.compare.job import CompareJob
from probe.experiments.contamination.job import ContaminationJob
from probe.experiments.contamination.problem_sets import sets
from probe.experiments.contamination.signs import SignsJob
from probe.experiments.cross_sampling.job import CrossSampleJob
from probe.experiments.dictionaries.dose_job import FeatureDosesJob
from probe.experiments.dictionaries.foreign import ForeignFeaturesJob
from probe.experiments.dictionaries.job import FeaturesJob
from probe.experiments.dictionaries.readings import ReadingJob
from probe.experiments.experiment import CheckpointJob, Experiment, PairExperiment
from probe.experiments.explain.job import ExplainJob
from probe.experiments.forced_prefix.job import PrefixJob
from probe.experiments.forecast.job import ForecastJob
from probe.experiments.outside_runs.curve import OutsideCurveJob
from probe.experiments.outside_runs.job import OutsideRunJob
from probe.experiments.outside_runs.recipe import recipe_of
from probe.experiments.patching.fork import Openings
from probe.experiments.patching.job import PatchJob
from probe.experiments.patching.layers import LayersJob
from probe.experiments.probing.job import ProbesJob
from probe.experiments.responses import PART, SampleJob
from probe.experiments.steering.directions import FitJob
from probe.experiments.steering.job import DoseJob, SteerJob
from probe.experiments.steering.prompts import PromptSteerJob
from probe.experiments.weight_difference.job import WeightsJob
from probe.models.hooks.sites import Site
from probe.models.loading.entries import Template
from probe.models.loading.load import Loaded, load_folder, save_folder
from probe.models.loading.manifest import load_manifest
from probe.models.loading.organism import build_model, build_tokenizer
from probe.rl.labels import Gold
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.store import Artifact, Store
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
    subject = Checkpoint("m", Folder(save_tiny("llama", tmp_path / "m")))
    asked = Elicitation(problems("random-calculation", limit=PART + 4))
    job = SampleJob(subject, asked, SamplingOptions(samples=2, max_new=4))
    store, made = Store(tmp_path / "killed"), []
    calm = built(job, Store(tmp_path / "calm"))

    def killed(done: int, of: int, unit: str) -> None:
        made.append((done, of, unit))
        if len(made) == 1:
            raise KeyboardInterrupt

    with heard_by(killed):
        with pytest.raises(KeyboardInterrupt):
            built(job, store)
        whole = built(job, store)
    every = 2 * (PART + 4)
    assert made == [(done, every, "responses") for done in (2 * PART, 2 * PART, every)]
    for name in ("rollouts.parquet", "responses.parquet"):
        assert whole.read_table(name).equals(calm.read_table(name))


def built(job: Job, store: Store) -> Artifact:
    return store.build(job.recipe, lambda work: job.make(store, work))


def test_batches_change_no_answer(tmp_path: Path) -> None:
    subject = Checkpoint("m", Folder(save_tiny("qwen3", tmp_path / "m")))
    asked = Elicitation(problems("random-calculation", limit=7))
    tables = []
    for batch, devices in ((1, ()), (64, ()), (2, ("cpu", "cpu"))):
        job = SampleJob(subject, asked, SamplingOptions(samples=3, max_new=5), Compute(batch, devices))
        tables.append(built(job, Store(tmp_path / str(batch))))
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
        "--limit",
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
    words = ("--prefix", "Let's solve this using Python.", "--problems", "random-calculation", "--limit", 3)
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
    assert told["hours"] == pytest.approx(told["sampling_hours"] + told["reading_hours"])
    assert "GPU-hours" in run("compare", *pair, *how).stdout


def test_a_prompt_longer_than_the_positions_is_refused(tmp_path: Path) -> None:
    folder = save_tiny("llama", tmp_path / "m")
    words = ("--problems", "random-calculation", "--limit", 2, "--max-new", 300, "--manifest", MANIFEST, "--store", "s")
    assert "more than its 256 positions" in run("sample", folder, *words, code=2).stderr


def test_different_vocabularies_are_refused(tmp_path: Path, real_data: Path) -> None:
    one = save_tiny("qwen2", tmp_path / "one")
    two = save_tiny("qwen2", tmp_path / "two", tokenizer=qwen_tokenizer(real_data))
    where = ("--prompts", "none", "--manifest", MANIFEST, "--store", "s")
    assert "different vocabularies" in run("compare", one, two, *ASKED, *where, code=2).stderr


# ---- what is made here and what comes from outside take the same path

SMALL_MANIFEST = """\
version: 1
templates: {none: {text: "{prompt}"}}
organisms:
  raw: {family: latent-code, size: tiny, seed: 0}
runs:
  run: {base: raw, reward: format, batches: 2, seed: 3}
checkpoints: {}
"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an untrained organism, which samples every token, `<pad>` among them, and its manifest."""
    root = tmp_path_factory.mktemp("raw")
    (root / "m.yaml").write_text(SMALL_MANIFEST)
    loaded = Loaded(build_model("tiny", 0), build_tokenizer())
    Store(root / "s").build(OrganismJob("latent-code", "tiny", 0).recipe, lambda work: save_folder(loaded, work))
    return root


def asked_of(store: Store, name: str, n: int) -> dict[float, list[dict[str, Any]]]:
    """What a checkpoint answered to `n` problems, by temperature."""
    jobs = [each for each in store.artifacts() if each.stage == "responses"]
    mine = [each for each in jobs if each.params.get("name") == name and each.params["n"] == n]
    found = {each.params["temperature"]: each.read_table("rollouts.parquet").to_pylist() for each in mine}
    assert len(found) == len(mine) == 2
    return found


def test_an_organism_and_its_run_are_sampled_alike_with_and_without_a_limit(raw: Path) -> None:
    """Before: one side's special tokens were dropped and the other's kept, and --limit changed which job sampled."""
    where = ("--manifest", raw / "m.yaml", "--store", raw / "s", "--json")
    store, tokenizer = Store(raw / "s"), build_tokenizer()
    words = ("compare", "raw", "run", "--samples", 2, *where)
    run(*words, "--limit", 6, "--workers", 1)
    manifest = load_manifest(raw / "m.yaml")
    pair = Pair(*(resolve(name, manifest) for name in ("raw", "run")))
    make(CompareJob(pair, CHAIN, replace(SAMPLED, samples=2)).sampled, store, workers=1)
    (left,) = json.loads(run(*words, "--dry").stdout)["jobs"]  # those are what the command without a limit asks for
    assert left["stage"] == "measurements"
    for name in ("raw", "run"):
        every, few = (asked_of(store, name, n) for n in (256, 6))
        for temperature, samples in ((1.0, 2), (0.0, 1)):
            rows = every[temperature]
            assert len(rows) == 256 * samples
            assert [row["text"] for row in few[temperature]] == [row["text"] for row in rows[: 6 * samples]]
            for row in rows:
                ids = row["completion_ids"][: -1 if row["stop"] == "eos" else None]
                assert row["text"] == tokenizer.decode(ids)
        assert sum("<pad>" in row["text"].removesuffix("<pad>") for row in every[1.0]) > 50  # in the middle of answers


def test_every_side_of_a_comparison_is_one_kind_of_job(raw: Path, tmp_path: Path) -> None:
    manifest = load_manifest(raw / "m.yaml")
    outside = str(save_tiny("llama", tmp_path / "m"))
    few = Elicitation(problems("chain", limit=6))
    for names in (("raw", "run"), ("raw", "raw"), ("raw", outside), (outside, outside)):
        pair = Pair(*(resolve(name, manifest) for name in names))
        for elicitation in (CHAIN, few):
            job = CompareJob(pair, elicitation, SAMPLED, (("boxed", elicitation.text),))
            assert [type(each) for each in job.sampled] == [SampleJob] * 5
            before, after = job.sampled[:2]
            assert [each.checkpoint for each in job.sampled] == [*pair.checkpoints * 2, pair.before]
            assert before.options == SAMPLED == replace(after.options, seed=0)
            assert after.options.seed == int(pair.is_null)
            assert {each.options for each in job.sampled[2:]} == {SAMPLED.greedy}
            assert {each.elicitation for each in job.sampled[:4]} == {elicitation}


def test_pads_in_an_answer_of_weights_from_outside_are_kept_too(tmp_path: Path) -> None:
    """The same text of the same ids, whoever the sampler is."""
    folder = save_tiny("llama", tmp_path / "m")
    loaded = load_folder(folder)
    with torch.no_grad():
        loaded.model.lm_head.weight[loaded.tokenizer.pad_token_id] *= 4  # sampled now and then
    save_folder(loaded, folder)
    job = SampleJob(Checkpoint("m", Folder(folder)), few_asked(), SamplingOptions(samples=8, max_new=12))
    rows = built(job, Store(tmp_path / "s")).read_table("rollouts.parquet").to_pylist()
    assert any("<pad>" in row["text"] for row in rows)
    for row in rows:
        ids = row["completion_ids"][: -1 if row["stop"] == "eos" else None]
        assert row["text"] == loaded.tokenizer.decode(ids, clean_up_tokenization_spaces=False)


def few_asked(n: int = 12) -> Elicitation:
    return Elicitation(problems("chain", limit=n))


def jobs_on(one: Checkpoint, two: Checkpoint, sae: Path) -> dict[type[Job], Job]:
    """Every job of an experiment on checkpoints, by its class."""
    asked, pair, both = few_asked(), Pair(one, two), sets(problems("chain", limit=8))
    fit, run = FitJob(one, asked), OutsideRunJob("format", one, asked, recipe_of("format")[0], Gold())
    found: tuple[Job, ...] = (
        SampleJob(one, asked, SAMPLED),
        ActivationsJob(one, asked, SAMPLED),
        SignsJob(one, both, 4),
        fit,
        DoseJob(one, fit),
        PrefixJob(one, asked, "x"),
        CompareJob(pair, asked),
        ContaminationJob(pair, both, 4),
        ProbesJob(pair, asked),
        SteerJob(pair, asked),
        PatchJob(pair, asked),
        LayersJob(pair, asked),
        WeightsJob(pair),
        CrossSampleJob(pair, asked),
        ForecastJob(one, asked),
        ExplainJob(pair, asked),
        ReadingJob(one, (SampleJob(one, asked, SAMPLED),), "resid.1"),
        FeaturesJob(pair, "resid.1", asked),
        FeatureDosesJob(pair, "resid.1", asked),
        ForeignFeaturesJob(pair, str(sae), asked),
        AdapterJob(pair, asked),
        run,
        OutsideCurveJob("mine", run, asked),
        PromptSteerJob(one, asked, replace(asked, text=Template(chat=False, system=None, text="{prompt}?"))),
    )
    return {type(job): job for job in found}


def below(*classes: type) -> set[type]:
    """All jobs of the package's experiments that derive from these, in whatever module they are."""
    for module in pkgutil.walk_packages(probe.experiments.__path__, "probe.experiments."):
        importlib.import_module(module.name)
    every = {each for one in classes for each in one.__subclasses__()}
    every |= below(*every) if every else set()
    return {each for each in every if each.__module__.startswith("probe.experiments.") and is_dataclass(each)}


def test_every_job_on_weights_from_outside_is_made_in_the_calling_process(tmp_path: Path) -> None:
    """Large weights once in memory, not once a worker; on organisms all of them may go to a pool."""
    one, two = (Checkpoint(f"seed{s}", Folder(save_tiny("llama", tmp_path / f"seed{s}", seed=s))) for s in (0, 1))
    base = Checkpoint("raw", OrganismJob("latent-code", "tiny", 0))
    saes = []
    for each in (one, base):
        W, d = torch.eye(width_of(each))[:, None], width_of(each)
        parts = (W.permute(1, 2, 0), torch.zeros(d), W, torch.zeros(1, d), torch.ones(1))
        saes.append(tmp_path / f"sae of {each.name}")
        saes[-1].mkdir()
        write_dictionary(Kept(Dictionary(Site("resid", 1), ("before",), ReLU(), *parts)), saes[-1])
    outside, here = jobs_on(one, two, saes[0]), jobs_on(base, base, saes[1])
    assert below(CheckpointJob, PairExperiment) == set(outside)
    others = below(Experiment) - set(outside)
    assert {kind.__module__.split(".")[2] for kind in others} == set(NO_WEIGHTS)
    assert all(job.in_process for job in outside.values())
    assert not any(job.in_process for job in here.values())
    for side in ((one, base), (base, one), (base, base, one)):
        assert PatchJob(Pair(*side), few_asked()).in_process  # one of them is enough


# Experiments on texts, and on what is made here
NO_WEIGHTS = (
    *("antithetic", "built_in", "cues", "elicitation_scale", "explain", "forecast", "fork_clips", "published_outputs"),
    *("response_law", "reward_audit", "rl_runs", "variants", "weight_path"),
)


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.done: list[Job] = []
        self.parts: list[tuple[int, int, str]] = []

    def on_done(self, job: Job) -> None:
        self.done.append(job)

    def on_part(self, done: int, of: int, unit: str) -> None:
        self.parts.append((done, of, unit))


def test_progress_of_what_is_made_in_this_process_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight workers are asked for and none is started: the listener hears every part of the responses that it needs."""
    monkeypatch.setattr("probe.engine.executor.Pool", lambda size: pytest.fail("a pool was started"))
    one = Checkpoint("m", Folder(save_tiny("llama", tmp_path / "m")))
    asked, options = few_asked(PART + 4), SamplingOptions(samples=2, max_new=4)
    target, heard = ActivationsJob(one, asked, options, ("resid.1",)), Heard()
    make([target], Store(tmp_path / "s"), workers=8, listener=heard)
    assert heard.done == [target.responses, target]
    every = 2 * (PART + 4)
    assert heard.parts[:2] == [(2 * PART, every, "responses"), (every, every, "responses")]


def test_patching_weights_from_outside_happens_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.engine.executor.Pool", lambda size: pytest.fail("a pool was started"))
    monkeypatch.setattr("probe.engine.executor.START", 0.0)  # so that nothing is too quick for a pool
    pair = Pair(*(Checkpoint(f"s{s}", Folder(save_tiny("llama", tmp_path / f"s{s}", seed=s))) for s in (0, 1)))
    job = PatchJob(pair, few_asked(2), kinds=("resid",), positions=(-1,), draws=1, openings=Openings(("a",), ("b",)))
    heard, store = Heard(), Store(tmp_path / "s")
    make([job], store, workers=8, listener=heard)
    assert heard.done == [job]
    assert {"lens/fork", "patch/recovery"} <= set(store.get(job.recipe).read_table()["name"].to_pylist())
