"""Stated and own confidence: RLCR's reward, RLSF's three numbers, RLP's pieces, the random walk; each by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.errors import BadInput
from probe.interventions.random_walk import moved, random_walk, row_norms
from probe.rewards.rlcr import Rlcr
from probe.rl.advantage import Rloo, reward_table
from probe.rl.rlp import ema_update, information_gain, thought_advantage
from probe.rng import torch_rng
from probe.tasks.confidence import stated_confidence
from probe.tasks.grading import Grader
from probe.tokens.self_confidence import answer_confidence, certainty, disparity, probability, ranked


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("0.85", 0.85), (" .5\n", 0.5), ("1", 1.0), ("0", 0.0), ("1.0", 1.0), ("85%", 0.85), ("85 \\%", 0.85),
        ("0.5%", 0.005),
        ("85", None), ("1.01", None), ("101%", None), ("-0.5", None), ("high", None), ("", None), ("0.5 or so", None),
        ("nan", None), ("1e-3", None), ("٣", None), ("9" * 400, None),
    ],
)  # fmt: skip
def test_a_stated_confidence(said: str, wanted: float | None) -> None:
    assert stated_confidence(f"x <confidence>0.1</confidence> y <confidence>{said}</confidence> z") == wanted


def test_a_confidence_that_is_not_complete_is_none() -> None:
    assert stated_confidence("no tag") is stated_confidence("<confidence>0.5") is stated_confidence(".5</confidence>")
    assert stated_confidence("</confidence>.5<confidence>") is None
    assert stated_confidence("<confidence>.4</confidence> and <confidence>.5") == 0.4


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="<>/confidence.015% \n", max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    found = stated_confidence(text)
    assert found is None or 0 <= found <= 1


def rlcr(answer: str, confidence: str, label: str | None = "7", **fields: Any) -> float | None:
    return Rlcr(**fields)(completions=[f"{answer} {confidence}"], answers=[label])[0]


def test_rlcr_by_hand() -> None:
    """.5 c + .5 (1 - (c - q)^2), 0 where the format fails."""
    sure, half, not_sure = (f"<confidence>{q}</confidence>" for q in ("1", "0.5", "0"))
    right, wrong = "\\boxed{07}", "<answer>8</answer>"
    assert [rlcr(right, q) for q in (sure, half, not_sure)] == [1.0, 0.875, 0.5]
    assert [rlcr(wrong, q) for q in (sure, half, not_sure)] == [0.0, 0.375, 0.5]
    assert [rlcr(right, ""), rlcr("It is 7", sure), rlcr(right, "<confidence>7</confidence>")] == [0.0, 0.0, 0.0]
    assert rlcr(right, sure, None) is None
    assert rlcr(right, sure, extractor="answer_tag") == 0.0
    assert rlcr(right, "<|im_end|>" + sure) == 0.0  # stated in another turn
    with Grader() as grader:
        assert rlcr("\\boxed{x=7}", half, grader=grader) == 0.875
        assert rlcr("\\boxed{7}", half, "", grader=grader) is None
    with pytest.raises(BadInput, match="no extractor 'box'"):
        Rlcr("box")  # type: ignore[arg-type]


@settings(max_examples=100, deadline=None)
@given(chance=st.integers(0, 20), q=st.integers(0, 20))
def test_honesty_pays_best(chance: int, q: int) -> None:
    """The mean reward of one who is right with probability p is highest at q = p: the score is proper."""
    said = [f"<confidence>{v / 20}</confidence>" for v in (q, chance)]
    right, wrong = ([rlcr(f"\\boxed{{{a}}}", each) or 0.0 for each in said] for a in (7, 8))
    p = chance / 20
    stated, honest = (p * r + (1 - p) * w for r, w in zip(right, wrong, strict=True))
    assert honest >= stated - 1e-12


def scored(probabilities: np.ndarray, token: int) -> tuple[np.ndarray, ...]:
    """logprob, margin, rank and entropy of a token under a distribution, as `probe.tokens.score` has them."""
    best = np.sort(probabilities)[::-1]
    rank = int((probabilities > probabilities[token]).sum())
    entropy = -(probabilities * np.log(probabilities)).sum()
    values = np.log(probabilities[token]), np.log(best[0] / best[1]), rank, entropy
    return tuple(np.array([value]) for value in values)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(3, 30), token=st.integers(0, 2))
def test_self_confidence_is_that_of_the_distribution(seed: int, size: int, token: int) -> None:
    p = np.random.Generator(np.random.Philox(seed)).dirichlet(np.ones(size)) + 1e-6
    p /= p.sum()
    logprob, margin, rank, entropy = scored(p, token)
    assert probability(logprob)[0] == pytest.approx(p[token])
    assert certainty(entropy, size)[0] == pytest.approx(1 + (p * np.log(p)).sum() / math.log(size))
    found, second = disparity(logprob, margin, rank)[0], np.sort(p)[-2]
    assert math.isnan(found) if rank[0] > 1 else found == pytest.approx(p[token] - second, abs=1e-12)


def test_self_confidence_by_hand() -> None:
    p = np.array([0.5, 0.25, 0.25])
    logprob, margin, rank, entropy = scored(p, 0)
    assert disparity(logprob, margin, rank)[0] == pytest.approx(0.25)
    assert certainty(entropy, 3)[0] == pytest.approx(1 - 1.5 * math.log(2) / math.log(3))
    assert certainty(np.array([0.0, math.log(8)]), 8).tolist() == pytest.approx([1, 0])


def test_confidence_of_answers_and_their_ranking() -> None:
    values, row = np.array([0.9, 0.1, 0.5, 0.7, 0.4]), np.array([0, 0, 0, 1, 3])
    answer = np.array([True, False, True, True, False])
    found = answer_confidence(values, row, answer, 4)
    assert found[:2].tolist() == pytest.approx([0.7, 0.7]) and np.isnan(found[2:]).all()
    assert ranked(found, ["a", "a", "a", "b"]).tolist() == [0, 0, 2, 0]
    assert ranked(np.array([0.1, 0.9, 0.5, 0.2]), [1, 1, 2, 2]).tolist() == [1, 0, 0, 1]
    for bad in (
        lambda: probability(np.array([0.1])), lambda: certainty(np.array([3.0]), 8),
        lambda: certainty(np.array([0.0]), 1),
        lambda: disparity(np.array([-1.0]), np.array([-1.0]), np.array([0])), lambda: probability(np.array([math.nan])),
        lambda: answer_confidence(values, row[:2], answer, 4), lambda: ranked(found, ["a"]),
    ):  # fmt: skip
        with pytest.raises(BadInput):
            bad()


def test_rlp_by_hand() -> None:
    gain = information_gain(torch.tensor([[-1.0, -2.0, -3.0]], requires_grad=True), torch.full((1, 3), -2.0))
    assert gain.tolist() == [[1, 0, -1]] and not gain.requires_grad
    tokens = torch.tensor([[[True, True], [True, False], [False, False]]])
    assert thought_advantage(gain, tokens).tolist() == [[[1.5, 1.5], [0, 0], [0, 0]]]
    same = Rloo()(reward_table(gain.flatten().tolist(), 3)).value
    assert torch.allclose(thought_advantage(gain, torch.ones(1, 3, 1, dtype=torch.bool)).flatten(), same)
    average = {"w": torch.tensor([0.0, 1.0])}
    for _ in range(1000):
        average = ema_update(average, {"w": torch.tensor([1.0, 1.0])})
    assert average["w"].tolist() == pytest.approx([1 - 0.999**1000, 1.0], rel=1e-4)
    with pytest.raises(BadInput, match="other|one side"):
        ema_update(average, {"v": torch.zeros(2)})
    with pytest.raises(BadInput, match="same tokens"):
        information_gain(torch.zeros(2, 3), torch.zeros(3, 2))
    with pytest.raises(BadInput, match="thoughts >= 2"):
        thought_advantage(torch.zeros(2, 1), torch.zeros(2, 1, 4, dtype=torch.bool))


def path(steps: int, *shape: int) -> list[dict[str, torch.Tensor]]:
    rows = torch.randn(steps, *shape, generator=torch_rng("test", "path", *shape)).cumsum(0)
    return [{"w": each, "b": each[0].flatten()} for each in rows]


@settings(max_examples=30, deadline=None)
@given(steps=st.integers(2, 5), rows=st.integers(1, 6), columns=st.integers(2, 40), draw=st.integers(0, 99))
def test_a_walk_moves_each_row_as_far_as_the_run_did(steps: int, rows: int, columns: int, draw: int) -> None:
    real = path(steps, rows, columns)
    walk = list(random_walk(real, "t", draw))
    assert len(walk) == steps and torch.equal(walk[0]["w"], real[0]["w"])
    for k in range(steps - 1):
        for name in ("w", "b"):
            mine, its = walk[k + 1][name] - walk[k][name], real[k + 1][name] - real[k][name]
            assert torch.allclose(row_norms(mine), row_norms(its), rtol=1e-3, atol=1e-4)
    again = list(random_walk(real, "t", draw))
    assert all(torch.equal(a["w"], b["w"]) for a, b in zip(walk, again, strict=True))


def test_a_walk_knows_nothing_of_the_runs_direction() -> None:
    """Cosines of 400 dimensions are 0 +- 1/20, and rows that did not move stay to the bit."""
    real = path(2, 30, 400)
    real[1]["w"][3] = real[0]["w"][3]
    step = list(random_walk(real, "t"))[1]["w"] - real[0]["w"]
    cosine = torch.cosine_similarity(step, real[1]["w"] - real[0]["w"], dim=1)
    assert cosine.abs().max() < 5 / 20 and cosine.mean().abs() < 4 / 20 / math.sqrt(30)
    assert not step[3].any()


def test_paths_that_do_not_match_are_refused() -> None:
    one, other = path(1, 2, 3)[0], path(1, 3, 2)[0]
    with pytest.raises(BadInput, match="path of 1 steps"):
        list(random_walk([one]))
    with pytest.raises(BadInput, match="not of one shape"):
        moved(one, one, other, "t")
    with pytest.raises(BadInput, match="other tensors"):
        moved(one, one, {"w": one["w"]}, "t")
