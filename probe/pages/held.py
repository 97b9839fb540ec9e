"""What can be shown of a pair's page without making anything? The parts that the store holds; the others are named.

Without the comparison there is no page. `again` says with which command a part would be made.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from probe.engine.job import Job
from probe.errors import BadInput
from probe.pages.pair_page import PairPage
from probe.store import Store

Again = Callable[[str], str]  # a verb of the command line, or a part of `probe report`: "compare", "report --cards"


def held(page: PairPage, store: Store, again: Again) -> PairPage:
    """The page with what is there. BadInput where the store does not hold its comparison."""
    if not store.holds(page.compare.recipe):
        what = "the store holds no comparison of these two, asked like this"
        raise BadInput(what, where=f"store {store.shown}", do=f"make it: {again('compare')}")
    kept = {
        "explain": _all(store, [page.explain]),
        "responses": _all(store, page.compare.sampled),
        "tokens": _all(store, [page.tokens]),
        "cards": _all(store, [page.cards]),
        "steering": _all(store, page.steering.jobs if page.steering else [None]),
    }
    missing = {
        "the verdict": page.explain and not kept["explain"] and again("explain"),
        "responses": not kept["responses"] and again("report"),
        "tokens": page.tokens and not kept["tokens"] and again("report"),
        "feature cards": page.cards and not kept["cards"] and again("report --cards"),
        "steering": page.steering and not kept["steering"] and again("report --steering"),
    }
    return replace(
        page,
        explain=page.explain if kept["explain"] else None,
        tokens=page.tokens if kept["tokens"] and kept["responses"] else None,
        cards=page.cards if kept["cards"] else None,
        steering=page.steering if kept["steering"] else None,
        responses=kept["responses"],
        missing=tuple((part, command) for part, command in missing.items() if command),
    )


def _all(store: Store, jobs: Iterable[Job | None]) -> bool:
    """Whether there are such jobs, and the store holds what each leaves."""
    return all(job is not None and store.holds(job.recipe) for job in jobs)
