"""Fixtures: where the real outputs lie, and one small trained organism; tensor shapes are checked at every call.

A test's `record_property("parity", [row, group, column, figure])` is a cell of the table at the end of the run. (What a
test prints is swallowed where it passes; properties come back from every worker.)
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from probe.models.loading.load import Loaded

os.environ.pop("COLUMNS", None)  # tables are as wide as where there is no terminal
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported: threads that wait for each other are slow
# Not probe.rl.loss: it checks shapes itself, which is tested, and jaxtyping's errors would come first.
SHAPES_CHECKED = [
    "probe.models.hooks.anatomy",
    "probe.models.sampling",
    *(f"probe.rl.{module}" for module in ("advantage", "metrics", "policy", "rollout")),
    "probe.tokens",
]
install_import_hook(SHAPES_CHECKED, "typechecking.check")


Cell = tuple[str, str, str, float | str]  # row, group of columns, column, what stands there


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The parity figures of the tests that ran, passed or not."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    told = [each for report in reports for each in getattr(report, "user_properties", ())]
    cells = [tuple(value) for name, value in told if name == "parity"]
    if cells:
        terminalreporter.section("parity: largest difference from the forward by hand, of the largest value")
        terminalreporter.write_line(parity_table(cells))


def parity_table(cells: Iterable[Cell]) -> str:
    """A line a row, groups of columns side by side; a cell that was not told is empty."""
    at = {(row, group, column): cell for row, group, column, cell in cells}
    rows, groups, columns = (sorted({key[place] for key in at}) for place in range(3))
    wide, width = max(len(row) for row in rows), max(len("1.0e-06"), *map(len, columns))

    def line(start: str, parts: Iterable[str]) -> str:
        return f"{start:{wide}}  {'   '.join(parts)}".rstrip()

    def told(row: str, group: str) -> str:
        found = [at.get((row, group, column), "") for column in columns]
        return " ".join(f"{cell if isinstance(cell, str) else f'{cell:.1e}':>{width}}" for cell in found)

    head = " ".join(f"{column:>{width}}" for column in columns)
    titles = [line("", (f"{group:<{len(head)}}" for group in groups)), line("", [head] * len(groups))]
    return "\n".join([*titles, *(line(row, (told(row, group) for group in groups)) for row in rows)])


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real outputs; its tests skip, with the reason, where it is absent."""
    beside = Path(__file__).parents[2] / "shared" / "data"  # where those who work on probe may have put them
    folder = Path(os.environ.get("PROBE_REAL_DATA") or beside).resolve()
    if not folder.is_dir():
        pytest.skip("real outputs are not here: fetch them, and set PROBE_REAL_DATA to .probe/published")
    return folder


@pytest.fixture(scope="session")
def organism() -> "Loaded":
    """A tiny latent-code organism after 120 steps: fluent in both formats, bad at arithmetic. Not to be changed."""
    from probe.models.loading.load import Loaded
    from probe.rl.pretrain import pretrain

    return Loaded(*pretrain("latent-code", "tiny", 0, steps=120))
