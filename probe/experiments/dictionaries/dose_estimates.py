"""What do latents turned by hand come to? Means beside random sets, and the smallest sets that do what RL did.

latent_dose_<measure>   of a `side`, by set (`k` latents), dose (`coefficient`) and what is turned (`edit`): latents,
                        the directions difference and logistic at the same norm, plain (nothing); matched and redirected
                        by `draw`. Measures: code_share, accuracy, parse_rate, kl (nats from plain, of the first token)
                        null, p: at the largest set and strongest dose, the mean of matched sets, and how many of them
                        move it as far: the share of code upwards, as the dose does, the others either way
latent_dose_p           those p-values by null (`edit`) and measure (`target`)
latent_dose_size        how many latents a set of at most `k` has: no more tell code from prose at all
minimal_set             fewest latents, best first, with .8 of RL's change of the code share: in the base (before), and
                        that undo it in what RL made of it (after); nan with a `reason` where there are none
minimal_set_curve       share of that change at every size `k` that was tried, on the half that chose
minimal_set_share       of the set found, told on the other half; where RL's change may be none there, nan
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from probe.data import Estimate
from probe.dictionaries.audits.matched import Tail, null_p
from probe.errors import BadInput
from probe.experiments.dictionaries.fit_job import BEFORE_AFTER
from probe.experiments.dictionaries.smallest import ENOUGH, Answers
from probe.experiments.dictionaries.turned import MATCHED, PLAIN, REDIRECTED, SET, Arm
from probe.interventions.recovery import recovery, share
from probe.interventions.steering import MEASURES
from probe.stats import clustered_mean

KL = "kl"
TAILS: dict[str, Tail] = {"code_share": "greater"}  # what breaks a model writes less code
NAN = (math.nan,) * 3


@dataclass(frozen=True, eq=False)
class Turned:
    """Graded answers of one model under every arm, on the same problems and samples."""

    values: Mapping[Arm, Mapping[str, Float[np.ndarray, "row"]]]
    problems: np.ndarray
    sizes: Mapping[int, int]  # latents there are in a set of at most k

    @classmethod
    def read(cls, table: pa.Table) -> "Turned":
        """From the artifact of a LatentDosesJob. BadInput where arms did not answer the same problems."""
        column = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
        keys = list(zip(*(column[name].tolist() for name in ("how", "k", "dose", "draw")), strict=True))
        starts = [0, *(at for at in range(1, len(keys)) if keys[at] != keys[at - 1]), len(keys)]
        pieces = {Arm(*keys[a]): slice(a, b) for a, b in pairwise(starts)}
        asked = [column["problem"][piece].tolist() for piece in pieces.values()]
        if any(each != asked[0] for each in asked[1:]):
            raise BadInput("arms were asked different problems", where="latent doses", do="make the doses again")
        names = (*MEASURES, KL)
        values = {arm: {name: column[name][piece].astype(float) for name in names} for arm, piece in pieces.items()}
        sizes = dict(zip(column["k"].tolist(), column["size"].tolist(), strict=True))
        return cls(values, np.array(asked[0]), {k: size for k, size in sizes.items() if k})

    @property
    def strongest(self) -> Arm:
        """The set that random ones stand beside."""
        sets = [arm for arm in self.values if arm.how == SET]
        return max(sets, key=lambda arm: (arm.k, arm.dose))

    def moves(self, how: str, measure: str) -> list[float]:
        """Of each random set: how far its mean is from that of nothing turned."""
        plain = self.values[PLAIN][measure]
        return [float((each[measure] - plain).mean()) for arm, each in self.values.items() if arm.how == how]


def doses_of(doses: Turned, side: str) -> Iterator[Estimate]:
    """Every arm and measure, the p-values of the strongest, and how large the sets are."""
    for k, size in doses.sizes.items():
        n = len(set(doses.problems.tolist()))
        params = {"side": side, "k": k}
        yield Estimate("latent_dose_size", size, math.nan, math.nan, n, n, "count", params=params)
    for measure in (*MEASURES, KL):
        nulls = {how: doses.moves(how, measure) for how in (MATCHED, REDIRECTED)}
        plain, tail = float(doses.values[PLAIN][measure].mean()), TAILS.get(measure, "both")
        for arm, each in doses.values.items():
            found = _one(doses, arm, measure, each[measure], side)
            if arm != doses.strongest:
                yield found
                continue
            p = {how: null_p(float(each[measure].mean()) - plain, moves, tail) for how, moves in nulls.items()}
            yield replace(found, null=plain + float(np.mean(nulls[MATCHED])), p=p[MATCHED])
            for how, value in p.items():
                params = {**_where(arm, side), "edit": how, "target": measure}
                n = len(nulls[how])
                yield Estimate("latent_dose_p", value, math.nan, math.nan, n, found.n_problems, "none", params=params)


def _one(doses: Turned, arm: Arm, measure: str, values: np.ndarray, side: str) -> Estimate:
    params = _where(arm, side) | ({"draw": arm.draw} if arm.draw else {})
    about: dict[str, Any] = {"name": f"latent_dose_{measure}", "unit": "nats" if measure == KL else "fraction"}
    bounds = None if measure == KL else (0.0, 1.0)
    return clustered_mean(values, doses.problems, **about, bounds=bounds, params=params)


def _where(arm: Arm, side: str) -> dict[str, Any]:
    return {"side": side, "edit": arm.how, "k": arm.k, "coefficient": arm.dose}


def smallest_of(answers: Answers) -> Iterator[Estimate]:
    """Both sides: the size, the curve, and what the set found does on the half that chose nothing."""
    for side in BEFORE_AFTER:
        chosen, told = answers.gap(side, "choose"), answers.gap(side, "report")
        rows, sizes = answers.rows("choose"), sorted(size for each, size in answers.code if each == side)
        n, problems, none = len(chosen.target), len(set(chosen.problems)), chosen.undefined
        curve = {} if none else {k: share(answers.code[side, k][rows], chosen) for k in sizes}
        for k, value in curve.items():
            params = {"side": side, "k": k}
            yield Estimate("minimal_set_curve", value, math.nan, math.nan, n, problems, "ratio", params=params)
        reached = [k for k, value in curve.items() if value >= ENOUGH]
        if not reached:
            most = max(curve.values(), default=0.0)
            why = none or f"no set of up to {max(sizes)} latents has {ENOUGH:g} of RL's change: {most:.2f} at most"
            yield Estimate("minimal_set", *NAN, n, problems, "count", params={"side": side, "reason": why})
            continue
        k = min(reached)
        yield Estimate("minimal_set", k, math.nan, math.nan, n, problems, "count", params={"side": side})
        after = answers.code[side, k][answers.rows("report")]
        yield recovery(after, told, name="minimal_set_share", params={"side": side, "k": k})
