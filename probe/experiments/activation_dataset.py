"""What stands in a checkpoint while it answers, and what is to be read off it: activations and labels, row by row.

Rows are (problem, sample, position), at the positions of `positions`; ids are those of the rollouts, never text that is
tokenised again. Labels: did the response write code, was it right, and was the token a fork: among the top 20 % by
entropy of what was read of this checkpoint (`probe.tokens.forks`).
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from probe.activations.collect import collect
from probe.activations.linear import Examples
from probe.activations.shards import Activations
from probe.checkpoints.checkpoint import Checkpoint
from probe.data import Outcome, Strategy
from probe.engine.job import Job
from probe.experiments.budget import PROMPT, Work
from probe.experiments.experiment import CheckpointJob
from probe.experiments.positions import MOST, text_of, tokens_read
from probe.experiments.responses import SampleJob
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.backends import backend
from probe.models.hooks.sites import Site, site
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import Compute, SamplingOptions
from probe.store import Artifact, Recipe, Store
from probe.tokens.forks import forks

VERSION = 1
Key = tuple[str, int]  # problem, sample


@dataclass(frozen=True)
class ActivationsJob(CheckpointJob):
    """What one checkpoint holds while it answers."""

    checkpoint: Checkpoint
    elicitation: Elicitation
    options: SamplingOptions
    sites: tuple[str, ...] = ()  # none: every residual
    backend: str = "hooks"  # what reads; any other is part of what the activations are made from
    compute: Compute = field(default=Compute(), compare=False)

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = self.checkpoint.spec | {"sites": list(self.sites), "most": MOST}
        params |= {} if self.backend == "hooks" else {"backend": self.backend}
        return Recipe("activations", VERSION, params, (self.responses.recipe.digest, *self.checkpoint.inputs))

    @property
    def label(self) -> str:
        return f"{self.checkpoint.name} activations"

    @property
    def responses(self) -> SampleJob:
        """The responses during which it is read."""
        return SampleJob(self.checkpoint, self.elicitation, self.options, self.compute)

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.responses, *self.checkpoint.needs)

    @property
    def work(self) -> tuple[Work, ...]:
        """Every response is read once."""
        rows = len(self.elicitation.problems.problems) * self.options.samples
        return (Work(self.checkpoint, read=rows * (PROMPT + self.options.max_new)),)

    def make(self, store: Store, work: Path) -> None:
        loaded = self.checkpoint.load(store)
        every = tuple(f"resid.{i}" for i in range(len(anatomy(loaded.model).blocks) + 1))
        sites: list[Site] = [site(name) for name in self.sites or every]
        rollouts = store.get(self.responses.recipe).read_table("rollouts.parquet").to_pylist()
        texts = (text_of(row) for row in rollouts)
        reads = backend(self.backend, loaded).read
        collect(loaded.model, texts, sites, work, identity=self.recipe.digest, reads=reads, batch=self.compute.batch)


@dataclass(frozen=True, eq=False)
class ActivationDataset:
    """A checkpoint's activations and what it wrote, matched: row numbers of the activations, and labels."""

    held: Activations
    problem: np.ndarray  # of every response
    keys: tuple[Key, ...]  # its problem and sample
    prompt: Int[np.ndarray, "response"]
    end: Int[np.ndarray, "response"]
    code: Float[np.ndarray, "response"]
    right: Float[np.ndarray, "response"]
    token: Int[np.ndarray, "token"]
    fork: Float[np.ndarray, "token"]

    def at_prompt(self, where: str, labels: Float[np.ndarray, "response"]) -> Examples:
        """One row a response: the last residual of its question, the same for all responses to one."""
        return self._examples(where, self.prompt, labels)

    def at_end(self, where: str, labels: Float[np.ndarray, "response"]) -> Examples:
        """One row a response: where it is about to end."""
        return self._examples(where, self.end, labels)

    def at_tokens(self, where: str) -> Examples:
        """One row a token of the first responses: is it a fork?"""
        return self._examples(where, self.token, self.fork)

    def _examples(self, where: str, rows: Int[np.ndarray, "row"], labels: Float[np.ndarray, "row"]) -> Examples:
        distinct, back = np.unique(rows, return_inverse=True)
        batch = self.held.read(where, distinct)
        return Examples(batch.values.double().numpy()[back], labels, batch.rows.problem[back])


def activation_dataset(activations: Artifact, responses: Artifact) -> ActivationDataset:
    """The rows of both artifacts, matched by problem, sample and position."""
    held = Activations(activations.path)
    rows = held.rows()
    columns = (rows.problem.tolist(), rows.sample.tolist(), rows.pos.tolist())
    at = {row: number for number, row in enumerate(zip(*columns, strict=True))}
    rollouts = responses.read_table("rollouts.parquet").to_pylist()
    graded = {(row["problem"], row["sample"]): row for row in responses.read_table("responses.parquet").to_pylist()}
    keys = tuple((row["problem"], row["sample"]) for row in rollouts)
    lasts = [len(row["prompt_ids"]) - 1 for row in rollouts]
    ends = [last + len(row["completion_ids"]) - 1 for last, row in zip(lasts, rollouts, strict=True)]
    token, entropy = _tokens(rollouts, lasts, at)
    return ActivationDataset(
        held=held,
        problem=np.array([problem for problem, _ in keys]),
        keys=keys,
        prompt=np.array([at[problem, 0, last] for (problem, _), last in zip(keys, lasts, strict=True)]),
        end=np.array([at[(*key, end)] for key, end in zip(keys, ends, strict=True)]),
        code=np.array([float(graded[key]["strategy"] == Strategy.code) for key in keys]),
        right=np.array([float(graded[key]["outcome"] == Outcome.right) for key in keys]),
        token=token,
        fork=forks(entropy).astype(float),
    )


def _tokens(
    rollouts: Sequence[dict[str, Any]], lasts: Sequence[int], at: dict[tuple[str, int, int], int]
) -> tuple[Int[np.ndarray, "token"], Float[np.ndarray, "token"]]:
    """Row number and entropy (nats) of every token read of the first responses."""
    found = [
        (at[row["problem"], 0, last + t], row["entropy"][t])
        for row, last in zip(rollouts, lasts, strict=True)
        if row["sample"] == 0
        for t in sorted(tokens_read(len(row["completion_ids"]), row["problem"]))
    ]
    return np.array([number for number, _ in found]), np.array([value for _, value in found])
