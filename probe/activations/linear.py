"""Can a line tell these rows apart, on problems it has not seen, and better than it tells shuffled labels?

    logistic     min_w,b  mean log(1 + exp(-s (w.z + b))) + l2/2 |w|^2     s = +-1, z standardised on the training rows
    difference   w = mean(x | yes) - mean(x | no)                          threshold half way between the two means

float64; logistic by full-batch L-BFGS from 0, so nothing is drawn. Folds are whole problems, dealt out in the order of
an addressed hash. AUROC compares rows of one fold only (each fold has its own probe); its interval is over problems and
given the fitted probes, so it is no test: without a signal it misses .5 in 15 of 100 draws. The control refits
everything on shuffled labels: whole problems trade their labels, and where these come many to a problem, in any order.
p = (1 + hits) / (1 + draws) of the control. selectivity = AUROC - mean control (1909.03368); its interval is as wide as
what the control's draws spread, where that is more, so that it holds 0 where there is nothing.
Left out: tuning l2 (nested folds), several classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import t as student

from probe.data import Estimate
from probe.errors import BadInput
from probe.registry import nearest
from probe.rng import address as hashed
from probe.rng import numpy_rng
from probe.stats.checks import binary, label_column
from probe.stats.intervals import clustered_mean
from probe.stats.ranking import clustered_auroc, ranked

Address = tuple[str | int, ...]
Kind = Literal["logistic", "difference"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Shuffle = Literal["problems", "rows"]
FOLDS, DRAWS, L2 = 5, 20, 1e-2
FEWEST = 5  # problems of a class, a fold
TIGHT = {"maxiter": 500, "ftol": 1e-10, "gtol": 1e-6}


@dataclass(frozen=True, eq=False)
class Line:
    """x . weight + bias > 0 says yes."""

    weight: Float[np.ndarray, "d"]
    bias: float

    def __call__(self, x: Float[np.ndarray, "row d"]) -> Float[np.ndarray, "row"]:
        return x @ self.weight + self.bias


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows to be told apart: activations, yes (1) or no (0), problems. BadInput where they do not fit together."""

    x: Float[np.ndarray, "row d"]
    y: Float[np.ndarray, "row"]
    problem: np.ndarray

    def __post_init__(self) -> None:
        x = np.asarray(self.x, dtype=np.float64)
        if x.ndim != 2 or not np.isfinite(x).all():
            raise BadInput(f"activations of shape {x.shape}, or not finite", where="Examples", do="give [row d]")
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", binary(self.y, "labels", rows=len(x)))
        object.__setattr__(self, "problem", label_column(self.problem, "problems", len(x)))

    def __getitem__(self, rows: np.ndarray) -> "Examples":
        return Examples(self.x[rows], self.y[rows], self.problem[rows])


def fit(kind: Kind, x: Float[np.ndarray, "row d"], y: Float[np.ndarray, "row"], l2: float = L2) -> Line:
    """A probe of that kind. BadInput where only one class is there."""
    yes = y > 0.5
    if yes.all() or not yes.any():
        raise BadInput(f"all {len(y)} labels are {int(yes.any())}", where="fit", do="give rows of both classes")
    if kind == "logistic":
        return _logistic(x, yes, l2)
    if kind == "difference":
        high, low = x[yes].mean(0), x[~yes].mean(0)
        return Line(high - low, float(-(high - low) @ (high + low) / 2))
    raise BadInput(f"no probe is called {kind!r}", do=nearest(kind, KINDS))


def _logistic(x: Float[np.ndarray, "row d"], yes: Bool[np.ndarray, "row"], l2: float) -> Line:
    if not l2 > 0:
        raise BadInput(f"l2 is {l2}", where="logistic", do="give a positive one: classes may be separable")
    mean, spread = x.mean(0), x.std(0)
    spread = np.where(
        spread > 1e-12 * max(1.0, float(np.abs(x).max())), spread, np.inf
    )  # what is constant says nothing
    z, sign = (x - mean) / spread, np.where(yes, 1.0, -1.0)

    def loss(parameters: Float[np.ndarray, "d1"]) -> tuple[float, Float[np.ndarray, "d1"]]:
        weight, bias = parameters[:-1], parameters[-1]
        margin = sign * (z @ weight + bias)
        pull = -sign * expit(-margin) / len(z)
        value = np.logaddexp(0, -margin).mean() + l2 / 2 * (weight @ weight)
        return float(value), np.append(z.T @ pull + l2 * weight, pull.sum())

    optimum = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options=TIGHT).x
    weight = optimum[:-1] / spread
    return Line(weight, float(optimum[-1] - weight @ mean))


def folds(problem: ArrayLike, k: int, address: Address) -> Int[np.ndarray, "row"]:
    """Which of `k` folds each row is in: problems in the order of their hash, dealt out; BadInput for too few."""
    names, codes = np.unique(label_column(problem, "problems"), return_inverse=True)
    if not 2 <= k <= len(names):
        raise BadInput(
            f"{k} folds of {len(names)} problems", where="folds", do="give 2 folds or more, and a problem each"
        )
    order = sorted(range(len(names)), key=lambda i: hashed(*address, "fold", str(names[i])))
    dealt = np.empty(len(names), dtype=int)
    dealt[order] = np.arange(len(names)) % k
    return dealt[codes]


def held_out(
    examples: Examples, fold: Int[np.ndarray, "row"], kind: Kind, l2: float = L2
) -> Float[np.ndarray, "row"] | None:
    """Each row's score from the probe that has not seen its fold; None where some fold's rest has but one class."""
    scores = np.empty(len(examples.y))
    for number in np.unique(fold):
        out = fold == number
        if np.unique(examples.y[~out]).size < 2:
            return None
        scores[out] = fit(kind, examples.x[~out], examples.y[~out], l2)(examples.x[out])
    return scores


def shuffled_labels(examples: Examples, by: Shuffle, address: Address) -> Float[np.ndarray, "row"]:
    """The labels of other problems laid over in turn (whole blocks where all are of one length).

    By "rows", each problem has those of another one in any order, over again or some of them where it has more or fewer
    rows: which place a label had in its problem is forgotten, that labels of one problem are alike is not.
    """
    rng = numpy_rng(*address, "shuffled labels")
    order = np.argsort(examples.problem, kind="stable")
    blocks = np.split(order, np.unique(examples.problem[order], return_index=True)[1][1:])
    traded = [blocks[place] for place in rng.permutation(len(blocks))]
    if by == "rows":
        traded = [np.resize(rng.permutation(its), own.size) for its, own in zip(traded, blocks, strict=True)]
    labels = np.empty(len(order))
    labels[order] = examples.y[np.concatenate(traded)]
    return labels


def probe(
    examples: Examples,
    kind: Kind,
    *,
    address: Address,
    params: Mapping[str, Any] | None = None,
    k: int = FOLDS,
    draws: int = DRAWS,
    shuffle: Shuffle = "problems",
    l2: float = L2,
) -> list[Estimate]:
    """`probe_auroc` (null .5), `probe_accuracy` (null: the larger class), `probe_control`, `probe_selectivity` (0).

    Empty where a class has rows in too few problems (`has_classes`).
    """
    if not has_classes(examples, k):
        return []
    fold = folds(examples.problem, k, address)
    scores = held_out(examples, fold, kind, l2)
    if scores is None:
        return []
    columns: dict[str, Any] = {"params": dict(params or {})}
    shuffled = controls(examples, fold, kind, address, draws, shuffle, l2)
    auroc = clustered_auroc(scores, examples.y, examples.problem, name="probe_auroc", strata=fold, **columns)
    share = float(examples.y.mean())
    right = ((scores > 0) == (examples.y > 0.5)).astype(float)
    most: dict[str, Any] = {"null": max(share, 1 - share), "bounds": (0.0, 1.0), **columns}
    accuracy = clustered_mean(right, examples.problem, name="probe_accuracy", **most)
    p = (1 + int((shuffled >= auroc.value).sum())) / (1 + shuffled.size)
    # t tests take the probes as given: without a signal they find p < .05 in 15 % of draws, and are not told
    return [replace(auroc, p=p), replace(accuracy, p=None), *_controlled(auroc, shuffled, p)]


def controls(
    examples: Examples,
    fold: Int[np.ndarray, "row"],
    kind: Kind,
    address: Address,
    draws: int = DRAWS,
    shuffle: Shuffle = "problems",
    l2: float = L2,
) -> Float[np.ndarray, "draw"]:
    """AUROC of the whole procedure on shuffled labels; draws in which it cannot be fitted are left out."""
    aurocs = []
    for draw in range(draws):
        labels = shuffled_labels(examples, shuffle, (*address, draw))
        mixed = Examples(examples.x, labels, examples.problem)
        scores = held_out(mixed, fold, kind, l2)
        aurocs += [] if scores is None else [ranked(scores, labels, fold)[0]]
    return np.array(aurocs)


def _controlled(auroc: Estimate, shuffled: Float[np.ndarray, "draw"], p: float) -> list[Estimate]:
    """The control (its interval: 2.5 and 97.5 % of the draws) and the selectivity: the probe less its mean."""
    if shuffled.size < 2:
        return []
    about = (auroc.n, auroc.n_problems)
    mean, spread = float(shuffled.mean()), float(shuffled.std(ddof=1))
    lo, hi = np.quantile(shuffled, [0.025, 0.975])
    control = Estimate("probe_control", mean, min(lo, mean), max(hi, mean), *about, "fraction", 0.5, None, auroc.params)
    selectivity, wide = auroc.value - mean, float(student.isf(0.025, shuffled.size - 1)) * spread
    low, high = (
        float(np.hypot(max(reach, wide), wide / np.sqrt(shuffled.size)))
        for reach in (auroc.value - auroc.lo, auroc.hi - auroc.value)
    )
    limits = (selectivity - low, selectivity + high)
    return [control, Estimate("probe_selectivity", selectivity, *limits, *about, "fraction", 0.0, p, auroc.params)]


def has_classes(examples: Examples, k: int = FOLDS) -> bool:
    """Whether both classes occur in at least FEWEST problems a fold: with fewer, what is held out is missed in training
    and probes of nothing score below .5."""
    return all(np.unique(examples.problem[examples.y == label]).size >= FEWEST * k for label in (0.0, 1.0))
