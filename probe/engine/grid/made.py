"""Is what a worker on another machine says that it made in our store? Only then is the job done."""

from probe.engine.job import Job
from probe.errors import BadInput
from probe.store import Store


def not_in_store(job: Job, store: Store) -> BadInput | None:
    """An error where the store does not hold what a worker has made."""
    if store.holds(job.recipe, fresh=True):
        return None
    what = f"a worker made it, and the store {store.shown} does not hold it"
    do = "set PROBE_STORE to a folder that every machine sees, or to a URL"
    return BadInput(what, where=f"{job.recipe.stage} {job.recipe.digest[:12]}", do=do)
