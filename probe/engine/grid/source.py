"""Where does a worker on another machine find a job again? A function, by its name, that returns jobs; then by digest.

No job is pickled. A digest that the function does not give there says that the two machines do not run the same code.
"""

import functools
import importlib
from collections.abc import Iterable
from dataclasses import dataclass

from probe.engine.job import Job
from probe.engine.plan import all_behind
from probe.errors import BadInput


@dataclass(frozen=True)
class Source:
    """`module:function`, and the strings it is called with; it returns jobs, and these name all that they need."""

    function: str
    arguments: tuple[str, ...] = ()

    def job(self, digest: str) -> Job:
        """The job of that digest. BadInput where there is none, or no such function."""
        known = _known(self)
        if digest not in known:
            what = f"{self.function} of {', '.join(self.arguments)} knows no job {digest[:12]} on this machine"
            do = "install the same commit, packages and data on every machine, with the same PROBE_PLUGINS"
            raise BadInput(what, where="worker", do=do)
        return known[digest]


@functools.lru_cache(maxsize=4)
def _known(source: Source) -> dict[str, Job]:
    module, _, name = source.function.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as err:
        do = "install the same packages on every machine, with the same PYTHONPATH"
        raise BadInput(f"there is no {source.function} on this machine", where="worker", do=do) from err
    found: Iterable[Job] = function(*source.arguments)
    return {job.recipe.digest: job for job in all_behind(tuple(found))}
