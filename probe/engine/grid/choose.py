"""Which place is meant by --on? pool, ray, ray://HOST:PORT, slurm, slurm:partition=gpu,time=240, submitit-local."""

from probe.engine.executor import Executor
from probe.engine.grid.ray_cluster import LOCAL, Ray
from probe.engine.grid.resources import Needs, one_core
from probe.engine.grid.slurm import CLUSTERS, Slurm
from probe.engine.grid.source import Source
from probe.errors import BadInput
from probe.registry import nearest

POOL = "pool"
KNOWN = [POOL, LOCAL, f"{LOCAL}://HOST:PORT", *CLUSTERS]


def place_named(on: str, source: Source, *, workers: int | None = None, needs: Needs = one_core) -> Executor | None:
    """The place of that name, for jobs of that source, `workers` at a time; None for the processes of this machine.

    BadInput with the nearest names.
    """
    name, _, options = on.partition(":")
    if on == POOL:
        return None
    if on == LOCAL or on.startswith(f"{LOCAL}://"):
        return Ray(source, on, workers, needs)
    if name in CLUSTERS and not options.startswith("//"):
        given = tuple(_option(each) for each in options.split(",") if each)
        return Slurm(source, CLUSTERS[name], workers, needs, given)
    raise BadInput(f"there is no place {on!r} to run on", where="--on", do=nearest(name, KNOWN))


def _option(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip().isidentifier():
        raise BadInput(f"{text!r} is no option of sbatch", where="--on", do="write slurm:partition=gpu,time=240")
    return name.strip(), value.strip()
