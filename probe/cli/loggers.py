"""Metrics of a run in tensorboard or wandb as well, on request; the JSONL in the store is the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from probe.errors import BadInput, ProbeError

FOLDER = Path("logs")


class Write(Protocol):
    """Takes the metrics of one batch."""

    def __call__(self, batch: int, metrics: dict[str, float]) -> None: ...


@dataclass(frozen=True)
class Log:
    """Where metrics go besides the JSONL."""

    write: Write

    def __call__(self, batch: int, metrics: dict[str, float]) -> None:
        """The metrics of one batch."""
        self.write(batch, metrics)

    def replay(self, rows: Sequence[dict[str, float]]) -> None:
        """Batches that were made earlier."""
        for row in rows:
            self.write(int(row["batch"]), {name: value for name, value in row.items() if name != "batch"})


def extra_logger(kind: str | None, name: str) -> Log:
    """The logger of that kind, or one that drops everything. BadInput where its package is not installed."""
    if kind is None:
        return Log(lambda batch, metrics: None)
    return Log(_tensorboard(name) if kind == "tensorboard" else _wandb(name))


def _tensorboard(name: str) -> Write:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as err:
        raise _missing("tensorboard") from err
    writer = SummaryWriter(str(FOLDER / name.replace(" ", "-")))

    def write(batch: int, metrics: dict[str, float]) -> None:
        for key, value in metrics.items():
            writer.add_scalar(key, value, batch)
        writer.flush()

    return write


def _wandb(name: str) -> Write:
    try:
        import wandb
    except ImportError as err:
        raise _missing("wandb") from err
    FOLDER.mkdir(exist_ok=True)
    try:
        run = wandb.init(project="rlvr-probe", name=name, dir=FOLDER)
    except wandb.Error as err:
        raise ProbeError(f"wandb: {err}", do="log in with `wandb login`, or set WANDB_MODE=offline") from err
    return lambda batch, metrics: run.log(metrics, step=batch)


def _missing(package: str) -> BadInput:
    return BadInput(f"{package} is not installed", where="--log", do='pip install "rlvr-probe[log]"')
