"""Why did accuracy change between two checkpoints? The rival explanations, on one footing.

    before, after; the base again (null) and at other temperatures (H2); both on fresh problems (H3) and under other
    prompts (H4); all sampled. Before and after, greedy         -> measurements, study "explain"

Problems that cannot have leaked are drawn here for chains; for others they are given (`fresh`). Strategy, parse rate
and pass@k (H1, H4, H6) are read off the same answers, labels (H5) off the run. Greedy, nothing is colder than the base:
there sharpening explains nothing. The rule of the verdict: `probe.stats.accounting.verdict`.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pyarrow as pa

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.pair import Pair
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments import experiments
from probe.experiments.contamination.problem_sets import sets
from probe.experiments.experiment import PairExperiment
from probe.experiments.explain.evidence import arm_of
from probe.experiments.explain.labels import label_finding
from probe.experiments.explain.verdict_rows import verdict_rows
from probe.experiments.responses import RESPONSES, ROLLOUTS, SampleJob
from probe.grammar import GRAMMARS
from probe.measurements import Rows
from probe.models.loading.entries import Template
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.stats.accounting.account import Answers, Evidence
from probe.stats.accounting.arms import Arm
from probe.store import Store
from probe.tasks.benchmarks import ProblemSet

STUDY = "explain"
LADDER = (1.4, 1.2, 0.8, 0.6, 0.4, 0.0)  # temperatures the base is tried at, over that of the comparison
Prompts = tuple[tuple[str, Template], ...]


@dataclass(frozen=True)
class Sides:
    """The jobs of one set of problems: before, after, and the base at other temperatures, falling."""

    before: SampleJob
    after: SampleJob
    hotter: tuple[SampleJob, ...] = ()
    colder: tuple[SampleJob, ...] = ()

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All of them."""
        return (self.before, self.after, *self.hotter, *self.colder)


@experiments.register("explain")
@dataclass(frozen=True)
class ExplainJob(PairExperiment):
    """The verdict over rival explanations of one pair's change in accuracy."""

    FIGURES: ClassVar = ("verdict",)
    VERSION: ClassVar = 3  # 2: ceilings of what an explanation accounts for; 3: a move at the base's accuracies
    pair: Pair
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = SAMPLED
    prompts: Prompts | None = ()  # that both are tried under; None: not tried, though there may be others
    fresh: ProblemSet | None = None  # that cannot have leaked [chains: drawn afresh]
    ladder: tuple[float, ...] = LADDER
    compute: Compute = field(default=Compute(), compare=False)

    def __post_init__(self) -> None:
        if not self.options.temperature:
            do = "give a temperature above 0: both are also compared greedy"
            raise BadInput("greedy answers alone explain little", where="explain", do=do)

    @property
    def params(self) -> Mapping[str, Any]:
        tried = None if self.prompts is None else [name for name, _ in self.prompts]
        return {"study": STUDY, "prompts": tried, "ladder": list(self.ladder)} | self.pair.spec

    @property
    def label(self) -> str:
        return f"{self.pair.label} explained"

    @functools.cached_property
    def unleaked(self) -> ProblemSet | None:
        """The fresh problems, where there are any."""
        if self.fresh is not None:
            return self.fresh
        return sets(self.elicitation.problems).control if self.elicitation.problems.name in GRAMMARS else None

    @property
    def asked(self) -> Sides:
        """Of the problems in question."""
        return self._sides(self.elicitation)

    @property
    def afresh(self) -> Sides | None:
        """Of the fresh ones."""
        return None if self.unleaked is None else self._sides(replace(self.elicitation, problems=self.unleaked))

    @property
    def again(self) -> SampleJob:
        """The base once more."""
        return self._sample(self.pair.before, seed=self.options.seed + 2)

    @property
    def tried(self) -> tuple[Sides, ...]:
        """Both under each other prompt."""
        asked = (replace(self.elicitation, template=name, text=text) for name, text in self.prompts or ())
        return tuple(Sides(*self._both(each)) for each in asked)

    @property
    def greedy(self) -> Sides:
        """Both, greedy."""
        return Sides(self._sample(self.pair.before, greedy=True), self._sample(self.pair.trained, greedy=True))

    @property
    def needs(self) -> tuple[Job, ...]:
        groups = (self.asked, self.greedy, *([self.afresh] if self.afresh else []), *self.tried)
        jobs = [job for group in groups for job in group.jobs]
        return (*dict.fromkeys([*jobs, self.again]), *self.pair.needs)

    def measure(self, store: Store) -> Rows:
        asked, greedy = _answers(store, self.asked), _answers(store, self.greedy)
        tried = tuple((_arm(store, each.before), _arm(store, each.after)) for each in self.tried)
        known = None if self.prompts is None else tried
        fresh = _answers(store, self.afresh) if self.afresh else None
        warm = Evidence(asked, fresh, known, _arm(store, self.again))
        cold = Evidence(greedy, tried=() if self.prompts == () else None)
        labels, rows = label_finding(self.pair), []
        for evidence, sides in ((warm, self.asked), (cold, self.greedy)):
            key = self.pair.key(STUDY, sides.before.options.temperature)
            tables = (_responses(store, sides.before), _responses(store, sides.after))
            rows += verdict_rows(key, evidence, tables, labels)
        return rows

    def _sides(self, asked: Elicitation) -> Sides:
        own = self.options.temperature
        steps = sorted(self.ladder, reverse=True)
        hotter, colder = ([t for t in steps if t > own], [t for t in steps if t < own])
        rungs = [tuple(self._rung(asked, t) for t in some) for some in (hotter, colder)]
        before, after = self._both(asked)
        return Sides(before, after, *rungs)

    def _both(self, asked: Elicitation) -> tuple[SampleJob, SampleJob]:
        """Before and after; of a null pair the second is drawn anew."""
        seed = self.options.seed + int(self.pair.is_null)
        return self._sample(self.pair.before, asked), self._sample(self.pair.trained, asked, seed=seed)

    def _rung(self, asked: Elicitation, temperature: float) -> SampleJob:
        if not temperature:
            return self._sample(self.pair.before, asked, greedy=True)
        return self._sample(self.pair.before, asked, temperature=temperature)

    def _sample(
        self, which: Checkpoint, asked: Elicitation | None = None, greedy: bool = False, **changes: Any
    ) -> SampleJob:
        options = self.options.greedy if greedy else replace(self.options, **changes)
        return SampleJob(which, asked or self.elicitation, options, self.compute)


def _answers(store: Store, sides: Sides) -> Answers:
    """The arms; where a sampler gave no entropies there is no ladder."""
    before, after = _arm(store, sides.before), _arm(store, sides.after)
    hotter, colder = (tuple(_arm(store, job) for job in rungs) for rungs in (sides.hotter, sides.colder))
    sampled = [one for job, one in zip(sides.colder, colder, strict=True) if job.options.temperature]
    known = (
        all(one.nats is not None for one in (before, after, *hotter, *sampled)) or not sides.before.options.temperature
    )
    return Answers(before, after, colder, hotter) if known else Answers(before, after)


def _arm(store: Store, job: SampleJob) -> Arm:
    return arm_of(_responses(store, job), store.get(job.recipe).read_table(ROLLOUTS))


def _responses(store: Store, job: SampleJob) -> pa.Table:
    return store.get(job.recipe).read_table(RESPONSES)
