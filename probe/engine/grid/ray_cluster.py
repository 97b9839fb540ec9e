"""Jobs on a Ray cluster: one started here, on the cores of this machine, or a running one at ray://HOST:PORT.

A task a job, as many at a time as the window holds. Ray starts a task again whose worker or node died, and one that
could not reach the store (`max_retries`, `retry_exceptions`); other errors of a job end it. A job that no node could
ever hold is refused at once: Ray would wait for such a node for ever. `ray stop` is never called: it ends the clusters
of others.
"""

import logging
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from probe.engine.grid.made import not_in_store
from probe.engine.grid.resources import Needs, Resources, one_core
from probe.engine.grid.source import Source
from probe.engine.grid.worker import error_in, make_named
from probe.engine.job import Job
from probe.engine.listener import Listener
from probe.engine.plan import Plan
from probe.engine.submit import TRIES, Outcome, make_all
from probe.errors import BadInput, ProbeError
from probe.store import Store, Unreachable

LOCAL = "ray"
ANSWER = 10.0  # seconds in which a head node answers
PAUSE = 2.0  # seconds between two tries


@dataclass(frozen=True)
class Ray:
    """Makes a plan on a Ray cluster: that at `address`, else one that is started here and ends with the work.

    source    where workers find the jobs again
    size      jobs at a time [one per core of the cluster]
    needs     what each takes of a node
    """

    source: Source
    address: str = LOCAL
    size: int | None = None
    needs: Needs = one_core

    def __call__(self, plan: Plan, store: Store, listener: Listener) -> None:
        """Make every job of the plan; an error names its job."""
        make_all(self, plan, store, listener)

    @contextmanager
    def workers(self, store: Store) -> "Iterator[_Tasks]":
        """A connection to the cluster. One that this process has already is used, and stays."""
        ray = _imported()
        mine = not ray.is_initialized()
        if mine:
            _connect(ray, self)
        tasks = _Tasks(ray, self, store)
        try:
            yield tasks
        except Exception:
            tasks.finish()
            raise
        except BaseException:
            tasks.cancel()
            raise
        finally:
            if mine:
                ray.shutdown()


class _Tasks:
    """The tasks that run."""

    def __init__(self, ray: ModuleType, place: Ray, store: Store) -> None:
        self.ray, self.place, self.store = ray, place, store
        with _lost(ray, place.address):
            self.nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        self.size = place.size or max(1, int(sum(node.get("CPU", 0) for node in self.nodes)))
        self.task = ray.remote(make_named)
        self.running: dict[Any, Job] = {}

    def start(self, job: Job) -> None:
        """One more task."""
        needed = self.place.needs(job)
        _check_fits(job, needed, self.nodes)
        options = {
            "num_cpus": needed.cpus,
            "num_gpus": needed.gpus,
            "memory": needed.memory or None,
            "max_retries": TRIES - 1,
            "retry_exceptions": [Unreachable],
            "name": job.label,
        }
        source = self.place.source
        with _lost(self.ray, self.place.address):
            task = self.task.options(**options)
            ref = task.remote(source.function, source.arguments, job.recipe.digest, self.store.address)
        self.running[ref] = job

    def ended(self) -> list[tuple[str, Outcome]]:
        """The next task that is done."""
        with _lost(self.ray, self.place.address):
            done, _ = self.ray.wait(list(self.running), num_returns=1)
        return [(self.running[ref].recipe.digest, self._outcome(ref, self.running.pop(ref))) for ref in done]

    def finish(self) -> None:
        """Wait for what runs; its results are in the store."""
        if self.running and self.ray.is_initialized():
            try:
                self.ray.wait(list(self.running), num_returns=len(self.running))
            except Exception:  # the cluster is gone, and all that ran with it
                self.running.clear()

    def cancel(self) -> None:
        """Stop what runs, at once."""
        for ref in self.running:
            try:
                self.ray.cancel(ref, force=True)
            except Exception:
                return

    def _outcome(self, ref: Any, job: Job) -> Outcome:
        errors = self.ray.exceptions
        try:
            with _lost(self.ray, self.place.address):
                said = self.ray.get(ref)
        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError) as err:
            return Outcome(err, died=True)
        except errors.RayTaskError as err:
            return Outcome(err.cause if isinstance(getattr(err, "cause", None), ProbeError) else err)
        return Outcome(error_in(said) or not_in_store(job, self.store))


def _imported() -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere; read at its import
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError as err:
        raise BadInput("Ray is not installed", where=f"--on {LOCAL}", do="pip install 'rlvr-probe[ray]'") from err
    return ray


def _connect(ray: ModuleType, place: Ray) -> None:
    quiet = {"log_to_driver": False, "configure_logging": False}
    if place.address != LOCAL:
        _check_answers(place.address)
    try:
        with _warnings_off():
            if place.address == LOCAL:
                cores = place.size or os.cpu_count() or 1
                ray.init(address="local", num_cpus=cores, include_dashboard=False, **quiet)
            else:
                _as_client(ray, place.address, quiet)
    except Exception as err:
        said = _first_line(err)
        if place.address != LOCAL:
            raise _not_reached(place.address, said) from err
        do = "look at the logs below /tmp/ray, or run it without --on"
        raise ProbeError("a Ray cluster cannot be started on this machine", where=said, do=do) from err


def _as_client(ray: ModuleType, address: str, options: dict[str, bool]) -> None:
    """A head that is busy may not have a server for one more client in time: it is asked TRIES times."""
    for left in reversed(range(TRIES)):
        try:
            ray.init(address, **options)
            return
        except ConnectionAbortedError:
            if not left:
                raise
            time.sleep(PAUSE)


@contextmanager
def _warnings_off() -> Iterator[None]:
    """Ray warns at each start that its token authentication is on, as it should be."""
    log = logging.getLogger("ray")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _check_answers(address: str) -> None:
    """BadInput, at once, where nothing listens: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
    except ValueError as err:
        raise BadInput(f"{address} is no address of a cluster", where="--on", do="write ray://HOST:PORT") from err
    except OSError as err:
        raise _not_reached(address, str(err)) from err


def _not_reached(address: str, why: str) -> BadInput:
    do = "look whether its head node is up, the port (10001 as a rule) and the token (RAY_AUTH_TOKEN)"
    return BadInput(f"the Ray cluster {address} cannot be reached", where=why, do=do)


def _first_line(err: Exception) -> str:
    return f"{type(err).__name__}: {err}".splitlines()[0][:300]


@contextmanager
def _lost(ray: ModuleType, address: str) -> Iterator[None]:
    """A cluster that is gone is an error that says so."""
    try:
        yield
    except (ConnectionError, ray.exceptions.RaySystemError, ray.exceptions.RpcError) as err:
        do = "bring its head node back and run the same command again: finished work is kept"
        raise ProbeError(f"the Ray cluster {address} is lost", where=_first_line(err), do=do) from err


def _check_fits(job: Job, needed: Resources, nodes: list[dict[str, float]]) -> None:
    wanted = {"CPU": needed.cpus, "GPU": needed.gpus, "memory": needed.memory}
    if not any(all(node.get(name, 0.0) >= amount for name, amount in wanted.items()) for node in nodes):
        most = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in wanted}
        said = ", ".join(f"{_amount(name, wanted[name])} (at most {_amount(name, most[name])})" for name in wanted)
        do = "add such a node to the cluster, or make this job elsewhere"
        raise BadInput(f"{job.label}: no node of the cluster has what it needs: {said}", where="Ray", do=do)


def _amount(name: str, amount: float) -> str:
    return f"{amount / 1e9:.1f} GB" if name == "memory" else f"{amount:g} {name}"
