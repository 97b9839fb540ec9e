"""What does a model answer? Prompts -> tokens -> texts, the one path that every checkpoint takes.

Ids are the record. Texts keep every special token but the one that ended the response: what a model writes behind a
marker is cut off where texts are read (`probe.tasks.answers.own_turn`), not glued to the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
from torch import Tensor

from probe.data import RESPONSES, ROLLOUTS, Problem
from probe.errors import BadInput
from probe.models.loading.load import Loaded
from probe.models.sampling.organism_sampler import Samples
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.grades import grade_columns
from probe.rollouts.options import SAMPLED, Compute, SamplingOptions
from probe.rollouts.samplers import Sample


class Written(Protocol):
    """What a text is read off: ids [row pos], the length of each row with its end, and whether it ended by itself."""

    @property
    def ids(self) -> Tensor: ...

    @property
    def lengths(self) -> Tensor: ...

    @property
    def stopped(self) -> Tensor: ...


@dataclass(frozen=True)
class Request:
    """What is asked of one model after another, or under one edit after another: the same draws each time."""

    problems: tuple[Problem, ...]
    elicitation: Elicitation = CHAIN
    options: SamplingOptions = SAMPLED
    compute: Compute = field(default=Compute(), compare=False)

    def __post_init__(self) -> None:
        if not self.problems:
            raise BadInput("nothing is asked", where="request", do="give one problem at least")


@dataclass(frozen=True, eq=False)
class Responses:
    """Row r is sample r % n of problem r // n."""

    problems: tuple[Problem, ...]
    prompts: list[list[int]]
    options: SamplingOptions
    samples: Samples
    texts: list[str]  # the prefix and what follows it

    @property
    def owners(self) -> list[Problem]:
        """The problem of every row."""
        return [problem for problem in self.problems for _ in range(self.options.samples)]

    @property
    def golds(self) -> list[str]:
        """The gold answer of every row."""
        return [problem.answer for problem in self.owners]

    def rollouts(self, checkpoint: str) -> pa.Table:
        """ROLLOUTS: ids, log-probs and entropies (nats, of the sampling distribution) beside the text."""
        n, lengths = self.options.samples, self.samples.lengths.tolist()
        rows = len(self.texts)
        columns = {
            "checkpoint": [checkpoint] * rows,
            "problem": [problem.id for problem in self.owners],
            "sample": [sample for _ in self.problems for sample in range(n)],
            "seed": [self.options.seed] * rows,
            "temperature": [self.options.temperature] * rows,
            "prompt_ids": [prompt for prompt in self.prompts for _ in range(n)],
            "completion_ids": _cut(self.samples.ids.tolist(), lengths),
            "stop": ["eos" if end else "length" for end in self.samples.stopped.tolist()],
            "logprob": _cut(self.samples.logprob.tolist(), lengths),
            "entropy": _cut(self.samples.entropy.tolist(), lengths),
            "text": self.texts,
        }
        return pa.table({name: columns[name] for name in ROLLOUTS.names}, schema=ROLLOUTS)


def respond(
    loaded: Loaded,
    elicitation: Elicitation,
    options: SamplingOptions,
    sample: Sample,
    problems: Sequence[Problem] | None = None,
    purpose: str = "responses",
) -> Responses:
    """`options.samples` responses to each problem [all of the elicitation's]; the draws are those of `purpose`."""
    asked = tuple(elicitation.problems.problems if problems is None else problems)
    prompts, _ = elicitation.prompts(loaded.tokenizer, asked)
    samples = sample(
        prompts,
        n_samples=options.samples,
        max_new=options.max_new,
        uniforms=options.draws(asked, purpose),
        temperature=options.temperature or 1.0,
    )
    return Responses(asked, prompts, options, samples, texts_of(loaded, samples, elicitation.prefix))


def texts_of(loaded: Loaded, samples: Written, prefix: str = "") -> list[str]:
    """Each response as text without the token that ended it, behind the prefix."""
    kept = (samples.lengths - samples.stopped.long()).tolist()
    # a row at a time: a batch with an empty row is trouble for some tokenizers
    return [
        prefix + loaded.tokenizer.decode(row, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        for row in _cut(samples.ids.tolist(), kept)
    ]


def graded(
    rollouts: pa.Table, problems: Sequence[Problem], elicitation: Elicitation, *, step: int, forced: int
) -> pa.Table:
    """RESPONSES of ROLLOUTS; `forced` tokens of a prefix count as part of each response."""
    gold = {problem.id: problem.answer for problem in problems}
    rows = rollouts.to_pydict()
    graded = rows | {
        "step": [step] * rollouts.num_rows,
        "tokens": [len(ids) + forced for ids in rows["completion_ids"]],
        **grade_columns(rows["text"], [gold[name] for name in rows["problem"]], elicitation.extract),
    }
    return pa.table({name: graded[name] for name in RESPONSES.names}, schema=RESPONSES)


def _cut(rows: list[list], lengths: list[int]) -> list[list]:
    return [row[:length] for row, length in zip(rows, lengths, strict=True)]
