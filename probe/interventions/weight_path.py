"""Is the path of a run's weights a line? The steps that were kept, seen from the base.

    D_k = v_k - v_0   [all parameters],   k = 1..K kept steps, after t_k batches;   G_jk = <D_j, D_k>

    first_direction   largest eigenvalue of G over its trace: share of the (uncentred) path in its first singular
                      direction.  A walk of equal steps: 8 / pi^2 = .81 for many steps
    end_kept          share of |D_K|^2 that lies along that direction.  A walk: 8 / pi^2 too
    first_component   the same of v_0..v_K less their mean: what a principal component carries.  A walk: 6 / pi^2 = .61
    linear            R^2 of each coordinate linear in t, weighted by its spread: 1 for a line at even pace
    cosine            of D_q and D_K, q the first quarter.  A walk: sqrt(q / K), as D_q is part of D_K
    cosine_rest       of D_q and D_K - D_q.  A walk: 0
    straight          |D_K| over the length of the path.  A walk: 1 / sqrt(K)
    rank_one          share of |D_K|^2 in the largest singular value of each matrix;   stable_rank   |D_K|^2 / s_1^2

Everything but the last line is read off G, so nothing of size [K, all parameters] is decomposed. All trained tensors
together: G summed, squares summed. After 2605.21468 (a path of one direction, linear in t, most of the gain in it) and
2601.04537. Left out: what happened between two kept steps, paths of activations, and fitting the pace (`extended` is
told how long the whole is).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.interventions.random_walk import Overlay
from probe.interventions.weight_difference import singular_values

LEAST = 3  # kept steps: of two any path is nearly a line
ALL = "all"
FIELDS = (
    *("first_direction", "end_kept", "first_component", "linear", "cosine", "cosine_rest", "straight"),
    *("rank_one", "stable_rank"),
)
Gram = Float[np.ndarray, "step step"]


@dataclass(frozen=True)
class Shape:
    """The shape of one path; nan where nothing changed, and the last two where there is no matrix."""

    entries: int
    norm: float  # of the final change
    first_direction: float
    end_kept: float
    first_component: float
    linear: float
    cosine: float
    cosine_rest: float
    straight: float
    rank_one: float
    stable_rank: float


def quarter(steps: int) -> int:
    """Which kept step ends the first quarter, from 1."""
    return max(1, steps // 4)


@torch.no_grad()
def shapes(path: Sequence[Overlay], batches: Sequence[int]) -> dict[str, Shape]:
    """By trained tensor, and of all together. `path`: the base and every kept step, made after `batches` (0 first).

    BadInput for fewer than LEAST steps, or a number of batches for another number of steps.
    """
    if len(path) <= LEAST or len(path) != len(batches):
        what = f"a path of {len(path) - 1} kept steps after {len(batches) - 1} batches"
        raise BadInput(what, where="weight path", do=f"keep {LEAST} at least: save_every=1")
    grams = {name: gram([step[name] for step in path]) for name in path[0]}
    energies = {name: _energies(path[-1][name], path[0][name]) for name in path[0]}
    entries = {name: tensor.numel() for name, tensor in path[0].items()}
    found = {name: _shape(grams[name], batches, energies[name], entries[name]) for name in grams}
    known = [each for each in energies.values() if each]
    top, total = (sum(values) for values in zip(*known, strict=True)) if known else (0.0, 0.0)
    whole = np.sum(list(grams.values()), axis=0)
    return found | {ALL: _shape(whole, batches, (top, total) if known else None, sum(entries.values()))}


def gram(tensors: Sequence[Tensor]) -> Gram:
    """<v_j - v_0, v_k - v_0> in fp64, the base first: its row and column are 0."""
    far = torch.stack([(tensor - tensors[0]).flatten().double() for tensor in tensors])
    return np.asarray((far @ far.T).numpy())


def extended(path: Sequence[Overlay]) -> dict[str, Tensor]:
    """The base and the first quarter's change, made as long as the final one."""
    start, early, end = path[0], path[quarter(len(path) - 1)], path[-1]
    s = stretch(path)
    if not math.isfinite(s):
        raise BadInput("the first quarter changed nothing", where="weight path", do="keep more steps, or train longer")
    return {name: (start[name] + s * (early[name] - start[name])).to(end[name].dtype) for name in start}


def stretch(path: Sequence[Overlay]) -> float:
    """s: how many times as long the final change is as that of the first quarter."""
    early, end = (_norm(path[0], path[at]) for at in (quarter(len(path) - 1), -1))
    return end / early if early else math.inf


def _norm(start: Mapping[str, Tensor], end: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(float((end[name] - start[name]).double().square().sum()) for name in start))


def _energies(end: Tensor, start: Tensor) -> tuple[float, float] | None:
    """Largest squared singular value of a matrix's change, and their sum; None for what is no matrix."""
    if end.ndim != 2 or min(end.shape) == 1:
        return None
    energy = singular_values((end - start).float()) ** 2
    return float(energy[0]), float(energy.sum())


def _shape(g: Gram, batches: Sequence[int], energy: tuple[float, float] | None, entries: int) -> Shape:
    last = len(g) - 1
    q, end = quarter(last), float(g[last, last])
    if end <= 0:
        return Shape(entries, 0.0, *(math.nan,) * 9)
    t = np.asarray(batches, float) - np.mean(batches)
    centred = g - g.mean(0) - g.mean(1)[:, None] + g.mean()
    values, vectors = np.linalg.eigh(g)
    lengths = [g[k + 1, k + 1] - 2 * g[k, k + 1] + g[k, k] for k in range(last)]
    rest = g[q, q] - 2 * g[q, last] + end
    return Shape(
        entries,
        math.sqrt(end),
        values[-1] / np.trace(g),
        values[-1] * vectors[-1, -1] ** 2 / end,
        float(np.linalg.eigvalsh(centred)[-1] / np.trace(centred)),
        float(t @ g @ t / (t @ t) / np.trace(centred)),
        _ratio(g[q, last], math.sqrt(g[q, q] * end)),
        _ratio(g[q, last] - g[q, q], math.sqrt(max(0.0, g[q, q] * rest))),
        math.sqrt(end) / float(np.sqrt(np.clip(lengths, 0, None)).sum()),
        _ratio(energy[0], energy[1]) if energy else math.nan,
        _ratio(energy[1], energy[0]) if energy else math.nan,
    )


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else math.nan
