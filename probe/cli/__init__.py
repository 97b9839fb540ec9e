"""The command line: `probe --help`. One file a command, named for it; each loads what it needs when it runs."""

import signal
import sys
from types import FrameType

from probe.cli import (  # noqa: F401 - importing registers the commands
    adapter,
    audit_reward,
    check,
    compare,
    compare_rollouts,
    contamination,
    cross_sample,
    dictionary,
    explain,
    explain_rollouts,
    export,
    features,
    fetch,
    figure,
    forecast,
    gc,
    grade,
    import_rollouts,
    inspect,
    ls,
    mend,
    neuronpedia,
    patch,
    prefix,
    probes,
    report,
    run,
    sample,
    score,
    steer,
    train,
    weight_path,
    weights,
    why,
)
from probe.cli.app import app, elsewhere
from probe.cli.experiment_command import registered

TERMINATED = 128 + signal.SIGTERM
elsewhere[0] = registered


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
