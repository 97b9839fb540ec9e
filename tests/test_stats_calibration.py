"""Brier, ECE, AUROC, reliability: by hand, and the published numbers of five real systems from their own outputs."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.stats import auroc, brier, ece, reliability, wilson

SYSTEMS = ("Base", "RLVR", "RLVR-Classifier", "Answer-Prob", "RLCR")


def stated(real_data: Path, system: str) -> tuple[np.ndarray, np.ndarray]:
    with pa.OSFile(str(real_data / "rlcr_math500" / "data-00000-of-00001.arrow")) as file:
        table = pa.ipc.open_stream(file).read_all()
    columns = (table[f"{system}-{noun}"].to_pylist() for noun in ("confidence_levels", "evals"))
    confidence, correct = (np.array([row[0] for row in column], dtype=float) for column in columns)
    return confidence, correct


@pytest.mark.parametrize("system", SYSTEMS)
def test_published_numbers_of_real_outputs(real_data: Path, system: str) -> None:
    published = json.loads((real_data / "rlcr_math500" / "metrics.json").read_text())[system]
    confidence, correct = stated(real_data, system)
    assert correct.mean() == pytest.approx(published["accuracy"], abs=1e-12)
    assert brier(confidence, correct) == pytest.approx(published["brier_score"], abs=1e-12)
    assert ece(confidence, correct) == pytest.approx(published["ece"], abs=1e-12)
    assert auroc(confidence, correct) == pytest.approx(published["auroc"], abs=1e-12)


@pytest.mark.parametrize(("system", "expected"), [("Base", 0.4921), ("RLVR", 0.6112), ("RLCR", 0.1879)])
def test_golden_ece(real_data: Path, system: str, expected: float) -> None:
    assert round(ece(*stated(real_data, system)), 4) == expected


def test_reliability_of_real_outputs_sums_to_the_ece(real_data: Path) -> None:
    confidence, correct = stated(real_data, "RLCR")
    rows = reliability(confidence, correct)
    assert sum(row["n"] for row in rows) == 500
    gap = sum(row["n"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / 500
    assert gap == pytest.approx(0.1879, abs=1e-12)


def test_by_hand() -> None:
    q, y = [0.9, 0.9, 0.2, 0.2], [1, 0, 0, 0]
    assert brier(q, y) == pytest.approx((0.01 + 0.81 + 0.04 + 0.04) / 4)
    assert ece(q, y) == pytest.approx((2 * 0.4 + 2 * 0.2) / 4)
    assert auroc(q, y) == pytest.approx((1 + 1 + 0.5) / 3)


def test_perfect_and_constant_confidence() -> None:
    y = np.array([0, 1, 1, 0, 1])
    assert (brier(y, y), ece(y, y), auroc(y, y)) == (0.0, 0.0, 1.0)
    assert auroc(np.full(5, 0.3), y) == 0.5
    assert brier(np.full(5, 0.5), y) == 0.25


def test_auroc_needs_both_outcomes() -> None:
    assert math.isnan(auroc([0.1, 0.9], [1, 1]))
    assert math.isnan(auroc([0.1, 0.9], [0, 0]))


def test_auroc_ignores_how_confidence_is_scaled() -> None:
    rng = numpy_rng("test", "auroc")
    q, y = rng.random(200), rng.integers(2, size=200)
    assert auroc(q, y) == pytest.approx(auroc(q**3 / 2, y))
    assert auroc(q, y) == pytest.approx(1 - auroc(1 - q, y))


@pytest.mark.parametrize(
    ("q", "bins", "left"),
    [(0.0, 10, 0.0), (0.3, 10, 0.3), (0.7, 10, 0.7), (1.0, 10, 0.9), (0.58, 50, 0.58), (0.29, 100, 0.29)],
)
def test_edges_belong_to_the_bin_they_open(q: float, bins: int, left: float) -> None:
    (row,) = reliability([q], [1], bins)
    assert row["left"] == pytest.approx(left)
    assert row["right"] == pytest.approx(left + 1 / bins)


def test_reliability_rows() -> None:
    rows = reliability([0.95, 0.95, 0.15], [1, 0, 0])
    assert [row["n"] for row in rows] == [1, 2]
    assert (rows[1]["confidence"], rows[1]["accuracy"]) == pytest.approx((0.95, 0.5))
    assert (rows[1]["lo"], rows[1]["hi"]) == pytest.approx(wilson(1, 2))


def test_reliability_widens_with_clusters() -> None:
    """Ten copies of each answer are no new evidence."""
    q, y, problem = np.full(200, 0.5), np.repeat(np.arange(20) % 2, 10), np.repeat(np.arange(20), 10)
    (alone,), (together,) = reliability(q, y), reliability(q, y, clusters=problem)
    assert together["hi"] - together["lo"] > 2.5 * (alone["hi"] - alone["lo"])


def test_calibrated_answers_have_small_error_and_miscalibration_is_found() -> None:
    rng = numpy_rng("test", "calibrated")
    q = rng.random(20_000)
    y = rng.random(20_000) < q
    assert ece(q, y) < 0.02
    assert ece(np.minimum(q + 0.3, 1), y) == pytest.approx(np.mean(np.minimum(q + 0.3, 1) - q), abs=0.02)


@pytest.mark.parametrize(
    ("q", "y"),
    [([], []), ([0.5], [1, 0]), ([1.5], [1]), ([-0.1], [1]), ([math.nan], [1]), ([0.5], [0.5]), ([0.5], [2])],
)
def test_bad_input(q: list[float], y: list[float]) -> None:
    for measure in (brier, ece, auroc, reliability):
        with pytest.raises(BadInput):
            measure(q, y)


def test_bad_bins_and_clusters() -> None:
    with pytest.raises(BadInput):
        ece([0.5], [1], bins=0)
    with pytest.raises(BadInput):
        reliability([0.5], [1], clusters=["a", "b"])
