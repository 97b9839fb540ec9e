"""Which quantities can be measured on a pair of checkpoints? One file per measure, found by discovery.

    @measures.register("accuracy")
    @dataclass(frozen=True)
    class Accuracy:
        needs: ClassVar[frozenset[str]] = frozenset({"responses"})
        def __call__(self, data: PairData) -> list[Estimate]: ...

A measure is a pure function of tables: it opens no files, loads no model and draws nothing that is not addressed. It
returns estimates with intervals clustered by problem, each beside the value expected when nothing happened (`null`).
`Estimate.params` holds columns of the measurement table (`probe.measurements`): `side` is "before", "after", "change"
(after - before, paired by problem), or "" for what is of the pair as a whole; the others say what varies within the
measure (`strategy`, `k`, `cell`, ...), each with its own type.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import pyarrow as pa

from probe.data import Estimate
from probe.registry import Registry


@dataclass(frozen=True)
class PairData:
    """What a measure may look at. Tables follow the schemas of `probe.data`.

    before, after      RESPONSES of the two checkpoints on the same problems, one temperature each (the same for both).
    tokens_before      TOKENS of the *after* text under the before checkpoint (None where nothing was scored).
    tokens_after       TOKENS of the same text, row for row, under the after checkpoint.
    kl                 nats per token of that same text, KL(before || after), row for row, as a float32 array.
    address            where this pair's random draws (bootstraps, permutations) lie: plain strings and ints.
    """

    before: pa.Table
    after: pa.Table
    tokens_before: pa.Table | None = None
    tokens_after: pa.Table | None = None
    kl: pa.Array | None = None
    address: tuple[str | int, ...] = field(default=("measure",))


class Measure(Protocol):
    """A frozen dataclass; `needs` names what it reads: "responses", "tokens", "kl" or "confidence"."""

    needs: ClassVar[frozenset[str]]

    def __call__(self, data: PairData) -> list[Estimate]: ...


measures: Registry[Callable[..., Measure]] = Registry("measure", "probe.measures")
