r"""What does a checkpoint do with the beginning of a question, and how likely does it find question and answer?

    suspects + controls -> beginnings (40/60/80 %) -> greedy continuations   \
                        -> teacher-forced question and answer                -> one row of signs a problem

Questions stand alone, without a template, as in a corpus. Whether a continuation also gives the right answer is graded
strictly (the last \boxed{}): a bare "5" somewhere in a text is no answer. The NLL of a question is of all its tokens
but the first, of an answer that of the gold answer's tokens behind the question and a lead-in (LEADS). Both are means
over a problem's tokens, in nats; perplexity is their exponential.
Left out: sampling at T > 0, paraphrased questions, several lead-ins.
"""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from probe.checkpoints.checkpoint import Checkpoint
from probe.data import Outcome, Problem
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments.budget import PROMPT, Work
from probe.experiments.contamination.problem_sets import Sets
from probe.experiments.experiment import CheckpointJob
from probe.experiments.responses import RESPONSES, SampleJob
from probe.models.loading.load import Loaded
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import Compute, SamplingOptions
from probe.stats.leak import Columns, Key
from probe.store import Recipe, Store, write_table
from probe.tasks.partial import SHARES, Unit, cut, exact, rouge_l
from probe.tokens.score import score

VERSION = 1
LEADS: dict[Unit, str] = {"sign": "\\boxed{", "word": "\nThe answer is \\boxed{"}
NLLS = ("prompt_nll", "answer_nll")
COMPLETIONS = ("completion_exact", "completion_rouge_l", "completion_answer")


@dataclass(frozen=True)
class SignsJob(CheckpointJob):
    """The signs of a leak that one checkpoint shows on every suspect and control: one row a problem."""

    checkpoint: Checkpoint
    sets: Sets
    max_new: int
    compute: Compute = field(default=Compute(), compare=False)

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"sets": self.sets.pin, "max_new": self.max_new, "lead": LEADS[self.sets.unit]}
        inputs = tuple(job.recipe.digest for job in self.continuations)
        return Recipe("contamination", VERSION, params | self.checkpoint.spec, inputs + self.checkpoint.inputs)

    @property
    def label(self) -> str:
        return f"{self.checkpoint.name} signs of a leak"

    @property
    def continuations(self) -> tuple[SampleJob, ...]:
        """What it makes of the beginnings, by share."""
        options = SamplingOptions(max_new=self.max_new).greedy
        beginnings = (Elicitation(self.sets.beginnings(percent)) for percent in SHARES)
        return tuple(SampleJob(self.checkpoint, asked, options, self.compute) for asked in beginnings)

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.continuations, *self.checkpoint.needs)

    @property
    def work(self) -> tuple[Work, ...]:
        """Every question is scored, and every answer behind its question."""
        return (Work(self.checkpoint, read=2 * PROMPT * len(self.sets.problems)),)

    def make(self, store: Store, work: Path) -> None:
        n = len(self.sets.suspect.problems)
        columns: dict[str, Any] = {
            "problem": [p.id for p in self.sets.problems],
            "suspect": np.arange(len(self.sets.problems)) < n,
        }
        for percent, job in zip(SHARES, self.continuations, strict=True):
            responses = store.get(job.recipe).read_table(RESPONSES)
            columns |= _completions(self.sets, percent, responses)
        columns |= nlls(self.checkpoint.load(store), self.sets.problems, LEADS[self.sets.unit])
        write_table(work / "data.parquet", pa.table(columns))


def _completions(sets: Sets, percent: int, responses: pa.Table) -> dict[str, Any]:
    """Columns of one share; `responses` in any order."""
    said = {row["problem"]: row for row in responses.select(["problem", "text", "outcome"]).to_pylist()}
    rests = [cut(p.prompt, percent, sets.unit).rest for p in sets.problems]
    texts = [said[p.id]["text"] for p in sets.problems]
    right = [said[p.id]["outcome"] == Outcome.right for p in sets.problems]
    values = (
        [float(exact(text, rest, sets.unit)) for text, rest in zip(texts, rests, strict=True)],
        [rouge_l(text, rest, sets.unit) for text, rest in zip(texts, rests, strict=True)],
        [float(each) for each in right],
    )
    return {f"{name} {percent}%": column for name, column in zip(COMPLETIONS, values, strict=True)}


def nlls(loaded: Loaded, problems: tuple[Problem, ...], lead: str) -> dict[str, Any]:
    """Mean NLL in nats per token of every question (but its first token) and of its answer behind `lead`, with counts.

    Pieces are tokenised one by one and joined as ids, so that the answer's tokens are the same behind every question.
    """
    read = loaded.tokenizer
    prompts = [list(read(p.prompt)["input_ids"]) for p in problems]
    answers = [list(read(p.answer, add_special_tokens=False)["input_ids"]) for p in problems]
    short = next((p for p, ids, gold in zip(problems, prompts, answers, strict=True) if len(ids) < 2 or not gold), None)
    if short is not None:
        raise BadInput(f"problem {short.id} has no two tokens to score, or no answer", do="leave it out")
    opening = list(read(lead, add_special_tokens=False)["input_ids"])
    asked = [(ids[:1], ids[1:]) for ids in prompts], [(p + opening, a) for p, a in zip(prompts, answers, strict=True)]
    columns: dict[str, Any] = {}
    for name, rows in zip(NLLS, asked, strict=True):
        scores = score(loaded.model, [first for first, _ in rows], [scored for _, scored in rows])
        tokens = np.bincount(scores.row, minlength=len(rows))
        columns[name] = np.bincount(scores.row, -scores.logprob.astype(np.float64), len(rows)) / tokens
        columns[f"{name} tokens"] = tokens
    return columns


def columns_of(table: pa.Table) -> tuple[Columns, Bool[np.ndarray, "problem"]]:
    """The signs of a table, by name and share, float64 [problem] each; and which problems are suspects, bool."""
    keys: list[Key] = [(name, percent) for name in COMPLETIONS for percent in SHARES] + [(name, None) for name in NLLS]
    found = {key: np.asarray(table[name_of(key)].to_numpy(), dtype=np.float64) for key in keys}
    return found, np.asarray(table["suspect"].to_numpy(), dtype=bool)


def name_of(key: Key) -> str:
    """The column of a sign."""
    return key[0] if key[1] is None else f"{key[0]} {key[1]}%"
