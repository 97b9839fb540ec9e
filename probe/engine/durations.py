"""How long will these jobs take? Means of what the store has recorded, else what they took on two server cores.

Jobs of one stage differ by an order of magnitude between organism sizes, and measurements by what is measured: a kind
is a stage, with what its recipe says it is of, and a size.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from probe.store import Artifact, Recipe, Store

if TYPE_CHECKING:
    from probe.checkpoints.jobs import Job

Kind = tuple[str, str]  # stage (and what of it), size of the organism behind it ("" for none)
GUESSED: dict[Kind, float] = {
    ("organism", "tiny"): 30.0,
    ("organism", "small"): 120.0,
    ("votes", "tiny"): 5.0,
    ("votes", "small"): 20.0,
    ("run", "tiny"): 4.0,
    ("run", "small"): 45.0,
    ("responses", "tiny"): 1.0,
    ("responses", "small"): 6.0,
    ("imported", ""): 5.0,
    ("doses", "tiny"): 40.0,
    ("measurements patching", "tiny"): 40.0,
    ("measurements layers", "tiny"): 200.0,
}
OTHERWISE = 0.5


def kind(job: "Job") -> Kind:
    """What the time of a job depends on."""
    return _what(job.recipe.stage, job.recipe.params), _size(job)


def recorded(store: Store) -> dict[Kind, float]:
    """Mean seconds by kind of everything the store holds that was not resumed."""
    held = {artifact.digest: artifact for artifact in store.artifacts()}
    found: dict[Kind, list[float]] = defaultdict(list)
    for artifact in held.values():
        if not artifact.spec["resumed"]:
            found[_what(artifact.stage, artifact.params), _size_of(artifact, held)].append(artifact.spec["seconds"])
    return {kind: sum(values) / len(values) for kind, values in found.items()}


def seconds(jobs: "Iterable[Job]", known: Mapping[Kind, float]) -> float:
    """Seconds of work, on one core, that the jobs are expected to take."""
    return sum(expected(job, known) for job in jobs)


def expected(job: "Job", known: Mapping[Kind, float]) -> float:
    """Seconds one job is expected to take."""
    return known.get(kind(job), GUESSED.get(kind(job), OTHERWISE))


def _what(stage: str, params: Mapping[str, Any]) -> str:
    return f"{stage} {params['what']}" if "what" in params else stage


def _size(job: "Job") -> str:
    recipe: Recipe = job.recipe
    if recipe.stage == "organism":
        return str(recipe.params["size"])
    return next((size for need in job.needs if (size := _size(need))), "")


def _size_of(artifact: Artifact, held: Mapping[str, Artifact]) -> str:
    if artifact.stage == "organism":
        return str(artifact.params["size"])
    return next((size for name in artifact.inputs if name in held and (size := _size_of(held[name], held))), "")
