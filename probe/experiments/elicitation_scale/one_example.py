"""What does a few steps of fine-tuning on one problem give? Texts of the base itself, right ones or, as a null, wrong.

    loss = - mean log p(y_t | x, y_<t)      over the tokens of SOLUTIONS texts y of one problem x, all in every step

The problem is the first of the training pool, in addressed order, to which the base gave at least that many right and
that many wrong answers among DRAWN samples, all in code; where no problem has them, in prose. So right and wrong texts
are of one problem, as many, in one strategy and of one model: the null teaches problem and strategy as well, and only
the result differs. Every weight is trained, by Adam. After critique fine-tuning on one problem (2506.03295); organisms
cannot criticise, so theirs is plain. Left out: a choice among problems by how well it works, early stopping.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import save

from probe.checkpoints.organism_job import VERSION, OrganismJob, load_organism, train_problems
from probe.data import Outcome, Problem, Strategy
from probe.engine.job import Job
from probe.errors import BadInput
from probe.models.loading.loaded import Loaded
from probe.models.sampling.organism_sampler import Samples
from probe.rl.policy import FullPolicy, token_scores
from probe.rl.train import GRPO
from probe.rng import address
from probe.rollouts.elicitation import chains
from probe.rollouts.grades import grade_columns
from probe.rollouts.options import SamplingOptions
from probe.rollouts.respond import Responses, respond
from probe.rollouts.samplers import organism_sampler
from probe.store import Recipe, Store, keep

DRAWN = SamplingOptions(samples=32)  # answers of the base to each of the problems looked at
LOOKED_AT, SOLUTIONS = 64, 4


@dataclass(frozen=True)
class ExampleJob(Job):
    """An organism after `steps` steps on one example; leaves the trained tensors as a run does."""

    TYPICAL: ClassVar = {"tiny": 3.0, "mini": 4.0, "mini-qwen2": 4.0, "small": 15.0}
    organism: OrganismJob
    steps: int
    lr: float
    right: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.lr < float("inf"):
            what = f"{self.steps} steps at a learning rate of {self.lr}"
            raise BadInput(what, where="one example", do="give 1 step or more and a finite rate > 0")

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"steps": self.steps, "lr": self.lr, "right": self.right, "solutions": SOLUTIONS}
        params |= {"drawn": DRAWN.samples, "looked_at": LOOKED_AT}
        return Recipe("example", VERSION, params, (self.organism.recipe.digest,))

    @property
    def label(self) -> str:
        return f"{self.organism.label} on one {'right' if self.right else 'wrong'} example"

    @property
    def file(self) -> str:
        """Where the trained tensors are, in its artifact."""
        return f"step-{self.steps:03d}.safetensors"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.organism,)

    def make(self, store: Store, work: Path) -> None:
        loaded, grammar = load_organism(store, self.organism), self.organism.grammar
        problems = sorted(train_problems(grammar), key=lambda each: address("one example", each.id))[:LOOKED_AT]
        options = replace(DRAWN, max_new=grammar.max_new)
        found = respond(loaded, chains(grammar), options, organism_sampler(loaded), problems, purpose="one example")
        rows = example(found)[0 if self.right else 1]
        policy = taught(loaded, found.prompts[rows[0] // options.samples], rows_of(found.samples, rows), self)
        tensors = {name: p.detach().contiguous() for name, p in policy.tensors.items()}
        keep(work / self.file, save(tensors, metadata={"steps": str(self.steps)}))


def example(found: Responses) -> tuple[list[int], list[int]]:
    """Rows of the right and of the wrong answers of the problem that is taken. BadInput where none has enough."""
    grades, ended = grade_columns(found.texts, found.golds), found.samples.stopped.tolist()
    right = [outcome == Outcome.right for outcome in grades["outcome"]]
    for strategy in (Strategy.code, Strategy.prose):
        fits = [
            end and kind == strategy and boxed is not None  # a box on both sides: only the result differs
            for end, kind, boxed in zip(ended, grades["strategy"], grades["boxed"], strict=True)
        ]
        for rows in _by_problem(found.problems, found.options.samples):
            sides = tuple([row for row in rows if fits[row] and right[row] is side] for side in (True, False))
            if min(map(len, sides)) >= SOLUTIONS:
                return sides[0][:SOLUTIONS], sides[1][:SOLUTIONS]
    what = f"no problem of {len(found.problems)} has {SOLUTIONS} right and {SOLUTIONS} wrong answers in one strategy"
    raise BadInput(what, where="one example", do="take an organism that is right at times, and wrong at times")


def taught(loaded: Loaded, prompt: list[int], texts: Samples, how: ExampleJob) -> FullPolicy:
    """The model after its steps on these answers to one prompt."""
    policy, rows = FullPolicy(loaded.model), torch.arange(len(texts.ids))
    optimizer = torch.optim.Adam(policy.tensors.values(), lr=how.lr, betas=GRPO.betas)
    for _ in range(how.steps):
        logprob, _ = token_scores(policy.logits([prompt], texts, rows), texts, rows, 1.0)
        optimizer.zero_grad(set_to_none=True)
        (-logprob.sum() / texts.lengths.sum()).backward()
        optimizer.step()
    return policy


def _by_problem(problems: Sequence[Problem], n: int) -> list[range]:
    return [range(start, start + n) for start in range(0, len(problems) * n, n)]


def rows_of(samples: Samples, rows: list[int]) -> Samples:
    """Some rows of samples."""
    kept = {name: getattr(samples, name)[rows] for name in ("ids", "lengths", "stopped", "logprob", "entropy")}
    return Samples(**kept, hidden=None)
