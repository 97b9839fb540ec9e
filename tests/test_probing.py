"""Probes of a small organism: what is read, matched and measured; killed and resumed; the command and its figures."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from probe.activations.shards import Activations
from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.cli import app
from probe.data import Strategy
from probe.engine.job import Job
from probe.engine.listener import Listener
from probe.errors import BadInput
from probe.experiments.activation_dataset import MOST, ActivationsJob, activation_dataset, text_of
from probe.experiments.probing.job import ProbesJob, same_question
from probe.experiments.result import run
from probe.measurements import COLUMNS, label
from probe.models.hooks.backends import MADE_IN
from probe.models.loading.load import Loaded, save_folder
from probe.plots import figures
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import Compute, SamplingOptions
from probe.store import Store
from probe.store.files import DIGESTS
from probe.tasks.benchmarks import problems

FOUR = SamplingOptions(samples=4, max_new=24)


@pytest.fixture(scope="module")
def folder(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("weights") / "organism"
    save_folder(organism, found)
    return found


@pytest.fixture(scope="module")
def asked() -> Elicitation:
    return Elicitation(problems("chain", limit=60))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def job(folder: Path, asked: Elicitation) -> ProbesJob:
    """A null pair: the same weights answer twice."""
    one = Checkpoint("organism", Folder(folder))
    return ProbesJob(Pair(one, one), asked, FOUR, ("resid.1", "resid.2"), 3)


@pytest.fixture(scope="module")
def rows(job: ProbesJob, store: Store) -> list[dict]:
    return list(run(job, store).rows)


def test_positions_of_a_rollout() -> None:
    row = {"problem": "p", "sample": 0, "prompt_ids": [5, 6, 7], "completion_ids": [1, 2, 3, 4]}
    assert text_of(row).positions == (2, 3, 4, 5)  # those that predict 1, 2, 3 and 4
    assert text_of(row).ids == (5, 6, 7, 1, 2, 3, 4)
    assert text_of(row | {"sample": 3}).positions == (5,)
    long = row | {"completion_ids": [1] * 500}
    places = text_of(long).positions
    assert text_of(long).positions == places
    assert MOST <= len(places) <= MOST + 2
    assert {2, 501} <= set(places)


def test_what_is_matched(job: ProbesJob, rows: list[dict], store: Store) -> None:
    read = job.activations[0]
    told = activation_dataset(store.get(read.recipe), store.get(read.responses.recipe))
    rollouts = store.get(read.responses.recipe).read_table("rollouts.parquet").to_pylist()
    graded = store.get(read.responses.recipe).read_table("responses.parquet").to_pylist()
    held = Activations(store.get(read.recipe).path).rows()
    assert len(told.keys) == 60 * 4
    for i, row in enumerate(rollouts):
        assert told.keys[i] == (row["problem"], row["sample"])
        assert held.problem[told.prompt[i]] == held.problem[told.end[i]] == row["problem"]
        assert held.pos[told.prompt[i]] == len(row["prompt_ids"]) - 1
        assert held.pos[told.end[i]] == len(row["prompt_ids"]) + len(row["completion_ids"]) - 2
    assert told.code.tolist() == [float(row["strategy"] == Strategy.code) for row in graded]
    tokens = sum(len(row["completion_ids"]) for row in rollouts if row["sample"] == 0)
    assert len(told.fork) == tokens
    assert told.fork.mean() == pytest.approx(0.2, abs=1 / tokens)
    examples = told.at_prompt("resid.2", told.code)
    first = examples.problem == rollouts[0]["problem"]
    assert np.ptp(examples.x[first], axis=0).max() == 0  # one residual for all responses to a question


def test_the_rows(rows: list[dict]) -> None:
    assert list(rows[0]) == list(COLUMNS)
    assert {row["study"] for row in rows} == {"inside"}
    assert {row["kind"] for row in rows} == {"null"}
    at = {(row["name"], row["side"], label(row)): row for row in rows}
    strategy = at["probe_auroc", "before", "strategy resid.2 logistic"]
    assert strategy["n"] == 240
    assert strategy["n_problems"] == 60
    fork = at["probe_auroc", "before", "fork resid.2 logistic"]
    assert fork["lo"] > at["probe_control", "before", "fork resid.2 logistic"]["hi"]
    assert ("probe_auroc", "after", "base-strategy resid.1 difference") in at
    assert at["direction_cosine", "across", "base resid.2"]["value"] == pytest.approx(1)  # one set of weights
    assert at["projection", "change", "base resid.2 all"]["value"] == 0
    assert at["direction_cosine", "across", "own resid.2"]["p"] > 0.02


def test_a_question_tells_what_its_other_answers_do(job: ProbesJob, rows: list[dict], store: Store) -> None:
    read = job.activations[0]
    told = activation_dataset(store.get(read.recipe), store.get(read.responses.recipe))
    always = np.array([float(int(problem[-2]) % 2) if problem[-2].isdigit() else 0.0 for problem in told.problem])
    by_problem = dict.fromkeys(told.problem.tolist())
    decided = np.array([float(list(by_problem).index(problem) % 2) for problem in told.problem])
    assert same_question(decided, told, {}).value == 1
    assert always.shape == decided.shape
    coin = np.tile([0.0, 0, 1, 1], 60)  # every question the same half: nothing to be told
    assert same_question(coin, told, {}).value == pytest.approx(0.5)


def test_made_once_and_the_same_again(job: ProbesJob, rows: list[dict], store: Store, tmp_path: Path) -> None:
    made: list[Job] = []
    listener = Listener()
    listener.on_done = made.append  # type: ignore[method-assign]
    assert run(job, store, listener=listener).rows == rows
    assert made == []
    read = job.activations[0]
    whole = {p.name: p.read_bytes() for p in store.get(read.recipe).path.iterdir() if p.name != "spec.json"}
    for file in list(whole)[:2]:  # some of it is there already, as after a kill
        (tmp_path / file).write_bytes(whole[file])
    read.make(store, tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if not p.match(DIGESTS)} == whole


def test_identity(job: ProbesJob, asked: Elicitation, folder: Path) -> None:
    base = job.pair.before
    assert job.pair.is_null
    assert [read.options.seed for read in job.activations] == [0, 1]
    assert replace(job, pair=Pair(base)).recipe.digest != job.recipe.digest
    one, other = (ActivationsJob(base, asked, FOUR, sites=s) for s in ((), ("resid.1",)))
    assert one.recipe.digest != other.recipe.digest
    assert ActivationsJob(base, asked, FOUR, compute=Compute(7)).recipe.digest == one.recipe.digest


def test_bad_input(job: ProbesJob, asked: Elicitation, store: Store) -> None:
    for wrong in ({"samples": 1}, {"temperature": 0.0}):
        with pytest.raises(BadInput, match="one answer"):
            ProbesJob(Pair(job.pair.before), asked, replace(FOUR, **wrong))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"no resid\.7"):
        run(ProbesJob(Pair(job.pair.before), asked, FOUR, ("resid.7",)), store)


def test_figures_draw_what_they_say(rows: list[dict]) -> None:
    probed, turned = figures.get("probe_accuracy")(rows), figures.get("direction_shift")(rows)
    assert probed is not None
    assert turned is not None
    marks = {row["mark"] for row in probed.table}
    assert marks == {"probe", "null", "same question"}
    assert all(row["value"] is not None for row in (*probed.table, *turned.table))
    assert {row["side"] for row in turned.table if row["mark"] == "null"} <= {
        "traded",
        "halves before",
        "halves across",
    }
    assert figures.get("probe_accuracy")([]) is None
    assert figures.get("direction_shift")([row for row in rows if row["name"].startswith("probe")]) is None


def test_the_command(folder: Path, store: Store, tmp_path: Path) -> None:
    asked = ["probes", str(folder), "--limit", "60", "--max-new", "24", "--samples", "4", "--sites", "resid.2"]
    asked += ["--draws", "2", "--store", str(store.root), "--figures", str(tmp_path)]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0, told.output
    assert "strategy is read best at resid.2" in told.output or "too few responses" in told.output
    assert (tmp_path / "probe_accuracy.png").is_file()
    wrong = CliRunner().invoke(app, ["probes", str(folder), "--sites", "residual.2"])
    assert wrong.exit_code == 2


def test_activations_are_the_same_on_every_backend(folder: Path, asked: Elicitation, store: Store) -> None:
    one, read = Checkpoint("organism", Folder(folder)), {}
    for name in MADE_IN:
        job = ActivationsJob(
            one, asked, replace(FOUR, samples=2), sites=("resid.1", "attn.0", "head.1.0"), backend=name
        )
        for each in (job.responses, job):
            store.build(each.recipe, functools.partial(each.make, store))
        read[name] = Activations(store.get(job.recipe).path), job
    assert "backend" not in read["hooks"][1].recipe.params
    assert len({job.recipe.digest for _, job in read.values()}) == len(MADE_IN)
    truth = read["hooks"][0]
    for held, job in read.values():
        for where in job.sites:
            torch.testing.assert_close(held.read(where).values, truth.read(where).values, atol=1e-4, rtol=1e-4)
