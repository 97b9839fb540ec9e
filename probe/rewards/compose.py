"""Which rewards can be made of others? Compositions are objects, never parsed out of a name.

    Both(a, b)      a * b            Without(a, b)   a * (1 - b): Without(Format(), Python()) is "format without python"
    Negated(a)      1 - a            Weighted(parts, weights)   sum of weight * part

The first three need parts between 0 and 1. Where one part abstains the composition abstains. `spec` turns any reward
into a plain dict for a recipe or a manifest, and `from_spec` reads it back:

    {"reward": "without", "first": {"reward": "format"}, "second": {"reward": "python"}}

A grader is named by its name and version, and handed to `from_spec` to build the reward again.
"""

from collections.abc import Callable
from dataclasses import Field, dataclass, fields, is_dataclass
from typing import Any

from probe.errors import BadInput
from probe.registry import nearest
from probe.rewards import Reward, declared, rewards
from probe.rewards.ground_truth import Grader, grader_name, named_grader


@dataclass(frozen=True)
class Both:
    """Both rewards at once: their product."""

    first: Reward
    second: Reward

    @property
    def informative(self) -> bool:
        """Whether either part is."""
        return declared(self.first).informative or declared(self.second).informative

    @property
    def is_null(self) -> bool:
        """Whether both parts are."""
        return declared(self.first).is_null and declared(self.second).is_null

    def __call__(self, **batch: Any) -> list[float | None]:
        return _combine(lambda a, b: a * b, self.first(**batch), self.second(**batch))


@dataclass(frozen=True)
class Without:
    """The first reward, where the second gives nothing."""

    first: Reward
    second: Reward

    @property
    def informative(self) -> bool:
        """Whether either part is."""
        return declared(self.first).informative or declared(self.second).informative

    @property
    def is_null(self) -> bool:
        """Whether both parts are."""
        return declared(self.first).is_null and declared(self.second).is_null

    def __call__(self, **batch: Any) -> list[float | None]:
        return _combine(lambda a, b: a * (1 - b), self.first(**batch), self.second(**batch))


@dataclass(frozen=True)
class Negated:
    """One minus the reward."""

    part: Reward

    @property
    def informative(self) -> bool:
        """Whether the part is."""
        return declared(self.part).informative

    @property
    def is_null(self) -> bool:
        """Whether the part is."""
        return declared(self.part).is_null

    def __call__(self, **batch: Any) -> list[float | None]:
        return _combine(lambda a: 1 - a, self.part(**batch))


@dataclass(frozen=True)
class Weighted:
    """A weighted sum; parts may take any value."""

    parts: tuple[Reward, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.parts or len(self.parts) != len(self.weights):
            have = f"{len(self.parts)} parts and {len(self.weights)} weights"
            raise BadInput(f"a weighted reward has {have}", do="give each part one weight")

    @property
    def informative(self) -> bool:
        """Whether a part is."""
        return any(declared(part).informative for part in self.parts)

    @property
    def is_null(self) -> bool:
        """Whether all parts are."""
        return all(declared(part).is_null for part in self.parts)

    def __call__(self, **batch: Any) -> list[float | None]:
        scores = [part(**batch) for part in self.parts]
        return _combine(lambda *row: sum(w * r for w, r in zip(self.weights, row, strict=True)), *scores, bounded=False)


COMPOSITIONS: dict[str, Callable[..., Reward]] = {
    "both": Both,
    "without": Without,
    "negated": Negated,
    "weighted": Weighted,
}


def spec(reward: Reward) -> dict[str, Any]:
    """The plain dict of a reward: its registered name and its fields, parts included. BadInput where it has no name."""
    names = {kind: name for name, kind in [*rewards.items(), *COMPOSITIONS.items()]}
    if type(reward) not in names or not is_dataclass(reward):
        raise BadInput(f"{reward!r} is not a registered reward", do="register its class: one decorated file")
    declared(reward)  # refused here, before anything is made
    return {"reward": names[type(reward)]} | {
        field.name: _plain(field.name, getattr(reward, field.name)) for field in fields(reward) if _said(field, reward)
    }


def from_spec(spec: dict[str, Any], grader: Grader | None = None) -> Reward:
    """The reward of a plain dict; BadInput on an unknown name, on fields it does not have, or on another grader."""
    known = dict(rewards.items()) | COMPOSITIONS
    name = spec.get("reward")
    if name not in known:
        raise BadInput(f"there is no reward named {name!r}", where=str(spec), do=nearest(name, sorted(known)))
    built = {field: _built(field, value, grader) for field, value in spec.items() if field != "reward"}
    try:
        return known[name](**built)
    except TypeError as err:
        raise BadInput(f"reward {name!r}: {err}", where=str(spec), do="give only the fields it has") from err


def _said(field: "Field[Any]", reward: Reward) -> bool:
    """Whether a recipe names the field: one that came later is left out at its default."""
    return not ("unsaid" in field.metadata and getattr(reward, field.name) == field.default)


def _plain(field: str, value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if field == "grader":
        return grader_name(value)
    return [_plain(field, part) for part in value] if isinstance(value, tuple) else spec(value)


def _built(field: str, value: Any, grader: Grader | None) -> Any:
    if field == "grader":
        return named_grader(value, grader)
    if isinstance(value, list):
        return tuple(_built(field, part, grader) for part in value)
    return from_spec(value, grader) if isinstance(value, dict) else value


def _combine(how: Callable[..., float], *scores: list[float | None], bounded: bool = True) -> list[float | None]:
    rows = list(zip(*scores, strict=True))
    if bounded:
        strange = [score for row in rows for score in row if score is not None and not 0 <= score <= 1]
        if strange:
            raise BadInput(f"this composition needs scores in [0, 1], got {strange[0]}", do="add scores with Weighted")
    return [None if None in row else how(*row) for row in rows]
