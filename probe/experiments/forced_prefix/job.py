"""What changes when the first words are put into the model's mouth? (2506.10947: "Let's solve this using Python.")

    the same checkpoint, problems and draws: responses without the prefix -> responses with it; study "prefix"

If a strategy is what RL changed, forcing that strategy on the base should give much of the gain: published for
Qwen2.5-Math-7B 49.4 -> 64.4, and the opposite where code is the worse strategy (Qwen2.5-7B 41.6 -> 22.2). A response is
prefix + completion: graded, and its strategy detected, on the whole. Pairs are by problem and sample, null 0.
Words that a vocabulary cannot spell would reach the model as something else: they are refused.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from probe.checkpoints.jobs import Job
from probe.checkpoints.resolve import Subject
from probe.engine.executor import make_all
from probe.engine.runner import Plan, plan
from probe.errors import BadInput
from probe.experiments.measuring import measure_pair
from probe.measurements import RowKey, to_table
from probe.measures import PairData
from probe.models.loading.organism import build_tokenizer
from probe.rollouts.sample_job import How, OnPart, ask
from probe.store import Recipe, Store, write_table
from probe.tasks.corpus import CODE_OPEN

VERSION = 1
MEASURED = ("accuracy", "code_share", "parse_rate", "within_strategy")
PYTHON = "Let's solve this using Python."
ORGANISM_CODE = f"{CODE_OPEN}\nx="  # the token that opens code


@dataclass(frozen=True)
class PrefixJob:
    """One checkpoint without and with forced first words, sampled and greedy."""

    subject: Subject
    how: How  # without the prefix
    prefix: str
    temperature: float = 1.0  # of what is not greedy
    samples: int = 8  # per problem, at that temperature
    batch: int = field(default=64, compare=False)
    on_part: OnPart | None = field(default=None, compare=False)

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"study": "prefix", "name": self.subject.name, "prefix": self.prefix}
        return Recipe("measurements", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.subject.name} forced prefix"

    @property
    def needs(self) -> tuple[Job, ...]:
        """Sampled without and with the prefix, then greedy."""
        options: dict[str, Any] = {"batch": self.batch, "on_part": self.on_part}
        ways = ((self.temperature, self.samples), (0.0, 1))
        hows = (self.how, replace(self.how, prefix=self.prefix))
        return tuple(ask(self.subject, how, *way, **options) for way in ways for how in hows)

    def make(self, store: Store, work: Path) -> None:
        tables = [store.get(job.recipe).read_table("responses.parquet") for job in self.needs]
        rows = []
        for temperature, without, forced in ((self.temperature, *tables[:2]), (0.0, *tables[2:])):
            context = self.context(temperature)
            rows += measure_pair(context, PairData(without, forced, address=context.address), MEASURED)
        write_table(work / "data.parquet", to_table(rows))

    def context(self, temperature: float) -> RowKey:
        """What its rows are about."""
        subject = self.subject
        origin = (subject.family, subject.size, subject.base_seed)
        return RowKey("prefix", "prompt", *origin, "forced prefix", "", 0, subject.step, temperature)


def prefix_for(subject: Subject, prefix: str | None) -> str:
    """The words to force: those given, else the opening of code. BadInput where an organism cannot spell them."""
    words = prefix if prefix is not None else ORGANISM_CODE if subject.made_here else PYTHON
    if not words:
        raise BadInput("no words to force", do=f"give --prefix, such as {PYTHON!r}")
    if subject.made_here:
        tokenizer = build_tokenizer()
        if tokenizer.decode(tokenizer(words)["input_ids"]) != words:
            do = f"give what organisms write: their code opens with {ORGANISM_CODE!r}"
            raise BadInput(f"the vocabulary of organisms cannot spell {words!r}", where=subject.name, do=do)
    return words


def force(
    job: PrefixJob,
    store: Store,
    *,
    workers: int | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_done: Callable[[Job], None] = lambda job: None,
    on_part: OnPart | None = None,
) -> pa.Table:
    """The job's rows of the long measurement table, made now unless they are there.

    Weights from outside are worked on in this process, where `on_part` hears of every saved part.
    """
    here = job.subject.made_here
    todo = plan([job if here else replace(job, on_part=on_part)], store)
    on_plan(todo)
    make_all(todo, store, workers=workers if here else 1, on_done=on_done)
    return store.get(job.recipe).read_table()
