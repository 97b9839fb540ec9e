"""probe figure: a study that stands apart draws its own figures and no other's, however alike its rows are."""

from pathlib import Path

import pytest
from plot_rows_law import laws, planted
from typer.testing import CliRunner

from probe.cli import app
from probe.measurements import Row, to_table
from probe.store import Store, write_table
from probe.studies import study


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds all of `planted` and of `why`, made up."""
    store = Store(tmp_path_factory.mktemp("store"))
    for name, rows in (("planted", planted()), ("why", laws())):
        for job in study(name).jobs():
            build(store, job.recipe, rows)
            rows = []
    return store.root


def build(store: Store, recipe: object, rows: list[Row]) -> None:
    store.build(recipe, lambda work: write_table(work / "data.parquet", to_table(rows)))  # type: ignore[arg-type]


def drawn(root: Path, folder: Path, *words: str) -> set[str]:
    result = CliRunner().invoke(app, ["figure", *words, "--store", str(root), "--figures", str(folder)])
    assert result.exit_code == 0, result.output
    return {path.stem for path in folder.glob("*.png")}


def test_rows_of_another_study_do_not_overdraw_a_figure(root: Path, tmp_path: Path) -> None:
    """`planted` leaves rows that the figure of `why` could draw, and comes after it."""
    assert drawn(root, tmp_path, "response_law") == {"response_law"}
    assert "planted" not in (tmp_path / "response_law.csv").read_text()
    assert drawn(root, tmp_path, "planted_dose") == {"response_law", "planted_dose"}


def test_all_figures_are_those_of_their_studies(root: Path, tmp_path: Path) -> None:
    assert drawn(root, tmp_path, "--all") == {*study("why").figures, *study("planted").figures}
