"""Which latents carry the KL between before and after, at the forks?

    Dx_r = x_after - x_before = sum_j f_rj (direction_after - direction_before)_j + rest_r
    g_r  = mean over the straight line from x_before to x_after of  dKL(p_before || p(x))/dx            [row d]
    part_rj = f_rj (direction_after - direction_before)_j . g_r,        rest_r . g_r is what no latent says

p(x): the after model's next-token distribution when its activation at the site is x. KL is flat where the two agree, so
a gradient at one end tells twice the change (after) or nothing (before); along the line the parts and the rest sum to

    explained_r = KL(p_before || p(x_after)) - KL(p_before || p(x_before))            (integrated gradients, 1703.01365)

and to all of the KL where nothing above the site changed: KL - explained is what the weights above do by themselves.
One crosscoder latent has one activation for both models: parts say that its direction changed, not how often it fires.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from probe.dictionaries.activation import Latents
from probe.dictionaries.dictionary import Dictionary, Rows
from probe.dictionaries.diffing.firing import Change, with_holm
from probe.dictionaries.pair import AFTER, BEFORE, check_pair, directions
from probe.errors import BadInput
from probe.stats.checks import label_column
from probe.stats.intervals import clustered_mean

Logits = Float[Tensor, "row vocab"]
STEPS = 8


@dataclass(frozen=True, eq=False)
class Carried:
    """In nats, a row: each latent's part, what no latent says, and the KL itself."""

    parts: Float[Tensor, "row latent"]
    rest: Float[Tensor, "row"]
    kl: Float[Tensor, "row"]

    @property
    def explained(self) -> Float[Tensor, "row"]:
        """What the activations at the site account for, latents and rest."""
        return self.parts.sum(-1) + self.rest


def kl(before: Logits, after: Logits) -> Float[Tensor, "row"]:
    """KL(before || after) in nats; logits up to a constant a row."""
    p, q = before.log_softmax(-1), after.log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)


def line_gradient(
    before: Logits, logits_of: Callable[[Tensor], Logits], x: Rows, steps: int = STEPS
) -> Float[Tensor, "row d"]:
    """Mean gradient of KL(before || logits_of(x)) from x[:, 0] to x[:, 1], by midpoints.

    `logits_of` takes activations [row d] to the after model's logits [row vocab], each row by itself.
    """
    if steps < 1:
        raise BadInput(f"{steps} steps", where="line_gradient", do="give 1 or more")
    with torch.enable_grad():
        gradients = [_gradient(before, logits_of, point) for point in _midpoints(x.detach(), steps)]
    return torch.stack(gradients).mean(0)


def _midpoints(x: Rows, steps: int) -> Iterator[Float[Tensor, "row d"]]:
    for step in range(steps):
        yield torch.lerp(x[:, BEFORE], x[:, AFTER], (step + 0.5) / steps).requires_grad_()


def _gradient(before: Logits, logits_of: Callable[[Tensor], Logits], point: Tensor) -> Tensor:
    return torch.autograd.grad(kl(before.detach(), logits_of(point)).sum(), point)[0]


def carried(
    dictionary: Dictionary, x: Rows, gradient: Float[Tensor, "row d"], before: Logits, after: Logits
) -> Carried:
    """The parts of rows at forks. `x` holds both models on the same text, `gradient` is that of `line_gradient`."""
    f: Latents = check_pair(dictionary).encode(x)
    if gradient.shape != x[:, AFTER].shape or len(before) != len(x) or before.shape != after.shape:
        shapes = [tuple(each.shape) for each in (x, gradient, before, after)]
        raise BadInput(f"shapes {shapes}", where="fork_kl", do="give [row model d], [row d] and two of [row vocab]")
    g = gradient.to(dictionary.W_dec)
    b, a = (directions(dictionary, model) for model in dictionary.models)
    parts = f * (g @ (a - b).T)
    moved = ((x[:, AFTER] - x[:, BEFORE]).to(g) * g).sum(-1)
    return Carried(parts, moved - parts.sum(-1), kl(before, after))


def carriers(found: Carried, problems: ArrayLike) -> list[Change]:
    """Mean part of every latent in nats, null 0, clustered by problem, Holm over latents; the largest first."""
    names = label_column(problems, "problems", len(found.kl))
    parts = found.parts.numpy(force=True).astype(np.float64)
    about = {"name": "latent_kl", "unit": "nats", "null": 0.0}
    means = [clustered_mean(column, names, **about) for column in parts.T]  # type: ignore[arg-type]
    return sorted(with_holm(range(parts.shape[1]), means), key=lambda each: -abs(each.estimate.value))
