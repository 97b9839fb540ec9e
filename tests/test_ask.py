"""One way to ask: every sampler draws the same tokens for the same request, and what is graded is the same.

Before, steering asked and graded on a path of its own, which left a forced prefix out of the text that it graded.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
import torch

from probe.checkpoints.checkpoint import Checkpoint, of_organism
from probe.checkpoints.organism_job import OrganismJob
from probe.engine.executor import make
from probe.experiments.responses import RESPONSES, ROLLOUTS, SampleJob
from probe.experiments.steering.directions import FitJob
from probe.experiments.steering.job import DoseJob
from probe.interventions.steering import Scores, answer, steer
from probe.models.hooks.backends import backend
from probe.models.hooks.sites import Site
from probe.models.loading.load import Loaded, save_folder
from probe.rng import torch_rng
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.rollouts.respond import Request, respond
from probe.rollouts.samplers import edited_sampler, organism_sampler, transformers_sampler
from probe.store import Store
from probe.tasks.benchmarks import problems
from probe.tasks.corpus import CODE_FIRST

JOB = OrganismJob("latent-code", "tiny", 0)
FEW = replace(CHAIN, problems=problems("chain", limit=16))
LAST = Site("resid", 2)


@pytest.fixture(scope="module")
def store(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    held.build(JOB.recipe, lambda work: save_folder(organism, work))
    return held


def request(elicitation: Elicitation, options: SamplingOptions) -> Request:
    return Request(tuple(elicitation.problems.problems), elicitation, options)


def graded(store: Store, checkpoint: Checkpoint, asked: Elicitation, options: SamplingOptions) -> dict[str, Any]:
    """What the study's own job leaves: accuracy, code share and whether it parses, by problem and sample."""
    job = SampleJob(checkpoint, asked, options)
    make([job], store, workers=1)
    table = store.get(job.recipe).read_table(RESPONSES)
    assert table["problem"].to_pylist() == [p.id for p in asked.problems.problems for _ in range(options.samples)]
    assert table["sample"].to_pylist() == list(range(options.samples)) * len(asked.problems.problems)
    shape = len(asked.problems.problems), options.samples
    columns = {
        "accuracy": pc.equal(table["outcome"], "right"),
        "code_share": pc.equal(table["strategy"], "code"),
        "parse_rate": pc.is_valid(table["boxed"]),
    }
    return {name: column.to_numpy().reshape(shape) for name, column in columns.items()}


def said(scores: Scores, expected: dict[str, Any]) -> None:
    for name, values in expected.items():
        assert np.array_equal(getattr(scores, name), values), name


def test_coefficient_0_is_what_the_study_samples(organism: Loaded, store: Store) -> None:
    """All of the study's problems and samples, through transformers' own forward and through the organisms' sampler."""
    studied = graded(store, of_organism(JOB), CHAIN, SAMPLED)
    v = torch.randn(48, generator=torch_rng("any"))
    asked = Request(tuple(CHAIN.problems.problems), CHAIN, SAMPLED, Compute(512))
    said(steer(organism, asked, v, LAST, [0.0])[0.0], studied)
    shares = [float(studied[name].mean()) for name in ("accuracy", "code_share", "parse_rate")]
    assert all(0.02 < share < 1 for share in shares), shares  # there is something to differ in


@pytest.mark.parametrize("prefix", ["", CODE_FIRST, "Think:"], ids=["free", "code", "prose"])
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_without_edits_it_is_graded_as_the_study_does(
    organism: Loaded, store: Store, temperature: float, prefix: str
) -> None:
    """Also behind a forced prefix: graded is what the reader sees, the prefix and what follows it."""
    asked, options = replace(FEW, prefix=prefix), SamplingOptions(temperature, samples=3, seed=5)
    studied = graded(store, of_organism(JOB), asked, options)
    said(answer(organism, request(asked, options)), studied)
    if prefix == CODE_FIRST:
        assert studied["code_share"].mean() > 0.9


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_every_sampler_writes_the_same(organism: Loaded, temperature: float) -> None:
    options, compute = SamplingOptions(temperature, samples=3, seed=2), Compute(7)
    own = organism_sampler(organism)
    others = {
        "transformers": transformers_sampler(organism, compute),
        "edited": edited_sampler(organism, backend("hooks", organism), [], compute),
    }
    truth = respond(organism, FEW, options, own)
    for name, sample in others.items():
        found = respond(organism, FEW, options, sample)
        assert found.texts == truth.texts, name
        rows, expected = found.rollouts("x").to_pydict(), truth.rollouts("x").to_pydict()
        for column in ("logprob", "entropy"):
            for one, other in zip(rows.pop(column), expected.pop(column), strict=True):
                assert one == pytest.approx(other, abs=1e-4), name
        assert rows == expected, name
    assert len(set(truth.texts)) > 4


def test_more_samples_of_other_problems_draw_the_same(organism: Loaded) -> None:
    """A draw is addressed by seed, problem and sample, not by how many there are, nor in which order."""
    sample, options = organism_sampler(organism), SamplingOptions(samples=4, seed=3)
    many = respond(organism, FEW, options, sample).rollouts("x").to_pylist()
    some = tuple(reversed(FEW.problems.problems[3:7]))
    few = respond(organism, FEW, replace(options, samples=2), sample, some).rollouts("x").to_pylist()
    at = {(row["problem"], row["sample"]): row["completion_ids"] for row in many}
    assert all(row["completion_ids"] == at[row["problem"], row["sample"]] for row in few)
    assert len(few) == 8
    again = respond(organism, FEW, replace(options, seed=4), sample).texts
    assert again != [row["text"] for row in many]


def test_a_dose_of_0_is_made_of_the_studys_responses(store: Store) -> None:
    """The artifacts themselves: the rows of coefficient 0 are the grades of the study's job, problem by problem."""
    mine = replace(problems("chain", limit=90), name="mine")  # a third of them is fitted on
    asked, twice = replace(CHAIN, problems=mine), SamplingOptions(samples=2)
    base = of_organism(JOB)
    doses = DoseJob(base, FitJob(base, asked), str(LAST), (0.0, 1.0), 1, options=twice)
    make([doses], store, workers=1)
    rows = [row for row in store.get(doses.recipe).read_table().to_pylist() if not row["coefficient"]]
    rows = [row for row in rows if row["edit"] == "add"]
    studied = graded(store, base, asked, twice)
    place = {p.id: number for number, p in enumerate(asked.problems.problems)}
    assert len(rows) > 90
    for row in rows:
        for name, values in studied.items():
            assert row[name] == values[place[row["problem"]], row["sample"]]


def test_ids_are_the_record(store: Store) -> None:
    """Responses are the rollouts, graded: the same texts, row by row."""
    job = SampleJob(of_organism(JOB), FEW, SAMPLED)
    make([job], store, workers=1)
    rollouts, responses = (store.get(job.recipe).read_table(name) for name in (ROLLOUTS, RESPONSES))
    for column in ("problem", "sample", "text", "stop", "temperature"):
        assert rollouts[column].to_pylist() == responses[column].to_pylist()
    assert [len(ids) for ids in rollouts["completion_ids"].to_pylist()] == responses["tokens"].to_pylist()
