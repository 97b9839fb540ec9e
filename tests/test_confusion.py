"""The confusion table by hand: what counts as right, what as something else, and what the figure says of it."""

import pytest
from plot_rows_built_in import verdicts

from probe.plots import figures
from probe.stats.confusion import confusion, overall
from probe.stats.intervals import wilson


def test_every_known_pair_is_one_line_with_all_its_bases() -> None:
    lines = {(line.truth, line.kind): line for line in confusion(verdicts())}
    assert set(lines) == {("strategy", "rl"), ("sharpening", "taught"), ("leak", "taught"), ("nothing", "null")}
    assert {len(line.found) for line in lines.values()} == {3}
    assert {line.before for line in lines.values()} == {"p30-code-even", "slips", "hidden"}


@pytest.mark.parametrize(
    ("truth", "right", "named"),
    [
        ("strategy", 3, {"strategy": 3}),
        ("sharpening", 1, {"sharpening": 2, "prompt": 1}),  # beside another: not right; nothing: not right
        ("leak", 1, {"acquired": 1, "leak": 1}),  # no change, where there should be one: not right
        ("nothing", 2, {"strategy": 1}),
    ],
)
def test_right_is_the_one_that_was_built_in_and_no_other(truth: str, right: int, named: dict[str, int]) -> None:
    (line,) = [line for line in confusion(verdicts()) if line.truth == truth]
    assert line.right == right
    assert line.limits == wilson(right, 3)
    assert {name: line.named(name) for name in ("strategy", "sharpening", "leak", "prompt", "acquired")} == {
        "strategy": 0, "sharpening": 0, "leak": 0, "prompt": 0, "acquired": 0
    } | named  # fmt: skip


def test_overall_is_the_share_of_pairs_and_its_interval_is_over_bases() -> None:
    found = overall(confusion(verdicts()))
    assert found.value == pytest.approx(7 / 12)
    assert (found.n, found.n_problems) == (12, 3)
    assert found.lo < 7 / 12 < found.hi


def test_greedy_rows_are_a_table_of_their_own() -> None:
    greedy = {line.truth: line.right for line in confusion(verdicts(), temperature=0.0)}
    assert greedy == {"strategy": 0, "sharpening": 0, "leak": 0, "nothing": 3}


def test_a_null_pair_without_a_verdict_is_right_only_where_nothing_changed() -> None:
    """Destroyed is not "no change"."""
    rows = [row | {"value": float("nan")} if row["name"] == "explained_state" else row for row in verdicts()]
    assert all(not line.right for line in confusion(rows) if line.truth == "nothing")


def test_rows_without_a_known_pair_draw_nothing() -> None:
    rows = [row for row in verdicts() if row["name"] != "explained_truth"]
    assert confusion(rows) == []
    assert figures.get("built_in")(rows) is None


def test_the_figure_counts_what_the_table_counts() -> None:
    drawing = figures.get("built_in")(verdicts())
    counts = {(row["built_in"], row["found"]): row["value"] for row in drawing.table if row["mark"] == "count"}
    assert counts["sharpening", "nothing supported"] == 1
    assert counts["leak", "no change"] == 1
    assert counts["nothing", "no change"] == 2
    assert "7 of 12 pairs" in drawing.figure.texts[0].get_text().replace("\n", " ")
