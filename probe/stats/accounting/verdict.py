"""Which explanation of an accuracy change is supported, which is excluded, and what would decide the rest?

The rule sees amounts and intervals, never names. All amounts are taken in the direction of the change, so that a loss
is explained like a gain; limits are 95 % percentiles over resampled problems; `least` = .2 of the change.

    destroyed    the model was destroyed: there is no change in what it does, and nothing is explained
    no change    the change's interval holds 0, or the change is within the limits of the base against itself
    changed      otherwise, and for each explanation

        supported   all that it rests on was measured; what it accounts for alone is in the direction of the change,
                    with p < .05 after Holm over the explanations that were measured, and at least half of `least`; all
                    it can account for is at least `least`, and so are its ceilings (if it has any: `Account.ceilings`);
                    and its own sign (if it has one: pass@k for acquisition) has moved in the direction of the change,
                    its interval beyond 0
        excluded    what it could account for beyond the supported ones stays below `least`: the upper limit of
                    (that amount - .2 x change) is below 0; or its own sign's upper limit is not above 0
        undecided   neither; `why` says what would decide it

    main         the supported one that accounts for most; None where none is supported

An explanation that shares all it accounts for with one that is supported is excluded, not needed: the table shows the
overlap. Two that share everything with one another are both undecided. Null changes are found in at most 5 % of pairs.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from probe.stats.accounting.account import Account, Draws, estimate_of
from probe.stats.accounting.atoms import CLAIMANTS, alone, beyond, sharers, total
from probe.stats.permutation import holm

LEVEL, LEAST = 0.05, 0.2
Standing = Literal["supported", "excluded", "undecided"]
State = Literal["destroyed", "no change", "changed"]


@dataclass(frozen=True)
class Needs:
    """What was not measured and would be needed, in words: to support an explanation, and to exclude it."""

    support: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Where one explanation stands, what decides or would decide it, and p of `alone` after Holm (nan: untested)."""

    standing: Standing
    why: str
    p_holm: float


@dataclass(frozen=True)
class Verdict:
    """The state of the change, every explanation's finding, and the main one."""

    state: State
    findings: Mapping[str, Finding]
    main: str | None


def decide(account: Account, needs: Mapping[str, Needs], *, destroyed: bool = False) -> Verdict:
    """The verdict by the rule above; `needs` has an entry for each of CLAIMANTS."""
    state: State = "destroyed" if destroyed else "changed" if _changed(account) else "no change"
    if state != "changed":
        why = "the model is destroyed" if destroyed else "there is no change to explain; more problems would show less"
        return Verdict(state, {name: Finding("undecided", why, math.nan) for name in CLAIMANTS}, None)
    toward = float(np.sign(account.change[0]))
    least = LEAST * toward * account.change
    own = {name: toward * alone(account.pieces, name) for name in CLAIMANTS}
    every = {name: toward * float(total(account.pieces, name)[0]) for name in CLAIMANTS}
    signs = {name: _sign(toward * draws) for name, draws in account.own_signs.items()}
    p = _adjusted({name: own[name] for name in CLAIMANTS if not needs[name].support})
    seen = {name: [toward * float(draws[0]) for draws in each] for name, each in account.ceilings.items()}
    enough = [name for name in CLAIMANTS if min([every[name], *seen.get(name, [])]) >= least[0]]
    large = [name for name in enough if own[name][0] >= least[0] / 2]
    clear = [name for name in large if p.get(name, 1.0) < LEVEL]
    supported = [name for name in clear if signs.get(name, "moved") == "moved"]
    findings = {}
    for name in CLAIMANTS:
        left = toward * beyond(account.pieces, name, set(supported) - {name}) - least
        small = not needs[name].exclude and _limits(left)[1] < 0
        if name in supported:
            standing, why = "supported", ""
        elif small or signs.get(name) == "did not move":
            standing, why = "excluded", ""
        else:
            standing, why = "undecided", _would_decide(account, name, needs[name], supported)
        findings[name] = Finding(standing, why, p.get(name, math.nan))  # type: ignore[arg-type]
    return Verdict(state, findings, max(supported, key=every.__getitem__, default=None))


def _changed(account: Account) -> bool:
    """Whether the change is beyond 0, and beyond what the base's own draws make of it."""
    low, high = _limits(account.change)
    if not low * high > 0:
        return False
    return account.null is None or abs(account.change[0]) > np.abs(_limits(account.null)).max()


def _adjusted(tested: Mapping[str, Draws]) -> dict[str, float]:
    """Two-sided p of each amount against 0, after Holm over all of them; what has no p counts as 1."""
    raw = [estimate_of(draws).p for draws in tested.values()]
    filled = [1.0 if p is None or math.isnan(p) else p for p in raw]
    return dict(zip(tested, holm(filled).tolist(), strict=True)) if filled else {}


def _sign(draws: Draws) -> str:
    low, high = _limits(draws)
    return "moved" if low > 0 else "did not move" if high <= 0 else "open"


def _limits(draws: Draws) -> tuple[float, float]:
    found = estimate_of(draws)
    return found.lo, found.hi


def _would_decide(account: Account, name: str, needs: Needs, supported: list[str]) -> str:
    missing = tuple(dict.fromkeys((*needs.support, *needs.exclude)))
    if missing:
        return "; ".join(missing)
    others = [each for each in CLAIMANTS if each in sharers(account.pieces, name) - set(supported)]
    shared = total(account.pieces, name) - alone(account.pieces, name)
    if others and _limits(np.sign(account.change[0]) * shared)[0] > 0:
        return f"shared with {' and '.join(others)}: an intervention on one of them alone"
    return "more problems, or more samples of each: its interval holds both little and much"
