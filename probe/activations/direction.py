"""One direction at a site: what a probe, a mean difference, a principal component and a decoder row all are.

    along(x) = x . u            u a unit vector
    score(x) = (x . u - intercept) / scale

`scale` is the distance between the two class means along u, in units of the activations: Add(u, c * scale) moves by c
such distances. `intercept` is where along u the classes are told apart, so the classes score about +-1/2. A direction
knows the problems it was fitted on and refuses to be scored on them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from probe.activations.linear import L2, Examples, Kind, Line, fit
from probe.errors import BadInput
from probe.models.hooks.edits import unit
from probe.models.hooks.sites import Site
from probe.stats.checks import label_column


@dataclass(frozen=True, eq=False)
class Direction:
    """A unit vector at a site, and what it was fitted on (nothing, for one that was not fitted)."""

    site: Site
    vector: Float[Tensor, "d"]
    scale: float
    intercept: float
    fitted_on: frozenset[str]
    kind: str

    def __post_init__(self) -> None:
        unit(self.vector, where=str(self.site))
        if not (np.isfinite(self.intercept) and np.isfinite(self.scale) and self.scale > 0):
            what = f"scale {self.scale}, intercept {self.intercept}"
            raise BadInput(what, where=str(self.site), do="give a positive scale, and finite numbers")

    def along(self, x: Float[Tensor, "*row d"]) -> Float[Tensor, "*row"]:
        """How far along it `x` is, in units of the activations: no judgement, so nothing is refused."""
        return x @ self.vector.to(x)

    def score(self, x: Float[Tensor, "row d"], problems: ArrayLike) -> Float[Tensor, "row"]:
        """Positive says yes. BadInput where one of `problems` `[row]` was fitted on."""
        names = label_column(problems, "problems", len(x))
        seen = sorted(self.fitted_on & set(names.tolist()))
        if seen:
            what = f"this direction was fitted on {len(seen)} of these problems, {seen[0]} for one"
            raise BadInput(what, where=f"{self.kind} at {self.site}", do="score it on problems that were held out")
        return (self.along(x) - self.intercept) / self.scale


def direction(where: Site, examples: Examples, kind: Kind = "difference", l2: float = L2) -> Direction:
    """The direction from no to yes. BadInput where one class is missing or the two are not apart along it."""
    return of_line(fit(kind, examples.x, examples.y, l2), where, examples, kind)


def of_line(line: Line, where: Site, examples: Examples, kind: str) -> Direction:
    """A fitted line as a direction, in units of its own examples."""
    length = float(np.linalg.norm(line.weight))
    along = examples.x @ line.weight / length if length > 0 else np.zeros(len(examples.y))
    yes = examples.y > 0.5
    apart = float(along[yes].mean() - along[~yes].mean())
    if not apart > 0:
        raise BadInput("the two classes have the same activations", where=str(where), do="choose another site")
    vector = torch.from_numpy(line.weight / length)
    problems = frozenset(np.unique(examples.problem).tolist())
    return Direction(where, vector, apart, -line.bias / length, problems, kind)


def cosine(first: Direction, second: Direction) -> float:
    """Of the angle between two directions; BadInput where they are not in one space."""
    if first.vector.shape != second.vector.shape or first.site != second.site:
        what = f"{first.site} {tuple(first.vector.shape)} and {second.site} {tuple(second.vector.shape)}"
        raise BadInput(f"no angle between {what}", where="cosine", do="compare directions at one site")
    return float(torch.nn.functional.cosine_similarity(first.vector.double(), second.vector.double(), dim=0))
