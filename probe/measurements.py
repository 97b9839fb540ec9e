"""The long measurement table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from probe.data import Estimate

Row = dict[str, Any]
Rows = Sequence[Row]

MEASUREMENT_COLUMNS = (
    "study",  # "tiny": eight rewards at 60k parameters; "random": random reward at 650k; "real": imported outputs
    "kind",  # "rl", "null" or "base" (the checkpoint before RL alone)
    "family",  # organism family, or the model family of real outputs
    "size",
    "base_seed",
    "reward",
    "clip",  # "0.05", "0.2", "none"
    "rl_seed",
    "step",  # RL batches
    "temperature",  # 0 is greedy
    "destroyed",  # True where training destroyed the model: never "no effect"
    "name",  # of the estimate
    "side",  # before, after, change, or "" where it does not apply
    "level",  # what varies within a measure (a quantile, k, a strategy cell, an update), as text
    "value",
    "lo",
    "hi",
    "n",
    "n_problems",
    "unit",
    "null",
    "p",
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

    study: str = ""
    kind: str = ""
    family: str = ""
    size: str = ""
    base_seed: int = 0
    reward: str = ""
    clip: str = ""
    rl_seed: int = 0
    step: int = 0
    temperature: float = 0.0

    @property
    def address(self) -> tuple[str | int, ...]:
        return tuple(v if isinstance(v, str | int) else str(v) for v in vars(self).values())


def row_of(key: RowKey, estimate: Estimate, destroyed: bool = False) -> Row:
    """One row of the table."""
    params = estimate.params
    return vars(key) | {
        "destroyed": destroyed,
        "name": estimate.name,
        "side": str(params.get("side", "")),
        "level": str(params.get("level", "")),
        **{k: getattr(estimate, k) for k in ("value", "lo", "hi", "n", "n_problems", "unit", "null", "p")},
    }


def to_table(rows: Rows) -> pa.Table:
    """Rows as a table of the schema."""
    return pa.table({name: [row[name] for row in rows] for name in SCHEMA.names}, schema=SCHEMA)
