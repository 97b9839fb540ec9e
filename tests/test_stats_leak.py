"""A flag needs direction, size and Holm's p; nulls are flagged as rarely as stated; changes are paired by problem."""

from typing import Any

import numpy as np
import pytest

from probe.errors import BadInput
from probe.measurements import label
from probe.rng import numpy_rng
from probe.stats import auroc, clustered_mean
from probe.stats.leak import LEVEL, SIGNS, Columns, Key, changes, findings, suspicion

SHARES = (40, 60, 80)
KEYS: list[Key] = [(name, share) for name in SIGNS if name.startswith("completion") for share in SHARES]
KEYS += [("prompt_nll", None), ("answer_nll", None)]


def unleaked(n: int, *where: str | int) -> dict[Key, np.ndarray]:
    """Problems that differ in nothing but difficulty, which all signs share."""
    rng = numpy_rng("test leak", *where)
    hard, columns = rng.normal(size=n), {}
    for key in KEYS:
        noise = hard + rng.normal(size=n)
        columns[key] = {
            "completion_exact": (noise > 1.8).astype(float),
            "completion_rouge_l": 1 / (1 + np.exp(-noise)),
            "completion_answer": (noise > 1.0).astype(float),
        }.get(key[0], 3 - noise)
    return columns


def planted(n: int, leaked: np.ndarray, *where: str | int) -> dict[Key, np.ndarray]:
    columns = unleaked(n, *where)
    for key, values in columns.items():
        values[leaked] = 1.0 if SIGNS[key[0]].direction > 0 else 0.2
    return columns


def test_a_planted_leak_of_half_is_flagged_by_every_sign() -> None:
    suspect = np.arange(200) < 100
    found = findings(planted(200, np.arange(200) < 50, "plant"), suspect, ("plant",))
    assert [f.key for f in found] == KEYS
    assert all(f.flagged for f in found)
    for f in found:
        assert f.difference.value == pytest.approx(f.suspect.value - f.control.value)
        assert f.difference.lo <= f.difference.value <= f.difference.hi
        assert f.difference.p is not None and f.p_holm >= f.difference.p
        assert (f.difference.n, f.suspect.n, f.control.n, f.difference.null) == (200, 100, 100, 0.0)
        sides = [label(estimate.params) for estimate in (f.suspect, f.control, f.difference)]
        assert sides == [
            f"{group} {f.key[1]}%" if f.key[1] else group for group in ("suspect", "control", "difference")
        ]


def test_no_flag_the_other_way_round() -> None:
    """Controls that were read, and suspects that were not: significant, and no leak of the suspects."""
    suspect = np.arange(200) < 100
    found = findings(planted(200, np.arange(200) >= 170, "reverse"), suspect, ("reverse",))
    assert any(f.p_holm < LEVEL for f in found)
    assert not any(f.flagged for f in found)


def test_no_flag_for_a_difference_too_small_to_count() -> None:
    n, suspect = 20_000, np.arange(20_000) % 2 == 0
    rng = numpy_rng("test small")
    columns = {
        ("completion_rouge_l", 60): rng.random(n) * 0.5 + 0.03 * suspect,
        ("prompt_nll", None): rng.normal(3, 0.5, n) - 0.05 * suspect,
    }
    found = findings(columns, suspect, ("small",), 999)
    assert all(f.difference.p < LEVEL / 2 for f in found if f.difference.p is not None)
    assert not any(f.flagged for f in found)


def test_flags_on_unleaked_problems_are_as_rare_as_stated_and_p_is_uniform() -> None:
    columns, p_values, flags = unleaked(160, "null"), [], 0
    for split in range(60):
        suspect = numpy_rng("test leak split", split).permutation(160) < 80
        found = findings(columns, suspect, ("null", split), 799)
        p_values.append([f.difference.p for f in found])
        flags += any(f.flagged for f in found)
    assert flags <= 2  # at most .01 each
    by_sign = np.array(p_values, dtype=float)
    assert abs(np.mean(by_sign < 0.5) - 0.5) < 0.15
    assert np.mean(by_sign < 0.05) < 0.12


def test_changes_are_paired_by_problem() -> None:
    suspect = np.arange(120) < 60
    before = unleaked(120, "before")
    after = {key: values.copy() for key, values in before.items()}
    after["answer_nll", None] = before["answer_nll", None] - 0.3 * suspect
    after["prompt_nll", None] = before["prompt_nll", None] + 0.2
    found = {(e.name, label(e.params)): e for e in changes(before, after, suspect, ("moved",))}
    fell, rose = found["answer_nll", "suspect"], found["prompt_nll", "suspect"]
    assert (fell.value, rose.value) == (pytest.approx(-0.3), pytest.approx(0.2))
    assert max(fell.p, rose.p) < 0.001  # type: ignore[type-var]
    assert found["answer_nll", "control"].value == 0.0
    assert found["answer_nll", "control"].p == 1.0
    assert found["answer_nll", "difference"].p < 0.001  # type: ignore[operator]
    assert found["prompt_nll", "difference"].p == 1.0  # both rose alike: no leak needed
    assert found["completion_exact", "suspect 60%"].value == 0.0
    assert len(found) == 3 * len(KEYS)
    alone = clustered_mean(np.full(60, 0.2), np.arange(60), name="x", unit="nats", null=0.0)
    assert (rose.lo, rose.hi) == (pytest.approx(alone.lo), pytest.approx(alone.hi))


def test_nothing_that_changes_is_no_change() -> None:
    columns = unleaked(60, "same")
    assert all(e.value == 0 and e.p == 1.0 for e in changes(columns, columns, np.arange(60) < 30, ("same",)))


def test_suspicion_ranks_what_leaked_above_the_rest() -> None:
    leaked = np.arange(200) < 30
    scores = suspicion(planted(200, leaked, "rank"), np.arange(200) < 100)
    assert auroc(scores[:100], leaked[:100].astype(float)) > 0.95
    assert scores[100:].mean() == pytest.approx(0.5)
    flat = suspicion(unleaked(200, "flat"), np.arange(200) < 100)
    assert 0.35 < auroc(flat[:100], leaked[:100].astype(float)) < 0.65
    assert ((scores >= 0) & (scores <= 1)).all()


def test_suspicion_by_hand() -> None:
    columns: Columns = {
        ("completion_exact", "60%"): np.array([1.0, 0, 0, 0]),
        ("prompt_nll", None): np.array([1.0, 5, 3, 4]),
    }
    suspect = np.array([True, True, False, False])
    assert suspicion(columns, suspect).tolist() == [1.0, 0.25, (0.5 + 0.75) / 2, (0.5 + 0.25) / 2]


@pytest.mark.parametrize("measure", [findings, suspicion])
def test_an_unknown_sign_is_named(measure: Any) -> None:
    columns = {("loss", ""): np.arange(8.0)}
    with pytest.raises(BadInput, match="'loss'"):
        measure(columns, np.arange(8) < 4, *([("x",), 9] if measure is findings else []))


def test_before_and_after_must_show_the_same_signs() -> None:
    before = unleaked(20, "x")
    after = {key: values for key, values in before.items() if key[0] != "prompt_nll"}
    with pytest.raises(BadInput, match="other signs"):
        changes(before, after, np.arange(20) < 10, ("x",))
