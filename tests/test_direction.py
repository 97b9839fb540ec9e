"""Directions: units, refusal, files, angles; planted turns and travels are told apart; null pairs are flat."""

from pathlib import Path

import numpy as np
import pytest
import torch
from outside_checkpoints import tiny
from plants import reading
from scipy import stats

from probe.activations.collect import Text, collect
from probe.activations.direction import Direction, cosine, direction
from probe.activations.direction_shift import Sides, projection_change, rotation
from probe.activations.linear import KINDS, Examples
from probe.errors import BadInput
from probe.models.hooks.edits import ProjectOut
from probe.models.hooks.sites import site
from probe.rng import numpy_rng, torch_rng

WHERE = site("resid.1")


def unit(d: int, *address: str | int) -> np.ndarray:
    vector = numpy_rng("truth", *address).normal(size=d)
    return vector / np.linalg.norm(vector)


def rows(gap: np.ndarray, *, seed: int = 0, problems: int = 80, each: int = 3, noise: float = 1.0) -> Examples:
    """Half of the rows yes, `gap` apart; noise and labels from addresses of their own."""
    rng = numpy_rng("rows", seed)
    y = rng.integers(0, 2, size=problems * each).astype(float)
    x = noise * rng.normal(size=(problems * each, len(gap))) + np.outer(y, gap)
    return Examples(x, y, np.repeat([f"p{i}" for i in range(problems)], each))


def test_units_by_hand() -> None:
    x, y = np.array([[0.0, 0], [2, 0], [4, 0], [6, 0]]), np.array([0.0, 0, 1, 1])
    found = direction(WHERE, Examples(x, y, ["a", "a", "b", "b"]))
    assert found.vector.tolist() == [1, 0]
    assert (found.scale, found.intercept) == (4, 3)
    assert found.fitted_on == {"a", "b"}
    there = torch.tensor([[1.0, 9], [5, 0], [3, 1]])
    assert found.score(there, ["c", "d", "e"]).tolist() == [-0.5, 0.5, 0]
    assert found.along(there).tolist() == [1, 5, 3]


@pytest.mark.parametrize("length", [1 - 9e-4, 1.0009, 0.998, 1.002])
def test_what_is_a_direction_can_be_projected_out(length: float) -> None:
    vector = length * torch.eye(4, dtype=torch.float64)[1]
    if abs(length - 1) > 1e-3:
        for make in (lambda: Direction(WHERE, vector, 1.0, 0.0, frozenset(), "row"), lambda: ProjectOut(vector)):
            with pytest.raises(BadInput, match="length"):
                make()
        return
    found = Direction(WHERE, vector, 1.0, 0.0, frozenset(), "row")
    assert found.along(ProjectOut(found.vector)(torch.ones(1, 1, 4).double())).item() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_direction_has_its_angle_and_scale(kind: str) -> None:
    u = unit(10, "a")
    found = direction(WHERE, rows(4 * u, problems=400), kind)
    assert float(found.vector.numpy() @ u) > 0.97
    assert found.scale == pytest.approx(4, rel=0.1)
    held = rows(4 * u, seed=1)
    scores = found.score(torch.from_numpy(held.x), [f"q{i}" for i in range(len(held.y))]).numpy()
    assert ((scores > 0) == (held.y > 0.5)).mean() > 0.95


@pytest.mark.parametrize("kind", ["qwen2", "llama", "olmo2"])
def test_a_direction_added_to_the_weights_is_recovered(kind: str, tmp_path: Path) -> None:
    """Block 0's MLP writes +- along u, by which token is last: u is found behind it, and neither before nor without."""
    model = tiny(kind, 40)
    rng = numpy_rng("texts of the plant")
    texts = [
        Text(f"p{i}", 0, (*rng.integers(3, 40, size=6).tolist(), int(rng.integers(1, 3))), (6,)) for i in range(240)
    ]
    yes = np.array([float(text.ids[-1] == 2) for text in texts])

    def cosines_with(u: torch.Tensor, folder: str) -> dict[str, float]:
        held = collect(model, texts, [site("resid.0"), WHERE], tmp_path / folder, identity=folder)
        examples = {
            name: Examples(held.read(name).values.numpy(), yes, held.rows().problem) for name in ("resid.0", "resid.1")
        }
        return {name: float(direction(site(name), each).vector @ u.double()) for name, each in examples.items()}

    added = torch.nn.functional.normalize(torch.randn(32, generator=torch_rng("planted in the weights")), dim=0)
    block = model.model.layers[0]
    u = added * block.post_feedforward_layernorm.weight if kind == "olmo2" else added  # what it writes is normed there
    u = (u / u.norm()).detach()
    without = cosines_with(u, "without")
    ids, sign = torch.tensor([text.ids for text in texts]), torch.zeros(240, 7)
    sign[:, -1] = torch.from_numpy(2 * yes - 1)
    with torch.no_grad():
        block.mlp.down_proj.weight.add_(100 * torch.outer(added, reading(model, block.mlp.down_proj, ids, sign)))
    found = cosines_with(u, "with")
    assert found["resid.1"] > 0.9
    assert abs(without["resid.1"]) < 0.5
    assert found["resid.0"] == without["resid.0"] < 0.5


def test_it_is_not_scored_on_its_own_problems() -> None:
    found = direction(WHERE, rows(unit(5, "b")))
    with pytest.raises(BadInput, match="fitted on 2 of these problems, p1 for one"):
        found.score(torch.zeros(3, 5), ["p1", "new", "p2"])
    with pytest.raises(BadInput):
        found.score(torch.zeros(2, 5), ["new"])


def test_angles() -> None:
    def along(*vector: float, where: str = "resid.1") -> Direction:
        v = torch.tensor(vector, dtype=torch.float64)
        return Direction(site(where), v / v.norm(), 1.0, 0.0, frozenset(), "given")

    assert cosine(along(1, 0), along(1, 1)) == pytest.approx(0.5**0.5)
    assert cosine(along(1, 2), along(-1, -2)) == pytest.approx(-1)
    for other in (along(1, 0, 0), along(1, 0, where="resid.2")):
        with pytest.raises(BadInput, match="no angle"):
            cosine(along(1, 0), other)


@pytest.mark.parametrize(
    ("vector", "scale", "intercept"), [([2.0, 0], 1, 0), ([1.0, 0], 0, 0), ([1.0, 0], -1, 0), ([1.0, 0], 1, np.nan)]
)
def test_what_is_no_direction(vector: list, scale: float, intercept: float) -> None:
    with pytest.raises(BadInput):
        Direction(WHERE, torch.tensor(vector), scale, intercept, frozenset(), "given")


def test_classes_that_do_not_differ_have_no_direction() -> None:
    with pytest.raises(BadInput, match="same activations"):
        direction(WHERE, Examples(np.ones((4, 3)), [0, 1, 0, 1], ["a", "a", "b", "b"]))  # type: ignore[arg-type]


def pair(before: np.ndarray, after: np.ndarray, push: np.ndarray | None = None, seed: int = 0) -> Sides:
    """The same labels; noise of its own on each side; `push` moves the whole of the side after."""
    first, noise = rows(before, seed=seed), numpy_rng("after", seed).normal(size=(240, len(before)))
    moved = noise + np.outer(first.y, after) + (0 if push is None else push)
    return Sides(first, Examples(moved, first.y, first.problem))


BASE = {"labels": "base", "site": "resid.1"}


def told(sides: Sides, **more: int) -> dict[str, float]:
    found = rotation(sides, "difference", address=("t",), params={"labels": "own", "site": "resid.1"}, **more)
    return {str(e.params["side"]): e for e in found}  # type: ignore[misc]


def test_a_push_is_no_turn_and_a_turn_is_no_push() -> None:
    u, w = unit(8, "e"), unit(8, "f")
    w = w - (w @ u) * u
    w /= np.linalg.norm(w)
    pushed = pair(3 * u, 3 * u, push=5 * u + 4 * w)
    turned = pair(3 * u, 3 * (0.6 * u + 0.8 * w))
    straight, bent = told(pushed, swaps=99), told(turned, swaps=99)
    assert straight["across"].value > 0.95
    assert straight["across"].p > 0.05
    assert bent["across"].value == pytest.approx(0.6, abs=0.08)
    assert bent["across"].p == pytest.approx(0.01)
    assert bent["across"].lo <= bent["across"].value <= bent["across"].hi < bent["traded"].lo
    assert bent["freed"].value == pytest.approx(0.6, abs=0.1)
    gone = {
        (e.params["side"], e.params["group"]): e
        for e in projection_change(pushed, "difference", address=("t",), params=BASE, classes=("prose", "code"))
    }
    assert gone["change", "all"].value == pytest.approx(5 / 3, abs=0.25)
    assert gone["change", "all"].lo > 1.4
    apart = gone["before", "code"].value - gone["before", "prose"].value
    assert apart == pytest.approx(1, abs=0.1)
    assert gone["change", "prose"].n < gone["change", "all"].n == 240


def test_null_pairs_are_flat() -> None:
    """24 pairs of one truth, drawn twice: p of turning and of travelling look uniform, the null is where it lies."""
    turns, goes, gaps = [], [], []
    for seed in range(24):
        u = unit(6, "null", seed)
        sides = pair(1.5 * u, 1.5 * u, seed=seed)
        found = rotation(sides, "difference", address=("n", seed), swaps=39, halves=2)
        turns.append(found[0].p)
        gaps.append(found[0].value - found[0].null)
        moves = projection_change(sides, "difference", address=("n", seed), classes=("no", "yes"))
        goes.append(next(e.p for e in moves if e.params["side"] == "change" and e.params["group"] == "all"))
    assert stats.kstest(turns, "uniform").pvalue > 0.01
    assert stats.kstest(goes, "uniform").pvalue > 0.01
    assert abs(np.mean(gaps)) < 0.01
    assert sum(p < 0.1 for p in turns) <= 7


def test_the_same_weights_do_not_move_at_all() -> None:
    sides = pair(unit(4, "g"), unit(4, "g"))
    same = Sides(sides.before, sides.before)
    assert told(same, swaps=19)["across"].value == pytest.approx(1)
    assert told(same, swaps=19)["across"].p == 1
    moves = projection_change(same, "difference", address=("t",), classes=("no", "yes"))
    assert all(e.value == 0 for e in moves if e.params["side"] == "change")


def test_bad_pairs() -> None:
    one = rows(unit(4, "h"))
    with pytest.raises(BadInput, match="same rows"):
        Sides(one, rows(unit(4, "h"), problems=79))
    with pytest.raises(BadInput, match="same rows"):
        Sides(one, Examples(one.x, one.y, one.problem[::-1].copy()))
    all_yes = Examples(one.x, np.ones(240), one.problem)
    assert rotation(Sides(one, all_yes), "difference", address=("t",)) == []
    assert projection_change(Sides(all_yes, one), "difference", address=("t",), classes=("no", "yes")) == []
