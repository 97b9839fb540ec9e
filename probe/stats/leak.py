"""Has this model read these problems? Signs of memory in suspected problems against controls it cannot have read.

    sign               under a leak     counts as seen from
    completion_exact        higher      .05     the question's end, word for word (2507.10532), by share given
    completion_rouge_l      higher      .05     the same, in part
    completion_answer       higher      .05     the right answer to a question of which only the beginning was given
    prompt_nll              lower       .1      nats per token of the question
    answer_nll              lower       .1      nats per token of the true answer, given the question

A sign is *flagged* where suspects differ from controls in the leak's direction, by at least that, with p < .01 after
Holm over all signs of the checkpoint; p relabels suspects and controls. A flag says "not exchangeable with these
controls", and means a leak only if nothing but the leak tells the two apart: controls must be problems of the same
kind, drawn afresh or made after the model. An easier benchmark has a lower prompt_nll too, so completion_* are the
evidence and the NLLs support it. `suspicion` ranks single problems; its worth is its AUROC where the truth is known.
Left out: a threshold for single problems.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from probe.data import Estimate, Unit
from probe.errors import BadInput
from probe.stats.groups import group_difference, group_mean, relabelled_p
from probe.stats.intervals import clustered_mean
from probe.stats.permutation import holm, paired_permutation

LEVEL = 0.01  # of a flag, after Holm
GROUPS = ("suspect", "control")
Key = tuple[str, int | None]  # a sign's name, and the share of the question given, in % (None for NLLs)
Columns = Mapping[Key, Float[np.ndarray, "problem"]]


@dataclass(frozen=True)
class Sign:
    """One way in which a leak shows: its unit, the direction it moves in, and the least difference that counts."""

    unit: Unit
    direction: int
    least: float


SIGNS = {
    "completion_exact": Sign("fraction", +1, 0.05),
    "completion_rouge_l": Sign("fraction", +1, 0.05),
    "completion_answer": Sign("fraction", +1, 0.05),
    "prompt_nll": Sign("nats", -1, 0.1),
    "answer_nll": Sign("nats", -1, 0.1),
}


@dataclass(frozen=True)
class Finding:
    """One sign of one checkpoint: both groups, their difference with its p, the p after Holm, and the verdict."""

    key: Key
    suspect: Estimate
    control: Estimate
    difference: Estimate
    p_holm: float

    @property
    def flagged(self) -> bool:
        """Whether it speaks for a leak."""
        sign = SIGNS[self.key[0]]
        return self.p_holm < LEVEL and sign.direction * self.difference.value >= sign.least


def findings(
    columns: Columns, suspect: Bool[np.ndarray, "problem"], address: tuple[str | int, ...], n_perm: int = 9999
) -> list[Finding]:
    """Every sign in `columns`, each with one value a problem, suspects against controls."""
    p_values = relabelled_p(np.column_stack(list(columns.values())), suspect, address, n_perm)
    results = []
    for (key, values), p, adjusted in zip(columns.items(), p_values, holm(p_values), strict=True):
        name, unit = key[0], _sign(key).unit
        mean, other = (
            group_mean(values[mine], name=name, unit=unit, params={"group": group, "given": key[1]})
            for group, mine in zip(GROUPS, (suspect, ~suspect), strict=True)
        )
        params = {"group": "difference", "given": key[1]}
        apart = group_difference(values, suspect, name=name, unit=unit, p=float(p), params=params)
        results.append(Finding(key, mean, other, apart, float(adjusted)))
    return results


def changes(
    before: Columns, after: Columns, suspect: Bool[np.ndarray, "problem"], address: tuple[str | int, ...]
) -> list[Estimate]:
    """What RL changed, paired by problem: each group's change (null 0), and how much more suspects changed.

    The paradox of 2601.11061 is that answer_nll falls while prompt_nll rises; on leaked items alone, if contamination
    explains a gain (H3).
    """
    if before.keys() != after.keys():
        raise BadInput("before and after show other signs", where="changes", do="measure both alike")
    moved = {key: after[key] - before[key] for key in before}
    apart = relabelled_p(np.column_stack(list(moved.values())), suspect, (*address, "change"))
    estimates = []
    for (key, change), p in zip(moved.items(), apart, strict=True):
        name, unit = key[0], _sign(key).unit
        bounds = (-1.0, 1.0) if unit == "fraction" else None
        for group, mine in zip(GROUPS, (suspect, ~suspect), strict=True):
            rows = np.arange(int(mine.sum()))
            params = {"group": group, "given": key[1]}
            value = clustered_mean(change[mine], rows, name=name, unit=unit, null=0.0, bounds=bounds, params=params)
            flips = paired_permutation(before[key][mine], after[key][mine], rows, (*address, name, _stream(group, key)))
            estimates.append(replace(value, p=flips))
        params = {"group": "difference", "given": key[1]}
        estimates.append(group_difference(change, suspect, name=name, unit=unit, p=float(p), params=params))
    return estimates


def suspicion(columns: Columns, suspect: Bool[np.ndarray, "problem"]) -> Float[np.ndarray, "problem"]:
    """How much each problem looks like a leak, in [0, 1]: the mean over signs of the share of controls it surpasses.

    Ties count one half; a control is compared with all controls, itself included.
    """
    shares = []
    for key, values in columns.items():
        signed = _sign(key).direction * values
        controls = np.sort(signed[~suspect])
        below, upto = (np.searchsorted(controls, signed, side=side) for side in ("left", "right"))
        shares.append((below + upto) / (2 * controls.size))
    return np.mean(shares, axis=0)


def _stream(group: str, key: Key) -> str:
    """Where the flips of one group lie."""
    return group if key[1] is None else f"{group} {key[1]}%"


def _sign(key: Key) -> Sign:
    if key[0] not in SIGNS:
        raise BadInput(f"no sign of a leak is called {key[0]!r}", where="leak", do=f"choose one of {sorted(SIGNS)}")
    return SIGNS[key[0]]
