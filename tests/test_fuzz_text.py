r"""Any text, by hypothesis: extractors, normal forms, detectors and the grader never raise and keep their word."""

import os
import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_linear_text import FRAGMENTS

from probe.data import Outcome, Strategy
from probe.strategy import detect, mentions_python
from probe.tasks import answers, normalise
from probe.tasks.chain import Chain, check_trace
from probe.tasks.extractors import ONE_RULE
from probe.tasks.gold import gold_answer, marked_answer
from probe.tasks.grading import Grader, cheap, is_readable
from probe.tasks.reading import units, words
from probe.tasks.reading.groups import group
from probe.tasks.reading.numerals import number
from probe.tasks.reading.regions import region
from probe.tasks.validity import check_text

EXAMPLES = int(os.environ.get("PROBE_FUZZ_EXAMPLES", "150"))
SEPARATORS = re.compile(r"[,{}\\!\s]")
bounded = settings(
    max_examples=EXAMPLES,
    derandomize="PROBE_FUZZ_EXAMPLES" not in os.environ,  # more of them are new ones
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
PIECES = (
    st.sampled_from(FRAGMENTS) | st.text(max_size=6) | st.from_regex(r"-?[0-9]{1,6}(\.[0-9]{1,3})?", fullmatch=True)
)
TEXTS = st.lists(PIECES, max_size=25).map("".join)
ANSWERS = st.lists(PIECES, min_size=1, max_size=6).map("".join)


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as made:
        yield made


@bounded
@given(TEXTS)
def test_what_an_extractor_gives_stands_in_the_text(text: str) -> None:
    for name, rule in ONE_RULE.items():
        answer = rule(text)
        assert answer is None or answer.strip(), name
        plain = SEPARATORS.sub("", text)
        assert answer is None or answer in text or SEPARATORS.sub("", answer.lstrip("-")) in plain, name
    assert (marked := marked_answer(text)) is None or marked in text
    assert gold_answer(text) in text


@bounded
@given(TEXTS, TEXTS)
def test_a_box_that_is_added_is_the_answer(text: str, more: str) -> None:
    assert answers.boxed(text + " \\boxed{17}") == "17"
    assert answers.has_box(text + " \\boxed{17}" + more)
    assert (answers.boxed(text) is None) != answers.has_box(text)
    assert (answers.boxed(text) is None) == (not list(answers.boxes(text)))  # the short way and the long way agree


@bounded
@given(ANSWERS)
def test_a_normal_form_is_text_that_every_reader_takes(answer: str) -> None:
    form = normalise.normalise(answer)
    left, right = normalise.sides(form)
    assert left in form and right in form
    assert (found := group(form)) is None or found.kind in ("set", "()", "[]", "(]", "[)")
    assert (part := region(form)) is None or part[0]
    assert (value := number(form)) is None or value.places >= 0
    assert (based := normalise.base(form)) is None or 2 <= based[1] <= 36
    body, unit = units.split(normalise.spelled(answer))
    assert body in normalise.spelled(answer)
    assert unit is None or unit.factor > 0
    assert words.word(answer) == words.word(answer).lower()
    assert words.choice(answer) in (None, *"ABCDEFGHIJ")
    assert (time := words.clock(answer)) is None or 0 <= time[0] < 12 * 60
    assert isinstance(words.is_nothing(answer), bool)


@bounded
@given(ANSWERS, ANSWERS)
def test_the_cheap_tiers_take_any_pair(prediction: str, gold: str) -> None:
    verdict = cheap(prediction, gold)
    assert verdict is None or verdict[0] in Outcome
    same = cheap(gold, gold)
    if is_readable(gold) and same is not None:
        assert same[0] in (Outcome.right, Outcome.unparsed)
    assert is_readable(gold) or (verdict is not None and verdict[0] is Outcome.gold_unparsed)


@settings(bounded, max_examples=EXAMPLES // 4)
@given(TEXTS, ANSWERS)
def test_the_grader_gives_every_text_an_outcome(grader: Grader, text: str, gold: str) -> None:
    grade = grader.grade(text, gold)
    assert grade.outcome in Outcome
    assert (grade.prediction is None) == (answers.boxed(answers.own_turn(text)) is None)


@bounded
@given(TEXTS)
def test_the_detector_takes_any_text(text: str) -> None:
    evidence = detect(text)
    assert (evidence.label is Strategy.code) == (evidence.grade == 3)
    assert not (mentions_python(text) and evidence.grade == 0)
    assert evidence.where is None or 0 <= evidence.where[0] < evidence.where[1] <= len(text)


@bounded
@given(TEXTS)
def test_the_checkers_of_traces_take_any_text(text: str) -> None:
    found = check_text(text)
    assert found.true + len(found.false) == found.checked
    check = check_trace(Chain("B", 3, (("+", 5), ("*", 2))), text)
    assert 0 <= check.true <= check.shown <= 2


def test_a_trace_of_numbers_that_are_too_long_is_checked() -> None:
    long = "9" * 5000  # more digits than Python turns into a number
    check = check_trace(Chain("B", 3, (("+", 5), ("*", 2))), f"x={long}\nx=x+{long}#{long}\nx=x*2#2")
    assert (check.shown, check.true, check.faithful) == (2, 1, False)
