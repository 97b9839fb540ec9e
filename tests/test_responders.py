"""Responders by hand: a run that was stopped early tells nothing, and the area is of the forecast for the response."""

import pytest
from plot_rows_responders import rows_of

from probe.measurements import Row
from probe.plots import figures


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
