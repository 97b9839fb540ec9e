"""Problem files as they come: columns that are said, answers in lists, options of multiple choice, rows left out."""

import json
from pathlib import Path
from typing import Any

import pytest

from probe.errors import BadInput
from probe.tasks.benchmarks import problems

Rows = list[dict[str, Any]]


def lines(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_columns_are_said(tmp_path: Path) -> None:
    row = {"problem": "not this", "Task Text": "1 + 1?", "answer": "9", "result": ["2"], "key": 7}
    path = lines(tmp_path / "a.jsonl", [row])
    columns = {"problem": "Task Text", "answer": "result", "id": "key"}
    found = problems(path, columns=columns)
    (one,) = found.problems
    assert (one.prompt, one.answer, one.id) == ("1 + 1?", "2", "a/7")
    assert found.pin != problems(path).pin
    with pytest.raises(BadInput, match="problems have no 'text'"):
        problems(path, columns={"text": "x"})
    with pytest.raises(BadInput, match="there is no answer"):
        problems(path, columns={"answer": "absent"})
    with pytest.raises(BadInput, match="the columns of chain are known"):
        problems("chain", columns=columns)


def test_what_cannot_be_read_is_counted_by_reason(tmp_path: Path) -> None:
    golds: list[Any] = ["1", ["2"], ["3", "4"], ["5", "6"], "", None, [], " "]
    path = lines(tmp_path / "a.jsonl", [{"problem": f"p{i}", "answer": gold} for i, gold in enumerate(golds)])
    with pytest.raises(BadInput, match="there are several answers"):
        problems(path)
    found = problems(path, keep_readable=True)
    assert [one.answer for one in found.problems] == ["1", "2"]
    assert dict(found.left_out) == {"there are several answers": 2, "there is no answer": 4}
    with pytest.raises(BadInput, match="there are no problems in it: there is no answer"):
        problems(lines(tmp_path / "b.jsonl", [{"problem": "p", "answer": ""}]), keep_readable=True)


ARC = {"text": ["red", "blue", "green"], "label": ["1", "2", "3"]}
CHOICES: list[tuple[dict[str, Any], str]] = [
    ({"choices": ["red", "blue", "green"], "answer": 1}, "B"),
    ({"choices": ["red", "blue", "green"], "answer": "c"}, "C"),
    ({"options": ["red", "blue", "green"], "answer": "(B)"}, "B"),
    ({"options": {"A": "red", "B": "blue", "C": "green"}, "answer": "blue"}, "B"),
    ({"choices": ARC, "answerKey": "3"}, "C"),
    ({"choices": ["2", "0", "1"], "answer": "1"}, "C"),  # an option before a place
    ({"A": "red", "B": "blue", "C": "green", "D": "black", "answer": "D"}, "D"),
]


@pytest.mark.parametrize(("row", "letter"), CHOICES)
def test_multiple_choice_is_asked_with_its_options(row: dict[str, Any], letter: str, tmp_path: Path) -> None:
    (one,) = problems(lines(tmp_path / "a.jsonl", [{"question": "Which?"} | row])).problems
    assert one.answer == letter
    asked = one.prompt.splitlines()
    assert asked[0] == "Which?" and asked[1].startswith("(A) ") and asked[3].startswith("(C) ")


@pytest.mark.parametrize("answer", ["purple", 3, "Z", None, True])
def test_an_answer_that_is_no_option_is_refused(answer: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="none of the options|there is no answer"):
        problems(lines(tmp_path / "a.jsonl", [{"question": "q", "choices": ["x", "y", "z"], "answer": answer}]))
