"""What do dose-responses come to? Means and ranges against random directions, and shares of RL's change.

steer_<measure>      by side and `coefficient` (ablations: `edit`); null: mean of the random directions there, p: rank
                     of the move from 0
steer_range_<...>    mean(high) - mean(low), the two coefficients chosen on half of the problems, reported on the other
steer_gain_<...>     after - base on the half that is reported
recovered_<...>      `edit` "matched": the coefficient that brings the base closest to the share of code after RL
                     "best": the one at which the base is right most often
removed_<...>        `edit` "project out", "clamp": ablations; "back": the coefficient that brings the trained model
                     closest to the share of code before RL
..._random           the same of each random direction (`draw`), its own coefficient chosen in the same way

Directions whose chosen coefficient is 0 recover exactly 0 and tie: p of recovered, and of "back", is then too large.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Shaped

from probe.data import Estimate
from probe.errors import BadInput
from probe.interventions.recovery import Gap, recovery, share
from probe.interventions.steering import ABLATIONS, MEASURES, best_dose, nearest_dose, part_of, rank_p
from probe.models.hooks.sites import site_columns
from probe.stats import clustered_mean

GAINS = ("code_share", "accuracy")
Key = tuple[int, str, float]  # direction (0: the fitted one), edit, coefficient
Rows = Float[np.ndarray, "row"]


@dataclass(frozen=True, eq=False)
class Doses:
    """Graded answers of one checkpoint under every edit, on the same problems and samples."""

    values: Mapping[str, Mapping[Key, Rows]]  # by measure
    problems: Shaped[np.ndarray, "row"]

    @classmethod
    def read(cls, table: pa.Table) -> "Doses":
        """From the artifact of a DoseJob. BadInput where edits did not answer the same samples."""
        columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
        at = np.rec.fromarrays([columns[name] for name in ("direction", "edit", "coefficient")])
        starts = [0, *(np.flatnonzero(at[1:] != at[:-1]) + 1).tolist(), len(at)]
        pieces = [(tuple(at[a].tolist()), slice(a, b)) for a, b in itertools.pairwise(starts)]
        asked = [columns["problem"][piece].tolist() for _, piece in pieces]
        if any(other != asked[0] for other in asked[1:]):
            raise BadInput("edits were asked different problems", where="doses", do="make the doses again")
        values = {
            name: {(int(k[0]), str(k[1]), float(k[2])): columns[name][piece].astype(float) for k, piece in pieces}
            for name in MEASURES
        }
        return cls(values, np.array(asked[0]))

    @property
    def coefficients(self) -> list[float]:
        """In ascending order, 0 among them."""
        return sorted({c for direction, edit, c in self.values["accuracy"] if edit == "add" and direction == 0})

    @property
    def randoms(self) -> list[int]:
        """The numbers of the random directions."""
        return sorted({direction for direction, _, _ in self.values["accuracy"]} - {0})

    @functools.cached_property
    def reported(self) -> Bool[np.ndarray, "row"]:
        """The rows of the half of the problems that coefficients are not chosen on."""
        return np.array([part_of(problem) == "report" for problem in self.problems.tolist()])

    def added(self, measure: str, direction: int, coefficient: float) -> Rows:
        """What is answered with c v added; without any, whatever the direction."""
        return self.values[measure][(direction if coefficient else 0, "add", coefficient)]

    def edited(self, measure: str, direction: int, edit: str) -> Rows:
        """What is answered with the direction ablated."""
        return self.values[measure][(direction, edit, 0.0)]

    def curve(self, measure: str, direction: int) -> dict[float, float]:
        """Mean by coefficient, on the half that coefficients are chosen on."""
        chosen = ~self.reported
        return {c: float(self.added(measure, direction, c)[chosen].mean()) for c in self.coefficients}


def rows_of(before: Doses, after: Doses | None, fit: pa.Table, place: str) -> list[Estimate]:
    """Every estimate of a base, and of the base and what RL made of it; `fit` is the table of fitted directions.

    Shares in [0, 1] and ratios, over the half of the problems that chose no coefficient.
    """
    sides = {"before": before} | ({"after": after} if after else {})
    found = list(_fit_rows(fit, place))
    for side, doses in sides.items():
        found += [replace(e, params=e.params | {"side": side}) for e in (*responses(doses), *ranges(doses))]
    return found + (list(shares(before, after)) if after else [])


def responses(doses: Doses) -> Iterator[Estimate]:
    """Means by coefficient and under ablation, those of random directions beside them."""
    edits: list[tuple[dict[str, Any], tuple[str, float]]] = [
        ({"coefficient": c}, ("add", c)) for c in doses.coefficients
    ]
    edits += [({"edit": how}, (how, 0.0)) for how in ABLATIONS]
    for measure in MEASURES:
        plain = doses.added(measure, 0, 0.0)
        for which, (edit, c) in edits:
            if (edit, c) == ("add", 0.0):
                yield _mean(doses, f"steer_{measure}", plain, which)
                continue
            own, *null = (doses.values[measure][(d, edit, c)] for d in (0, *doses.randoms))
            moves = [float((rows - plain).mean()) for rows in (own, *null)]
            mean = _mean(doses, f"steer_{measure}", own, which)
            yield replace(mean, null=float(np.mean(null)), p=rank_p(moves[0], moves[1:]))
            for number, rows in zip(doses.randoms, null, strict=True):
                yield _mean(doses, f"steer_{measure}_random", rows, which | {"draw": number})


def ranges(doses: Doses) -> Iterator[Estimate]:
    """How far each measure is moved between the two coefficients that moved it furthest on the other half."""
    reported, problems = doses.reported, doses.problems[doses.reported]
    for measure in MEASURES:
        found = []
        for direction in (0, *doses.randoms):
            curve = doses.curve(measure, direction)
            high, low = (pick(curve, key=lambda c: (curve[c], c)) for pick in (max, min))
            moved = (doses.added(measure, direction, high) - doses.added(measure, direction, low))[reported]
            name = f"steer_range_{measure}" + ("_random" if direction else "")
            which = {"draw": direction} if direction else {"coefficient": low, "coefficient_to": high}
            found.append(clustered_mean(moved, problems, name=name, bounds=(-1.0, 1.0), params=which))
        null = [e.value for e in found[1:]]
        yield replace(found[0], null=float(np.mean(null)), p=rank_p(found[0].value, null))
        yield from found[1:]


def shares(before: Doses, after: Doses) -> Iterator[Estimate]:
    """RL's change, what steering the base recovers of it, and what ablation and steering back remove: ratios of it.

    BadInput where base and trained model were asked different problems.
    """
    if before.problems.tolist() != after.problems.tolist():
        raise BadInput("base and trained model were asked different problems", where="steering", do="ask both the same")
    for name, c in _doses(before, after, 0).items():
        yield Estimate("steer_dose", c, math.nan, math.nan, int((~before.reported).sum()), _distinct(before), "ratio",
                       params={"side": "change", "edit": name})  # fmt: skip
    reported = before.reported
    for measure in GAINS:
        start, end = (doses.added(measure, 0, 0.0)[reported] for doses in (before, after))
        about: dict[str, Any] = {"name": f"steer_gain_{measure}", "params": {"side": "change"}}
        yield clustered_mean(end - start, before.problems[reported], null=0.0, bounds=(-1.0, 1.0), **about)
        problems = before.problems[reported].tolist()
        for prefix, gap, found in (
            ("recovered", Gap(start, end, problems), _steered(before, after, measure)),
            ("removed", Gap(end, start, problems), _ablated(before, after, measure)),
        ):
            for edit, (own, *null) in found.items():
                yield from _one_share(f"{prefix}_{measure}", edit, own[reported], [x[reported] for x in null], gap)


def _one_share(name: str, edit: str, own: Rows, null: list[Rows], gap: Gap) -> Iterator[Estimate]:
    yield recovery(own, gap, name=name, draws=null, params={"side": "change", "edit": edit})
    n, n_problems = len(own), len(set(gap.problems))
    for number, rows in enumerate(null, start=1):
        params = {"side": "change", "edit": edit, "draw": number}
        yield Estimate(f"{name}_random", share(rows, gap), math.nan, math.nan, n, n_problems, "ratio", params=params)


def _doses(before: Doses, after: Doses, direction: int) -> dict[str, float]:
    """The coefficients of one direction, chosen on the half that is not reported."""
    base, trained = (each.curve("code_share", 0)[0.0] for each in (before, after))
    return {
        "matched": nearest_dose(before.curve("code_share", direction), trained),
        "best": best_dose(before.curve("accuracy", direction)),
        "back": nearest_dose(after.curve("code_share", direction), base),
    }


def _steered(before: Doses, after: Doses, measure: str) -> dict[str, list[Rows]]:
    """The base, steered along the fitted direction and then along each random one."""
    doses = {d: _doses(before, after, d) for d in (0, *before.randoms)}
    return {how: [before.added(measure, d, doses[d][how]) for d in doses] for how in ("matched", "best")}


def _ablated(before: Doses, after: Doses, measure: str) -> dict[str, list[Rows]]:
    """The trained model without the fitted direction, and without each random one."""
    directions = (0, *after.randoms)
    found = {how: [after.edited(measure, d, how) for d in directions] for how in ABLATIONS}
    return found | {"back": [after.added(measure, d, _doses(before, after, d)["back"]) for d in directions]}


def _fit_rows(fit: pa.Table, place: str) -> Iterator[Estimate]:
    """How far code and prose are apart at each site, in spreads of the states, and what c = 1 is at the chosen one."""
    for row in fit.to_pylist():
        n, params = row["n_problems"], {"side": "before", **site_columns(row["site"])}
        apart = {"steer_separation": row["scale"] / row["spread"]}
        if row["site"] == place:
            apart |= {"steer_distance": row["scale"], "steer_distance_of_norm": row["scale"] / row["norm"]}
        for name, value in apart.items():
            yield Estimate(name, value, math.nan, math.nan, n, n, "ratio", params=params)


def _mean(doses: Doses, name: str, rows: Rows, which: dict[str, Any]) -> Estimate:
    return clustered_mean(rows, doses.problems, name=name, bounds=(0.0, 1.0), params=which)


def _distinct(doses: Doses) -> int:
    return len(set(doses.problems[~doses.reported].tolist()))
