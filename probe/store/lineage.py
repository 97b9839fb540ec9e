"""Where does this number come from? The tree of specs behind an artifact, down to pinned inputs. Data only."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from probe.store.artifact import Artifact
from probe.store.recipe import is_digest


@dataclass(frozen=True)
class Lineage:
    """One node. `name` is a digest or a pin; `spec` is there for artifacts only.

    kind: "artifact" (in this store), "pinned" (something outside, named exactly), "absent" (a digest that the store
    does not hold any more). Nodes that appear twice are one object.
    """

    name: str
    kind: Literal["artifact", "pinned", "absent"]
    stage: str = ""
    spec: dict[str, Any] | None = field(default=None, hash=False, repr=False)
    inputs: "tuple[Lineage, ...]" = ()


def trace(name: str, held: Callable[[str], Artifact | None], seen: dict[str, Lineage] | None = None) -> Lineage:
    """The lineage of a digest or pin; `held` looks a full digest up. It ends: a digest cannot contain itself."""
    seen = {} if seen is None else seen
    if name not in seen:
        artifact = held(name) if is_digest(name) else None
        if artifact is None:
            seen[name] = Lineage(name, "absent" if is_digest(name) else "pinned")
        else:
            inputs = tuple(trace(each, held, seen) for each in artifact.inputs)
            seen[name] = Lineage(name, "artifact", artifact.stage, artifact.spec, inputs)
    return seen[name]
