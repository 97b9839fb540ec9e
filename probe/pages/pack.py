r"""How do half a million numbers fit into a page? Marked parts of the data: plain in JSON, packed in HTML.

    Texts    any JSON value                 -> gzip                              exact
    Whole    integers >= 0                  -> uint8, 16 or 32, gzip             exact
    Nats     numbers >= 0, 0 to TOP nats    -> uint8 on a log scale, gzip        value = S (e^{c L / 255} - 1)
    Levels   any numbers                    -> uint8 from the smallest (0 at most) to the largest in n steps, gzip
    Both     either of before and after     -> of before, then after - before, gzip: the two mostly agree

L = log(1 + TOP / S): a number of nats is right to 2 %, or .0002 where it is smaller; what is above TOP counts as TOP.
The JSON twin holds the very numbers that the page unpacks, to three digits. Whoever wants more reads the store.
"""

import base64
import gzip
import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.errors import BadInput

SMALL, TOP, LEVELS = 0.01, 32.0, 255
SCALE = math.log1p(TOP / SMALL)
LIMITS = struct.Struct("<ffB")  # in front of levels: the smallest, the largest, steps


@dataclass(frozen=True)
class Texts:
    """Any JSON value; packed as a whole."""

    value: Any


@dataclass(frozen=True, eq=False)
class Whole:
    """Integers from 0 on [n]."""

    values: np.ndarray

    def __post_init__(self) -> None:
        if len(self.values) and not 0 <= self.values.min() <= self.values.max() < 2**32:
            raise BadInput("whole numbers of a page lie in [0, 2^32)", where="pack")


@dataclass(frozen=True, eq=False)
class Nats:
    """Numbers from 0 on [n], in nats."""

    values: np.ndarray

    @property
    def codes(self) -> np.ndarray:
        """On the log scale [n], uint8."""
        if not np.isfinite(self.values).all() or (self.values < -1e-4).any():
            raise BadInput("nats of a page are finite and not negative", where="pack")
        spread = np.log1p(np.clip(self.values, 0, TOP) / SMALL) / SCALE
        return np.rint(spread * LEVELS).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Levels:
    """Numbers of any sign [n] in `steps` equal steps (0 stays 0 where none is below it), between limits of `among`."""

    values: np.ndarray
    steps: int = LEVELS
    among: np.ndarray | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest, 0 at most, and the largest, as they are packed."""
        every = self.values if self.among is None else self.among
        if not np.isfinite(every).all() or not 0 < self.steps <= LEVELS:
            raise BadInput("levels of a page are finite, in 1 to 255 steps", where="pack")
        low, high = np.float32(min(every.min(initial=0.0), 0.0)), np.float32(every.max(initial=0.0))
        return float(low), float(high)

    @property
    def codes(self) -> np.ndarray:
        """The nearest step of each [n], uint8."""
        low, high = self.limits
        share = (self.values.astype(np.float64) - low) / (high - low or 1.0)
        return np.rint(np.clip(share, 0, 1) * self.steps).astype(np.uint8)

    @property
    def head(self) -> bytes:
        """What stands in front of the codes."""
        return LIMITS.pack(*self.limits, self.steps)


@dataclass(frozen=True, eq=False)
class Both:
    """The same numbers under two models [n] each; levels of both are between the same limits."""

    before: Nats | Levels
    after: Nats | Levels

    @classmethod
    def levels(cls, before: np.ndarray, after: np.ndarray, steps: int) -> "Both":
        """Of any numbers."""
        among = np.concatenate([before, after])
        return cls(Levels(before, steps, among), Levels(after, steps, among))


LEVEL_NATS = [float(f"{SMALL * math.expm1(code / LEVELS * SCALE):.3g}") for code in range(LEVELS + 1)]


def plain(value: Any) -> Any:
    """The data with every marked part spelled out; what is no finite number is null."""
    if isinstance(value, Texts):
        return plain(value.value)
    if isinstance(value, Whole):
        return value.values.tolist()
    if isinstance(value, Nats):
        return unpacked_nats(value.codes)
    if isinstance(value, Both):
        return {"before": plain(value.before), "after": plain(value.after)}
    if isinstance(value, Levels):
        return unpacked_levels(*value.limits, value.steps, value.codes)
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def packed(value: Any) -> Any:
    """The data with every marked part in few bytes: {"packed": kind, "data": base64 of gzip}."""
    if isinstance(value, Texts):
        return _part("texts", json.dumps(plain(value.value), allow_nan=False).encode())
    if isinstance(value, Whole):
        width = next(bits for bits in (8, 16, 32) if not len(value.values) or value.values.max() < 2**bits)
        return _part(f"whole{width}", value.values.astype(f"<u{width // 8}").tobytes())
    if isinstance(value, Nats):
        return _part("nats", value.codes.tobytes())
    if isinstance(value, Both):
        first = value.before.codes
        codes = np.concatenate([first, value.after.codes - first]).tobytes()  # modulo 256
        return _part("both", codes) if isinstance(value.before, Nats) else _part("levels2", value.before.head + codes)
    if isinstance(value, Levels):
        return _part("levels", value.head + value.codes.tobytes())
    if isinstance(value, dict):
        return {str(key): packed(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [packed(each) for each in value]
    return plain(value)


def unpacked(value: Any) -> Any:
    """What `packed` wrote, spelled out again: equal to `plain` of the same data."""
    if isinstance(value, list):
        return [unpacked(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {"packed", "data"}:
        return {key: unpacked(each) for key, each in value.items()}
    kind, data = value["packed"], gzip.decompress(base64.b64decode(value["data"]))
    if kind == "texts":
        return json.loads(data)
    if kind == "nats":
        return unpacked_nats(np.frombuffer(data, np.uint8))
    if kind == "both":
        first, apart = np.frombuffer(data, np.uint8).reshape(2, -1)
        return {"before": unpacked_nats(first), "after": unpacked_nats(first + apart)}
    if kind in ("levels", "levels2"):
        (low, high, steps), codes = LIMITS.unpack_from(data), np.frombuffer(data[LIMITS.size :], np.uint8)
        if kind == "levels":
            return unpacked_levels(low, high, steps, codes)
        first, apart = codes.reshape(2, -1)
        both = {"before": first, "after": first + apart}
        return {side: unpacked_levels(low, high, steps, each) for side, each in both.items()}
    return np.frombuffer(data, f"<u{int(kind.removeprefix('whole')) // 8}").tolist()


def unpacked_nats(codes: np.ndarray) -> list[float]:
    """What the codes stand for."""
    return [LEVEL_NATS[code] for code in codes.tolist()]


def unpacked_levels(low: float, high: float, steps: int, codes: np.ndarray) -> list[float]:
    """What the codes stand for, to four digits."""
    known = [float(f"{low + code * (high - low) / steps:.4g}") for code in range(steps + 1)]
    return [known[code] for code in codes.tolist()]


def offsets(lengths: Sequence[int]) -> np.ndarray:
    """Where each of some runs starts, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _part(kind: str, data: bytes) -> dict[str, str]:
    return {"packed": kind, "data": base64.b64encode(gzip.compress(data, 6, mtime=0)).decode("ascii")}
