"""What is different between two checkpoints? Both answer the same problems, sampled and greedy; every measure.

    responses (before, after) x (sampled, greedy) -> tokens: the after text under both -> measurements, study "compare"
    the base, greedy, under other prompts         -> what a better prompt gives without RL (`prompts`)

Draws are shared, so samples pair up. A checkpoint against itself is the null pair: the same weights sampled with other
draws (greedy, it is compared with its own text).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pyarrow as pa

from probe.checkpoints.pair import Pair
from probe.engine.job import Job
from probe.experiments import experiments
from probe.experiments.budget import PROMPT, Work
from probe.experiments.compare.prompts import prompt_rows
from probe.experiments.experiment import PairExperiment
from probe.experiments.measuring import measure_pair
from probe.experiments.responses import ROLLOUTS, SampleJob, responses_of
from probe.experiments.rl_runs.tokens import SCORED
from probe.measurements import Rows
from probe.measures import PairData
from probe.models.loading.entries import Template
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.store import Store
from probe.tokens.score import kl, score
from probe.tokens.table import ids_of, token_table

STUDY = "compare"


@experiments.register("compare")
@dataclass(frozen=True)
class CompareJob(PairExperiment):
    """Every measure of one pair of checkpoints."""

    VERSION: ClassVar = 4  # 4: the parse part of a gain is that of each strategy
    pair: Pair
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = SAMPLED  # of what is not greedy
    prompts: tuple[tuple[str, Template], ...] = ()  # that the base is tried under, besides its own
    compute: Compute = field(default=Compute(), compare=False)

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": STUDY, "prompts": [name for name, _ in self.prompts]} | self.pair.spec

    @property
    def label(self) -> str:
        return f"{self.pair.label} measured"

    @property
    def sampled(self) -> tuple[Job, ...]:
        """Before and after, sampled; both greedy; then the base, greedy, under each other prompt."""
        before, after = self.pair.before, self.pair.trained
        again = replace(self.options, seed=self.options.seed + int(self.pair.is_null))
        greedy, asked, compute = self.options.greedy, self.elicitation, self.compute
        tried = (replace(asked, template=name, text=text) for name, text in self.prompts)
        return (
            SampleJob(before, asked, self.options, compute),
            SampleJob(after, asked, again, compute),
            SampleJob(before, asked, greedy, compute),
            SampleJob(after, asked, greedy, compute),
            *(SampleJob(before, other, greedy, compute) for other in tried),
        )

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.sampled, *self.pair.needs)

    @property
    def work(self) -> tuple[Work, ...]:
        """The scored responses go through each checkpoint twice: scores, then KL."""
        tokens = len(self.elicitation.problems.problems) * SCORED * (PROMPT + self.options.max_new)
        return tuple(Work(each, read=2 * tokens) for each in self.pair.sides.values())

    def measure(self, store: Store) -> Rows:
        before, after, greedy_before, greedy_after, *others = responses_of(store, self.sampled)
        key, greedy = (self.pair.key(STUDY, each.temperature) for each in (self.options, self.options.greedy))
        rows = measure_pair(key, self._scored(store, PairData(before, after, address=key.address)))
        rows += measure_pair(greedy, PairData(greedy_before, greedy_after, address=greedy.address))
        if self.prompts:
            names = [self.elicitation.template, *(name for name, _ in self.prompts)]
            tried = dict(zip(names, [greedy_before, *others], strict=True))
            rows += prompt_rows(greedy, tried, greedy_after)
        return rows

    def _scored(self, store: Store, data: PairData) -> PairData:
        """With the after text scored under both checkpoints."""
        before, after = self.pair.load(store)
        rollouts = store.get(self.sampled[1].recipe).read_table(ROLLOUTS).to_pylist()
        rows = [row for row in rollouts if row["sample"] < SCORED]
        prompts, completions = ids_of(rows)
        at: dict[str, Any] = {"temperature": self.options.temperature}
        name, loaded = self.pair.trained.name, (before, after)
        tables = [
            token_table(rows, score(each.model, prompts, completions, **at), name, scorer.name, each)
            for scorer, each in zip((self.pair.before, self.pair.trained), loaded, strict=True)
        ]
        divergence = pa.array(kl(before.model, after.model, prompts, completions, **at), pa.float32())
        return replace(data, tokens_before=tables[0], tokens_after=tables[1], kl=divergence)
