"""What will RL under each reward change, before any RL? And is this checkpoint one that responds to spurious rewards?

    samples of the base x every reward -> advantages -> Price's equation (`probe.stats.price`) -> study "forecast"

ForecastJob       a checkpoint; an organism is asked the chains that its runs train on, and votes as its runs let it
                  (`VotesJob`); any other votes on its labels with the very samples, which favours the majority a bit
ForecastFileJob   responses in a file, no weights: two samples a problem or more (length and entropy are not known)

Samples as GRPO takes them: T = 1, groups of 16. Organisms are graded as their runs grade them, others by the grader.
Rows: `estimates`. Forecasts are first order and of one step, and beside them, of two batches, a mean field (`pace`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.organism_job import OrganismJob, training_problems
from probe.checkpoints.run_job import VotesJob
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments import experiments
from probe.experiments.experiment import CheckpointJob, Experiment
from probe.experiments.forecast.estimates import forecast_rows
from probe.experiments.forecast.samples import samples_of
from probe.experiments.forecast.treatments import SEEDS, Known, treatments
from probe.experiments.published_outputs.files import read_answers, system_name
from probe.experiments.published_outputs.job import ImportJob
from probe.experiments.published_outputs.labels import choose_labels
from probe.experiments.responses import RESPONSES, ROLLOUTS, SampleJob
from probe.measurements import RowKey, Rows
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.store import Store
from probe.tasks.benchmarks import ProblemSet
from probe.tasks.corpus import family
from probe.tasks.extractors import Extract
from probe.tasks.grading import Grader

STUDY, GROUP = "forecast", 16  # samples a problem, as in GRPO
AS_TRAINED = replace(SAMPLED, samples=GROUP)


@experiments.register("forecast")
@dataclass(frozen=True)
class ForecastJob(CheckpointJob, Experiment):
    """Every reward's first change of every trait, from samples of one checkpoint."""

    FIGURES: ClassVar = ("forecast",)
    VERSION: ClassVar = 2  # 2: the mean field
    checkpoint: Checkpoint
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = AS_TRAINED
    compute: Compute = field(default=Compute(), compare=False)

    def __post_init__(self) -> None:
        if self.options.samples < 2 or not self.options.temperature:
            what = f"{self.options.samples} samples at temperature {self.options.temperature:g} do not differ"
            raise BadInput(what, where="forecast", do="give two samples a problem or more, and a temperature above 0")

    @property
    def params(self) -> Mapping[str, Any]:
        return {
            "study": STUDY,
            "name": self.checkpoint.name,
            **_spec("" if self.organism else _version(self.elicitation.extract)),
        }

    @property
    def label(self) -> str:
        return f"{self.checkpoint.name} forecast"

    @property
    def organism(self) -> bool:
        """Whether answers are numbers that need no grader."""
        return not self.checkpoint.is_outside and self.elicitation.problems.name.startswith("chain")

    @property
    def samples(self) -> SampleJob:
        """What is read."""
        return SampleJob(self.checkpoint, self.elicitation, self.options, self.compute)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the labels."""
        return ()

    @property
    def needs(self) -> tuple[Job, ...]:
        source = self.checkpoint.source
        if not isinstance(source, OrganismJob):
            return (self.samples,)
        trains = set(self.elicitation.problems.problems) <= set(training_problems(source.family))
        return (self.samples, VotesJob(source)) if trains else (self.samples,)

    def measure(self, store: Store) -> Rows:
        made = store.get(self.samples.recipe)
        samples = samples_of(made.read_table(RESPONSES), made.read_table(ROLLOUTS))
        problems, votes = self.elicitation.problems.problems, samples.votes
        for job in self.needs[1:]:
            table = store.get(job.recipe).read_table()
            votes = dict(zip(table["problem"].to_pylist(), table["answers"].to_pylist(), strict=True))
        known = Known({p.id: p.prompt for p in problems}, {p.id: p.answer for p in problems}, votes)
        key = self.checkpoint.key(STUDY, "base", temperature=samples.temperature)
        if self.organism:
            return forecast_rows(key, samples, treatments(), known)
        with Grader(extract=self.elicitation.extract) as grader:
            return forecast_rows(key, samples, treatments(grader), known)


@dataclass(frozen=True)
class ForecastFileJob(Experiment):
    """The same of responses in a file."""

    FIGURES: ClassVar = ("forecast",)
    VERSION: ClassVar = 2  # 2: the mean field
    source: ImportJob

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": STUDY, "name": self.name, **_spec(_version(self.source.extract))}

    @property
    def name(self) -> str:
        """What the responses are called."""
        return system_name(self.source.paths[0])

    @property
    def label(self) -> str:
        return f"{self.name} forecast"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the labels."""
        return self.source.notes

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.source,)

    def measure(self, store: Store) -> Rows:
        samples = samples_of(store.get(self.source.recipe).read_table(RESPONSES))
        columns = read_answers(self.source.paths[0])
        golds = {
            p: answer for p, answer in zip(columns["problem"], columns["answer"], strict=True) if answer is not None
        }
        known = Known({name: name for name in samples.problems}, golds, samples.votes)
        key = RowKey(STUDY, "base", self.name, temperature=samples.temperature)
        with Grader(extract=self.source.extract) as grader:
            return forecast_rows(key, samples, treatments(grader), known)


def file_job(path: Path, extract: Extract = "boxed") -> ForecastFileJob:
    """The forecast from one file; published labels where it has them, ours otherwise. BadInput where there is none."""
    if not path.is_file():
        raise BadInput("no such file", where=str(path), do="give responses: probe import-rollouts makes such a file")
    labels = choose_labels([path], None)
    return ForecastFileJob(ImportJob((path,), labels.grading, extract, labels.notes))


def trained_on(checkpoint: Checkpoint, asked: Elicitation, limit: int | None = None) -> Elicitation:
    """The elicitation with, for an organism, the chains that runs train on in place of those that test them."""
    organism = checkpoint.organism
    if organism is None or asked.problems.name != organism.grammar.name:
        return asked
    grammar, pool = organism.grammar, training_problems(organism.family)
    pin = f"generated:{grammar.name} 1 n={len(pool)} split=train seed=0 modulus={grammar.modulus}"
    pin += f" family={organism.family}" if family(organism.family).cued else ""
    return replace(asked, problems=ProblemSet(f"{grammar.name}, train", pool[:limit], "synthetic", "generated", pin))


def _spec(grader: str) -> dict[str, Any]:
    """Which rewards there are is part of what a forecast is."""
    return {"rewards": [each.spec for each in treatments()], "seeds": SEEDS, "grader": grader}


def _version(extract: Extract) -> str:
    with Grader(extract=extract) as grader:
        return grader.version
