"""From samples and rewards to the rows of a forecast.

forecast/TRAIT      change, part "direct"       Cov(A, trait) within problems, per unit of eta; null 0
                    change, part "by strategy"  of accuracy, what the change of strategy brings
                    permuted                    band of the same under advantages shuffled within problems
                    change, part "mean field"   after two batches, had the model these traits alone
                                                (`probe.stats.mean_field`); its interval is over problems, at this pace
reach/TRAIT         before, after, change       the mean today, and if only the best-rewarded responses were kept
forecast/varied                                 share of the problems trained on where the reward varies at all
forecast/response                               the recommended forecast of accuracy in standard errors; p after Holm,
                                                the verdict in `reason`; nan, and why, where a reward is left out
forecast/responder                              1 or 0 of the checkpoint, nan where undecided; `reason`: in words
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from probe.data import Estimate
from probe.errors import BadInput
from probe.experiments.forecast.pace import BATCH, STEPS, UPDATES, steps_of
from probe.experiments.forecast.samples import UNITS, Samples
from probe.experiments.forecast.treatments import Known, Scored, Treatment, score
from probe.experiments.forecast.verdict import (
    NO_RESPONDER,
    RESPONDER,
    UNDECIDED,
    Reward,
    recommended,
    responder,
    verdict,
    z_score,
)
from probe.measurements import Row, RowKey, Rows, row_of
from probe.stats.groups import group_mean
from probe.stats.intervals import clustered_mean
from probe.stats.mean_field import mean_field
from probe.stats.permutation import holm
from probe.stats.price import Forecast, forecasts, group_covariances, reach, through_strategy

Address = tuple[str | int, ...]
MEAN_FIELD = "mean field"


@dataclass(frozen=True)
class Found:
    """One reward: what is estimated of it, and the recommended forecast of accuracy; none, and why, if left out."""

    treatment: Treatment
    estimates: tuple[Estimate, ...] = ()
    accuracy: Estimate | None = None
    reason: str = ""


def forecast_rows(key: RowKey, samples: Samples, treatments: Sequence[Treatment], known: Known) -> Rows:
    """Every row of one checkpoint, reward by reward and then the verdicts; `key` without a reward."""
    found = [_found(each, samples, known, (*key.address, each.name)) for each in treatments]
    judged = _judged(found)
    rows = [row_of(_key(key, each), one) for each in found for one in (*each.estimates, _response(each, judged))]
    return [*rows, _responder(key, [one for name, one in judged.items() if not _null(found, name)])]


def _found(treatment: Treatment, samples: Samples, known: Known, address: Address) -> Found:
    try:
        scored = score(treatment, samples, known)
    except BadInput as err:
        return Found(treatment, reason=f"left out: {err.what}")
    direct = forecasts(scored.advantage, samples.traits, UNITS, (*address, "direct"))
    informative = bool(treatment.informative)
    moved = _mean_field(scored, samples, informative)
    estimates = [*_varied(scored), *_direct(direct), *moved, *_reaches(scored, samples)]
    if "accuracy" not in direct:
        return Found(treatment, tuple(estimates), reason="no response to a problem is graded beside another")
    forms = {"direct": direct["accuracy"].change, "by strategy": _by_strategy(direct, scored, samples, address)}
    told = replace(forms["by strategy"], name="forecast/accuracy", params={"side": "change", "part": "by strategy"})
    return Found(treatment, (*estimates, told), forms[recommended(informative)])


def _direct(found: Mapping[str, Forecast]) -> Iterator[Estimate]:
    for name, forecast in found.items():
        for side, estimate in (("change", forecast.change), ("permuted", forecast.null)):
            yield replace(estimate, name=f"forecast/{name}", params={"side": side, "part": "direct"})


def _by_strategy(direct: Mapping[str, Forecast], scored: Scored, samples: Samples, address: Address) -> Estimate:
    code = samples.traits["code_share"]
    covariances, p = group_covariances(scored.advantage, code), direct["code_share"].change.p
    return through_strategy(covariances, samples.traits["accuracy"], code, p or 0.0, (*address, "by strategy"))


def _mean_field(scored: Scored, samples: Samples, informative: bool) -> Iterator[Estimate]:
    """Of the traits that it knows, the mean over the seeds of the reward."""
    traits = {name: table for name, table in samples.traits.items() if name in STEPS}
    steps = steps_of(informative, traits)
    seeds = [mean_field(table, traits, steps, updates=UPDATES, batch=BATCH) for table in scored.rewards]
    for name in traits:
        change = np.mean([found[name] for found in seeds], axis=0)
        kept = change[np.isfinite(change)]
        told = {"name": f"forecast/{name}", "unit": UNITS[name], "null": 0.0, "bounds": (-1.0, 1.0)}
        mean = clustered_mean(kept, np.arange(kept.size), params={"side": "change", "part": MEAN_FIELD}, **told)  # type: ignore[arg-type]
        yield replace(mean, n=int(np.isfinite(traits[name]).sum()), p=None)


def _reaches(scored: Scored, samples: Samples) -> Iterator[Estimate]:
    """Of every trait, the mean over the seeds of the reward."""
    for name, trait in samples.traits.items():
        sides = np.mean([reach(table, trait) for table in scored.rewards], axis=0)
        kept = sides[:, np.isfinite(sides).all(0)]
        if kept.size:
            n = int(np.isfinite(scored.rewards[0] + trait).sum())
            yield from (replace(each, n=n) for each in _sides(name, kept))


def _sides(name: str, kept: Float[np.ndarray, "side group"]) -> Iterator[Estimate]:
    groups, told = np.arange(kept.shape[1]), {"name": f"reach/{name}", "unit": UNITS[name]}
    for side, values in zip(("before", "after"), kept, strict=True):
        yield clustered_mean(values, groups, params={"side": side}, **told)  # type: ignore[arg-type]
    bounds = (-1.0, 1.0) if UNITS[name] == "fraction" else None
    moved, params = kept[1] - kept[0], {"side": "change"}
    yield clustered_mean(moved, groups, null=0.0, bounds=bounds, params=params, **told)  # type: ignore[arg-type]


def _varied(scored: Scored) -> list[Estimate]:
    """Over the problems with two scored responses or more, in any seed of the reward."""
    given = [np.isfinite(table).sum(1) > 1 for table in scored.rewards]
    varies = np.mean([_spread(table) > 0 for table in scored.rewards], axis=0)
    kept = varies[np.any(given, axis=0)]
    return (
        [replace(group_mean(kept, name="forecast/varied"), n=int(np.isfinite(scored.advantage).sum()))]
        if kept.size
        else []
    )


def _spread(table: Float[np.ndarray, "group sample"]) -> Float[np.ndarray, "group"]:
    low, high = np.where(np.isnan(table), np.inf, table), np.where(np.isnan(table), -np.inf, table)
    return np.maximum(high.max(1) - low.min(1), 0.0)


def _judged(found: Sequence[Found]) -> dict[str, Reward]:
    """By name, with p after Holm over the rewards that could teach anything; a null one is no test."""
    told = {each.treatment.name: each.accuracy for each in found if each.accuracy is not None}
    null = {each.treatment.name for each in found if each.treatment.is_null}
    informative = {each.treatment.name: bool(each.treatment.informative) for each in found}
    raw = {name: one.p for name, one in told.items() if name not in null and one.p is not None and math.isfinite(one.p)}
    adjusted = dict(zip(raw, holm(list(raw.values())).tolist(), strict=True)) if raw else {}
    return {name: Reward(name, informative[name], one, adjusted.get(name)) for name, one in told.items()}


def _response(found: Found, judged: Mapping[str, Reward]) -> Estimate:
    reward = judged.get(found.treatment.name)
    told = {"name": "forecast/response", "lo": math.nan, "hi": math.nan, "unit": "none", "null": 0.0}
    if reward is None:
        return Estimate(value=math.nan, n=0, n_problems=0, params={"reason": found.reason}, **told)  # type: ignore[arg-type]
    params = {"reason": verdict(reward), "part": recommended(reward.informative)}
    counts, of = {"n": reward.forecast.n, "n_problems": reward.forecast.n_problems}, z_score(reward.forecast)
    return Estimate(value=of, p=reward.p_holm, params=params, **counts, **told)  # type: ignore[arg-type]


def _responder(key: RowKey, judged: Sequence[Reward]) -> Row:
    said, names = responder(judged)
    value = {RESPONDER: 1.0, NO_RESPONDER: 0.0, UNDECIDED: math.nan}[said]
    reason = f"{said}: {', '.join(names)}" if names else said
    n, problems = (max((getattr(each.forecast, name) for each in judged), default=0) for name in ("n", "n_problems"))
    counted = {"n": n, "n_problems": problems, "params": {"reason": reason}}
    return row_of(key, Estimate("forecast/responder", value, math.nan, math.nan, unit="none", **counted))  # type: ignore[arg-type]


def _key(key: RowKey, found: Found) -> RowKey:
    kind = "null" if found.treatment.is_null else key.kind
    return replace(key, reward=found.treatment.name, kind=kind, informative=found.treatment.informative)


def _null(found: Sequence[Found], name: str) -> bool:
    return any(each.treatment.is_null for each in found if each.treatment.name == name)
