"""From tables to the long measurement table: run every measure on a pair, and name what the pair was.

The final step of a run meets every measure; the steps before it only the cheap ones that response curves need.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from probe.data import Estimate
from probe.measures import PairData, measures
from probe.plots import MEASUREMENT_COLUMNS

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
SCHEMA = pa.schema(
    [
        (name, kind)
        for name, kind in zip(
            MEASUREMENT_COLUMNS,
            [
                *(pa.string(),) * 4,
                pa.int32(),
                *(pa.string(),) * 2,
                *(pa.int32(),) * 2,
                pa.float32(),
                pa.bool_(),
                *(pa.string(),) * 3,
                *(pa.float64(),) * 3,
                *(pa.int64(),) * 2,
                pa.string(),
                *(pa.float64(),) * 2,
            ],
            strict=True,
        )
    ]
)


@dataclass(frozen=True)
class RowKey:
    """What a row of the measurement table is about: which pair, at which step, how sampled."""

    study: str
    kind: str
    family: str
    size: str
    base_seed: int
    reward: str
    clip: str
    rl_seed: int
    step: int
    temperature: float

    @property
    def address(self) -> tuple[str | int, ...]:
        return tuple(v if isinstance(v, str | int) else str(v) for v in vars(self).values())


def measure_pair(context: RowKey, data: PairData, names: tuple[str, ...] | None = None) -> list[dict[str, Any]]:
    """Rows of every measure (or of `names`) that the data allow; all carry whether the model was destroyed."""
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
    return [row_of(context, estimate, destroyed) for estimate in estimates]


def row_of(context: RowKey, estimate: Estimate, destroyed: bool) -> dict[str, Any]:
    params = estimate.params
    return vars(context) | {
        "destroyed": destroyed,
        "name": estimate.name,
        "side": str(params.get("side", "")),
        "level": str(params.get("level", "")),
        **{k: getattr(estimate, k) for k in ("value", "lo", "hi", "n", "n_problems", "unit", "null", "p")},
    }


def log_rows(context: RowKey, log: list[dict[str, float]]) -> Iterator[dict[str, Any]]:
    """The training log as rows named train/<metric>: the main ones batch by batch, clip details as means of the run."""
    for entry in log:
        step = int(entry["batch"]) + 1
        for key in LOGGED_EVERY_BATCH:
            if key in entry:
                yield _log_row(context, step, f"train/{key}", "", entry[key], 1)
    details = sorted({k for entry in log for k in entry if k.startswith("clip_ratio/")} - set(LOGGED_EVERY_BATCH))
    for key in details:
        values = [entry[key] for entry in log if key in entry]
        level = key.rsplit("/", 1)[1]
        yield _log_row(context, context.step, f"train/{key}", level, sum(values) / len(values), len(values))


def _log_row(context: RowKey, step: int, name: str, level: str, value: float, n: int) -> dict[str, Any]:
    blank = dict.fromkeys(("lo", "hi", "null", "p", "n_problems"))
    about = vars(context) | {"step": step, "destroyed": False, "name": name, "side": "", "level": level}
    return about | blank | {"value": float(value), "n": n, "unit": "none"}


def to_table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.table({name: [row[name] for row in rows] for name in SCHEMA.names}, schema=SCHEMA)


def at_step(table: pa.Table, step: int) -> pa.Table:
    """The rows of one checkpoint of a run."""
    return table.filter(pc.equal(table["step"], step))


def first_samples(base: pa.Table, after: pa.Table) -> pa.Table:
    """As many samples of each problem as the other side has: the draws are shared, so the first ones pair up."""
    return base.filter(pc.less_equal(base["sample"], pc.max(after["sample"])))
