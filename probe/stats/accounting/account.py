"""What does every explanation account for, on the same resamples of problems, given the answers there are?

    before, after    the asked problems at one temperature                            always
    colder, hotter   the base at other temperatures; () where there is none (greedy)  sharpening (`sharpening`)
    fresh            all of these on problems that cannot have leaked                 leak: what is gained there is none
    tried            both models under other prompts; () where there is no other      prompt (`best_prompt`)
    again            the base once more, with other draws                             the null

A field that is None was not measured: it takes nothing away, and the verdict knows. Amounts are in units of accuracy.
Asked and fresh problems are resampled apart, whole problems with the answers of every arm, so that amounts, overlaps
and the total stay coherent on each of `n_boot` addressed resamples. Row 0 of every array is the value itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from probe.data import Estimate
from probe.errors import BadInput
from probe.stats.accounting.arms import Arm, check_same, halves, solved_at, summed
from probe.stats.accounting.atoms import CLAIMANTS, Atom, Cuts, alone, atoms
from probe.stats.accounting.best_prompt import under_best
from probe.stats.accounting.channels import CHANNELS, channels
from probe.stats.accounting.sharpening import sharpened
from probe.stats.bootstrap import percentile_estimate, resamples
from probe.stats.checks import About

Draws = Float[np.ndarray, "draw"]  # the value, then its resamples
Weights = Float[np.ndarray, "draw problem"]


@dataclass(frozen=True)
class Answers:
    """Both models on one set of problems, and the base at other temperatures, falling; `colder` None: not measured."""

    before: Arm
    after: Arm
    colder: tuple[Arm, ...] | None = None
    hotter: tuple[Arm, ...] = ()

    def __post_init__(self) -> None:
        check_same(self.before, self.after, *(self.colder or ()), *self.hotter)
        if len(self.before.problems) < 2:
            raise BadInput("one problem tells nothing about others", where="explain", do="give at least two problems")


@dataclass(frozen=True)
class Evidence:
    """All that was measured; see the module's text."""

    asked: Answers
    fresh: Answers | None = None
    tried: tuple[tuple[Arm, Arm], ...] | None = None
    again: Arm | None = None

    def __post_init__(self) -> None:
        both = [one for each in self.tried or () for one in each]
        check_same(self.asked.before, *both, *([self.again] if self.again else []))

    @property
    def k(self) -> int:
        """The largest number of tries that both models had at every problem."""
        return int(min(self.asked.before.n.min(), self.asked.after.n.min()))


@dataclass(frozen=True)
class Account:
    """Every amount as Draws: the change, its pieces, that of the null, of pass@k, and what a better prompt gives."""

    change: Draws
    pieces: tuple[Atom, ...]
    null: Draws | None
    solved: Draws | None
    best_prompt: Draws | None
    given_back: Draws | None  # what that prompt gives the model after RL
    measured: tuple[str, ...]  # whose amounts are more than a zero for what was not measured
    channel: Mapping[str, Draws]  # the change by CHANNELS
    n: int
    n_problems: int

    @property
    def own_signs(self) -> dict[str, Draws]:
        """What else must move with an explanation: acquisition solves problems that the base did not in k tries."""
        return {} if self.solved is None else {"acquired": self.solved}

    @property
    def ceilings(self) -> dict[str, tuple[Draws, ...]]:
        """What an explanation can account for alone at most, by what was seen of it: each of these.

        Sharpening and acquisition: what changed within strategies, and both of them together. A model that is surer at
        one fork (box or none, which strategy) is matched by a base that is colder everywhere; more is then expected of
        sharpening than happened, and acquisition is left with the opposite.
        Prompt: what changed in the parse rate, and what a better prompt gives the base (of a loss: what it gives back
        to the model after RL). What was taught under one prompt may be gone under another that is no better for it.
        """
        both = alone(self.pieces, "sharpening") + alone(self.pieces, "acquired")
        given = self.best_prompt if self.change[0] > 0 else None if self.given_back is None else -self.given_back
        repaired = self.channel["parse"] + (0.0 if given is None else given)
        inside = (self.channel["within"], both)
        return {"sharpening": inside, "acquired": inside, "prompt": (repaired,)}


def estimate_of(draws: Draws, name: str = "", n: int = 0, n_problems: int = 2, **params: Any) -> Estimate:
    """An amount with percentile limits and p over resampled problems; null 0."""
    return percentile_estimate(float(draws[0]), draws[1:], n, n_problems, About(name, null=0.0, params=params))


def account(evidence: Evidence, *, address: tuple[str | int, ...], n_boot: int = 1000) -> Account:
    """The amounts of one pair. BadInput for arms that do not belong together, or a single problem."""
    asked = evidence.asked
    weights = _weights(len(asked.before.problems), n_boot, (*address, "asked"))
    gain, sharp = _moves(asked, weights)
    nothing = np.zeros_like(gain)
    leak, sharp_leak = nothing, nothing
    if evidence.fresh is not None:
        apart = _weights(len(evidence.fresh.before.problems), n_boot, (*address, "fresh"))
        there, sharp_there = _moves(evidence.fresh, apart)
        leak = gain - there
        both = None not in (asked.colder, evidence.fresh.colder)
        sharp_leak = sharp - sharp_there if both else nothing
    prompt, best, back = nothing, None, None
    if evidence.tried is not None:
        base, trained = under_best(weights, [(asked.before, asked.after), *evidence.tried], _half(asked))
        prompt = gain - channels(base, trained)
        best = channels(summed(weights, asked.before.shares), base).sum(-1)
        back = channels(summed(weights, asked.after.shares), trained).sum(-1)
    again = None
    if evidence.again is not None:
        again = channels(*(summed(weights, one.shares) for one in (asked.before, evidence.again))).sum(-1)
    pieces = atoms(Cuts(gain, sharp, leak, sharp_leak, prompt))
    n = int(asked.before.n.sum() + asked.after.n.sum())
    unknown = {"sharpening": asked.colder is None, "leak": evidence.fresh is None}
    measured = tuple(name for name in CLAIMANTS if not unknown.get(name))
    solved, size = _solved(evidence, weights), len(asked.before.problems)
    channel = dict(zip(CHANNELS, gain.T, strict=True))
    return Account(gain.sum(-1), tuple(pieces), again, solved, best, back, measured, channel, n, size)


def _moves(answers: Answers, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """By channel: what changed, and what of it the base gives where it is as sure as the model after RL."""
    before = summed(weights, answers.before.shares)
    gain = channels(before, summed(weights, answers.after.shares))
    if not answers.colder:
        return gain, np.zeros_like(gain)
    rungs = (*answers.hotter, answers.before, *answers.colder)
    return gain, channels(before, sharpened(weights, rungs, answers.before, answers.after, _half(answers)))


def _half(answers: Answers) -> np.ndarray:
    return halves(answers.before.problems)


def _solved(evidence: Evidence, weights: Weights) -> Draws | None:
    """Change of pass@k at the largest k; None where each problem was tried once."""
    if evidence.k < 2:
        return None
    before, after = (solved_at(evidence.k, one) for one in (evidence.asked.before, evidence.asked.after))
    return np.asarray(weights @ (after - before) / weights.sum(1))


def _weights(n: int, n_boot: int, address: tuple[str | int, ...]) -> Weights:
    """How often each problem counts: once, then in every resample."""
    counts: Sequence[np.ndarray] = [np.bincount(draw, minlength=n) for draw in resamples(n, n_boot, address)]
    return np.array([np.ones(n), *counts])
