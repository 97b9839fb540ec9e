"""Numbers in tables and in captions are written by hand here."""

import pytest

from probe.cli import show
from probe.numbers import bracketed, decimal, pointed
from probe.plots import _words


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.468, ".47"), (-0.082, "-.08"), (0.999, "1.00"), (-0.001, "-.00"), (10.25, "10.25"), (100.0, "100.00")],
)
def test_no_zero_before_the_point(value: float, text: str) -> None:
    assert decimal(value, 2) == text
    assert decimal(value, 2, sign=True) == ("+" + text if value > 0 else text)
    assert pointed("100.00") == "100.00"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number(value: float | None) -> None:
    assert (decimal(value, 2), decimal(value, 2, missing="?"), show.number(value)) == ("", "?", "")
    if value is not None:
        assert bracketed(0.1, value, str, missing="none") == bracketed(value, 0.1, str, missing="none") == "none"


def test_tables_and_captions_keep_their_own_digits() -> None:
    assert [show.number(value) for value in (0.4684, -0.0004, 53.46)] == [".468", "-.000", "53.5"]
    assert [_words.number(value) for value in (0.4684, -0.0004, 53.46)] == [".47", ".00", "53.46"]
    assert (show.interval(-0.02, 0.114), _words.interval(-0.02, 0.114)) == ("[-.020, .114]", "[−.02, .11]")
    assert [_words.small(value) for value in (0.0041, -0.0041, 0.0)] == [".0041", "-0.0041", "0"]
