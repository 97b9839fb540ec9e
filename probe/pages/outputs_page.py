"""The page of outputs without weights: what changed, why as far as outputs tell, and every response side by side.

    PublishedJob (every measure) + ExplainOutputsJob (the verdict)  ->  Page        one part a system that is compared

Prompts are there where the file holds them. Left out: tokens, which only a model can score.
"""

import shlex
from dataclasses import dataclass
from typing import Any

from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments.explain.outputs import ExplainOutputsJob
from probe.experiments.published_outputs.files import read_answers
from probe.experiments.published_outputs.job import PublishedJob
from probe.measurements import Rows
from probe.pages import figures, measures, provenance, responses, verdicts
from probe.pages.embed import Page
from probe.store import Store
from probe.tasks.published_outputs import read_rlcr

UNSCORED = "These are outputs without weights: no model is here that could score their tokens."


@dataclass(frozen=True)
class OutputsPage:
    """What the page of outputs is made from."""

    outputs: PublishedJob
    most: int

    @property
    def explain(self) -> ExplainOutputsJob:
        """Why accuracy changed."""
        return ExplainOutputsJob(self.outputs)

    @property
    def jobs(self) -> list[Job]:
        """All of it."""
        return [self.outputs, self.explain]

    @property
    def label(self) -> str:
        return f"{' and '.join(self.names)} reported"

    @property
    def names(self) -> list[str]:
        """Of the files or the data set."""
        source = self.outputs.source
        return list(source.names) or [source.paths[0].name]

    def held(self, store: Store) -> "OutputsPage":
        """Itself. BadInput, with the command that makes it, where the store lacks a part of it."""
        for job, command in zip(self.jobs, self._commands[1:], strict=True):
            if not store.holds(job.recipe):
                do = f"make it: {command}"
                raise BadInput(f"the store does not hold {job.label}", where=f"store {store.shown}", do=do)
        return self

    @property
    def _commands(self) -> list[str]:
        paths = " ".join(shlex.quote(str(path)) for path in self.outputs.source.paths)
        graded = f"{paths} --grading {self.outputs.source.grading}"
        return [f"probe {verb} {graded}" for verb in ("report", "compare-rollouts", "explain-rollouts")]

    def page(self, store: Store) -> Page:
        """The page; every job has been made."""
        rows, explained = (store.get(job.recipe).read_table().to_pylist() for job in self.jobs)
        drawings = figures.drawn([*rows, *explained], (*self.explain.FIGURES, *self.outputs.FIGURES))
        told, about = self._responses(store), self._about(rows, store)
        data = {
            "kind": "outputs",
            "about": about,
            "verdicts": verdicts.told(explained),
            "measures": measures.told(rows),
            "figures": figures.told(drawings),
            "responses": told,
            "tokens": None,
            "provenance": provenance.told(store, [*self.jobs, self.outputs.source], self._commands),
        }
        return Page(f"{about['before']} and {about['after']}", data, figures.markup(drawings))

    def _about(self, rows: Rows, store: Store) -> dict[str, Any]:
        source = self.outputs.source
        pairs = list(self.outputs.pairs(store, "real"))
        return {
            "before": pairs[0][1]["checkpoint"][0].as_py(),
            "after": ", ".join(key.reward for key, _, _ in pairs),
            "problems": source.paths[0].name,
            "n_problems": max(row["n_problems"] or 0 for row in rows),
            "grading": source.grading,
            "destroyed": False,
            "warnings": [*source.notes, *self.outputs.left_out(store)],
            "why_no_tokens": UNSCORED,
        }

    def _responses(self, store: Store) -> dict[str, Any]:
        asked = self._asked()
        tables = {key.reward: (before, after) for key, before, after in self.outputs.pairs(store, "real")}
        known = {name for before, _ in tables.values() for name in before["problem"].unique().to_pylist()}
        problems = {name: asked.get(name) or responses.problem() for name in sorted(known)}
        return responses.told(list(tables.values()), problems, self.most, list(tables))

    def _asked(self) -> dict[str, dict[str, Any]]:
        """Prompt and true answer by problem, as far as the files hold them."""
        source = self.outputs.source
        if not source.names:
            return {
                each.id: responses.problem(each.prompt, each.answer) for each in read_rlcr(source.paths[0]).problems
            }
        held = read_answers(source.paths[0])
        return {
            name: responses.problem(None, answer) for name, answer in zip(held["problem"], held["answer"], strict=True)
        }
