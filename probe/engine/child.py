"""A child process that may die: asked in JSON, a line a question, a line an answer, and killed where it is silent.

The child limits its own processor time and memory; here only the clock on the wall and the size of an answer are seen
to. It is started at the first question and again at the next one after its end. Nothing is unpickled.
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

from probe.errors import ProbeError

START_SECONDS = 120.0  # its imports, on a busy machine
MAX_ANSWER = 1 << 28  # bytes


class Ended(Exception):
    """The child died, or was killed, at a question: `code` is its exit status, -n for signal n, None for silence."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Child:
    """One lazily started child that runs a script. Safe to share between threads; a forked process starts its own."""

    def __init__(self, script: Path, needs: str, environment: dict[str, str] | None = None) -> None:
        """`script` says `{"ready": true}` once, and imports `needs`; `environment` goes on top of ours."""
        self.script, self.needs, self.environment = script, needs, environment or {}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._inherited: subprocess.Popen[bytes] | None = None  # kept, so that a fork does not try to reap it
        self._owner = os.getpid()
        self._stop: weakref.finalize[..., Any] | None = None

    @property
    def running(self) -> bool:
        """Whether it is alive."""
        return self._process is not None and self._process.poll() is None

    def ask(self, question: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer. Ended where it died, or said nothing for `seconds`; ProbeError where it does not start."""
        with self._lock:
            process = self.start()
            try:
                _send(process, question)
                answer = _receive(process, seconds)
            except OSError:
                answer = None
            if answer is None:
                raise Ended(self._code())
            return answer

    def close(self) -> None:
        """End it. A later question starts another."""
        with self._lock:
            self._kill()

    def start(self) -> "subprocess.Popen[bytes]":
        """The child, alive and ready. Ended where it was killed while it started, ProbeError where it cannot."""
        if self._owner != os.getpid():  # the pipes belong to the parent
            self._inherited, self._process, self._owner, self._stop = self._process, None, os.getpid(), None
        if self._process is not None and self.running:
            return self._process
        self._kill()
        command, pipe = [sys.executable, "-P", str(self.script)], subprocess.PIPE
        surroundings = os.environ | self.environment
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=surroundings)
        self._process, self._stop = process, weakref.finalize(self, _end, process, os.getpid())
        if _receive(process, START_SECONDS) is None:
            code = self._code()
            if code is not None and code < 0:
                raise Ended(code)
            do = f"check that {sys.executable} can import {self.needs}"
            raise ProbeError("a worker did not start", where=self.script.name, do=do)
        return process

    def _code(self) -> int | None:
        """How it ended; None where it had to be killed."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):  # its pipe closes a moment before its end
            self._process.wait(1.0)
        code = self._process.returncode
        self._kill()
        return code

    def _kill(self) -> None:
        if self._stop is not None:
            self._stop()
        self._process, self._stop = None, None


def _end(process: "subprocess.Popen[bytes]", owner: int) -> None:
    """Kill, reap and close: no zombie, no open pipe."""
    if os.getpid() != owner:
        return
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # flushing into a pipe whose reader was killed
                stream.close()


def _send(process: "subprocess.Popen[bytes]", question: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(question).encode() + b"\n")
    process.stdin.flush()


def _receive(process: "subprocess.Popen[bytes]", seconds: float) -> dict[str, Any] | None:
    """The next line, or None where it died, was silent for that long or says too much."""
    assert process.stdout is not None
    deadline, line = time.monotonic() + seconds, bytearray()
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(process.stdout.fileno(), 1 << 20) if ready else b""
        if not chunk or len(line) > MAX_ANSWER:
            return None
        line += chunk
    answer: dict[str, Any] = json.loads(line)
    return answer
