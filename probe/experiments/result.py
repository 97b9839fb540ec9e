"""Run an experiment and look at what it left: plan -> make -> read -> draw, whatever the experiment.

result = run(job, store)      made now unless the store holds it
result.table                  pyarrow, which pandas and polars read
result.figure()               the experiment's own figure, drawn from those rows
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from probe.engine.executor import Executor, make
from probe.engine.listener import SILENT, Listener
from probe.errors import BadInput
from probe.experiments.experiment import Experiment
from probe.measurements import Rows, label
from probe.plots import Drawing, figures
from probe.plots.save import save
from probe.store import Store

if TYPE_CHECKING:
    import pandas

PAIR_FIGURES = ("strategy_switches", "gain_parts")  # what most comparisons are looked at for
SHOWN = 12  # rows in a notebook's summary
CHANGES = ("reward", "name", "varying", "value", "lo", "hi", "n", "n_problems", "null", "p")


@dataclass(frozen=True, eq=False)
class Result:
    """What an experiment left: its job, the table, and the figures it draws."""

    job: Experiment
    table: pa.Table

    @property
    def rows(self) -> Rows:
        """One dict per number."""
        return self.table.to_pylist()

    @property
    def digest(self) -> str:
        """Of the artifact in the store."""
        return self.job.recipe.digest

    def changes(self, *names: str, **where: Any) -> "pandas.DataFrame":
        """The changes, each with interval, n, null and p: of those measures, in rows whose columns hold `where`.

        `varying` says what varies within a measure, as text; its columns have it typed.
        """
        table = self.table.to_pandas().assign(varying=[label(row) for row in self.rows])
        table = table[table["side"] == "change"]
        if names:
            table = table[table["name"].isin(names)]
        for column, value in where.items():
            table = table[table[column] == value]
        return table[[*CHANGES]].reset_index(drop=True)

    def figure(self, name: str | None = None) -> Drawing:
        """The named figure, else the first that the rows allow, the experiment's own before others. BadInput: none."""
        for each in (name,) if name else dict.fromkeys((*self.job.FIGURES, *PAIR_FIGURES, *figures.names())):
            drawing = figures.get(each)(self.rows)
            if drawing is not None:
                return drawing
        raise BadInput("these rows draw no such figure", where=self.job.label, do="see .table, or `probe ls figures`")

    def __repr__(self) -> str:
        return f"{type(self.job).__name__}({self.job.label}): {self.table.num_rows} measurements, .table and .figure()"

    def _repr_html_(self) -> str:
        """What a notebook shows: the job, and the first changes with their intervals."""
        rows = self.changes().head(SHOWN)
        shown = rows.to_html(index=False, float_format="{:.3g}".format, na_rep="", escape=True, border=0)
        return f"<p>{escape(repr(self))}</p>{shown}"


def run(
    job: Experiment,
    store: Store,
    *,
    workers: int | None = None,
    listener: Listener = SILENT,
    executor: Executor | None = None,
) -> Result:
    """The experiment's result, made now unless the store holds it.

    `workers` processes [one per core]. ProbeError where a job fails; what was finished is kept.
    """
    make([job], store, workers=workers, listener=listener, executor=executor)
    return Result(job, store.get(job.recipe).read_table())


def draw(rows: Rows, inputs: Sequence[str], folder: Path, names: Sequence[str] | None = None) -> list[Path]:
    """Every figure (or the named ones) that the rows allow, saved with the digests of what it was drawn from.

    Returns the files: a PNG and a CSV each. BadInput for an unknown name.
    """
    paths = []
    for name in figures.names() if names is None else names:
        drawing: Drawing | None = figures.get(name)(rows)
        if drawing is not None:
            paths += save(name, drawing, folder, {"inputs": list(inputs)})
    return paths
