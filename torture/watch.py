"""Run one command to its end in a process forked from this one, which has everything imported, and say how it ended.

The child leads a session of its own in the case's folder, with limits on time, address space and file size; stdout and
stderr go to files, or to a pseudo-terminal. What of its session is still there afterwards is counted, and killed.
"""

import faulthandler
import io
import os
import pty
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from torture.verdict import Ran

LIMIT = 20.0  # seconds
STARVED = 4  # times the limit, for what waits for the processor on a busy machine
GRACE = 5.0  # seconds for workers to end behind their parent
MEMORY = 6 << 30  # bytes of address space
FILE = 1 << 30  # bytes of a file
TICK = 0.05
Call = Callable[[], object]
Kill = Callable[[int], bool]  # pid of the command -> whether something was killed


@dataclass(frozen=True)
class How:
    """Under which circumstances a command runs."""

    limit: float = LIMIT
    encoding: str = "utf-8"  # of stdout and stderr
    terminal: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    kill_after: float | None = None  # seconds until `kill` is called
    kill: Kill = lambda pid: _kill(pid)


PLAIN = How()


def words_of(words: tuple[object, ...]) -> Call:
    """`probe WORDS` as a call."""

    def call() -> None:
        from probe.cli import main

        sys.argv = ["probe", *map(str, words)]
        main()

    return call


def run(call: Call, name: str, folder: Path, how: How = PLAIN) -> Ran:
    """The end of `call` in a child of this process."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        master, slave = pty.openpty() if how.terminal else (-1, -1)
        start = time.monotonic()
        pid = os.fork()
        if pid == 0:
            files = (slave, slave) if how.terminal else (out.fileno(), err.fileno())
            _child(call, folder, how, files)
        if how.terminal:
            os.close(slave)
        status, hung = _wait(pid, start, how, master, out)
        seconds, left = time.monotonic() - start, _clear(pid)
        said = [_read(file) for file in (out, err)]
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    return Ran(name, code, 0 if hung else number, hung, *said, seconds, left, how.terminal)


def _read(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(1 << 20)


def _wait(pid: int, start: float, how: How, master: int, out: BinaryIO) -> tuple[int, bool]:
    """The wait status, and whether the limit ended it. Meanwhile what a terminal shows is written to `out`."""
    end, ready = os.pidfd_open(pid), select.poll()
    ready.register(end, select.POLLIN)
    if master >= 0:
        ready.register(master, select.POLLIN)
    strike = None if how.kill_after is None else start + how.kill_after
    hung, end_at = False, start + how.limit
    while True:
        now = time.monotonic()
        if strike is not None and now >= strike:
            strike = None if how.kill(pid) else now + TICK
        if not hung and now > end_at:
            if not (hung := now > start + STARVED * how.limit or not _starved(pid, how.limit)):
                end_at = now + 1
            else:
                _kill_session(pid)
        until = min(end_at, strike or end_at)
        events = ready.poll(max(1, min(1000, 1000 * (until - now))))
        if any(fd == master for fd, _ in events) and not _copy(master, out):
            ready.unregister(master)
        if any(fd == end for fd, _ in events):
            break
    while master >= 0 and select.select([master], [], [], 0)[0] and _copy(master, out):
        pass
    for fd in (end, master):
        if fd >= 0:
            os.close(fd)
    return os.waitpid(pid, 0)[1], hung


def _copy(master: int, out: BinaryIO) -> bool:
    try:
        data = os.read(master, 1 << 16)
    except OSError:  # the other side is closed
        return False
    out.write(data)
    return bool(data)


def _kill(pid: int) -> bool:
    os.kill(pid, signal.SIGKILL)
    return True


def _kill_session(pid: int) -> None:
    for each in session(pid):
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            continue


def session(leader: int) -> list[int]:
    """The living processes of a session, its leader included."""
    return [pid for pid, fields in _processes() if int(fields[3]) == leader and fields[0] not in "ZX"]


def _starved(leader: int, limit: float) -> bool:
    """Whether a session has had little of the processor although it wanted it: others use this machine, too."""
    mine = [fields for _, fields in _processes() if int(fields[3]) == leader]
    used = sum(int(ticks) for fields in mine for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    return used < limit / 2 and any(fields[0] == "R" for fields in mine)


def children(parent: int) -> list[int]:
    """The living processes behind one, nearest first."""
    alive = [(pid, int(fields[1])) for pid, fields in _processes() if fields[0] not in "ZX"]
    found, at = [parent], 0
    while at < len(found):
        found += [pid for pid, above in alive if above == found[at]]
        at += 1
    return found[1:]


def _processes() -> Iterator[tuple[int, list[str]]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                yield int(name), Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue


def _clear(leader: int) -> int:
    """How many of the session are left after a while; none after this."""
    deadline = time.monotonic() + GRACE
    while (left := session(leader)) and time.monotonic() < deadline:
        time.sleep(TICK)
    _kill_session(leader)
    return len(left)


def _child(call: Call, folder: Path, how: How, files: tuple[int, int]) -> Any:
    """Never returns."""
    code = 1
    try:
        faulthandler.disable()
        os.setsid()
        os.chdir(folder)
        os.environ.update(how.environment)
        _limits()
        for target, source in zip((0, 1, 2), (os.open(os.devnull, os.O_RDONLY), *files), strict=True):
            os.dup2(source, target)
        _streams(how.encoding)
        code = _called(call)
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:  # what could not be written is seen in the output
                code = code or 120  # as Python itself exits
        os._exit(code)


def _streams(encoding: str) -> None:
    """As Python opens them at its start."""
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding, "backslashreplace", line_buffering=True)


def _called(call: Call) -> int:
    try:
        call()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _limits() -> None:
    limits = {resource.RLIMIT_AS: MEMORY, resource.RLIMIT_FSIZE: FILE, resource.RLIMIT_CORE: 0}
    for which, value in limits.items():
        resource.setrlimit(which, (value, value))
