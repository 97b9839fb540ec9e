"""Are two formulas equal? math-verify in a worker process that can be killed.

math-verify burns its whole timeout on `9^{9^{9^9}}`, `10000000!` or forty parentheses, raises off the main thread, and
its TimeoutException is no Exception. So it runs in a child (`verify_worker.py`), which dies at `timeout` seconds of
processor time; the next question starts a new one (about a second). Answers cross as JSON: nothing is unpickled.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

from probe.data import Outcome
from probe.errors import ProbeError

WORKER = Path(__file__).with_name("verify_worker.py")
START_SECONDS = 120.0  # importing sympy on a busy machine
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
        """math-verify's verdict on two extracted answers; `timeout` if the worker ran out of time or memory."""
        with self._lock:
            child = self._started()
            request = {"gold": gold, "prediction": prediction, "seconds": self.timeout}
            try:
                _send(child, request)
                reply = _receive(child, self.timeout * WALL_FACTOR)
            except OSError:
                reply = None
            if reply is None:
                self._kill()
                return Outcome.timeout
            return Outcome(reply["outcome"])

    def close(self) -> None:
        """End the worker. A later question starts another."""
        with self._lock:
            self._kill()

    def _started(self) -> subprocess.Popen[bytes]:
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
            self._kill()
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
