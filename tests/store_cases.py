"""What the tests of the store share: a small table to make, and processes that make slowly and can be killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from probe.store import Recipe, write_atomic, write_table

RECIPE = Recipe("numbers", 1, {"n": 3, "seed": 0})
TABLE = pa.table({"x": [1, 2, 3], "y": ["a", None, "c"]})


def make_table(work: Path) -> None:
    write_table(work / "data.parquet", TABLE)


def never(work: Path) -> None:
    raise AssertionError(f"{work} was made again")


def two_parts(work: Path) -> None:
    if not (work / "a").exists():
        write_atomic(work / "a", b"a" * 100)
        write_atomic(work / "scratch" / "state", b"after a")
    write_atomic(work / "b", (work / "a").read_bytes() + b"b")


def flip(path: Path) -> None:
    """One bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder but spec.json, which holds the circumstances."""
    files = {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if path.name != "spec.json"}


SLOW = """
import sys, time
from pathlib import Path
from probe.store import Recipe, Store, write_atomic

def make(work):
    print("making", flush=True)
    sys.stdin.readline()
    for i in range(STEPS):
        part = work / f"part{i:03}"
        if part.exists():
            assert part.read_bytes() == b"%06d" % i * 500, "a torn part"
            continue
        time.sleep(PAUSE)
        write_atomic(part, b"%06d" % i * 500)
        write_atomic(work / "scratch" / "state", str(i).encode())

Store(sys.argv[1]).build(Recipe("slow", 1, {"steps": STEPS}), make)
print("done", flush=True)
"""


def slow(root: Path, *, steps: int = 20, pause: float = 0.0, gate: bool = False) -> subprocess.Popen[str]:
    """A process that builds; it says "making" when it starts to, and with `gate` goes on when its stdin is closed."""
    program = SLOW.replace("STEPS", str(steps)).replace("PAUSE", str(pause))
    stdin = subprocess.PIPE if gate else subprocess.DEVNULL
    command = [sys.executable, "-c", program, str(root)]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, text=True)


def wait_for_making(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "making\n"


def die_at(at: int, calls: tuple[str, ...]) -> None:
    """From now on this process is killed just before its `at`-th of these functions of `os`, counted from 0."""
    count = 0

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            nonlocal count
            count += 1
            if count > at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in calls:
        setattr(os, name, dying(getattr(os, name)))
