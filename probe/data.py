"""The nouns: what every part of the suite passes to the next, and the schemas of its tables.

    manifest -> Checkpoint -> Rollouts -> TokenTable -> Measurement -> Figure

Nouns are frozen and hold no behaviour beyond checking themselves. Tables are pyarrow tables on disk as parquet;
token ids are the record and text is derived from them, except for imported outputs, which have text only.
"""

import enum
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pyarrow as pa

from probe.errors import BadInput

Leak = Literal["public", "dated after", "synthetic"]
Unit = Literal["fraction", "nats", "count", "tokens", "points", "ratio", "none"]


class Outcome(enum.StrEnum):
    """What grading a response can end in. Only `right` scores 1; an unreadable gold answer never does."""

    right = "right"
    wrong = "wrong"
    unparsed = "unparsed"
    gold_unparsed = "gold_unparsed"
    timeout = "timeout"


class Strategy(enum.StrEnum):
    """How a response reasons."""

    code = "code"
    prose = "prose"


@dataclass(frozen=True)
class Problem:
    """One question with a known answer. `leak` says whether a model can have seen it before."""

    id: str
    prompt: str
    answer: str
    source: str
    leak: Leak = "synthetic"


@dataclass(frozen=True)
class Checkpoint:
    """One set of weights. Identity is content (a store digest, or a hub id with a pinned revision), never a path."""

    name: str
    family: str
    source: str
    revision: str | None = None
    base: str | None = None
    reward: str | None = None
    step: int = 0
    seed: int = 0
    template: str = "none"
    dtype: str = "float32"


@dataclass(frozen=True)
class Pair:
    """Two checkpoints to compare: before and after RL, or a null pair that differs in nothing that matters."""

    before: Checkpoint
    after: Checkpoint
    kind: Literal["rl", "null"] = "rl"


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, its sample size and its null: the only form in which a result leaves a measure.

    `n` counts responses (or tokens), `n_problems` the clusters the interval is taken over, `null` the value expected
    when nothing happened, `p` the p-value against that null. `params` says what varies within a measure, by columns of
    `probe.measurements`.
    """

    name: str
    value: float
    lo: float
    hi: float
    n: int
    n_problems: int
    unit: Unit = "fraction"
    null: float | None = None
    p: float | None = None
    params: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bad = math.isfinite(self.value) and not self.lo - 1e-9 <= self.value <= self.hi + 1e-9
        if bad and math.isfinite(self.lo) and math.isfinite(self.hi):
            raise BadInput(
                f"estimate {self.name}: value {self.value} lies outside its interval [{self.lo}, {self.hi}]",
                do="take the interval from the same statistic and the same rows as the value",
            )

    def row(self) -> dict[str, Any]:
        """One flat row of the long measurement table."""
        row = asdict(self)
        return {**row.pop("params"), **row}


ROLLOUTS = pa.schema(
    [
        ("checkpoint", pa.string()),
        ("problem", pa.string()),
        ("sample", pa.int32()),
        ("seed", pa.int64()),
        ("temperature", pa.float32()),
        ("prompt_ids", pa.list_(pa.int32())),
        ("completion_ids", pa.list_(pa.int32())),
        ("stop", pa.string()),  # "eos" or "length"
        ("logprob", pa.list_(pa.float32())),  # nats, of the sampled token at `temperature`
        ("entropy", pa.list_(pa.float32())),  # nats, of the sampling distribution
        ("text", pa.string()),  # the completion alone: never the prompt
    ]
)

RESPONSES = pa.schema(
    [
        ("checkpoint", pa.string()),
        ("step", pa.int32()),
        ("problem", pa.string()),
        ("sample", pa.int32()),
        ("temperature", pa.float32()),
        ("text", pa.string()),
        ("stop", pa.string()),
        ("tokens", pa.int32()),
        ("boxed", pa.string()),  # the extracted strict answer, null where there is none
        ("outcome", pa.string()),
        ("strategy", pa.string()),  # strict detector: code or prose
        ("python", pa.bool_()),  # the paper's substring metric
        ("confidence", pa.float32()),  # stated confidence in [0, 1], null where none
    ]
)

TOKENS = pa.schema(
    [
        ("generator", pa.string()),
        ("scorer", pa.string()),
        ("problem", pa.string()),
        ("sample", pa.int32()),
        ("pos", pa.int32()),  # index within the completion
        ("token", pa.int32()),
        ("logprob", pa.float32()),
        ("entropy", pa.float32()),
        ("margin", pa.float32()),  # log-prob of the best minus the second-best token
        ("rank", pa.int32()),  # 0 where the token is the scorer's first choice
        ("span", pa.string()),
    ]
)

SIDES = ("before", "after")
PAIRED = pa.schema(  # one text under both checkpoints, a row a token
    [
        ("problem", pa.string()),
        ("sample", pa.int32()),
        ("pos", pa.int32()),  # index within the completion
        ("token", pa.int32()),
        ("piece", pa.string()),  # what it spells; pieces put together are the text
        *((f"logprob_{side}", pa.float32()) for side in SIDES),  # nats
        *((f"entropy_{side}", pa.float32()) for side in SIDES),  # nats
        *((f"rank_{side}", pa.int32()) for side in SIDES),  # 0 where the token is the first choice
        *((f"fork_{side}", pa.bool_()) for side in SIDES),
        ("kl", pa.float32()),  # nats, KL(before || after)
        ("other", pa.list_(pa.int32())),  # first choices of either, each once
        ("other_piece", pa.list_(pa.string())),
        *((f"other_{side}", pa.list_(pa.float32())) for side in SIDES),  # log-prob of each, nats
    ]
)


def check_schema(table: pa.Table, schema: pa.Schema, *, where: str) -> pa.Table:
    """The table with the schema's columns in its order; a missing column or a wrong type is named."""
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise BadInput(f"table lacks the columns {missing}", where=where, do=f"give all of {schema.names}")
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as err:
        raise BadInput(f"a column has the wrong type: {err}", where=where, do=f"cast to {schema}") from err
