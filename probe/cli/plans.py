"""What --dry says: the jobs by stage, and about how long they take."""

from typing import TYPE_CHECKING

from probe.cli.show import emit, say, table

if TYPE_CHECKING:
    from probe.checkpoints.jobs import Job
    from probe.engine.runner import Plan
    from probe.store import Store


def announce(plan: "Plan", store: "Store", workers: int, title: str, as_json: bool) -> None:
    """The plan on stdout, as a table or as JSON; the total on stderr."""
    from probe.engine.durations import recorded, seconds
    from probe.engine.progress import told

    known, jobs = recorded(store), list(plan.todo.values())
    wall = seconds(jobs, known) / workers
    if as_json:
        listed = [{"stage": j.recipe.stage, "label": j.label, "digest": j.recipe.digest} for j in jobs]
        return emit({"of": title, "found": plan.found, "jobs": listed, "seconds": wall, "workers": workers})
    by_stage: dict[str, list[Job]] = {}
    for job in jobs:
        by_stage.setdefault(job.recipe.stage, []).append(job)
    rows = [(s, len(of), told(seconds(of, known) / workers), of[0].label) for s, of in by_stage.items()]
    if not jobs:
        return say(f"{title}: everything is there")
    table(("stage", "jobs", "about", "first"), rows, f"{title}: {len(jobs)} jobs", right=("jobs", "about"))
    say(f"about {told(wall)} with {workers} workers; {plan.found} artifacts are there already")
