"""Metrics of a run in tensorboard, trackio or wandb as well, on request; the JSONL in the store is the record.

Each batch goes out twice: under our names, by batch, and under those of TRL's trainer, by optimiser step
(`probe.rl.trl_names`), so that a dashboard lays runs of both over each other.
"""

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from probe.errors import BadInput, ProbeError
from probe.rl.trl_names import PREFIX, STEP, under_trl_names

FOLDER = Path("logs")
PROJECT = "rlvr-probe"


class Write(Protocol):
    """Takes what is known of one batch: our metrics, and TRL's."""

    def __call__(self, batch: int, metrics: dict[str, float], theirs: dict[str, float]) -> None: ...


Where = tuple[Write, Callable[[], None]]  # and what ends it


@dataclass(frozen=True)
class Log:
    """Where metrics go besides the JSONL, of a run with `updates` optimiser steps a batch at `lr`."""

    write: Write
    updates: int = 1
    lr: float = 0.0
    end: Callable[[], None] | None = None

    def __call__(self, batch: int, metrics: dict[str, float]) -> None:
        """The metrics of one batch."""
        self.write(batch, metrics, under_trl_names(batch, metrics, self.updates, self.lr))

    def replay(self, rows: Sequence[dict[str, float]]) -> None:
        """Batches that were made earlier."""
        for row in rows:
            self(int(row["batch"]), {name: value for name, value in row.items() if name != "batch"})

    def close(self) -> None:
        """Nothing more comes: what is still on its way is written."""
        if self.end is not None:
            self.end()


def extra_logger(kind: str | None, name: str, updates: int = 1, lr: float = 0.0) -> Log:
    """The logger of that kind, or one that drops everything. BadInput where its package is not installed."""
    if kind is None:
        return Log(lambda batch, metrics, theirs: None)
    write, end = {"tensorboard": _tensorboard, "trackio": _trackio, "wandb": _wandb}[kind](name)
    return Log(write, updates, lr, end)


def _tensorboard(name: str) -> Where:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as err:
        raise _missing("tensorboard") from err
    writer = SummaryWriter(str(FOLDER / name.replace(" ", "-")))

    def write(batch: int, metrics: dict[str, float], theirs: dict[str, float]) -> None:
        for key, value in metrics.items():
            writer.add_scalar(key, value, batch)
        for key, value in theirs.items():
            writer.add_scalar(key, value, int(theirs[STEP]))
        writer.flush()

    return write, writer.close


def _trackio(name: str) -> Where:
    """On this machine: $TRACKIO_DIR, else its own folder; its notes on stderr, where ours are."""
    try:
        import trackio
    except ImportError as err:
        raise _missing("trackio") from err
    quiet = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
    with contextlib.redirect_stdout(sys.stderr):
        run = trackio.init(project=PROJECT, name=name, **quiet)

    def end() -> None:
        with contextlib.redirect_stdout(sys.stderr):
            trackio.finish()

    return lambda batch, metrics, theirs: run.log({**metrics, **theirs}, step=batch), end


def _wandb(name: str) -> Where:
    try:
        import wandb
    except ImportError as err:
        raise _missing("wandb") from err
    FOLDER.mkdir(exist_ok=True)
    try:
        run = wandb.init(project=PROJECT, name=name, dir=FOLDER)
    except wandb.Error as err:
        raise ProbeError(f"wandb: {err}", do="log in with `wandb login`, or set WANDB_MODE=offline") from err
    run.define_metric(STEP)
    run.define_metric(f"{PREFIX}*", step_metric=STEP)
    return lambda batch, metrics, theirs: run.log({**metrics, **theirs}, step=batch), run.finish


def _missing(package: str) -> BadInput:
    return BadInput(f"{package} is not installed", where="--log", do='pip install "rlvr-probe[log]"')
