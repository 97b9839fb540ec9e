"""Responders by hand: a run that was stopped early tells nothing, and the area is of the forecast for the response."""

from typing import Any

import pytest

from probe.measurements import COLUMNS, Row
from probe.plots import figures

BLANK: Row = dict.fromkeys(COLUMNS)


def rows_of(forecast: list[float], realised: list[float], step: int = 10) -> list[Row]:
    """One base a pair of numbers: its forecast under python, and its change after `step` batches, limits .02 off."""
    rows: list[Row] = []
    for seed, (x, y) in enumerate(zip(forecast, realised, strict=True)):
        place: dict[str, Any] = {"family": "p65-code-even", "size": "mini", "base_seed": seed, "reward": "python"}
        place |= {"temperature": 1.0, "informative": False, "unit": "fraction", "side": "change", "null": 0.0}
        place |= {"n": 1024, "n_problems": 256, "destroyed": False, "clip": "0.2", "rl_seed": 400}
        told = {"name": "forecast/accuracy", "kind": "base", "part": "by strategy", "step": 0, "value": x}
        came = {"name": "accuracy", "kind": "rl", "value": y, "lo": y - 0.02, "hi": y + 0.02}
        rows += [BLANK | place | told | {"lo": x - 0.01, "hi": x + 0.01}]
        rows += [BLANK | place | came | {"step": step}]
        rows += [BLANK | place | came | {"step": 2, "value": -y, "lo": -y - 0.02, "hi": -y + 0.02}]  # not yet
    return rows


def auroc(rows: list[Row]) -> Row:
    drawing = figures.get("responders")(rows)
    assert drawing is not None
    (found,) = [row for row in drawing.table if row["mark"] == "auroc"]
    return found


@pytest.mark.parametrize(
    ("forecast", "expected"),
    [([0.1, 0.2, -0.1, 0.0], 1.0), ([-0.1, 0.2, 0.1, 0.0], 0.5), ([-0.2, -0.1, 0.1, 0.0], 0.0)],
)
def test_the_area_by_hand(forecast: list[float], expected: float) -> None:
    """The first two responded; one that rose within its interval did not."""
    found = auroc(rows_of(forecast, [0.1, 0.2, -0.1, 0.01]))
    assert found["value"] == pytest.approx(expected)
    assert (found["null"], found["n_runs"]) == (0.5, 4)


def test_marks_are_those_that_responded() -> None:
    drawing = figures.get("responders")(rows_of([0.1, 0.2, -0.1, 0.0], [0.1, 0.2, -0.1, 0.01]))
    assert drawing is not None
    responded = {row["base_seed"]: row["responded"] for row in drawing.table if row["mark"] == "realised"}
    assert responded == {0: True, 1: True, 2: False, 3: False}
    assert "2 of 4 did" in drawing.figure.texts[0].get_text().replace("\n", " ")


def test_runs_that_were_stopped_early_and_bases_of_one_kind_draw_nothing() -> None:
    assert figures.get("responders")(rows_of([0.1, 0.2, -0.1], [0.1, 0.2, -0.1], step=2)) is None
    assert figures.get("responders")(rows_of([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])) is None
    assert figures.get("responders")([]) is None
