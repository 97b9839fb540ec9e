"""Label sources: by hand, ties, what is dropped and why, and bad input."""

import json
from typing import Any

import pytest

from probe.errors import BadInput
from probe.rewards.majority_online import vote
from probe.rl.labels import SOURCES, Gold, OfflineMajority, OneShot, WrongMajority, from_spec, spec
from probe.tasks.grading import Grader

GOLD = {"a": "3", "b": "5", "c": "1", "d": "2"}
ANSWERS: dict[str, list[str | None]] = {
    "a": ["3", "3", "4", None],
    "b": ["6", "5", "6", "6"],
    "c": [None, None, None, None],
    "d": ["0", None, None, None],
}


def test_gold_labels_everything() -> None:
    labels = Gold()({}, GOLD)
    assert labels.label == GOLD
    assert labels.kept == ("a", "b", "c", "d")
    assert labels.dropped == {}


def test_majority_of_the_initial_model() -> None:
    labels = OfflineMajority()(ANSWERS, GOLD)
    assert labels.label == {"a": "3", "b": "6", "d": "0"}
    assert labels.kept == ("a", "b", "d")
    assert labels.dropped == {"c": "no parsed answer"}


def test_wrong_majority_keeps_only_problems_the_model_gets_wrong() -> None:
    labels = WrongMajority()(ANSWERS, GOLD)
    assert labels.label == {"b": "6", "d": "0"}
    assert labels.kept == ("b", "d")
    assert labels.dropped == {"a": "the majority is right", "c": "no parsed answer"}
    assert labels.dropped_counts() == {"the majority is right": 1, "no parsed answer": 1}
    assert all(labels.label[name] != GOLD[name] for name in labels.kept)


def test_no_right_answer_hides_behind_its_spelling() -> None:
    """H5 (2603.16140): a "wrong" label that is right in another spelling would teach the truth."""
    answers = {"half": ["0.5", "\\frac{1}{2}", "3"], "seven": ["07", "7", "8"], "bad": ["9"]}
    labels = WrongMajority()(answers, {"half": "0.50", "seven": "007", "bad": "1"})
    assert labels.kept == ("bad",)


def test_a_grader_decides_what_wrong_means() -> None:
    with Grader() as grader:
        answers = {"x": ["x=5"], "blank": ["3"], "bad": ["9"]}
        labels = WrongMajority(grader)(answers, {"x": "5", "blank": "", "bad": "1"})
        assert labels.kept == ("bad",)
        assert labels.dropped == {"x": "the majority is right", "blank": "the majority is gold_unparsed"}
        named = spec(WrongMajority(grader))
        assert named["grader"] == f"{grader.name} {grader.version}"
        assert from_spec(named, grader) == WrongMajority(grader)
        with pytest.raises(BadInput, match="given: none"):
            from_spec(named)


def test_one_shot_duplicates_one_problem() -> None:
    labels = OneShot("b", copies=3)(ANSWERS, GOLD)
    assert labels.label == {"b": "5"}
    assert labels.kept == ("b", "b", "b")
    assert sorted(labels.dropped) == ["a", "c", "d"]


def test_a_vote_counts_answers_not_spellings() -> None:
    assert vote(["7", "07", "8", "8", "$7$"], "p") == "7"
    assert vote([None, None], "p") is None
    assert vote([], "p") is None


def test_ties_do_not_depend_on_order_and_favour_no_answer() -> None:
    for name in ("p", "q"):
        assert vote(["1", "2", "2", "1"], name) == vote(["2", "1", "1", "2"], name)
    winners = [vote(["1", "2"], f"problem {index}") for index in range(400)]
    assert 150 < winners.count("1") < 250  # 5 standard deviations about 200


def test_order_of_problems_and_answers_does_not_matter() -> None:
    turned = {name: answers[::-1] for name, answers in reversed(ANSWERS.items())}
    assert WrongMajority()(turned, GOLD) == WrongMajority()(ANSWERS, GOLD)


@pytest.mark.parametrize("source", [Gold(), OfflineMajority(), WrongMajority(), OneShot("b", 8)], ids=repr)
def test_specs_come_back(source: Any) -> None:
    assert from_spec(json.loads(json.dumps(spec(source)))) == source
    assert type(source) in SOURCES.values()


def test_nothing_left_to_train_on_is_an_error() -> None:
    with pytest.raises(BadInput, match="the majority is right"):
        WrongMajority()({"a": ["3"]}, {"a": "3"})
    with pytest.raises(BadInput, match="no parsed answer"):
        OfflineMajority()({"a": [None]}, {"a": "3"})
    with pytest.raises(BadInput, match="none to begin with"):
        Gold()({}, {})


def test_bad_input_is_named() -> None:
    with pytest.raises(BadInput, match=r"2 problems have no rollouts.*'c', 'd'"):
        OfflineMajority()({"a": ["1"], "b": ["2"]}, GOLD)
    with pytest.raises(BadInput, match="'z'"):
        OneShot("z")({}, GOLD)
    with pytest.raises(BadInput, match="0 copies"):
        OneShot("a", copies=0)({}, GOLD)
    with pytest.raises(BadInput, match="wrong_majority"):
        from_spec({"labels": "wrong_majorty"})
    with pytest.raises(BadInput, match="gamma"):
        from_spec({"labels": "gold", "gamma": 1})
