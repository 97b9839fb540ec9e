"""Are two formulas equal? math-verify in a worker process that can be killed.

math-verify burns its whole timeout on `9^{9^{9^9}}`, `10000000!` or forty parentheses, raises off the main thread, and
its TimeoutException is no Exception. So it runs in a child (`verify_worker.py`), which dies at `timeout` seconds of
processor time; the next question starts a new one (about a second). Answers cross as JSON: nothing is unpickled.

    died of its own timer, or says that its own memory limit was reached     `timeout`
    killed from outside, or silent (stopped, starved)     the same question again; after ATTEMPTS an error that names it
    crashed (a fault in C code)                           again; after ATTEMPTS `unparsed`: no reader can read that
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

from probe.data import Outcome
from probe.errors import ProbeError

OWN_LIMIT = int(getattr(signal, "SIGPROF", 0))  # the signal of the worker's timer
CRASHES = frozenset(
    int(getattr(signal, name)) for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE") if hasattr(signal, name)
)
WORKER = Path(__file__).with_name("verify_worker.py")
START_SECONDS = 120.0  # importing sympy on a busy machine
ATTEMPTS = 3
MAX_CHARS = 2000  # of a formula that is handed to sympy; twice the longest answer that is read
WALL_FACTOR = 10.0  # the child limits its processor time; this is for a child that is stopped or starved


class Verifier:
    """One lazily started worker. Safe to share between threads; a forked process starts its own."""

    def __init__(self, timeout: float = 2.0) -> None:
        self.timeout = timeout
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._inherited: subprocess.Popen[bytes] | None = None  # kept, so that a fork does not try to reap it
        self._owner = os.getpid()
        self._stop: weakref.finalize[..., Any] | None = None

    @property
    def running(self) -> bool:
        """Whether a worker is alive."""
        return self._child is not None and self._child.poll() is None

    def ask(self, prediction: str, gold: str) -> Outcome:
        """math-verify's verdict on two extracted answers; `timeout` if the worker ran into its own limits.

        ProbeError names the answers on which it was killed again and again.
        """
        if max(len(gold), len(prediction)) > MAX_CHARS:
            return Outcome.gold_unparsed if len(gold) > MAX_CHARS else Outcome.unparsed
        with self._lock:
            ends: list[int | None] = []
            while len(ends) < ATTEMPTS:
                reply, end = self._try({"gold": gold, "prediction": prediction, "seconds": self.timeout})
                if reply is not None:
                    return Outcome(reply["outcome"])
                if end == -OWN_LIMIT:
                    return Outcome.timeout
                ends.append(end)
        if all(end is not None and -end in CRASHES for end in ends):
            return Outcome.unparsed
        raise _lost(prediction, gold, ends)

    def _try(self, request: dict[str, Any]) -> tuple[dict[str, Any] | None, int | None]:
        """(reply, None), or (None, how the worker ended: minus the signal, None if it was silent)."""
        child = self._started()
        if child is None:
            return None, -int(signal.SIGKILL)
        try:
            _send(child, request)
            reply = _receive(child, self.timeout * WALL_FACTOR)
        except OSError:
            reply = None
        if reply is not None:
            return reply, None
        end = _ended(child)
        self._kill()
        return None, end

    def close(self) -> None:
        """End the worker. A later question starts another."""
        with self._lock:
            self._kill()

    def _started(self) -> subprocess.Popen[bytes] | None:
        """The worker, alive and ready; None if it was killed while it started."""
        if self._owner != os.getpid():  # the pipes belong to the parent
            self._inherited, self._child, self._owner, self._stop = self._child, None, os.getpid(), None
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._kill()
        command = [sys.executable, "-P", str(WORKER)]
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        self._child = child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null)
        self._stop = weakref.finalize(self, _end, child, os.getpid())
        if _receive(child, START_SECONDS) is None:
            end = _ended(child)
            self._kill()
            if end is not None and end < 0:
                return None
            raise ProbeError(
                "the grading worker did not start",
                where=str(WORKER.name),
                do=f"check that {sys.executable} can import math_verify (pip install 'math-verify')",
            )
        return child

    def _kill(self) -> None:
        if self._stop is not None:
            self._stop()
        self._child, self._stop = None, None


def _end(child: subprocess.Popen[bytes], owner: int) -> None:
    """Kill, reap and close: no zombie, no open pipe."""
    if os.getpid() != owner:
        return
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # flushing into a pipe whose reader was killed
                stream.close()


def _ended(child: subprocess.Popen[bytes]) -> int | None:
    """How a child ended that closed its pipe: its exit code, minus the signal; None if it lives."""
    try:
        return child.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        return None


def _lost(prediction: str, gold: str, ends: list[int | None]) -> ProbeError:
    how = ", ".join("silent" if end is None else f"signal {-end}" if end < 0 else f"exit {end}" for end in ends)
    return ProbeError(
        f"the grading worker was lost {len(ends)} times on the same answer ({how})",
        where=f"prediction {prediction[:200]!r}, gold {gold[:200]!r}",
        do="see whether the machine is out of memory (signal 9); leave that response out if it is the cause",
    )


def _send(child: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    stream = child.stdin
    if stream is None:
        raise OSError("the worker has no standard input")
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


def _receive(child: subprocess.Popen[bytes], seconds: float) -> dict[str, Any] | None:
    """The next line of the worker, or None if it died or was silent for that long."""
    stream = child.stdout
    deadline, line = time.monotonic() + seconds, b""
    while stream is not None and not line.endswith(b"\n"):
        ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(stream.fileno(), 65536) if ready else b""
        if not chunk:
            return None
        line += chunk
    reply: dict[str, Any] = json.loads(line)
    return reply
