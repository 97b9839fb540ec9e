"""Which responses is a reward asked about? Those of a checkpoint, sampled now, or those of a file.

Labels are what the reward would compare with in training (`probe.rl.labels`): the true answers, or the majority of
these very responses. `incorrect` is itself under "wrong_majority" alone. Problems that a source drops are left out.
A file has the columns problem, text and answer, in any format of `probe.tasks.rows`, and where it has them sample,
temperature and right (`published_outputs.files`); what it calls a problem is its prompt too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from probe.data import Outcome, Strategy
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments.budget import Work
from probe.experiments.published_outputs.files import read_answers, system_name
from probe.experiments.responses import RESPONSES, SampleJob
from probe.experiments.reward_audit.scored import Rollouts
from probe.measurements import RowKey
from probe.rl import labels
from probe.rollouts.grades import grade_columns
from probe.store import Store, file_digest
from probe.tasks.extractors import Extract
from probe.tasks.rules import READING

Columns = Mapping[str, Sequence[Any]]


class Source(Protocol):
    """Where rollouts come from."""

    @property
    def label(self) -> str: ...

    @property
    def needs(self) -> tuple[Job, ...]: ...

    @property
    def inputs(self) -> tuple[str, ...]: ...

    @property
    def work(self) -> tuple[Work, ...]: ...

    def key(self, columns: Columns) -> RowKey: ...

    def columns(self, store: Store) -> Columns: ...


@dataclass(frozen=True)
class FromCheckpoint:
    """The responses of a checkpoint."""

    job: SampleJob

    @property
    def label(self) -> str:
        return self.job.label

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.job.needs, self.job)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.job.recipe.digest,)

    @property
    def work(self) -> tuple[Work, ...]:
        return self.job.work

    def key(self, columns: Columns) -> RowKey:
        """Of rows about the reward on it."""
        return self.job.checkpoint.key("audit", "base", temperature=self.job.options.temperature)

    def columns(self, store: Store) -> Columns:
        """Graded responses with prompt and true answer."""
        table = store.get(self.job.recipe).read_table(RESPONSES).to_pydict()
        known = {problem.id: problem for problem in self.job.elicitation.problems.problems}
        asked = [known[name] for name in table["problem"]]
        return table | {"prompt": [one.prompt for one in asked], "answer": [one.answer for one in asked]}


@dataclass(frozen=True)
class FromFile:
    """The responses in a file, graded here where it gives answers, else by its own labels."""

    path: Path
    extract: Extract = "boxed"

    @property
    def label(self) -> str:
        return self.path.name

    @property
    def needs(self) -> tuple[Job, ...]:
        return ()

    @property
    def inputs(self) -> tuple[str, ...]:
        return (f"file:{file_digest(self.path)}",)

    @property
    def work(self) -> tuple[Work, ...]:
        return ()

    def key(self, columns: Columns) -> RowKey:
        """Of rows about the reward on it."""
        return RowKey("audit", "base", system_name(self.path), temperature=float(columns["temperature"][0]))

    def columns(self, store: Store) -> Columns:
        """Graded responses. BadInput where neither an answer nor a label says whether a response is right."""
        read = read_answers(self.path)
        if not read["text"]:
            raise BadInput("the file has no rows", where=str(self.path), do="give responses")
        blank = None in read["answer"]
        if blank and None in read.get("right", [None]):
            do = "give a column answer, or right in every row"
            raise BadInput("nothing says which responses are right", where=str(self.path), do=do)
        graded = grade_columns(read["text"], [answer or "" for answer in read["answer"]], self.extract)
        if blank:
            graded["outcome"] = [str(Outcome.right if right else Outcome.wrong) for right in read["right"]]
        return {**read, **graded, "prompt": read["problem"]}

    @property
    def spec(self) -> dict[str, Any]:
        """For recipes, beside the digest of the file."""
        return {"extract": self.extract, "reading": READING}


def rollouts(columns: Columns, source: str) -> Rollouts:
    """The responses under labels of that source ("gold", "offline_majority", "wrong_majority")."""
    answers: dict[str, list[str | None]] = {}
    for problem, said in zip(columns["problem"], columns["boxed"], strict=True):
        answers.setdefault(problem, []).append(said)
    gold = dict(zip(columns["problem"], columns["answer"], strict=True))
    label: Mapping[str, str | None] = gold
    if source != "gold":
        known = {problem: answer for problem, answer in gold.items() if answer is not None}
        label = labels.from_spec({"labels": source})(answers, known).label
    kept = [row for row, problem in enumerate(columns["problem"]) if problem in label]
    chosen = {name: [values[row] for row in kept] for name, values in columns.items()}
    return Rollouts(
        tuple(chosen["problem"]),
        tuple(chosen["sample"]),
        tuple(chosen["prompt"]),
        tuple(chosen["text"]),
        tuple(label[problem] for problem in chosen["problem"]),
        tuple(chosen["boxed"]),
        np.array([outcome == Outcome.right for outcome in chosen["outcome"]]),
        np.array([strategy == Strategy.code for strategy in chosen["strategy"]]),
    )
