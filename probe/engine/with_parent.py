"""How does a worker process end when the process that started it is killed? At once, whatever it is importing.

On Linux the kernel is asked to kill it (PR_SET_PDEATHSIG), before anything large is imported; a parent that was dead
before that was asked is seen in the parent's id. Elsewhere a thread waits for the parent, which is late where an import
holds the interpreter. This module imports nothing large: it is the first thing a worker runs.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
LOOK_SECONDS = 0.25


def end_with_parent() -> None:
    """From now on this process does not outlive its parent."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # a C library without it
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent.pid:
        os._exit(1)
    threading.Thread(target=_wait_for_its_end, args=(parent,), daemon=True).start()


def follow_parent() -> None:
    """The same for a script that is run as a child: a thread looks whether its parent is still there.

    The kernel is not asked: it would kill the child where the thread that started it ends.
    """
    threading.Thread(target=_look_for, args=(os.getppid(),), daemon=True).start()


def _look_for(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


def _wait_for_its_end(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def start_worker() -> None:
    """In a new worker process: an end with its parent, then clean output and one torch thread."""
    end_with_parent()
    from probe.engine.job import one_thread  # torch takes seconds
    from probe.terminal import guard

    guard()
    one_thread()
