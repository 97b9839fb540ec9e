"""Each notebook is a pair, and the two halves say the same. (That they run is checked by nbmake, in `make test`.)"""

from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_pair_says_the_same(script: Path) -> None:
    notebook = script.with_suffix(".ipynb")
    assert notebook.is_file(), f"run: jupytext --to ipynb --execute {script.name}"
    halves = [[(cell.cell_type, cell.source) for cell in jupytext.read(path).cells] for path in (script, notebook)]
    assert halves[0] == halves[1], f"run: jupytext --to ipynb --execute {script.name}"


def test_there_is_a_tour() -> None:
    assert "00_tour" in {path.stem for path in NOTEBOOKS}
