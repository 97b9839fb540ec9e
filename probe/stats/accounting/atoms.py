"""Which explanations can claim which piece of an accuracy change, and what does each account for alone and in common?

A change is cut twice. By channel (mix, parse, within), and by what would take it away without RL having taught a thing:
the base sharpened, problems that cannot have leaked, the base's best prompt. With per channel c the change g, what
sharpening gives s, what the asked problems gain beyond fresh ones l, the same of sharpening sl, and what is gone under
the best prompt q, the pieces (atoms) are

    sharpened, not leaked  s - sl      leaked, not sharpened  l - sl      both  sl      prompt  q
    none of them           g - s - l + sl - q

and sum to g exactly, whatever the estimates are. An atom is claimed by

    strategy (H1)  every mix           sharpening (H2)  every sharpened one      leak (H3)  every leaked one
    prompt (H4)    every parse, and every prompt one                             acquired (H6)  within, none of them

    alone   atoms that nothing else claims       in common   the others that it claims       total = alone + in common
    share   each atom split evenly among those that claim it (Shapley value of that game): shares sum to the change

Signs are those of accuracy; alone and in common may oppose each other. Left out: what sharpening and the prompt, or
leak and prompt, would take away together: it is not asked for, and counts as nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from probe.stats.accounting.channels import CHANNELS

CLAIMANTS = ("strategy", "sharpening", "leak", "prompt", "acquired")
Piece = Float[np.ndarray, "draw"]


@dataclass(frozen=True)
class Cuts:
    """By channel `[draw, channel]`, in units of accuracy: the change, and what each counterfactual takes away of it."""

    gain: Float[np.ndarray, "draw channel"]
    sharp: Float[np.ndarray, "draw channel"]
    leak: Float[np.ndarray, "draw channel"]
    sharp_leak: Float[np.ndarray, "draw channel"]
    prompt: Float[np.ndarray, "draw channel"]


@dataclass(frozen=True)
class Atom:
    """One piece of the change, and who can claim it."""

    claimed_by: frozenset[str]
    amount: Piece


def atoms(cuts: Cuts) -> list[Atom]:
    """The pieces of every channel; they sum to the change."""
    found = []
    for place, channel in enumerate(CHANNELS):
        gain, sharp, leak, both, prompt = (each[:, place] for each in vars(cuts).values())
        pieces = {("sharpening",): sharp - both, ("leak",): leak - both, ("sharpening", "leak"): both}
        pieces |= {("prompt",): prompt, (): gain - sharp - leak + both - prompt}
        found += [Atom(_claim(channel, ways), amount) for ways, amount in pieces.items()]
    return found


def _claim(channel: str, ways: tuple[str, ...]) -> frozenset[str]:
    by_channel = {"mix": {"strategy"}, "parse": {"prompt"}, "within": set() if ways else {"acquired"}}
    return frozenset(by_channel[channel] | set(ways))


def alone(pieces: Collection[Atom], name: str) -> Piece:
    """What only this explanation accounts for."""
    return _sum(pieces, lambda claim: claim == {name})


def total(pieces: Collection[Atom], name: str) -> Piece:
    """All that it can account for."""
    return _sum(pieces, lambda claim: name in claim)


def beyond(pieces: Collection[Atom], name: str, others: Collection[str]) -> Piece:
    """What it can account for and none of the others can."""
    return _sum(pieces, lambda claim: name in claim and not claim & set(others))


def unclaimed(pieces: Collection[Atom], names: Collection[str]) -> Piece:
    """What none of these accounts for."""
    return _sum(pieces, lambda claim: not claim & set(names))


def shares(pieces: Collection[Atom]) -> Mapping[str, Piece]:
    """Each claimant's Shapley value; they sum to the change."""
    return {
        name: np.sum([a.amount / len(a.claimed_by) for a in pieces if name in a.claimed_by], axis=0)
        for name in CLAIMANTS
    }


def sharers(pieces: Collection[Atom], name: str) -> set[str]:
    """Who can claim something that it claims too."""
    return set().union(*(a.claimed_by for a in pieces if name in a.claimed_by)) - {name}


def _sum(pieces: Collection[Atom], wanted: object) -> Piece:
    chosen = [each.amount for each in pieces if wanted(each.claimed_by)]  # type: ignore[operator]
    return np.sum(chosen, axis=0) if chosen else np.zeros_like(next(iter(pieces)).amount)
