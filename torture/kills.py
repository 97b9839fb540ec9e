"""Kills: small real work, ended by SIGKILL at any moment, then done to the end: the bytes of an undisturbed run.

at a time        uniform over the undisturbed duration, one to three times in a row
at a call        just before the n-th call that changes or syncs a file, drawn over all there are
a worker         of a pool of processes, or of the grader; the command itself must get over it
"""

import os
import signal
from pathlib import Path

from torture.scene import Scene, case
from torture.verdict import BAD_INPUT, BLOCKED, CODE, DIFFER, LEFT, Ran, judge
from torture.watch import Call, How, children
from torture.work import LATEST, WORKS, Peace, Work, dying, in_peace, results, told

SLACK = 0.9  # of the undisturbed duration: a busy machine is slower, and a kill after the end is none
WHOLE = How(limit=LATEST)


def started(scene: Scene) -> tuple[Work, Peace]:
    """One piece of work, and what it needs in the case's folder."""
    work = WORKS[scene.rng.choice(sorted(WORKS))]
    peace = in_peace(work, scene.place)
    scene.bring(*work.start)
    return work, peace


def ended(scene: Scene, work: Work, peace: Peace) -> None:
    """Run it to the end, and hold what it left against the undisturbed run."""
    ran = finish(scene, work, peace)
    if ran.code != 0:
        scene.faults += judge(ran, False)
        return scene.fault(BLOCKED, f"{work.name} does not end after a kill: {ran.text[-300:]}")
    scene.compare(peace.files, results(scene.folder))
    if work.says and ran.out.decode(errors="replace") != peace.out:
        scene.fault(DIFFER, f"stdout of {work.name}: {ran.out[-200:]!r}, was {peace.out[-200:]!r}")
    unfinished = scene.folder / "store" / "partial"
    if unfinished.is_dir() and any(unfinished.iterdir()):
        scene.fault(DIFFER, f"left unfinished: {sorted(each.name for each in unfinished.iterdir())}")


def finish(scene: Scene, work: Work, peace: Peace) -> Ran:
    """Run it in peace; half an export is no reason to give up: a user removes what is said to be in the way."""
    ran = scene.call(work.call(scene.place), work.name, WHOLE)
    if ran.code == BAD_INPUT and (scene.folder / "exported").exists():
        wanted, found = (_exported(files) for files in (peace.files, results(scene.folder)))
        if wanted != found:  # it may also have been killed behind a whole export
            scene.fault(BLOCKED, "a killed `train --out` left half a folder, which stops the same command")
        os.rename(scene.folder / "exported", scene.folder / "store" / ".away")
        ran = scene.call(work.call(scene.place), work.name, WHOLE)
    return ran


def _exported(files: dict[str, str]) -> dict[str, str]:
    return {name: held for name, held in files.items() if name.startswith("exported/")}


def killed(scene: Scene, ran: Ran) -> bool:
    """Whether that run was killed; a kill leaves no process behind."""
    if ran.left:
        scene.fault(LEFT, f"{ran.left} processes outlived a kill of {ran.words}")
    if ran.signal == signal.SIGKILL:
        scene.count("kill")
        return True
    if not (ran.code == BAD_INPUT and (scene.folder / "exported").exists()):  # `finish` looks at that
        scene.faults += judge(ran, False)
    return False


@case("kill", "kill-time", 5)
def at_a_time(scene: Scene) -> None:
    """At one to three random moments."""
    work, peace = started(scene)
    for _ in range(scene.rng.choice((1, 1, 2, 3))):
        how = How(limit=LATEST, kill_after=scene.rng.uniform(0, SLACK * peace.seconds))
        if not killed(scene, scene.call(work.call(scene.place), work.name, how)):
            break
    ended(scene, work, peace)


@case("kill", "kill-call", 4)
def at_a_call(scene: Scene) -> None:
    """Just before one of the calls that change a file, once or twice."""
    work, peace = started(scene)
    for _ in range(scene.rng.choice((1, 1, 2))):
        at = scene.rng.randint(1, peace.calls)
        call = dying(work.call(scene.place), at)
        if not killed(scene, scene.call(call, f"{work.name}, dying at call {at} of {peace.calls}", WHOLE)):
            break
    ended(scene, work, peace)


@case("kill", "kill-grader", 2)
def the_grader(scene: Scene) -> None:
    """The grading worker, killed while it works (as for want of memory): the grades are those of an undisturbed run."""
    work = WORKS["import"]
    peace = in_peace(work, scene.place)
    scene.bring(*work.start)
    how = How(limit=LATEST, kill_after=scene.rng.uniform(0.1, peace.seconds), kill=lambda pid: _strike(scene, pid))
    ran = scene.call(work.call(scene.place), "import, its worker killed", how)
    survived(scene, ran, peace)


@case("kill", "kill-worker", 1)
def a_worker(scene: Scene) -> None:
    """A worker of a pool, killed at any time, also while it imports: the plan ends all the same."""
    scene.call(pooled(), "a pool in peace", WHOLE)
    peace = Peace(scene.ran[-1].seconds, results(scene.folder), scene.ran[-1].out.decode())
    os.rename(scene.folder / "store", scene.folder / ".first")
    how = How(limit=LATEST, kill_after=scene.rng.uniform(0, peace.seconds), kill=lambda pid: _strike(scene, pid))
    ran = scene.call(pooled(), "a pool, one of its workers killed", how)
    survived(scene, ran, peace)


@case("kill", "kill-pool", 1)
def the_parent(scene: Scene) -> None:
    """The parent of a pool: its workers end with it."""
    how = How(limit=LATEST, kill_after=scene.rng.uniform(0.3, 6))
    killed(scene, scene.call(pooled(), "a pool, killed", how))
    scene.faults += judge(scene.call(pooled(), "the pool again", WHOLE), False)


def survived(scene: Scene, ran: Ran, peace: Peace) -> None:
    """The command went on after the loss of a worker."""
    scene.faults += [fault for fault in judge(ran, False) if fault.kind != CODE]
    if ran.code == 0:
        scene.compare(peace.files, results(scene.folder))


def _strike(scene: Scene, parent: int) -> bool:
    """Kill one process behind the command; False, to be tried again, where there is none yet."""
    behind = [pid for pid in children(parent) if b"resource_tracker" not in command_of(pid)]
    if not behind:
        return not Path(f"/proc/{parent}").exists()
    os.kill(scene.rng.choice(behind), signal.SIGKILL)
    scene.count("kill")
    return True


def command_of(pid: int) -> bytes:
    """The command line of a process; multiprocessing keeps one that is no worker."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def pooled() -> Call:
    """A diamond of jobs in two worker processes."""

    def call() -> None:
        from probe.engine.listener import SILENT
        from probe.engine.plan import plan
        from probe.engine.pool import Pool
        from probe.store import Store
        from torture.toys import diamond

        store = Store("store")
        Pool(2)(plan([diamond()], store), store, SILENT)

    return told(call)
