"""How long will these jobs take? Means of what the store has recorded, else what the job says of itself (`TYPICAL`).

Jobs of one stage differ by an order of magnitude between model sizes, and measurements by what is measured: a kind is a
stage, with what its recipe says it is of (the parameter "what", else "study"), and a size (the parameter "size", its
own or that of the artifact it stems from).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from probe.engine.job import Job
from probe.store import Artifact, Store

Kind = tuple[str, str]  # stage (and what of it), size of the model behind it ("" for none)
OTHERWISE = 0.5  # seconds


def recorded(store: Store) -> dict[Kind, float]:
    """Mean seconds by kind of everything the store holds that was not resumed."""
    held = {artifact.digest: artifact for artifact in store.artifacts()}
    found: dict[Kind, list[float]] = defaultdict(list)
    for artifact in held.values():
        if not artifact.spec["resumed"]:
            found[_what(artifact.stage, artifact.params), _size_of(artifact, held)].append(artifact.spec["seconds"])
    return {kind: sum(values) / len(values) for kind, values in found.items()}


def seconds(jobs: Iterable[Job], known: Mapping[Kind, float]) -> float:
    """Seconds of work, on one core, that the jobs are expected to take."""
    return sum(expected(job, known) for job in jobs)


def expected(job: Job, known: Mapping[Kind, float]) -> float:
    """Seconds one job is expected to take."""
    size = _size(job)
    typical = job.TYPICAL.get(size, OTHERWISE)
    return known.get((_what(job.recipe.stage, job.recipe.params), size), typical)


def _what(stage: str, params: Mapping[str, Any]) -> str:
    of = params.get("what") or params.get("study")
    return f"{stage} {of}" if of else stage


def _size(job: Job) -> str:
    if "size" in job.recipe.params:
        return str(job.recipe.params["size"])
    return next((size for need in job.needs if (size := _size(need))), "")


def _size_of(artifact: Artifact, held: Mapping[str, Artifact]) -> str:
    if "size" in artifact.params:
        return str(artifact.params["size"])
    return next((size for name in artifact.inputs if name in held and (size := _size_of(held[name], held))), "")
