r"""The strategy detector against hand labels, its rules one by one, hostile text, and the substring it corrects.

`data/strategy_labels.jsonl` was labelled from the definition before the first detector was run, `data/
strategy_shapes.jsonl` (61 shapes of response, 5 problems each, labelled by shape) before the rules for blocks without a
fence, sub-results and examples were written: code if and only if, before the final answer, there is real Python that
computes something. One label was changed since, with the definition: a block repeated to the length limit is code that
loops (it was prose). The set is the author's own: how a detector does on texts of one's own making is an upper bound.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from probe.data import Strategy
from probe.stats.intervals import wilson
from probe.strategy import Evidence, detect, mentions_python

DATA = Path(__file__).parent / "data"
LABELS = [
    json.loads(line)
    for name in ("strategy_labels.jsonl", "strategy_shapes.jsonl")
    for line in (DATA / name).read_text(encoding="utf-8").strip().split("\n")
]
CODE = "```python\nx = 3 + 4\nprint(x)\n```\n"


def test_the_labelled_set_is_large_and_two_sided() -> None:
    assert len(LABELS) == len({row["id"] for row in LABELS}) >= 370
    assert 0.3 < sum(row["label"] == "code" for row in LABELS) / len(LABELS) < 0.7


def test_precision_and_recall_on_the_hand_labels(record_property: Callable[[str, object], None]) -> None:
    """Both with the lower end of their Wilson intervals; and no text that runs on into another turn is code."""
    found = {row["id"]: detect(row["text"]).label == "code" for row in LABELS}
    truth = {row["id"]: row["label"] == "code" for row in LABELS}
    hits = sum(found[name] and truth[name] for name in found)
    called, real = sum(found.values()), sum(truth.values())
    precision, recall = wilson(hits, called), wilson(hits, real)
    record_property("strict detector", f"precision {hits}/{called} {precision}, recall {hits}/{real} {recall}")
    assert hits / called >= 0.98, {name for name in found if found[name] and not truth[name]}
    assert hits / real >= 0.97, {name for name in found if truth[name] and not found[name]}
    assert min(precision[0], recall[0]) > 0.95
    assert not [name for name in found if "runon" in name and found[name]]


def test_the_substring_does_worse_on_the_same_labels() -> None:
    wrong = [row["id"] for row in LABELS if mentions_python(row["text"]) != (row["label"] == "code")]
    assert len(wrong) > 0.15 * len(LABELS)


@pytest.mark.parametrize("row", LABELS, ids=lambda row: row["id"])
def test_what_holds_for_every_text(row: dict[str, str]) -> None:
    text = row["text"]
    evidence = detect(text)
    assert (evidence.label == Strategy.code) == (evidence.grade == 3)
    assert not (mentions_python(text) and evidence.grade == 0)
    assert (evidence.where is None) == (evidence.grade == 0)
    if evidence.where is not None:
        start, end = evidence.where
        assert 0 <= start < end <= len(text)
    assert detect(text.replace("\r\n", "\n").replace("\n", "\r\n")).label == evidence.label
    assert detect(text + "<|endoftext|>" + CODE).label == evidence.label
    assert detect("\\boxed{1}\n\n### Problem 2\n" + text).label == Strategy.prose


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("", 0),
        ("plain words", 0),
        ("a python is a snake", 1),
        ("PYTHON", 1),
        ("\\boxed{7}\n" + CODE, 1),
        ("```python\n# only a comment\n```", 1),
        ("```python\nx = (3 +\nprint(x)\n```", 2),
        ("import math\nprint(math.pi)\n", 3),
        ("print(3)\nfor k in range(3):\n", 2),
        (CODE * 3, 3),
        (CODE, 3),
        (CODE * 2, 3),
        ("```\nimport math\n```", 3),
        ("```\nx = 3 * 4\n```", 0),
        ("```\nf(2)\n```", 0),
        ("```\nx = f(2)\n```", 3),
    ],
)
def test_grades(text: str, grade: int) -> None:
    assert detect(text).grade == grade


def test_the_span_is_the_block() -> None:
    text = "Let us compute.\n" + CODE + "\\boxed{7}"
    assert detect(text) == Evidence(Strategy.code, 3, (16, 16 + len(CODE) - 1), "a block of Python before the answer")


def test_a_box_inside_a_block_is_not_the_answer() -> None:
    assert detect("```output\n\\boxed{7}\n```\n" + CODE).label == Strategy.code
    assert detect("```python\nprint(r'\\boxed{7}')\n```\n").label == Strategy.code


def test_an_unclosed_fence_counts_up_to_the_answer_in_whole_lines() -> None:
    assert detect("```python\nx = 1\ny = (2,").label == Strategy.code
    assert detect("```python\nx = 1").label == Strategy.prose  # the line may go on
    assert detect("```python\nThe answer is \\boxed{1}\nx = 1\n").label == Strategy.prose
    assert detect("```python\nThe answer is \\boxed{1}\n" + CODE).label == Strategy.prose


def test_a_loop_is_flagged_beside_the_label() -> None:
    answered = CODE + "\\boxed{7}\n"
    assert detect(answered * 10) == replace(detect(answered), loops=False)  # behind the answer nothing counts
    assert detect(CODE * 10 + "\\boxed{7}").loops
    assert detect(CODE * 10 + "\\boxed{7}").label == Strategy.code
    assert not detect(CODE * 2 + "\\boxed{7}").loops
    assert detect("```python\n" + "x = x + 1\n" * 100 + "```").grade == 2


@pytest.mark.parametrize(
    ("before", "label"),
    [
        ("\\boxed{3}\n", "code"),  # a sub-result: another answer follows
        ("\\boxed{7}\n", "prose"),  # the same answer: the code only checks it
        ("For example \\boxed{42}.\n", "code"),
        ("\\boxed{your answer}\n", "code"),
        ("#### 1. Set up\n", "code"),
        ("The answer is 3 times as much.\n", "code"),
        ("The answer is 7.\n", "prose"),
        ("#### 7\n", "prose"),
        ("\\boxed{3}\n\n## Problem 2:\n", "prose"),
    ],
)
def test_the_text_is_cut_at_the_final_answer(before: str, label: str) -> None:
    assert detect(before + CODE + "\\boxed{7}").label == label


@pytest.mark.parametrize(
    "body", ["let x = 1;\nconsole.log(x)", "x = linspace(0, 1);\ny = sum(x);", "#include <a>\nint main() { }"]
)
def test_other_languages_are_reported_as_such(body: str) -> None:
    assert detect(f"```\n{body}\n```\n\\boxed{{1}}").reason == "other code"
    assert detect(f"```java\n{body}\n```\n\\boxed{{1}}").reason == "other code"


@pytest.mark.parametrize(
    "turn", ["\nHuman: ", "\nUser: ", "\n\nQuestion: ", "<|im_start|>user\n", "<|im_end|>", "</s>"]
)
def test_text_of_another_turn_is_not_the_response(turn: str) -> None:
    assert detect("It is 7." + turn + "use code\n" + CODE).label == Strategy.prose


HOSTILE = {
    "backticks": "`" * 1_000_000,
    "a long tag": "```" + "a" * 1_000_000 + "`",
    "newlines": "\n" * 1_000_000,
    "fences": "``` " * 250_000,
    "blocks": CODE * 30_000,
    "parentheses": "```python\n" + "(" * 1_000_000,
    "closed parentheses": "```python\n" + "(" * 9_000 + ")" * 9_000 + "\n```",
    "minus signs": "```python\n" + "-" * 19_000 + "1\n```",
    "a long sum": "```python\nx = " + "a+" * 9_000 + "a\n```",
    "lambdas": "```python\n" + "lambda:" * 2_500 + "1\n```",
    "calls": "```python\nf" + "(1)" * 6_000 + "\n```",
    "attributes": "```python\na" + ".a" * 9_000 + "\n```",
    "deep indentation": "```python\n" + "".join(" " * k + "if x:\n" for k in range(150)),
    "many digits": "```python\nx = " + "1" * 9_000 + "\n```",
    "null byte": "```python\nx = '\x00'\n```",
    "surrogate": "```python\nx = '\ud800'\n```",
    "open string": '```python\nx = """' + "a\n" * 9_000,
    "open statements": "```python\n" + "x = (\n" * 3_000,
    "boxes": "\\boxed{" * 150_000,
    "a box and spaces": "\\boxed" + " " * 1_000_000,
    "imports": "import a\n" * 100_000,
    "closing brackets": "print(" + ")" * 1_000_000 + "x",
    "spaces": " " * 1_000_000 + "print(",
    "loops": "for a in " * 100_000,
    "answers": "the answer is " * 70_000,
    "turns": "\nHuman" * 150_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_neither_raises_nor_hangs(name: str) -> None:
    evidence = detect(HOSTILE[name])
    assert evidence.grade in range(4)
    assert evidence.label == Strategy.prose or (name == "blocks" and evidence.loops)


def test_a_warning_about_the_models_text_is_not_ours() -> None:
    assert detect("```python\nx = '\\d'\nprint(1 is 1)\n```").label == Strategy.code  # warnings are errors here
