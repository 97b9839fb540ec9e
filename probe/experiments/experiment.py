"""What is an experiment? A job that leaves rows of the measurement table, and the figures that those rows draw.

A new one is a folder with a frozen dataclass that says what it needs (`needs`), what tells it from others (`params`)
and which estimates it leaves (`measure`); running, resuming, `--dry`, progress and reading back are shared (`result`).
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.pair import Pair
from probe.engine.job import Job
from probe.experiments.budget import Work
from probe.measurements import VERSION as COLUMNS_VERSION
from probe.measurements import Rows, to_table
from probe.store import Recipe, Store, write_table


class CheckpointJob(Job):
    """A job on one checkpoint: weights from outside are worked on in the calling process."""

    checkpoint: Checkpoint

    @property
    def needs(self) -> tuple[Job, ...]:
        return self.checkpoint.needs

    @property
    def in_process(self) -> bool:
        return self.checkpoint.is_outside


class Experiment(Job):
    """A job whose artifact is a measurement table (`probe.measurements`)."""

    FIGURES: ClassVar[tuple[str, ...]] = ()  # that its rows draw
    VERSION: ClassVar[int] = 1  # count up when a change of code changes numbers

    @property
    def params(self) -> Mapping[str, Any]:
        """What tells it from other experiments, beside its inputs."""
        raise NotImplementedError

    @property
    def inputs(self) -> tuple[str, ...]:
        """What it is made from: the digests of what it needs."""
        return tuple(job.recipe.digest for job in self.needs)

    @functools.cached_property
    def recipe(self) -> Recipe:
        return Recipe("measurements", self.VERSION, {**self.params, "columns": COLUMNS_VERSION}, self.inputs)

    def measure(self, store: Store) -> Rows:
        """Its rows; everything in `needs` is in the store."""
        raise NotImplementedError

    def make(self, store: Store, work: Path) -> None:
        write_table(work / "data.parquet", to_table(self.measure(store)))


class PairExperiment(Experiment):
    """An experiment on a pair: weights from outside are worked on in the calling process."""

    pair: Pair

    @property
    def in_process(self) -> bool:
        return self.pair.is_outside


class WeightsExperiment(PairExperiment):
    """An experiment that reads the weights of both sides: no responses stand between them and its rows."""

    def __post_init__(self) -> None:
        assert self.pair.trained  # a base alone is refused before anything is loaded

    @property
    def needs(self) -> tuple[Job, ...]:
        return self.pair.needs

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.pair.inputs

    @property
    def work(self) -> tuple[Work, ...]:
        """All checkpoints are there at once; what is read or sampled beside that, the experiment says."""
        return tuple(Work(each) for each in self.pair.checkpoints)
