"""A line is a line, a walk is a walk, and a run's numbers are those of the matrices written out."""

import math

import numpy as np
import pytest
import torch

from probe.errors import BadInput
from probe.interventions.random_walk import Overlay, random_walk
from probe.interventions.weight_path import FIELDS, Shape, extended, quarter, shapes, stretch
from probe.rng import torch_rng

STEPS = tuple(range(13))


def normal(*address: str | int, shape: tuple[int, ...] = (40, 30)) -> torch.Tensor:
    return torch.randn(shape, generator=torch_rng("weight path", *address))


def line() -> list[Overlay]:
    start, way, bias = normal("start"), torch.outer(normal("a", shape=(40,)), normal("b", shape=(30,))), torch.ones(7)
    return [{"head": start + k * way, "bias": -k * bias} for k in STEPS]


def walk(seed: int, steps: int = 12) -> list[Overlay]:
    here, path = torch.zeros(40, 30), [{"head": torch.zeros(40, 30)}]
    for step in range(steps):
        here = here + normal("walk", seed, step)
        path.append({"head": here})
    return path


def test_a_line_is_one() -> None:
    for name, found in shapes(line(), STEPS).items():
        told = {field: getattr(found, field) for field in FIELDS}
        if name == "bias":
            assert math.isnan(told.pop("rank_one")) and math.isnan(told.pop("stable_rank"))
        assert told == pytest.approx(dict.fromkeys(told, 1.0), abs=1e-5), name
    assert shapes(line(), STEPS)["all"].norm == pytest.approx(
        math.hypot(*(each.norm for name, each in shapes(line(), STEPS).items() if name != "all"))
    )


def test_a_walk_has_the_shares_of_its_covariance() -> None:
    """In many dimensions G is min(j, k): its first direction .82 of it, its first component .64, of 12 steps."""
    g = np.minimum.outer(np.arange(1, 13), np.arange(1, 13))
    expected = np.linalg.eigvalsh(g)[-1] / np.trace(g)
    found = [shapes(walk(seed), STEPS)["all"] for seed in range(10)]
    assert mean(found, "first_direction") == pytest.approx(expected, abs=0.02)
    assert expected == pytest.approx(8 / math.pi**2, abs=0.02)
    assert mean(found, "end_kept") == pytest.approx(8 / math.pi**2, abs=0.06)
    assert mean(found, "first_component") == pytest.approx(6 / math.pi**2, abs=0.05)
    assert mean(found, "cosine") == pytest.approx(math.sqrt(quarter(12) / 12), abs=0.02)
    assert mean(found, "cosine_rest") == pytest.approx(0.0, abs=0.02)
    assert mean(found, "straight") == pytest.approx(1 / math.sqrt(12), abs=0.01)
    assert mean(found, "linear") < mean(found, "first_component")


def mean(found: list[Shape], field: str) -> float:
    return float(np.mean([getattr(each, field) for each in found]))


def test_by_hand_on_the_matrices_written_out() -> None:
    path = walk(3)
    found = shapes(path, STEPS)["head"]
    far = torch.stack([step["head"].flatten() for step in path]).double()
    values = torch.linalg.svdvals(far[1:])
    assert found.first_direction == pytest.approx(float(values[0] ** 2 / (values**2).sum()))
    way = torch.linalg.svd(far[1:], full_matrices=False).Vh[0]
    assert found.end_kept == pytest.approx(float((far[-1] @ way) ** 2 / (far[-1] @ far[-1])))
    apart = far - far.mean(0)
    values = torch.linalg.svdvals(apart)
    assert found.first_component == pytest.approx(float(values[0] ** 2 / (values**2).sum()))
    t = torch.tensor(STEPS).double()
    slope = (t - t.mean()) @ apart / ((t - t.mean()) ** 2).sum()
    left = (apart - (t - t.mean())[:, None] * slope) ** 2
    spread = (apart**2).sum(0)
    each = 1 - left.sum(0) / spread
    assert found.linear == pytest.approx(float((each * spread).sum() / spread.sum()))
    last = torch.linalg.svdvals(path[-1]["head"].double()) ** 2
    assert found.rank_one == pytest.approx(float(last[0] / last.sum()), rel=1e-4)
    assert found.stable_rank == pytest.approx(1 / found.rank_one)
    steps = (far[1:] - far[:-1]).norm(dim=1).sum()
    assert found.straight == pytest.approx(float(far[-1].norm() / steps))


def test_a_run_that_turns_back_is_no_line() -> None:
    path = line()[:7] + line()[5::-1]
    found = shapes(path, STEPS)["all"]
    assert found.norm == 0.0 and math.isnan(found.cosine)
    found = shapes(path[:-1], STEPS[:-1])["all"]
    assert found.first_direction == pytest.approx(1.0) and found.linear < 0.1 and found.straight < 0.2


def test_steps_at_uneven_batches_are_a_line_in_batches() -> None:
    path = [line()[k] for k in (0, 1, 4, 6, 12)]
    assert shapes(path, (0, 1, 4, 6, 12))["all"].linear == pytest.approx(1.0)
    assert shapes(path, (0, 1, 2, 3, 4))["all"].linear < 0.99


def test_the_first_quarter_made_as_long_as_the_whole() -> None:
    path = walk(5)
    far = extended(path)["head"]
    assert float(far.norm()) == pytest.approx(float(path[-1]["head"].norm()), rel=1e-5)
    torch.testing.assert_close(far, stretch(path) * path[3]["head"])
    for name, tensor in extended(line()).items():
        torch.testing.assert_close(tensor, line()[-1][name], atol=1e-4, rtol=1e-4)


def test_the_walk_of_a_line_is_as_long_at_every_step_and_no_line() -> None:
    found = shapes(list(random_walk(line(), "test")), STEPS)["head"]
    assert found.first_direction < 0.9 < shapes(line(), STEPS)["head"].first_direction


@pytest.mark.parametrize(("path", "batches"), [(line()[:3], STEPS[:3]), (line(), STEPS[1:])])
def test_bad_paths_are_refused(path: list[Overlay], batches: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match="keep 3 at least"):
        shapes(path, batches)


def test_a_quarter_that_changed_nothing_cannot_be_extended() -> None:
    path = [{"head": torch.zeros(3, 3)}] * 4 + [{"head": torch.ones(3, 3)}]
    with pytest.raises(BadInput, match="first quarter changed nothing"):
        extended(path)
