"""Pairs of which it is known why accuracy changed: made-up answers, response by response, from known probabilities.

A model has per problem: how likely it reasons in code, that an answer parses, that a parsed one is right, and how sure
its tokens are. Colder sampling raises every probability above one half and lowers those below (logits over T). Each
`plant` changes a model in one way only; `made` draws its answers and those of every counterfactual.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from probe.rng import numpy_rng
from probe.stats.accounting.account import Answers, Evidence
from probe.stats.accounting.arms import Arm, arm

HOTTER, COLDER = (2.5, 1.8, 1.3), (0.8, 0.6, 0.4, 0.0)
KINDS = ("code", "prose")
Rng = np.random.Generator


def sigmoid(x):
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


@dataclass(frozen=True)
class Model:
    """Logits: of code [problem], of parsing [strategy], of being right [problem, strategy]; nats a token; its T."""

    code: np.ndarray
    parse: np.ndarray
    right: np.ndarray
    nats: np.ndarray
    temperature: float = 1.0


def base(rng: Rng, n: int) -> Model:
    """Any base: either strategy may be the better or the commoner one."""
    code = rng.uniform(-1.2, 1.2) + 0.8 * rng.normal(size=n)
    gap = rng.choice([-1, 1]) * rng.uniform(1.5, 2.5)
    right = rng.uniform(-0.4, 0.4) + np.array([gap, -gap]) / 2 + 1.2 * rng.normal(size=(n, 1))
    return Model(code, rng.uniform(1.0, 3.0, size=2), right, rng.uniform(0.3, 0.9, size=2))


def same(model: Model, rng: Rng) -> Model:
    return model


def strategy(model: Model, rng: Rng) -> Model:
    """Another share of code, in either direction."""
    return replace(model, code=model.code + rng.choice([-1, 1]) * rng.uniform(2.0, 4.0))


def sharper(model: Model, rng: Rng) -> Model:
    return replace(model, temperature=rng.uniform(0.4, 0.7))


def leaked(model: Model, rng: Rng) -> Model:
    """Some of the problems are remembered."""
    known = rng.random((len(model.code), 1)) < rng.uniform(0.4, 0.8)
    return replace(model, right=np.where(known, model.right + 4.0, model.right))


def readable(model: Model, rng: Rng) -> Model:
    return replace(model, parse=model.parse + rng.uniform(2.0, 4.0))


def learnt(model: Model, rng: Rng) -> Model:
    """Problems beyond the base's reach can be solved."""
    return replace(model, right=np.where(model.right < -2.0, rng.uniform(0.5, 2.0), model.right))


def answers(model: Model, n: int, temperature: float, names: Sequence[str], rng: Rng) -> Arm:
    """`n` responses to each problem; at temperature 0 the likeliest."""
    cold = model.temperature * temperature
    count = n if temperature else 1

    def drawn(logits):
        if not temperature:
            return np.repeat((logits > 0)[:, None], count, 1)
        return rng.random((len(logits), count)) < sigmoid(logits / cold)[:, None]

    code = drawn(model.code)
    which = np.where(code, 0, 1)
    read = np.where(code, drawn(np.full(len(names), model.parse[0])), drawn(np.full(len(names), model.parse[1])))
    right = read & np.where(code, drawn(model.right[:, 0]), drawn(model.right[:, 1]))
    tokens = rng.integers(20, 60, size=code.shape)
    nats = tokens * model.nats[which] * cold * rng.normal(1.0, 0.2, size=code.shape).clip(0.1)
    rows = np.repeat(np.arange(len(names)), count)
    told = {"entropy": nats.ravel(), "tokens": tokens.ravel()} if temperature else {}
    kinds = np.array(KINDS)[which].ravel()
    return arm(
        np.array(names)[rows], kinds, read.ravel().astype(int), right.ravel().astype(int), strategies=KINDS, **told
    )


Plant = Callable[[Model, Rng], Model]


def expected(model: Model) -> float:
    """Accuracy at temperature 1."""
    code, t = sigmoid(model.code / model.temperature), model.temperature
    right = sigmoid(model.parse / t) * sigmoid(model.right / t)
    return float((code * right[:, 0] + (1 - code) * right[:, 1]).mean())


def models(plants: Sequence[Plant], seed: int, n: int) -> tuple[Model, Model]:
    """Before and after on `n` problems; what will be learnt is beyond the base, what will be sharpened mostly right."""
    rng = numpy_rng("explained pair", seed)
    before = base(rng, n)
    if learnt in plants:
        far = rng.random((n, 1)) < rng.uniform(0.25, 0.45)
        before = replace(before, right=np.where(far, -5.0, before.right))
    if sharper in plants:
        before = replace(before, right=before.right + 1.2, parse=before.parse + 1.5)
    after = before
    for plant in plants:
        after = plant(after, numpy_rng("plant", plant.__name__, seed))
    return before, after


def made(plants: Sequence[Plant], seed: int, *, n: int = 200, samples: int = 8, fall: bool = False) -> Evidence:
    """The evidence on a pair in which these plants differ and nothing else; `leaked` ones on the asked problems alone.

    `fall`: before and after trade places.
    """
    rng = numpy_rng("explained answers", *(plant.__name__ for plant in plants), seed)
    before, after = models(plants, seed, 2 * n)
    clean = models([plant for plant in plants if plant is not leaked], seed, 2 * n)[1]
    found = []
    for word, last, part in (("asked", after, slice(None, n)), ("fresh", clean, slice(n, None))):
        sides = [replace(model, code=model.code[part], right=model.right[part]) for model in (before, last)]
        sides = sides[::-1] if fall else sides
        names = [f"{word} {i:04d}" for i in range(n)]
        ends = [answers(side, samples, 1.0, names, rng) for side in sides]
        rungs = [tuple(answers(sides[0], samples, t, names, rng) for t in ladder) for ladder in (COLDER, HOTTER)]
        again = answers(sides[0], samples, 1.0, names, rng)
        found.append((Answers(*ends, *rungs), again))
    (asked, null), (fresh, _) = found
    return Evidence(asked, fresh, (), null)
