"""Which share of RL's change do adapters recover, at which L0, and how much more than adapters that should not?

adapter_recovered         share of the nats to the target, by comparison (`part`), budget (`k`) and writer of the texts
                          (`group`): 1 - sum KL(target || before + adapters) / sum KL(target || before); 0: as before;
                          below: further away. null, p of rl's: the frozen decoder's at that budget, paired by text
adapter_beyond            share of rl - share of what should do less (`part`), on the same texts; null 0
adapter_change            nats a token there are to recover, KL(target || before); adapter_left: what is left of them
adapter_l0                active latents a token, of each adapter (`site`) and on average; adapter_silent: never active
adapter_<measure>         of answers: of before and after alone (`side`), and of before with its adapters, by part and k
adapter_recovered_<...>   share of RL's change of it (`interventions.recovery`), for accuracy and code_share

`part` walk is held against the walk, all others against after. Intervals are clustered by problem, given the adapters
as they were trained; L0 is counted and has none.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from probe.data import Estimate, Outcome, Strategy, Unit
from probe.errors import BadInput
from probe.experiments.adapter.fits import FROZEN, ITSELF, RL
from probe.experiments.adapter.trials import SIDES, UNTRAINED, WALKED
from probe.interventions.recovery import Gap, recovery, share
from probe.interventions.steering import MEASURES, part_of
from probe.stats.intervals import clustered_mean, clustered_ratio

GAINS = ("code_share", "accuracy")
LESS = (FROZEN, UNTRAINED, WALKED, ITSELF)  # held against after, and should recover less
NO_CHANGE = 1e-6  # nats a token: rounding
NAN = (math.nan,) * 3
Key = tuple[str, int]  # part, budget
Values = Float[np.ndarray, "row"]


@dataclass(frozen=True, eq=False)
class Nats:
    """Of one writer's texts, one budget and one target: what there was to recover and what is left, summed by text."""

    problems: np.ndarray
    tokens: Values
    change: Values
    left: Values

    @property
    def undefined(self) -> str:
        """Why there is no share; "" where there is one."""
        mean = self.change.sum() / self.tokens.sum()
        return "" if mean > NO_CHANGE else f"no change: {mean:.1e} nats a token from before to its target"

    def share(self, name: str, top: Values, **about: Any) -> Estimate:
        """sum top / sum change; nan where there is no change."""
        n = int(self.tokens.sum())
        if self.undefined:
            params = about["params"] | {"reason": self.undefined}
            return Estimate(name, *NAN, n, len(set(self.problems.tolist())), "ratio", 0.0, math.nan, params)
        found = clustered_ratio(top, self.change, self.problems, name=name, unit="ratio", null=0.0, **about)
        return replace(found, n=n)

    def mean(self, name: str, top: Values, **about: Any) -> Estimate:
        """Nats a token."""
        found = clustered_ratio(top, self.tokens, self.problems, name=name, unit="nats", null=0.0, **about)
        return replace(found, n=int(self.tokens.sum()))


def nats_of(table: pa.Table) -> dict[tuple[str, int, str], Nats]:
    """By part, budget and writer, from NATS of all comparisons."""
    column = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    keys = list(zip(*(column[name].tolist() for name in ("part", "k", "writer")), strict=True))
    rows: dict[tuple[str, int, str], list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    numbers = ("tokens", "change", "left")
    return {
        key: Nats(column["problem"][at], *(column[name][at].astype(float) for name in numbers))
        for key, at in rows.items()
    }


def recovered_of(found: Mapping[tuple[str, int, str], Nats]) -> Iterator[Estimate]:
    """Shares of the nats, and by how much rl's are beyond the others'."""
    for (part, k, writer), one in found.items():
        about = {"params": {"part": part, "k": k, "group": writer}}
        own = one.share("adapter_recovered", one.change - one.left, **about)
        beside = found.get((FROZEN, k, writer)) if part == RL else None
        if beside is not None and not one.undefined:
            more = one.share("", beside.left - one.left, params={})
            own = replace(own, null=own.value - more.value, p=more.p)
        yield own
        yield one.mean("adapter_left", one.left, **about)
    changes = {
        (part, writer): one for (part, _, writer), one in found.items() if part not in (FROZEN, UNTRAINED, ITSELF)
    }
    for (part, writer), one in changes.items():
        if part != WALKED:
            yield one.mean("adapter_change", one.change, params={"part": part, "group": writer})
    for (part, k, writer), one in found.items():
        for less in LESS if part == RL else ():
            other = found.get((less, k, writer))
            if other is not None:
                about = {"params": {"part": less, "k": k, "group": writer}}
                yield one.share("adapter_beyond", other.left - one.left, **about)


def latents_of(table: pa.Table, problems: int) -> Iterator[Estimate]:
    """L0 and silent latents of each adapter and over all, on texts to so many problems; where training failed, that."""
    rows = table.to_pylist()
    groups: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["part"], row["k"], row["writer"]), []).append(row)
    for (part, k, writer), mine in groups.items():
        n, params = mine[0]["tokens"], {"part": part, "k": k, "group": writer}
        if mine[0]["failed"]:
            why = {"reason": f"training failed: {mine[0]['failed']}"}
            yield Estimate("adapter_recovered", *NAN, 0, 0, "ratio", 0.0, math.nan, params | why)
            continue
        named: tuple[tuple[str, str, Unit], ...] = (
            ("adapter_l0", "l0", "count"),
            ("adapter_silent", "silent", "fraction"),
        )
        for name, column, unit in named:
            for row in mine:
                told = params | {"site": row["site"]}
                yield Estimate(name, row[column], math.nan, math.nan, n, problems, unit, params=told)
            mean = float(np.mean([row[column] for row in mine]))
            yield Estimate(name, mean, math.nan, math.nan, n, problems, unit, params=params)


@dataclass(frozen=True, eq=False)
class Graded:
    """Answers to the problems that trained nothing, by measure, on the same problems and samples."""

    problems: list[str]
    values: Mapping[str, Values]

    @classmethod
    def own(cls, responses: pa.Table) -> "Graded":
        """What a checkpoint answered by itself, from RESPONSES."""
        rows = [row for row in responses.to_pylist() if part_of(row["problem"]) == "report"]
        flags = {
            "code_share": [row["strategy"] == Strategy.code for row in rows],
            "accuracy": [row["outcome"] == Outcome.right for row in rows],
            "parse_rate": [row["boxed"] is not None for row in rows],
        }
        values = {name: np.array(each, dtype=float) for name, each in flags.items()}
        return cls([row["problem"] for row in rows], values)


def graded_of(table: pa.Table) -> dict[Key, Graded]:
    """By part and budget, from ANSWERS of all comparisons."""
    groups: dict[Key, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        groups.setdefault((row["part"], row["k"]), []).append(row)
    return {
        key: Graded([row["problem"] for row in mine], {m: np.array([float(row[m]) for row in mine]) for m in MEASURES})
        for key, mine in groups.items()
    }


def answered_of(before: Graded, after: Graded, found: Mapping[Key, Graded]) -> Iterator[Estimate]:
    """Means, and shares of RL's change. BadInput where not all answered the same problems."""
    if any(each.problems != before.problems for each in (after, *found.values())):
        raise BadInput("other problems were asked", where="adapter", do="try the adapters again")
    for side, own in zip(SIDES, (before, after), strict=True):
        for measure in MEASURES:
            yield _mean(own, measure, {"side": side})
    for (part, k), one in found.items():
        params = {"part": part, "k": k}
        for measure in MEASURES:
            yield _mean(one, measure, params)
        for measure in GAINS:
            gap = Gap(before.values[measure], after.values[measure], before.problems)
            recovered = recovery(one.values[measure], gap, name=f"adapter_recovered_{measure}", params=params)
            beside = found.get((FROZEN, k)) if part == RL else None
            if beside is not None and not gap.undefined:
                less = beside.values[measure]
                p = clustered_mean(one.values[measure] - less, before.problems, name="", null=0.0, bounds=(-1.0, 1.0)).p
                recovered = replace(recovered, null=share(less, gap), p=p)
            yield recovered


def _mean(one: Graded, measure: str, params: dict[str, Any]) -> Estimate:
    values, name = one.values[measure], f"adapter_{measure}"
    return clustered_mean(values, one.problems, name=name, bounds=(0.0, 1.0), params=params)
