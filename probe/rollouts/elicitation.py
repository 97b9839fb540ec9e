"""What is a checkpoint asked, and how is its answer read? Everything here can change a number, so it is identity."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from probe.data import Problem
from probe.grammar import LETTERED, Grammar
from probe.models.loading.entries import Template
from probe.models.sampling.prompts import prompt_ids
from probe.tasks.benchmarks import ProblemSet
from probe.tasks.benchmarks import problems as problem_set
from probe.tasks.extractors import Extract
from probe.tasks.rules import READING

NONE = Template(text="{prompt}")


@dataclass(frozen=True)
class Elicitation:
    """Problems under a template; `prefix` is put into the model's mouth and graded with what follows."""

    problems: ProblemSet
    template: str = "none"  # its name
    text: Template = NONE
    prefix: str = ""
    extract: Extract = "boxed"

    def spec(self) -> dict[str, Any]:
        """For recipes; the template counts by its content, not by its name."""
        return {
            "problems": self.problems.pin,
            "n": len(self.problems.problems),
            "template": self.text.model_dump(),
            "prefix": self.prefix,
            "extract": self.extract,
            "reading": READING,
        }

    def prompts(
        self, tokenizer: PreTrainedTokenizerBase, problems: Sequence[Problem]
    ) -> tuple[list[list[int]], list[int]]:
        """The prompt ids of some problems, each with the prefix behind it, and the ids of the prefix alone."""
        return prompt_ids(tokenizer, self.text, [problem.prompt for problem in problems], self.prefix)


@functools.cache
def chains(grammar: Grammar) -> Elicitation:
    """What organisms of that grammar are asked in the studies."""
    return Elicitation(problem_set(grammar.name))


CHAIN = chains(LETTERED)
