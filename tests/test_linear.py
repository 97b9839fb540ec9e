"""Probes: by hand, a planted direction, folds that hold problems together, controls that are flat, nothing leaked."""

import numpy as np
import pytest
from scipy import stats

from probe.activations.linear import (
    KINDS,
    Examples,
    controls,
    fit,
    folds,
    has_classes,
    held_out,
    probe,
    shuffled_labels,
)
from probe.errors import BadInput
from probe.rng import numpy_rng


def planted(strength: float, *, problems: int = 60, each: int = 4, d: int = 12, seed: int = 0) -> tuple:
    """Noise, a common shift of each problem's rows, and a direction added to the yes; labels differ within problems."""
    truth = numpy_rng("truth", seed)  # its own address: the noise is drawn elsewhere
    direction = truth.normal(size=d)
    direction /= np.linalg.norm(direction)
    rng = numpy_rng("noise", seed)
    y = rng.integers(0, 2, size=problems * each).astype(float)
    x = rng.normal(size=(problems * each, d)) + np.repeat(rng.normal(size=(problems, d)), each, axis=0)
    problem = np.repeat([f"p{i}" for i in range(problems)], each)
    return Examples(x + strength * np.outer(y, direction), y, problem), direction


def test_mean_difference_by_hand() -> None:
    line = fit("difference", np.array([[0.0, 0], [2, 0], [4, 2], [6, 2]]), np.array([0.0, 0, 1, 1]))
    assert line.weight == pytest.approx([4, 2])
    assert line(np.array([[3.0, 1.0]])) == pytest.approx(0)  # half way between (1, 0) and (5, 2)
    assert line(np.array([[5.0, 2.0], [1.0, 0.0]])) == pytest.approx([10, -10])


def test_logistic_is_at_its_minimum() -> None:
    examples, _ = planted(1.0)
    line = fit("logistic", examples.x, examples.y, l2=0.1)
    mean, spread = examples.x.mean(0), examples.x.std(0)
    z, weight = (examples.x - mean) / spread, line.weight * spread
    p = 1 / (1 + np.exp(-line(examples.x)))
    assert np.abs(z.T @ (p - examples.y) / len(z) + 0.1 * weight).max() < 1e-5
    assert abs((p - examples.y).mean()) < 1e-5


def test_logistic_of_one_feature_agrees_with_a_grid() -> None:
    x, y = np.array([[-1.0], [-0.5], [0.5], [1.0], [0.2]]), np.array([0.0, 1, 0, 1, 1])
    line = fit("logistic", x, y, l2=0.05)
    z = (x[:, 0] - x.mean()) / x.std()
    sign = 2 * y - 1
    w, b = np.meshgrid(np.linspace(-3, 3, 601), np.linspace(-3, 3, 601))
    loss = np.logaddexp(0, -sign * (w[..., None] * z + b[..., None])).mean(-1) + 0.025 * w**2
    best = np.unravel_index(loss.argmin(), loss.shape)
    assert line.weight[0] * x.std() == pytest.approx(w[best], abs=0.01)
    assert line.bias + line.weight[0] * x.mean() == pytest.approx(b[best], abs=0.01)


def test_units_of_the_features_do_not_matter_to_logistic() -> None:
    examples, _ = planted(1.0)
    scale = np.geomspace(0.01, 100, examples.x.shape[1])
    one, other = fit("logistic", examples.x, examples.y), fit("logistic", examples.x * scale + 3, examples.y)
    assert one(examples.x) == pytest.approx(other(examples.x * scale + 3), abs=1e-3)


def test_a_constant_feature_says_nothing() -> None:
    examples, _ = planted(1.0)
    x = examples.x.copy()
    x[:, 3] = 7.3
    assert fit("logistic", x, examples.y).weight[3] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_direction_is_found(kind: str) -> None:
    examples, direction = planted(3.0, problems=150)
    weight = fit(kind, examples.x, examples.y).weight
    assert weight @ direction / np.linalg.norm(weight) > 0.93
    found = {
        e.name: e for e in probe(examples, kind, address=("t",), params={"side": "before", "target": "l"}, draws=8)
    }
    assert found["probe_auroc"].lo > 0.85
    assert found["probe_accuracy"].lo > 0.75
    assert 0.4 < found["probe_control"].value < 0.6
    assert found["probe_selectivity"].lo > 0.3
    assert found["probe_selectivity"].p == pytest.approx(1 / 9)
    assert found["probe_auroc"].n == 600
    assert found["probe_auroc"].n_problems == 150
    assert found["probe_auroc"].params == {"side": "before", "target": "l"}


def test_deterministic_and_independent_of_the_order_of_rows() -> None:
    examples, _ = planted(1.0)
    order = numpy_rng("order").permutation(len(examples.y))
    one = probe(examples, "difference", address=("t",), draws=2)
    assert one == probe(examples, "difference", address=("t",), draws=2)
    assert probe(examples[order], "difference", address=("t",), draws=2)[0].value == pytest.approx(one[0].value)


def test_folds_hold_problems_together_and_are_even() -> None:
    problem = np.repeat([f"p{i}" for i in range(23)], 3)
    fold = folds(problem, 5, ("f",))
    assert all(len(set(fold[problem == name])) == 1 for name in set(problem))
    assert sorted(np.bincount(fold[::3])) == [4, 4, 5, 5, 5]
    mixed = numpy_rng("m").permutation(len(problem))
    assert (folds(problem[mixed], 5, ("f",)) == fold[mixed]).all()
    assert (folds(problem, 5, ("g",)) != fold).any()


def test_a_problem_that_could_be_recognised_does_not_help() -> None:
    """Each problem has a mark of its own, and one label: folds over rows would read the mark."""
    rng = numpy_rng("marks")
    labels = np.repeat(rng.integers(0, 2, size=60), 5).astype(float)
    x = np.repeat(10 * rng.normal(size=(60, 40)), 5, axis=0) + 0.01 * rng.normal(size=(300, 40))
    examples = Examples(x, labels, np.repeat(np.arange(60), 5))
    whole = held_out(examples, folds(examples.problem, 5, ("f",)), "logistic")
    by_row = held_out(examples, folds(np.arange(300), 5, ("f",)), "logistic")
    assert whole is not None
    assert by_row is not None
    assert ((by_row > 0) == (labels > 0.5)).mean() > 0.85
    assert ((whole > 0) == (labels > 0.5)).mean() < 0.7


def test_shuffled_labels_are_those_of_other_problems() -> None:
    problem, y = np.repeat(["a", "b", "c", "d"], 2), np.array([0.0, 0, 0, 1, 1, 0, 1, 1])
    examples = Examples(np.zeros((8, 1)), y, problem)
    blocks = {tuple(y[i : i + 2]) for i in range(0, 8, 2)}
    seen = set()
    for draw in range(30):
        labels = shuffled_labels(examples, "problems", ("s", draw))
        assert {tuple(labels[i : i + 2]) for i in range(0, 8, 2)} == blocks
        seen.add(tuple(labels))
    assert len(seen) > 10
    assert shuffled_labels(examples, "rows", ("s", 0)).sum() == y.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_found_in_nothing(kind: str) -> None:
    """Draws without a signal, correlated within problems: AUROC about .5, intervals hold it, p looks uniform."""
    values, hits, p_values = [], 0, []
    n = 120 if kind == "difference" else 48
    for seed in range(n):
        rng = numpy_rng("null rows", seed)
        x = np.repeat(rng.normal(size=(60, 6)), 4, axis=0) + rng.normal(size=(240, 6))
        y = (np.repeat(rng.normal(size=60), 4) + rng.normal(size=240) > 0).astype(float)
        auroc, _, control, beyond = probe(
            Examples(x, y, np.repeat(np.arange(60), 4)), kind, address=("n", seed), draws=19
        )
        values.append(auroc.value)
        hits += auroc.lo <= 0.5 <= auroc.hi
        p_values.append(auroc.p)
        assert beyond.p == auroc.p
        assert abs(control.value - 0.5) < 0.06
    assert abs(np.mean(values) - 0.5) < 3 * np.std(values) / np.sqrt(n)
    assert hits >= 0.7 * n  # 15 of 100 miss: the interval takes the probes as given
    assert stats.kstest(np.array(p_values) - 0.025, "uniform").pvalue > 0.001  # steps of .05


def test_controls_of_a_strong_signal_are_flat() -> None:
    examples, _ = planted(4.0)
    found = controls(examples, folds(examples.problem, 5, ("f",)), "difference", ("c",), draws=25)
    assert abs(found.mean() - 0.5) < 0.03
    assert found.max() < 0.7


def test_too_few_of_a_class_say_nothing() -> None:
    examples, _ = planted(1.0)
    rare = Examples(examples.x, (np.arange(240) < 40).astype(float), examples.problem)  # 10 problems
    assert not has_classes(rare)
    assert probe(rare, "difference", address=("t",)) == []
    same = Examples(examples.x, np.ones(240), examples.problem)
    assert held_out(same, folds(same.problem, 5, ("f",)), "logistic") is None


def test_bad_input() -> None:
    examples, _ = planted(1.0)
    with pytest.raises(BadInput, match="both classes"):
        fit("difference", examples.x, np.ones(240))
    with pytest.raises(BadInput, match="logistic"):
        fit("logistics", examples.x, examples.y)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="l2"):
        fit("logistic", examples.x, examples.y, l2=0)
    with pytest.raises(BadInput, match="folds"):
        folds(["a", "b"], 3, ("f",))
    for x, y, problem in (
        (np.full((2, 2), np.nan), [0, 1], ["a", "b"]),
        (np.zeros(2), [0, 1], ["a", "b"]),
        (np.zeros((2, 2)), [0, 0.5], ["a", "b"]),
        (np.zeros((2, 2)), [0, 1], ["a"]),
        (np.zeros((2, 2)), [0, 1, 1], ["a", "b"]),
    ):
        with pytest.raises(BadInput):
            Examples(x, y, problem)  # type: ignore[arg-type]
