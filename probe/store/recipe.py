"""What is an artifact's identity? What it was made from, and nothing about when, where or how fast."""

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from probe.errors import BadInput

SHORT = 16  # hex digits of a digest in a folder's name: 64 bits; the full digest is in spec.json and is checked
RESERVED = ("partial", "damaged", "locks", "leases", "published", "slurm")
_STAGE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FULL = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Recipe:
    """The recipe of one artifact; `digest` is its name.

    stage: what kind of thing, e.g. "rollouts". version: an integer bumped by hand when the code's numbers change.
    params: every argument that can change a number, in JSON types; copied, so later changes to the dict are not seen.
    inputs: digests of the artifacts it is made from, or pins of outside things with a prefix, such as
    "hub:Qwen/Qwen2.5-Math-7B@<commit>" or "file:<sha256>". Their order counts.
    """

    stage: str
    version: int
    params: dict[str, Any] = field(default_factory=dict, hash=False)
    inputs: tuple[str, ...] = ()
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        _check_header(self.stage, self.version, self.inputs)
        if type(self.params) is not dict:
            raise BadInput(f"params is a {type(self.params).__name__}, not a dict", where=f"recipe of {self.stage}")
        check_json(self.params, where=f"recipe of {self.stage}: params")
        object.__setattr__(self, "params", json.loads(canonical(self.params)))
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "digest", hashlib.sha256(canonical(self.identity()).encode()).hexdigest())

    def identity(self) -> dict[str, Any]:
        """The four fields that are hashed."""
        return {"stage": self.stage, "version": self.version, "params": self.params, "inputs": list(self.inputs)}

    @property
    def folder(self) -> str:
        """`<stage>-<16 hex>`: the name of its work folder and its lock."""
        return f"{self.stage}-{self.digest[:SHORT]}"


def canonical(value: Any) -> str:
    """The one JSON text of a value: keys sorted, no spaces, ASCII, no NaN. 1 and 1.0 are two values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def check_json(value: Any, *, where: str) -> None:
    """BadInput, naming the place, for anything JSON would change or cannot hold (tuples count as lists)."""
    if type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise BadInput(f"key {key!r} is a {type(key).__name__}, not a str", where=where, do="use str(key)")
            check_json(item, where=f"{where}.{key}")
    elif type(value) in (list, tuple):
        for place, item in enumerate(value):
            check_json(item, where=f"{where}[{place}]")
    elif type(value) is float and not math.isfinite(value):
        raise BadInput(f"{value} has no place in a recipe", where=where, do='use null, or a string such as "none"')
    elif value is not None and type(value) not in (str, int, float, bool):
        kind = f"{type(value).__module__}.{type(value).__name__}"
        do = "convert with int(), float(), str() or .tolist(): a recipe holds plain JSON values"
        raise BadInput(f"{value!r} is a {kind}", where=where, do=do)


def check_stage(stage: str) -> None:
    """BadInput unless `stage` can be a folder's name in a store."""
    if type(stage) is not str or not _STAGE.fullmatch(stage) or stage in RESERVED:
        do = f"use lower-case letters, digits, - and _, but none of {RESERVED}"
        raise BadInput(f"{stage!r} cannot name a stage", do=do)


def is_digest(text: str) -> bool:
    """Whether the text is a full digest (64 hex digits), as opposed to the pin of something outside the store."""
    return _FULL.fullmatch(text) is not None


def _check_header(stage: str, version: int, inputs: tuple[str, ...]) -> None:
    check_stage(stage)
    if type(version) is not int:
        raise BadInput(f"version {version!r} is not an int", where=f"recipe of {stage}", do="count up from 1")
    if type(inputs) not in (tuple, list) or not all(type(item) is str and item for item in inputs):
        do = "give a tuple of strings: artifact.digest, or a pin such as file:<sha256>"
        raise BadInput(f"inputs {inputs!r} are not digests or pins", where=f"recipe of {stage}", do=do)
