"""The command line: `probe --help`. One file per group of commands; each loads what it needs when it runs."""

import signal
import sys
from types import FrameType

from probe.cli import (  # noqa: F401 - importing registers the commands
    compare,
    contamination,
    fetch,
    forced,
    gc,
    imports,
    look,
    make,
    patch,
    probes,
    real,
    steer,
    study,
    why,
)
from probe.cli.app import app

TERMINATED = 128 + signal.SIGTERM


def main() -> None:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _terminate)
    app(prog_name="probe")


def _terminate(number: int, frame: FrameType | None) -> None:
    """End the worker processes too: unlike Ctrl-C at a terminal, the signal reached this process alone."""
    import multiprocessing

    for child in multiprocessing.active_children():
        child.terminate()
    sys.exit(TERMINATED)
