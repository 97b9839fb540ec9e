"""The command line: `probe --help`. One file per group of commands; each loads what it needs when it runs."""

import signal
import sys
from types import FrameType

from probe.cli import compare, gc, look, make, real, study, why  # noqa: F401 - importing registers the commands
from probe.cli.app import app

TERMINATED = 128 + signal.SIGTERM


def main() -> None:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _terminate)
    app(prog_name="probe")


def _terminate(number: int, frame: FrameType | None) -> None:
    """An exit instead of a death: worker processes are ended too."""
    sys.exit(TERMINATED)
