"""Synthetic RESPONSES and TOKENS with known rates, and what every measure should say of them.

A problem has four probabilities (`Rates`, arrays `[problem]`); samples are independent given the problem, and so are
the two sides of a pair. `expected` integrates over the samples by hand, problem by problem: it shares no code with the
measures.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from probe.data import RESPONSES, TOKENS
from probe.measures import PairData
from probe.rng import numpy_rng

FORK, PLAIN, LENGTH = 1.5, 0.2, 20  # entropies in nats of the two kinds of token; tokens in a response
N_FORKS = LENGTH // 5


@dataclass(frozen=True)
class Rates:
    """Per problem: P(code), P(right | strategy, boxed), P(boxed); the confidence it states (None: the true chance)."""

    code: np.ndarray
    right_code: np.ndarray
    right_prose: np.ndarray
    boxed: np.ndarray
    confidence: float | None = None

    @property
    def right(self) -> np.ndarray:
        return self.boxed * (self.code * self.right_code + (1 - self.code) * self.right_prose)


def rates(
    code: float, right: tuple[float, float], boxed: float, confidence: float | None = None, problems: int = 60
) -> Rates:
    """Problems around these means that differ in difficulty and in how much they invite code (within +-.1)."""
    rng = numpy_rng("test", "rates", problems)
    lean, ease = rng.uniform(-0.1, 0.1, size=(2, problems))
    return Rates(code + lean, right[0] + ease, right[1] + ease, np.full(problems, boxed), confidence)


def responses(rates: Rates, *address: str | int, samples: int = 4, temperature: float = 1.0) -> pa.Table:
    """RESPONSES of a checkpoint with these rates."""
    problem = np.repeat(np.arange(len(rates.code)), samples)
    u = numpy_rng("test", "responses", *address).random((3, problem.size))
    code, boxed = u[0] < rates.code[problem], u[1] < rates.boxed[problem]
    chance = np.where(code, rates.right_code[problem], rates.right_prose[problem])
    right = boxed & (u[2] < chance)
    stated = (rates.boxed[problem] * chance).round(1) if rates.confidence is None else rates.confidence
    return table(
        problem=[f"p{i}" for i in problem],
        sample=np.tile(np.arange(samples), len(rates.code)),
        temperature=np.full(problem.size, temperature),
        boxed=np.where(boxed, "7", None),
        outcome=np.where(right, "right", np.where(boxed, "wrong", "unparsed")),
        strategy=np.where(code, "code", "prose"),
        python=code,
        confidence=np.broadcast_to(stated, problem.shape),
    )


def table(**columns: object) -> pa.Table:
    """RESPONSES from some of its columns, the others filled with one value each."""
    n = len(columns["problem"])  # type: ignore[arg-type]
    filled = {"checkpoint": "x", "step": 0, "sample": 0, "temperature": 0.0, "text": "", "stop": "eos", "tokens": 1}
    rows = {name: [value] * n for name, value in filled.items()} | columns
    return pa.table({name: pa.array(rows[name], RESPONSES.field(name).type) for name in RESPONSES.names})


def scored_pair(problems: int, *address: str | int, moved: float = 0.0, swapped: float = 0.0) -> dict[str, object]:
    """TOKENS of one text, the first N_FORKS of each LENGTH tokens forks, under two scorers; noise below .1 nats.

    Besides, after is lower by `moved` at forks, and in a share `swapped` of the problems its forks are the last tokens.
    KL is .5 nats at forks and .05 elsewhere.
    """
    rng = numpy_rng("test", "scored", *address)
    fork = np.arange(LENGTH) < N_FORKS
    base = np.tile(np.where(fork, FORK, PLAIN), (problems, 1))
    before, after = base + rng.uniform(0, 0.1, (2, problems, LENGTH))
    after -= moved * fork
    turned = np.arange(problems) < round(swapped * problems)
    after[turned] = after[turned, ::-1]
    kl = np.tile(np.where(fork, 0.5, 0.05), problems)
    sides = {f"tokens_{name}": tokens(values.ravel()) for name, values in (("before", before), ("after", after))}
    return sides | {"kl": pa.array(kl, pa.float32())}


def tokens(entropy: np.ndarray) -> pa.Table:
    """TOKENS with these entropies, LENGTH to a problem."""
    n = entropy.size
    rows = {
        "problem": np.repeat([f"p{i}" for i in range(n // LENGTH)], LENGTH),
        "pos": np.tile(np.arange(LENGTH), n // LENGTH),
        "token": np.arange(n) % 7,
        "entropy": entropy,
    }
    filled = {"generator": "x", "scorer": "x", "span": ""}
    rows |= {name: np.full(n, filled.get(name, 0)) for name in TOKENS.names if name not in rows}
    return pa.table({name: pa.array(rows[name], TOKENS.field(name).type) for name in TOKENS.names})


def pair(first: Rates, last: Rates, *address: str | int, samples: int = 4, **scores: float) -> PairData:
    """Everything a measure can look at."""
    before, after = (responses(r, side, *address, samples=samples) for side, r in (("before", first), ("after", last)))
    return PairData(before, after, **scored_pair(len(first.code), *address, **scores), address=("t", *address))


def expected(first: Rates, last: Rates) -> dict[tuple[str, str, str], float]:
    """(name, side, level) -> the value that infinitely many samples of these problems would give."""
    sides = [_side(first), _side(last)]
    found = {
        (name, side, level): v
        for side, s in zip(("before", "after"), sides, strict=True)
        for (name, level), v in s.items()
    }
    found |= {(name, "change", level): sides[1][name, level] - v for (name, level), v in sides[0].items()}
    p, q = first.right, last.right
    cells = {"both": p * q, "only_before": p * (1 - q), "only_after": q * (1 - p), "neither": (1 - p) * (1 - q)}
    found |= {("outcome_share", "", level): float(share.mean()) for level, share in cells.items()}
    now, then = (
        {"C": (r.code, r.boxed * r.right_code), "L": (1 - r.code, r.boxed * r.right_prose)} for r in (first, last)
    )
    for cell in ("CC", "CL", "LC", "LL"):
        (s0, a0), (s1, a1) = now[cell[0]], then[cell[1]]
        found["switch_share", "", cell] = float((s0 * s1).mean())
        found["switch_gain", "change", cell] = float(100 * (s0 * s1 * (a1 - a0)).mean())
    found |= {("gain_parts", "change", part): value for part, value in _parts(first, last).items()}
    found["collapse_ratio", "", "parse_rate"] = float(last.boxed.mean() / first.boxed.mean())
    for level in ("code", "prose"):
        ratio = sides[1]["within_strategy", level] / sides[0]["within_strategy", level]
        found["collapse_ratio", "", level] = ratio
    return found


def _parts(first: Rates, last: Rates) -> dict[str, float]:
    """What a gain is of: for each strategy, half of what a change does beside the other side's rates, both ways."""
    parts = {"mix": 0.0, "parse": 0.0, "within": 0.0}
    for code in (True, False):
        (s0, p0, a0), (s1, p1, a1) = (_nested(rates, code) for rates in (first, last))
        parts["mix"] += (s1 - s0) * (p0 * a0 + p1 * a1) / 2
        parts["parse"] += (s0 + s1) / 2 * (p1 - p0) * (a0 + a1) / 2
        parts["within"] += (s0 + s1) / 2 * (p0 + p1) / 2 * (a1 - a0)
    return parts | {"total": float((last.right - first.right).mean())}


def _nested(r: Rates, code: bool) -> tuple[float, float, float]:
    """Share of a strategy, share of its responses with a box, share of those that are right."""
    uses, right = (r.code, r.right_code) if code else (1 - r.code, r.right_prose)
    share, boxed = float(uses.mean()), float((uses * r.boxed).mean())
    return share, boxed / share, float((uses * r.boxed * right).mean()) / boxed


def _side(r: Rates) -> dict[tuple[str, str], float]:
    share = np.append(r.code, 1 - r.code)  # every problem twice: answered in code, answered in prose
    chance = np.append(r.boxed * r.right_code, r.boxed * r.right_prose)
    stated = chance.round(1) if r.confidence is None else np.full(chance.size, r.confidence)
    right, wrong = share * chance, share * (1 - chance)
    wins = (stated[:, None] > stated) + 0.5 * (stated[:, None] == stated)
    n = len(r.code)
    return {
        ("accuracy", ""): float(r.right.mean()),
        ("parse_rate", ""): float(r.boxed.mean()),
        ("code_share", ""): float(r.code.mean()),
        ("python_share", ""): float(r.code.mean()),
        ("within_strategy", "code"): float(right[:n].sum() / r.code.sum()),
        ("within_strategy", "prose"): float(right[n:].sum() / (1 - r.code).sum()),
        ("brier", ""): float((right * (1 - stated) ** 2 + wrong * stated**2).sum() / n),
        ("auroc", ""): float(right @ wins @ wrong / (right.sum() * wrong.sum())),
        **{("pass_at_k", str(k)): float((1 - (1 - r.right) ** k).mean()) for k in (1, 2, 4)},
    }
