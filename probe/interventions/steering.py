"""Does moving the residual stream by hand along one direction do what RL did?

    v = mean of resid at the prompt's last token, samples that go on in code - samples that go on in prose
    steered      x + c v             c = 1 carries the mean of prose onto the mean of code
    null         x + c r             r addressed and isotropic, |r| = |v|
    ablated      x - (x . u) u, or x . u clamped to what it is in the base on average;  u = v / |v|

    recovered = (steered base - base) / (after - base)        removed = (after - ablated after) / (after - base)

Every coefficient and direction answers the same problems with the same addressed draws, so differences are paired by
sample. Where: "fork" is the prompt's last token alone, the one that predicts the first new token; "new" adds all new
tokens; "all" the whole prompt. Coefficients are chosen on one addressed half of the problems and told on the other.
The two shares are `probe.interventions.recovery`: a ratio of sums that is nan, with the reason, where RL's own change
may be 0. After 2510.07364 (gap recovery).

Left out: several directions at once, coefficients that differ between prompts, bootstrapping the choice itself.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.data import Outcome, Strategy
from probe.errors import BadInput
from probe.models.hooks.backends import Backend, backend
from probe.models.hooks.edits import Add, Change, Clamp, Edit, ProjectOut, Residual
from probe.models.hooks.sites import Site
from probe.models.loading.loaded import Loaded
from probe.rng import address, numpy_rng
from probe.rollouts.grades import grade_columns
from probe.rollouts.respond import Request, Responses, respond
from probe.rollouts.samplers import edited_sampler

Where = Literal["fork", "new", "all"]
Part = Literal["choose", "report"]
MEASURES = ("code_share", "accuracy", "parse_rate")
ABLATIONS = ("project out", "clamp")
NULL_DRAWS = 20  # random directions below which "beyond every one" says little


@dataclass(frozen=True, eq=False)
class AtPrompt:
    """`change` while the prompt is read, nothing while new tokens are made one by one."""

    change: Change

    def __call__(self, x: Residual) -> Residual:
        return self.change(x) if x.shape[1] > 1 else x


@dataclass(frozen=True, eq=False)
class Scores:
    """What was answered: code or not, right or not, an answer in it or not."""

    code_share: Bool[np.ndarray, "problem sample"]
    accuracy: Bool[np.ndarray, "problem sample"]
    parse_rate: Bool[np.ndarray, "problem sample"]


def edit_at(site: Site, change: Change, where: Where) -> Edit:
    """`change` at those positions, for cached generation."""
    if where not in get_args(Where):
        raise BadInput(f"no positions are called {where!r}", where="steering", do=f"choose one of {get_args(Where)}")
    return Edit(site, AtPrompt(change) if where == "fork" else change, "all" if where == "all" else "new")


def steering_edit(site: Site, vector: Float[Tensor, "d"], coefficient: float, where: Where) -> list[Edit]:
    """x + c v; nothing at all for c = 0."""
    if not math.isfinite(coefficient):
        raise BadInput(f"a coefficient is {coefficient}", where="steering", do="give finite numbers")
    return [edit_at(site, Add(vector, coefficient), where)] if coefficient else []


def ablating_edit(
    site: Site, vector: Float[Tensor, "d"], base_mean: Float[Tensor, "d"], how: str, where: Where
) -> list[Edit]:
    """ "project out" the direction, or "clamp" what lies along it to the base's mean."""
    unit = vector / vector.norm()
    if how not in ABLATIONS:
        raise BadInput(f"no ablation is called {how!r}", where="steering", do=f"choose one of {ABLATIONS}")
    along = float(base_mean.double() @ unit.double())
    return [edit_at(site, ProjectOut(unit) if how == "project out" else Clamp(unit, along, along), where)]


def random_vectors(vector: Float[Tensor, "d"], n: int, *place: str | int) -> Float[Tensor, "n d"]:
    """`n` isotropic directions as long as `vector`: the null of steering."""
    draws = torch.from_numpy(numpy_rng("steering null", *place).standard_normal((n, vector.numel())))
    return (draws / draws.norm(dim=1, keepdim=True) * vector.double().norm()).float()


def answered(loaded: Loaded, request: Request, edits: Sequence[Edit] = (), *, own: Backend | None = None) -> Responses:
    """What the model says under `edits`; on plain hooks, or on a backend of its own."""
    if edits:
        _check_prompts(loaded, request)
    sample = edited_sampler(loaded, own or backend("hooks", loaded), edits, request.compute)
    return respond(loaded, request.elicitation, request.options, sample, request.problems)


def answer(loaded: Loaded, request: Request, edits: Sequence[Edit] = (), *, own: Backend | None = None) -> Scores:
    """The same, graded."""
    found = answered(loaded, request, edits, own=own)
    grades = grade_columns(found.texts, found.golds, request.elicitation.extract)
    code = [strategy == Strategy.code for strategy in grades["strategy"]]
    right = [outcome == Outcome.right for outcome in grades["outcome"]]
    parsed = [answer is not None for answer in grades["boxed"]]
    shape = len(request.problems), request.options.samples
    return Scores(*(np.array(column).reshape(shape) for column in (code, right, parsed)))


def steer(
    loaded: Loaded,
    request: Request,
    vector: Float[Tensor, "d"],
    site: Site,
    coefficients: Sequence[float],
    *,
    where: Where = "fork",
    own: Backend | None = None,
    on_dose: Callable[[float], None] = lambda coefficient: None,
) -> dict[float, Scores]:
    """Dose-response along one direction: what is answered at each coefficient, in the order given."""
    found = {}
    for coefficient in dict.fromkeys(coefficients):
        found[coefficient] = answer(loaded, request, steering_edit(site, vector, coefficient, where), own=own)
        on_dose(coefficient)
    return found


def part_of(problem: str) -> Part:
    """The half of the problems that one belongs to, by its address."""
    return "choose" if address("steering half", problem) % 2 == 0 else "report"


def nearest_dose(means: Mapping[float, float], target: float) -> float:
    """The coefficient whose mean comes closest to `target`; the smaller one where two are as close."""
    return min(means, key=lambda c: (abs(means[c] - target), abs(c), c))


def best_dose(means: Mapping[float, float]) -> float:
    """The coefficient with the highest mean; the smaller one where two are as high."""
    return max(means, key=lambda c: (means[c], -abs(c), -c))


def rank_p(value: float, null: Iterable[float]) -> float:
    """How often a random direction does as much, either way: (1 + hits) / (1 + draws); nan without draws."""
    draws = list(null)
    return (1 + sum(abs(draw) >= abs(value) for draw in draws)) / (1 + len(draws)) if draws else math.nan


def _check_prompts(loaded: Loaded, request: Request) -> None:
    """A prompt of one token looks like a new one: an edit of the prompt would pass it by."""
    prompts, _ = request.elicitation.prompts(loaded.tokenizer, request.problems)
    if min(map(len, prompts)) < 2:
        raise BadInput("a prompt is a single token", where="steering", do="give prompts of two tokens or more")
