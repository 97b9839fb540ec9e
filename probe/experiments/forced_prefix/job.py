"""What changes when the first words are put into the model's mouth? (2506.10947: "Let's solve this using Python.")

    the same checkpoint, problems and draws: responses without the prefix -> responses with it; study "prefix"

If a strategy is what RL changed, forcing that strategy on the base should give much of the gain: published for
Qwen2.5-Math-7B 49.4 -> 64.4, and the opposite where code is the worse strategy (Qwen2.5-7B 41.6 -> 22.2). A response is
prefix + completion: graded, and its strategy detected, on the whole. Pairs are by problem and sample, null 0.
Words that a vocabulary cannot spell would reach the model as something else: they are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from probe.checkpoints.checkpoint import Checkpoint
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments import experiments
from probe.experiments.experiment import CheckpointJob, Experiment
from probe.experiments.measuring import measure_pair
from probe.experiments.responses import SampleJob, responses_of
from probe.measurements import Rows
from probe.measures import PairData
from probe.models.loading.organism import build_tokenizer
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.store import Store
from probe.tasks.corpus import CODE_FIRST

MEASURED = ("accuracy", "code_share", "parse_rate", "within_strategy")
PYTHON = "Let's solve this using Python."


@experiments.register("prefix")
@dataclass(frozen=True)
class PrefixJob(CheckpointJob, Experiment):
    """One checkpoint without and with forced first words, sampled and greedy."""

    checkpoint: Checkpoint
    elicitation: Elicitation  # without the prefix
    prefix: str
    options: SamplingOptions = SAMPLED  # of what is not greedy
    compute: Compute = field(default=Compute(), compare=False)

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": "prefix", "name": self.checkpoint.name, "prefix": self.prefix}

    @property
    def label(self) -> str:
        return f"{self.checkpoint.name} forced prefix"

    @property
    def needs(self) -> tuple[Job, ...]:
        """Sampled without and with the prefix, then greedy."""
        forced = replace(self.elicitation, prefix=self.prefix)
        ways, asked = (self.options, self.options.greedy), (self.elicitation, forced)
        return tuple(SampleJob(self.checkpoint, each, way, self.compute) for way in ways for each in asked)

    def measure(self, store: Store) -> Rows:
        tables, rows = responses_of(store, self.needs), []
        for temperature, without, forced in ((self.options.temperature, *tables[:2]), (0.0, *tables[2:])):
            key = self.checkpoint.key("prefix", "prompt", reward="forced prefix", temperature=temperature)
            rows += measure_pair(key, PairData(without, forced, address=key.address), MEASURED)
        return rows


def prefix_for(checkpoint: Checkpoint, prefix: str | None) -> str:
    """The words to force: those given, else the opening of code. BadInput where an organism cannot spell them."""
    words = prefix if prefix is not None else PYTHON if checkpoint.is_outside else CODE_FIRST
    if not words:
        raise BadInput("no words to force", do=f"give --prefix, such as {PYTHON!r}")
    if checkpoint.organism is not None:
        tokenizer = build_tokenizer(checkpoint.organism.grammar)
        if tokenizer.decode(tokenizer(words)["input_ids"]) != words:
            do = f"give what organisms write: their code opens with {CODE_FIRST!r}"
            raise BadInput(f"the vocabulary of organisms cannot spell {words!r}", where=checkpoint.name, do=do)
    return words
