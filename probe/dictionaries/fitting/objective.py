"""What is a step's loss? Means over rows; e = x^ - y, the error in the units of z, G [row w].

    objective   sum_m |e_m|^2 + difference x 2 <e_before, e_after>                        at -1: |e_after - e_before|^2
    matryoshka  the same for what each prefix of latents reconstructs alone, summed                       (2503.17547)
    delta       | own latents' (x^_after - x^_before) - (z_after - z_before) |^2, times its weight        (2603.04426)
    aux         | -e - what the dead latents of largest pre-activation add up to |^2, e held fixed        (2406.04093)
    l0          w rms^2 (L0 / k - 1)^2, by way of the thresholds                                          (2407.14435)

Delta is the plain reading of the paper: a term of its own for the difference, told by the latents that belong to one
model alone; its second k for these latents is left out. Aux takes pre-activations of either sign, and counts for less
while fewer than aux_k latents are dead, as in SAELens. The thresholds' gradient is a rectangle's of width `bandwidth`:

    df/dtheta = -theta/width 1[|h - theta| < width/2],      d 1[h > theta]/dtheta = -1/width 1[|h - theta| < width/2]
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.dictionaries.activation import Latents
from probe.dictionaries.fitting.options import Fit
from probe.dictionaries.fitting.pairs import Pairs, above, largest_of_batch, largest_of_rows, pairs, some
from probe.dictionaries.fitting.parameters import Parameters
from probe.dictionaries.fitting.sparse import AtPairs, Flat, asked, decode


@dataclass(frozen=True, eq=False)
class Step:
    """What one batch gave: the loss to be differentiated, its error, and which latents were above 0."""

    loss: Float[Tensor, ""]
    error: Flat
    z: Flat
    fired: Tensor  # latent of each active pair
    l0: float


def forward(parameters: Parameters, fit: Fit, y: Flat, k: float, dead: Bool[Tensor, "latent"]) -> Step:
    """Loss of a batch at `k` active latents a row. `dead`: latents that are asked to explain the error."""
    with torch.no_grad():
        z = y - parameters.b_dec
        pre = torch.addmm(parameters.b_enc, z, parameters.W_enc.T)
        at = _active(parameters, fit, pre, k)
    h = asked(pre, z, parameters.W_enc, parameters.b_enc, parameters.b_dec, at)
    f, on = _values(parameters, fit, h, at)
    error, loss = _reconstructed(parameters, fit, y, f, at)
    if fit.delta:
        loss = loss + fit.delta * _delta(parameters, fit, z, f, at)
    if fit.aux and dead.any():
        loss = loss + fit.aux * _aux(parameters, fit, z, error.detach(), dead)
    l0 = on.sum() / len(y)
    if fit.activation == "jumprelu":
        loss = loss + fit.l0_weight * y.shape[1] * fit.rms**2 * (l0 / k - 1) ** 2
    return Step(loss, error.detach(), z, at.latent[on.detach() > 0], float(l0.detach()))


def objective(error: Flat, difference: float) -> Float[Tensor, ""]:
    """The mean over rows of the errors' sizes, and of how alike they are."""
    loss = error.square().sum()
    if difference:
        before, after = error.chunk(2, dim=1)
        loss = loss + 2 * difference * (before * after).sum()
    return loss / len(error)


def _active(parameters: Parameters, fit: Fit, pre: Latents, k: float) -> Pairs:
    if fit.activation == "topk":
        place = largest_of_rows(pre, round(k))
    elif fit.activation == "jumprelu":
        place = above(pre, (parameters.log_threshold.exp() - fit.bandwidth / 2).clamp(min=0))
    else:
        place = largest_of_batch(pre, int(k * len(pre)))
    return pairs(place, *pre.shape)


def _values(parameters: Parameters, fit: Fit, h: AtPairs, at: Pairs) -> tuple[AtPairs, AtPairs]:
    """How active each pair is, and 1 where it is."""
    if fit.activation != "jumprelu":
        return h, torch.ones_like(h)
    return _Jump.apply(h, parameters.log_threshold.exp()[at.latent], fit.bandwidth)


def _reconstructed(parameters: Parameters, fit: Fit, y: Flat, f: AtPairs, at: Pairs) -> tuple[Flat, Float[Tensor, ""]]:
    """The error of all latents, and the objective of it and of every prefix."""
    widths = (0, *fit.prefixes, fit.n_latents)
    error, loss = parameters.b_dec - y, f.new_zeros(())
    for low, high in pairwise(widths):
        chosen, here = (f, at) if not fit.prefixes else _between(f, at, low, high)
        error = error + decode(chosen, parameters.W_dec, here)
        loss = loss + objective(error, fit.difference)
    return error, loss


def _between(f: AtPairs, at: Pairs, low: int, high: int) -> tuple[AtPairs, Pairs]:
    which = (at.latent >= low) & (at.latent < high)
    return f[which], some(at, which)


def _delta(parameters: Parameters, fit: Fit, z: Flat, f: AtPairs, at: Pairs) -> Float[Tensor, ""]:
    chosen, here = _between(f, at, 0, fit.own)
    before, after = (decode(chosen, parameters.W_dec, here) - z).chunk(2, dim=1)
    return (after - before).square().sum() / len(z)


def _aux(parameters: Parameters, fit: Fit, z: Flat, error: Flat, dead: Bool[Tensor, "latent"]) -> Float[Tensor, ""]:
    """Dense: dead latents are few, or training has failed."""
    which = dead.nonzero()[:, 0]
    most = fit.aux_k or max(1, z.shape[1] // 2)
    h = z @ parameters.W_enc[which].T + parameters.b_enc[which]
    if len(which) > most:
        top = h.topk(most, dim=-1, sorted=False)
        h = torch.zeros_like(h).scatter(-1, top.indices, top.values)
    missed = (h @ parameters.W_dec[which] + error).square().sum() / len(z)
    return missed * min(1.0, len(which) / most)


class _Jump(torch.autograd.Function):
    """(h where h > theta, 1 where h > theta), with the straight-through gradient of the thresholds."""

    @staticmethod
    def forward(ctx: Any, h: AtPairs, theta: AtPairs, width: float) -> tuple[AtPairs, AtPairs]:
        ctx.save_for_backward(h, theta)
        ctx.width = width
        on = (h > theta).to(h)
        return h * on, on

    @staticmethod
    def backward(ctx: Any, *grads: AtPairs) -> tuple[Tensor | None, ...]:
        (h, theta), (g_f, g_on) = ctx.saved_tensors, grads
        band = ((h - theta).abs() < ctx.width / 2).to(h) / ctx.width
        return g_f * (h > theta), -band * (theta * g_f + g_on), None
