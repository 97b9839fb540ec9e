"""What does a base answer in the ways that are neither a temperature, first words nor RL? Answers as artifacts.

    CotJob       the surest of eight greedy paths (`probe.tokens.cot_decoding`): one answer a problem, greedy
    SteeredJob   c v added at the default site; v from prose to code (`steering.directions`), or a random direction as
                 long as it (the null); "all": every position of every forward, "fork": where v was fitted alone
    TaughtJob    the base after a few steps on one example (`one_example`)

c is chosen by accuracy at T = 1 among the coefficients of the dose-response, on the half of the problems that is not
told on: each half is answered under the coefficient that the other half chose. The null takes the same c. All leave
ROLLOUTS and RESPONSES as `SampleJob` does. Left out: weights from outside (BadInput), a dose for each problem.
"""

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import torch
from torch import Tensor

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.organism_job import VERSION, OrganismJob, load_organism
from probe.engine.job import Job
from probe.experiments.elicitation_scale.one_example import ExampleJob
from probe.experiments.responses import RESPONSES, ROLLOUTS
from probe.experiments.steering.directions import FIT, FitJob, chosen
from probe.experiments.steering.estimates import Doses
from probe.experiments.steering.job import DoseJob
from probe.interventions.steering import Where, best_dose, random_vectors, steering_edit
from probe.models.hooks.backends import backend
from probe.models.loading.loaded import Loaded, pad_id
from probe.models.sampling.organism_sampler import Samples
from probe.models.sampling.padding import right_padded
from probe.rl.train import load_overlay
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SamplingOptions
from probe.rollouts.respond import Responses, graded, respond, texts_of
from probe.rollouts.samplers import edited_sampler, organism_sampler
from probe.store import Recipe, Store, write_table
from probe.tokens.cot_decoding import BRANCHES, cot_paths, surest
from probe.tokens.score import score

COEFFICIENTS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)  # distances between prose and code
DOSE_SAMPLES = 2  # a problem and coefficient


@dataclass(frozen=True)
class CotJob(Job):
    """CoT decoding of one organism; `options` are greedy."""

    TYPICAL: ClassVar = {"tiny": 3.0, "mini": 5.0, "mini-qwen2": 5.0, "small": 15.0}
    organism: OrganismJob
    elicitation: Elicitation
    options: SamplingOptions

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"branches": BRANCHES} | self.options.spec() | self.elicitation.spec()
        return Recipe("cot", VERSION, params, (self.organism.recipe.digest,))

    @property
    def label(self) -> str:
        return f"{self.organism.label} CoT decoding"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.organism,)

    def make(self, store: Store, work: Path) -> None:
        loaded, problems = load_organism(store, self.organism), tuple(self.elicitation.problems.problems)
        prompts, _ = self.elicitation.prompts(loaded.tokenizer, problems)
        paths = cot_paths(loaded, organism_sampler(loaded), prompts, max_new=self.options.max_new)
        picked = [surest(each) for each in paths]
        samples = _samples(loaded, prompts, [path.ids for path in picked], [path.stopped for path in picked])
        texts = texts_of(loaded, samples, self.elicitation.prefix)
        found = Responses(problems, prompts, self.options, samples, texts)
        _write(work, found.rollouts(self.label), self.elicitation)


@dataclass(frozen=True)
class SteeredJob(Job):
    """One organism steered, or moved as far in a random direction."""

    TYPICAL: ClassVar = {"tiny": 1.0, "mini": 1.5, "mini-qwen2": 1.5, "small": 6.0}
    organism: OrganismJob
    elicitation: Elicitation
    options: SamplingOptions
    where: Where = "all"
    random: bool = False

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"random": self.random, "where": self.where} | self.options.spec() | self.elicitation.spec()
        return Recipe("steered", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.organism.label} {'moved at random' if self.random else 'steered'} ({self.where})"

    @functools.cached_property
    def doses(self) -> DoseJob:
        """The dose-response that c is chosen by."""
        base, max_new = of_organism(self.organism), self.options.max_new
        fit = FitJob(base, self.elicitation, replace(FIT, max_new=max_new))
        options = SamplingOptions(samples=DOSE_SAMPLES, max_new=max_new)  # T = 1, whatever is told
        return DoseJob(base, fit, None, COEFFICIENTS, 1, self.where, options)

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.doses.fit, self.doses, self.organism)

    def make(self, store: Store, work: Path) -> None:
        loaded = load_organism(store, self.organism)
        own, compute = backend(self.doses.fit.backend, loaded), self.doses.compute
        direction, _ = chosen(store.get(self.doses.fit.recipe).read_table(), None)
        vector = direction.scale * direction.vector.float()
        vector = random_vectors(vector, 1, str(direction.site))[0] if self.random else vector
        doses, tables = Doses.read(store.get(self.doses.recipe).read_table()), []
        for part, c in cross_fitted(doses).items():
            told = {str(name) for name in doses.problems[doses.reported == part]}
            problems = [each for each in self.elicitation.problems.problems if each.id in told]
            edits = steering_edit(direction.site, vector, c, self.where)
            sample = edited_sampler(loaded, own, edits, compute)
            found = respond(loaded, self.elicitation, self.options, sample, problems)
            tables.append(found.rollouts(self.label))
        _write(work, pa.concat_tables(tables), self.elicitation)


@dataclass(frozen=True)
class TaughtJob(Job):
    """What an organism answers after its fine-tuning on one example."""

    TYPICAL: ClassVar = {"tiny": 1.0, "mini": 1.5, "mini-qwen2": 1.5, "small": 6.0}
    example: ExampleJob
    elicitation: Elicitation
    options: SamplingOptions

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = self.options.spec() | self.elicitation.spec()
        return Recipe("taught", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.example.label} responses"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.example, self.example.organism)

    def make(self, store: Store, work: Path) -> None:
        loaded = load_organism(store, self.example.organism)
        load_overlay(loaded.model, store.get(self.example.recipe).file(self.example.file))
        found = respond(loaded, self.elicitation, self.options, organism_sampler(loaded))
        _write(work, found.rollouts(self.label), self.elicitation)


def cross_fitted(doses: Doses) -> dict[bool, float]:
    """For each half of the problems (True: `doses.reported`), the coefficient that is best on the other half."""
    found = {}
    for part in (False, True):
        other = doses.reported != part
        means = {c: float(doses.added("accuracy", 0, c)[other].mean()) for c in doses.coefficients}
        found[part] = best_dose(means)
    return found


def _write(work: Path, rollouts: pa.Table, elicitation: Elicitation) -> None:
    problems = elicitation.problems.problems
    write_table(work / ROLLOUTS, rollouts)
    write_table(work / RESPONSES, graded(rollouts, problems, elicitation, step=0, forced=0))


def _samples(loaded: Loaded, prompts: list[list[int]], ids: list[list[int]], stopped: list[bool]) -> Samples:
    """Chosen texts as samples, with what the model makes of their tokens at T = 1."""
    scores, (padded, mask) = score(loaded.model, prompts, ids), right_padded(ids, pad_id(loaded))

    def block(values: object) -> Tensor:
        return torch.zeros(mask.shape).masked_scatter(mask.bool(), torch.as_tensor(values).float())

    return Samples(
        padded, mask.sum(1), torch.tensor(stopped), block(scores.logprob), block(scores.entropy), hidden=None
    )
