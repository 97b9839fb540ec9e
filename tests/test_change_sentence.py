"""What is said of a table of changes: its numbers alone, decided or not; and of a null pair that nothing differs."""

import re
from typing import Any

import pytest

from probe.experiments.change_sentence import sentence


def row(name: str, value: float, lo: float, hi: float, p: float | None, **more: Any) -> dict[str, Any]:
    before = None if name.startswith(("kl", "fork")) else 0.5
    after = None if before is None else before + value
    about = {"name": name, "value": value, "lo": lo, "hi": hi, "p": p, "p_holm": p and min(1.0, 4 * p), "null": 0.0}
    return about | {"before": before, "after": after, "n": 80, "n_problems": 10, "quantile": None, "bin": None} | more


ROSE = row("accuracy", 0.12, 0.08, 0.16, 0.0001)
FELL = row("code_share", -0.2, -0.3, -0.1, 0.002)
OPEN = row("parse_rate", -0.01, -0.05, 0.03, 0.6)
ALONE = row("cut_off", 0.1, 0.01, 0.19, 0.03)


def test_what_moved_is_told_with_its_interval_and_what_is_open_as_open() -> None:
    said = sentence([ROSE, FELL, OPEN, ALONE])
    assert said.startswith(
        "Accuracy rose by .120 [.080, .160], from .500 to .620; and the share of code fell by .200 [.100, .300], from"
    )
    assert "Not decided: the share with an answer (-.010 [-.050, .030])" in said
    assert "the share cut off (+.100 [.010, .190]; clear alone, not among so many tests)" in said
    assert said.endswith("Of 4 tests for a change 2 are left after Holm; null of each change: 0.")
    assert "Nothing of this is left undecided" in sentence([ROSE])


def test_no_difference_shown_is_not_no_difference() -> None:
    said = sentence([OPEN])
    assert said.startswith("No difference is shown. Not decided: the share with an answer")
    assert "Nothing differs" not in said and "Of 1 tests for a change none is left" in said


def test_of_a_null_pair_nothing_differs_or_it_is_said_what_does() -> None:
    alike = row("fork_overlap", 1.0, 0.9, 1.0, 0.0001, null=0.2)  # above chance, as it must be for the same weights
    said = sentence([row("accuracy", 0.01, -0.03, 0.05, 0.5), OPEN, alike], null_pair=True)
    assert said.startswith("Nothing differs, as it must: accuracy (+.010 [-.030, .050]).")
    assert "Of 2 tests for a change none is left after Holm." in said
    wrong = sentence([ROSE, OPEN], null_pair=True)
    assert wrong.startswith("The same weights differ (accuracy), and nothing should.")


def test_every_number_is_one_of_the_table() -> None:
    rows = [
        ROSE,
        FELL,
        OPEN,
        ALONE,
        row("pass_at_k", 0.3, 0.2, 0.4, 0.001, k=2),
        row("pass_at_k", 0.4, 0.3, 0.5, 0.001, k=8),
    ]
    said = sentence(rows)
    written = {f"{abs(r[key]):.3f}".removeprefix("0") for r in rows for key in ("value", "lo", "hi", "before", "after")}
    assert set(re.findall(r"\d*\.\d{3}", said)) <= written
    assert "pass@8 rose by .400" in said and "pass@2" not in said


def test_parts_are_not_taken_for_the_whole() -> None:
    forks = row("entropy_shift", -0.5, -0.6, -0.4, 0.0001, group="forks")
    whole = row("entropy_shift", -0.02, -0.03, -0.01, 0.0001, group="all")
    assert "Entropy (nats) fell by .020" in sentence([forks, whole]) and ".500 [" not in sentence([forks, whole])
    assert sentence([forks]) == sentence([]) == "Nothing could be compared."


@pytest.mark.parametrize("null_pair", [False, True])
def test_without_an_interval_it_says_so(null_pair: bool) -> None:
    lone = row("accuracy", 0.0, float("nan"), float("nan"), None)
    assert "accuracy (+.000 (no interval))" in sentence([lone], null_pair=null_pair)
