r"""Rewards: one test for every registered file, each by hand, the addressed random draw, compositions and bad input."""

import json
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import probe.rewards as package
from probe.errors import BadInput
from probe.rewards import Reward, rewards
from probe.rewards.compose import COMPOSITIONS, Both, Negated, Weighted, Without, from_spec, spec
from probe.rewards.constant import Constant
from probe.rewards.format import Format
from probe.rewards.ground_truth import GroundTruth, canonical
from probe.rewards.incorrect import Incorrect
from probe.rewards.inverse import Inverse
from probe.rewards.majority_online import MajorityOnline
from probe.rewards.python import Python
from probe.rewards.random import Random
from probe.rl.advantage import GroupNormalised, reward_table
from probe.tasks.grading import Grader

NAMES = rewards.names()
FILES = {file.stem for file in Path(package.__file__).parent.glob("[a-z]*.py")} - {"compose"}
TEXTS = [
    "```python\na=3\n```\n\\boxed{3}",
    "Think: it is 3",
    "\\boxed{4} no, \\boxed{3}",
    "\\boxed{4}",
    "First: Python. \\boxed{04}",
    "\\boxed{}",
]
BATCH: dict[str, Any] = {
    "prompts": ["p"] * 6,
    "completions": TEXTS,
    "answers": ["3", "3", "3", "4", "4", None],
    "group": ["x", "x", "x", "y", "y", "y"],
    "address": [(0, name, index) for name in ("x", "y") for index in range(3)],
}


def score(reward: Reward, **change: Any) -> list[float | None]:
    """The reward's scores of the batch."""
    return reward(**BATCH | change)


def rows(order: list[int]) -> dict[str, Any]:
    return {name: [values[i] for i in order] for name, values in BATCH.items()}


def test_every_file_is_found() -> None:
    assert set(NAMES) >= FILES
    with pytest.raises(BadInput, match="ground_truth"):
        rewards.get("ground-truth")


@pytest.mark.parametrize("name", NAMES)
def test_every_reward(name: str) -> None:
    """A frozen dataclass; pure; one score per response, of that response (and group) alone; named in a recipe."""
    reward = rewards.get(name)()
    assert is_dataclass(reward)
    assert type(reward).__dataclass_params__.frozen
    scores = score(reward)
    assert len(scores) == 6
    assert all(s is None or 0.0 <= s <= 1.0 for s in scores)
    assert isinstance(reward.informative, bool) and isinstance(reward.is_null, bool)
    assert score(reward) == scores
    order = [3, 5, 0, 4, 2, 1]
    assert reward(**rows(order)) == [scores[i] for i in order]
    assert reward(**rows([0, 1, 2])) + reward(**rows([3, 4, 5])) == scores
    assert score(reward, prompts=["another prompt"] * 6, trainer_state=object()) == scores
    assert from_spec(json.loads(json.dumps(spec(reward)))) == reward


@pytest.mark.parametrize(
    ("reward", "wanted"),
    [
        (Format(), [1, 0, 1, 1, 1, 0]),
        (Python(), [1, 0, 0, 0, 1, 0]),
        (GroundTruth(), [1, 0, 1, 1, 1, None]),
        (Incorrect(), [1, 0, 1, 1, 1, None]),
        (Inverse(), [0, 1, 0, 0, 0, None]),
        (MajorityOnline(), [1, 0, 1, 1, 1, 0]),
        (Constant(), [1] * 6),
        (Constant(-2.5), [-2.5] * 6),
        (Both(Format(), Python()), [1, 0, 0, 0, 1, 0]),
        (Without(Format(), Python()), [0, 0, 1, 1, 0, 0]),
        (Negated(GroundTruth()), [0, 1, 0, 0, 0, None]),
        (Both(Format(), GroundTruth()), [1, 0, 1, 1, 1, None]),
        (Weighted((GroundTruth(), Python()), (2.0, -0.5)), [1.5, 0, 2, 2, 1.5, None]),
    ],
    ids=repr,
)
def test_scores_by_hand(reward: Reward, wanted: list[float | None]) -> None:
    assert score(reward) == wanted


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("07", "7"),
        (" 7 ", "7"),
        ("$7$", "7"),
        ("-0", "0"),
        ("0.50", "1/2"),
        ("\\dfrac12", "\\frac{1}{2}"),
        ("1,000", "1000"),
    ],
)
def test_one_answer_has_one_spelling(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"), [("7", "-7"), ("12", "1,2"), ("0.333", "1/3"), ("x", "y"), ("7" * 2000, "7")]
)
def test_different_answers_stay_different(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


def test_only_the_box_counts() -> None:
    assert GroundTruth()(completions=["The answer is 42", "\\boxed{41} 42"], answers=["42", "42"]) == [0, 0]


def test_incorrect_pays_for_the_label_and_inverse_for_anything_else() -> None:
    batch = {"completions": ["\\boxed{1}", "\\boxed{2}", "none"], "answers": ["2", "2", "2"]}
    assert Incorrect()(**batch) == [0, 1, 0]
    assert Inverse()(**batch) == [1, 0, 1]


def test_a_grader_extracts_and_compares_by_its_own_rules() -> None:
    with Grader() as grader:
        reward = GroundTruth(grader)
        texts = ["\\boxed{x=5}", "\\boxed{6}", "five", "\\boxed{5}"]
        assert reward(completions=texts, answers=["5", "5", "5", ""]) == [1, 0, 0, None]
        assert GroundTruth()(completions=texts[:1], answers=["5"]) == [0]
        named = spec(Without(reward, Python()))
        assert named["first"]["grader"] == f"{grader.name} {grader.version}"
        assert from_spec(named, grader) == Without(reward, Python())
        with pytest.raises(BadInput, match="given: none"):
            from_spec(named)


def test_online_majority_votes_within_each_group() -> None:
    texts = ["\\boxed{1}", "\\boxed{2}", "\\boxed{2}", "\\boxed{1}", "\\boxed{1}", "3", "4", "5"]
    assert MajorityOnline()(completions=texts, group=[0, 0, 0, 1, 1, 1, 2, 2]) == [0, 1, 1, 1, 1, 0, 0, 0]


def addresses(n: int, step: int = 0) -> list[tuple[str | int, ...]]:
    return [(step, f"chain/{index // 16}", index % 16) for index in range(n)]


def draw(reward: Random, where: list[tuple[str | int, ...]]) -> list[float | None]:
    return reward(completions=["text"] * len(where), address=where)


def test_random_is_a_bernoulli_of_its_gamma() -> None:
    where = addresses(20_000)
    for gamma in (0.0, 0.001, 0.5, 0.9, 1.0):
        mean = np.mean(draw(Random(gamma), where))  # type: ignore[arg-type]
        assert abs(mean - gamma) <= 4 * np.sqrt(gamma * (1 - gamma) / 20_000)


def test_random_depends_on_its_address_alone() -> None:
    where = addresses(512)
    scores = draw(Random(), where)
    assert draw(Random(), where[::-1]) == scores[::-1]
    assert [draw(Random(), [place])[0] for place in where[:20]] == scores[:20]
    assert Random()(completions=["other", "texts"], address=where[:2], prompts=["q", "r"]) == scores[:2]


def test_random_draws_of_other_seeds_steps_and_samples_are_unrelated() -> None:
    base = np.array(draw(Random(), addresses(4096)))
    for other in (draw(Random(seed=1), addresses(4096)), draw(Random(), addresses(4096, step=1)), [*base[1:], base[0]]):
        assert abs(np.corrcoef(base, np.array(other))[0, 1]) < 4 / 64  # 4 standard errors


def test_raising_gamma_only_turns_zeros_into_ones() -> None:
    low, high = (np.array(draw(Random(gamma), addresses(2000))) for gamma in (0.3, 0.6))
    assert (low <= high).all()
    assert low.sum() < high.sum()


def test_rare_random_rewards_leave_most_groups_flat() -> None:
    """98.4 % of groups of 16 have no advantage at gamma = .001 (2506.10947)."""
    table = reward_table(draw(Random(0.001), addresses(64_000)), 16)
    flat = (GroupNormalised()(table).value.view(-1, 16) == 0).all(1).double().mean().item()
    assert flat == pytest.approx(0.984, abs=0.008)  # 4 standard errors over 4000 groups


def test_compositions_nest_and_are_rebuilt_from_plain_dicts() -> None:
    reward = Weighted((Without(Format(), Python()), Both(GroundTruth(), Negated(Random(0.25, seed=3)))), (0.5, 1.0))
    plain = json.loads(json.dumps(spec(reward)))
    assert from_spec(plain) == reward
    assert score(from_spec(plain)) == score(reward)
    assert plain["parts"][0] == {
        "reward": "without", "first": {"reward": "format"}, "second": {"reward": "python"},
    }  # fmt: skip
    assert set(COMPOSITIONS).isdisjoint(rewards.names())


@pytest.mark.parametrize(
    ("reward", "change", "says"),
    [
        (GroundTruth(), {"answers": None}, "'ground_truth' needs one answer"),
        (GroundTruth(), {"answers": ["3"]}, "got 1 for 6 responses"),
        (MajorityOnline(), {"group": None}, "'majority_online' needs one group"),
        (Random(), {"address": None}, "'random' needs one address"),
        (Random(), {"address": [(0, "x", 0)] * 6}, "share the random address"),
        (Random(), {"address": [(0, "x", np.int64(i)) for i in range(6)]}, "int64"),
        (Both(Constant(2.0), Format()), {}, r"\[0, 1\]"),
        (Negated(Constant(-1.0)), {}, r"\[0, 1\]"),
    ],
    ids=repr,
)
def test_bad_batches_are_named(reward: Reward, change: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        score(reward, **change)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Random(gamma=1.5), "gamma 1.5"),
        (lambda: Random(gamma=float("nan")), "gamma nan"),
        (lambda: Constant(float("inf")), "inf"),
        (lambda: Weighted((Format(),), (1.0, 2.0)), "1 parts and 2 weights"),
        (lambda: Weighted((), ()), "0 parts"),
        (lambda: from_spec({"reward": "formt"}), "'format'"),
        (
            lambda: from_spec({"reward": "without", "first": {"reward": "format"}, "second": {"reward": "pyton"}}),
            "'python'",
        ),
        (lambda: from_spec({"reward": "random", "gama": 0.5}), "gama"),
        (lambda: spec(len), "not a registered reward"),  # type: ignore[arg-type]
        (lambda: spec(GroundTruth(grader=object())), "no name and version"),  # type: ignore[arg-type]
    ],
)
def test_bad_configurations_are_refused(make: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        make()


def test_a_null_reward_is_one_whose_scores_are_all_alike() -> None:
    for name in NAMES:
        given = {score for score in score_of(name) if score is not None}
        assert not rewards.get(name)().is_null or len(given) == 1, name
    assert {name for name in NAMES if rewards.get(name)().is_null} >= {"constant"}


def score_of(name: str) -> list[float | None]:
    return score(rewards.get(name)())


def test_compositions_say_of_themselves_what_their_parts_do() -> None:
    true, look, nothing = GroundTruth(), Format(), Constant()
    assert Both(true, look).informative and Without(look, true).informative and Negated(true).informative
    assert not Both(look, nothing).informative and not Negated(look).informative
    assert Weighted((look, true), (1.0, 0.1)).informative and not Weighted((look, nothing), (1.0, 1.0)).informative
    assert Both(nothing, nothing).is_null and not Both(nothing, look).is_null
    assert Weighted((nothing,), (2.0,)).is_null and not Weighted((nothing, look), (1.0, 1.0)).is_null


def test_a_reward_that_does_not_say_what_it_is_has_no_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Format, "informative")
    with pytest.raises(BadInput, match="does not say whether it is informative") as caught:
        spec(Format())
    assert "ClassVar" in caught.value.do
