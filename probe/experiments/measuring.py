"""From tables to the long measurement table: run every measure on a pair, and name what the pair was.

The final step of a run meets every measure; the steps before it only the cheap ones that response curves need.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from probe.data import Estimate
from probe.measurements import Row, RowKey, row_of
from probe.measures import PairData, measures

ALONG_THE_WAY = ("accuracy", "code_share", "parse_rate", "collapse")
LOGGED_EVERY_BATCH = (
    "reward",
    "accuracy",
    "entropy",
    "entropy/fork",
    "kl",
    "strategy/python",
    "clip_ratio/low_mean",
    "clip_ratio/high_mean",
    "clip_ratio/region_mean",
)
CLIP_DETAIL = re.compile(r".*/update_(?P<update>\d+)|.*/pi_old_(?P<low>[\d.]+)_(?P<high>[\d.]+)")  # as logged


def measure_pair(key: RowKey, data: PairData, names: tuple[str, ...] | None = None) -> list[Row]:
    """Rows of every measure (or of `names`) that the data allow; all carry whether the model was destroyed.

    Values, units and shapes are the measures' own (`probe.measures`); a measure whose input is missing leaves no row.
    """
    has = {"responses"}
    if data.tokens_before is not None:
        has |= {"tokens"} | ({"kl"} if data.kl is not None else set())
    if all(side["confidence"].null_count < len(side) for side in (data.before, data.after)):
        has.add("confidence")
    estimates = [
        estimate
        for name, measure in measures.items()
        if (names is None or name in names) and measure().needs <= has
        for estimate in measure()(data)
    ]
    destroyed = any(e.name == "destroyed" and e.value == 1.0 for e in estimates)
    return [row_of(key, estimate, destroyed) for estimate in estimates]


def is_destroyed(base: pa.Table, after: pa.Table, address: tuple[str | int, ...]) -> bool:
    """Whether the model after no longer answers (`probe.measures.collapse`), from RESPONSES to the same problems."""
    estimates = measures.get("collapse")()(PairData(first_samples(base, after), after, address=address))
    return any(each.name == "destroyed" and each.value == 1.0 for each in estimates)


def log_rows(key: RowKey, log: list[dict[str, float]]) -> Iterator[Row]:
    """The training log as rows named train/<metric>: the main ones batch by batch, clip details as means of the run."""
    for entry in log:
        step = int(entry["batch"]) + 1
        for metric in LOGGED_EVERY_BATCH:
            if metric in entry:
                yield _log_row(replace(key, step=step), metric, entry[metric], 1)
    details = sorted({k for entry in log for k in entry if k.startswith("clip_ratio/")} - set(LOGGED_EVERY_BATCH))
    for metric in details:
        values = [entry[metric] for entry in log if metric in entry]
        yield _log_row(key, metric, sum(values) / len(values), len(values))


def _log_row(key: RowKey, metric: str, value: float, n: int) -> Row:
    logged = Estimate(f"train/{metric}", float(value), math.nan, math.nan, n, 0, "none", params=_clip_detail(metric))
    return row_of(key, logged) | dict.fromkeys(("lo", "hi", "n_problems"))


def _clip_detail(metric: str) -> dict[str, float]:
    """Of the log's name of a clip fraction: which inner update, or which bin of pi_old; nothing of any other name."""
    found = CLIP_DETAIL.fullmatch(metric)
    if found is None:
        return {}
    if found["update"]:
        return {"update": int(found["update"])}
    return {"pi_low": float(found["low"]), "pi_high": float(found["high"])}


def at_step(table: pa.Table, step: int) -> pa.Table:
    """The rows of one checkpoint of a run."""
    return table.filter(pc.equal(table["step"], step))


def rollouts_at_step(table: pa.Table, step: int) -> pa.Table:
    """The same of ROLLOUTS, whose checkpoint is `<run>@<step>`, whichever name the run had when it was sampled."""
    return table.filter(pc.ends_with(table["checkpoint"], f"@{step}"))


def first_samples(base: pa.Table, after: pa.Table) -> pa.Table:
    """As many samples of each problem as the other side has: the draws are shared, so the first ones pair up."""
    return base.filter(pc.less_equal(base["sample"], pc.max(after["sample"])))
