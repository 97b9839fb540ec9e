"""What --dry says: the jobs by stage and about how long they take; for large weights memory and GPU-hours instead."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probe.cli.show import emit, say, table

if TYPE_CHECKING:
    from probe.engine.job import Job
    from probe.experiments.budget import Budget
    from probe.store import Store


def announce(targets: "Sequence[Job]", store: "Store", workers: int | None, title: str, as_json: bool) -> None:
    """What would be made, on stdout, as tables or as JSON."""
    from probe.engine.plan import check_cost
    from probe.experiments.budget import behind, budget

    for job in behind(targets):
        check_cost(job)
    needed = budget(targets)
    if needed is not None:
        return _say_budget(needed, title, as_json)
    _say_jobs(targets, store, workers, title, as_json)


def _say_budget(needed: "Budget", title: str, as_json: bool) -> None:
    """Memory and GPU-hours, at most."""
    if as_json:
        return emit({"of": title, **asdict(needed), "hours": needed.hours})
    rows = [
        ("weights at once", f"{needed.weights / 1e9:.1f} GB"),
        ("cache of a batch", f"{needed.cache / 1e9:.1f} GB"),
        ("at the peak, one GPU", f"{needed.memory / 1e9:.1f} GB"),
        ("sampling", f"{needed.sampling_hours:.1f} GPU-hours"),
        ("reading and scoring", f"{needed.reading_hours:.1f} GPU-hours"),
    ]
    if needed.fits:
        rows += [
            ("kept on disk", f"{needed.disk / 1e9:.1f} GB"),
            (f"fitting ({needed.fits} in all)", f"{needed.fitting_hours:.1f} GPU-hours"),
            ("memory of one fit", f"{needed.fit_memory / 1e9:.1f} GB"),
        ]
    if needed.core_hours:
        rows.append(("all of it, on one CPU core", f"{needed.core_hours:.1f} hours"))
    table(("what", "at most"), rows, title, right=("at most",))
    say("an upper bound: every response is taken to run to --max-new; hours are those of one H100 with transformers")


def _say_jobs(targets: "Sequence[Job]", store: "Store", workers: int | None, title: str, as_json: bool) -> None:
    """Jobs by stage, with seconds that the store has recorded of others like them."""
    from probe.engine.durations import recorded, seconds
    from probe.engine.plan import plan
    from probe.engine.pool import pool_size
    from probe.engine.progress import duration

    missing, known, many = plan(targets, store), recorded(store), pool_size(workers)
    jobs = list(missing.todo.values())
    wall = seconds(jobs, known) / many
    if as_json:
        listed = [{"stage": j.recipe.stage, "label": j.label, "digest": j.recipe.digest} for j in jobs]
        return emit({"of": title, "found": missing.found, "jobs": listed, "seconds": wall, "workers": many})
    if not jobs:
        return say(f"{title}: everything is there")
    rows: list[tuple[Any, ...]] = []
    for stage in dict.fromkeys(job.recipe.stage for job in jobs):
        alike = [job for job in jobs if job.recipe.stage == stage]
        rows.append((stage, len(alike), duration(seconds(alike, known) / many), alike[0].label))
    table(("stage", "jobs", "about", "first"), rows, f"{title}: {len(jobs)} jobs", right=("jobs", "about"))
    say(f"about {duration(wall)} with {many} workers; {missing.found} artifacts are there already")
