"""Jobs on a cluster that Slurm runs, by submitit; or, to try it, by the same scripts in processes of this machine.

A Slurm job a job of ours, as many at a time as the window holds. Scripts, logs and results lie in the folder `slurm` of
the store, which the nodes must see; they are removed once the job is made. Only strings are pickled, and the store's
URL is not among them: it travels in the environment, as it may hold a password. A job that died (a node, memory, time)
is submitted again, and goes on from what it had written.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from probe.engine.grid.made import not_in_store
from probe.engine.grid.resources import Needs, one_core
from probe.engine.grid.source import Source
from probe.engine.grid.worker import error_in, make_named
from probe.engine.job import Job
from probe.engine.listener import Listener
from probe.engine.plan import Plan
from probe.engine.submit import Outcome, make_all, outcome_of
from probe.errors import BadInput, ProbeError
from probe.store import Store, Unreachable

CLUSTERS = {"slurm": "slurm", "submitit-local": "local"}
LOOK = {"slurm": 5.0, "local": 0.1}  # seconds between two looks at what has ended
MINUTES, AT_ONCE = 24 * 60, 64
CORE = 4e9  # bytes of memory a core, where a job does not say


@dataclass(frozen=True)
class Slurm:
    """Makes a plan on Slurm (`cluster` "slurm"), or by submitit's local executor ("local").

    source      where workers find the jobs again
    size        jobs at a time, waiting ones too [64; one per core of this machine]
    settings    options of sbatch: partition, account, time (minutes), ...
    """

    source: Source
    cluster: str = "slurm"
    size: int | None = None
    needs: Needs = one_core
    settings: tuple[tuple[str, str], ...] = ()

    def __call__(self, plan: Plan, store: Store, listener: Listener) -> None:
        """Make every job of the plan; an error names its job."""
        make_all(self, plan, store, listener)

    @contextmanager
    def workers(self, store: Store) -> "Iterator[_Submitted]":
        """What is submitted here. After an error what runs is waited for; after an interrupt all is cancelled."""
        submitit = _imported()
        submitted = _Submitted(submitit, self, store)
        with _in_environment("PROBE_STORE", store.address):
            try:
                yield submitted
            except Exception:
                submitted.finish()
                raise
            except BaseException:
                submitted.cancel()
                raise


class _Submitted:
    """The jobs that are submitted, and have not ended."""

    def __init__(self, submitit: ModuleType, place: Slurm, store: Store) -> None:
        self.submitit, self.place, self.store = submitit, place, store
        self.size = place.size or (AT_ONCE if place.cluster == "slurm" else os.cpu_count() or 1)
        self.folder = store.root / "slurm"
        try:
            self.executor = submitit.AutoExecutor(folder=self.folder, cluster=place.cluster)
        except RuntimeError as err:
            do = "run this on a machine that can submit, or with --on submitit-local"
            raise BadInput("there is no Slurm on this machine: sbatch is not found", where=str(err), do=do) from err
        self.running: dict[Any, Job] = {}

    def start(self, job: Job) -> None:
        """One more job of Slurm."""
        self.executor.update_parameters(**self._parameters(job))
        source = self.place.source
        try:
            submitted = self.executor.submit(make_named, source.function, source.arguments, job.recipe.digest)
        except self.submitit.core.utils.FailedJobError as err:
            do = "look at the options behind --on slurm:, and run the same command again: finished work is kept"
            said = str(err).strip().splitlines()
            raise BadInput("Slurm takes no job", where=said[-1][:300] if said else "sbatch", do=do) from err
        self.running[submitted] = job

    def ended(self) -> list[tuple[str, Outcome]]:
        """Those that have ended; looked at again and again until there is one."""
        while not (done := [each for each in self.running if each.done()]):
            time.sleep(LOOK[self.place.cluster])
        return [(self.running[each].recipe.digest, self._outcome(each, self.running.pop(each))) for each in done]

    def finish(self) -> None:
        """Cancel what still waits for a node, and wait for what runs: its results are in the store."""
        for each in self.running:
            if each.state.upper() == "PENDING":
                each.cancel()
        for each in self.running:
            each.wait()

    def cancel(self) -> None:
        """Stop everything that is submitted."""
        for each in self.running:
            each.cancel()

    def _outcome(self, submitted: Any, job: Job) -> Outcome:
        core, log = self.submitit.core.utils, str(submitted.paths.stderr)
        try:
            error = error_in(submitted.result())
        except core.FailedJobError as err:  # it raised: `make_named` raises what is worth another try
            return outcome_of(
                Unreachable("the store could not be reached", where=_last_line(str(err)), do=f"see {log}")
            )
        except core.UncompletedJobError as err:
            do = (
                "look at its log, free memory or give it more time, and run the same command again: finished work stays"
            )
            return outcome_of(ProbeError(_last_line(str(err)), where=log, do=do), died=True)
        error = error or not_in_store(job, self.store)
        if error is None:
            _remove(Path(submitted.paths.folder), str(submitted.job_id))
        return outcome_of(error)

    def _parameters(self, job: Job) -> dict[str, Any]:
        needed, given = self.place.needs(job), dict(self.place.settings)
        parameters: dict[str, Any] = {
            "name": f"probe-{job.recipe.stage}",
            "cpus_per_task": needed.cpus,
            "mem_gb": max(1, round((needed.memory or CORE * needed.cpus) / 1e9)),
            "timeout_min": _minutes(given.pop("time", None)),
            "slurm_additional_parameters": given,
        }
        return parameters | ({"gpus_per_node": needed.gpus} if needed.gpus else {})


def _imported() -> ModuleType:
    try:
        import submitit
        import submitit.core.utils
    except ImportError as err:
        do = "pip install 'rlvr-probe[slurm]'"
        raise BadInput("submitit, which speaks with Slurm, is not installed", where="--on slurm", do=do) from err
    return submitit


def _minutes(said: str | None) -> int:
    if said is None:
        return MINUTES
    if not said.isdigit():
        raise BadInput(f"{said!r} is no number of minutes", where="--on slurm:time=", do="write time=240")
    return int(said)


@contextmanager
def _in_environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason is given"


def _remove(folder: Path, job_id: str) -> None:
    """What submitit wrote of a job that is made."""
    for path in folder.glob(f"{job_id}*"):
        if path.is_file():
            path.unlink(missing_ok=True)
