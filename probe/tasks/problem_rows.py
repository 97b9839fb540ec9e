"""What does a row of a problem file ask, and what is its answer? Known columns, or those that are said.

An answer may be a text, a number, or a list of one; a whole solution gives the one it ends in. Several answers, or
none, are refused: which one would be graded against? A multiple-choice question is asked with its options, and its
answer is a letter:

    choices (or options): a list, {label: [...], text: [...]}, {A: ..., B: ...}, or columns A B C D
    answer: the letter, the place from 0, or the text of an option
"""

from collections.abc import Mapping
from typing import Any

from probe.errors import BadInput
from probe.tasks.gold import gold_answer

PROMPTS = ("problem", "question", "prompt", "query", "instruction")
ANSWERS = (
    *("answer", "final_answer", "gold", "gold_answer", "ground_truth", "gt", "target", "expected_answer", "solution"),
    *("answerkey", "answer_key", "label"),
)
IDS = ("unique_id", "problem_id", "question_id", "id", "idx")
OPTIONS = ("choices", "options")
FIELDS = {"problem": PROMPTS, "answer": ANSWERS, "id": IDS, "choices": OPTIONS}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def asked_and_answer(row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> tuple[str, str]:
    """The question and its answer. BadInput where one of them is missing, or there are several answers."""
    options = _options(row, columns)
    prompt = _said(_value(row, "problem", columns), "problem", row, where)
    answer = _value(row, "answer", columns)
    if isinstance(answer, list):
        if len(answer) > 1:
            raise BadInput("there are several answers", where=where, do="leave one of them, or leave the row out")
        answer = answer[0] if answer else None
    if not options:
        return prompt, gold_answer(_said(answer, "answer", row, where))
    listed = "\n".join(f"({letter}) {option}" for letter, option in zip(LETTERS, options.values(), strict=False))
    return f"{prompt}\n{listed}", _letter(answer, options, where)


def given_id(row: Mapping[str, Any], columns: Mapping[str, str]) -> str | int | None:
    """The id that a row states."""
    value = _value(row, "id", columns)
    return value if isinstance(value, str | int) and value != "" else None


def _value(row: Mapping[str, Any], field: str, columns: Mapping[str, str]) -> Any:
    names = (columns[field].strip().lower().replace(" ", "_"),) if field in columns else FIELDS[field]
    if field == "id":
        return next((row[name] for name in names if isinstance(row.get(name), str | int) and row[name] != ""), None)
    return next((row[name] for name in names if row.get(name) is not None), None)


def _options(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, str]:
    """The options by the label they have in the file; none where it is no such question."""
    found = _value(row, "choices", columns)
    if found is None and all(isinstance(row.get(letter), str) for letter in "abcd"):
        found = {letter.upper(): row[letter] for letter in "abcdefgh" if isinstance(row.get(letter), str)}
    if isinstance(found, Mapping) and isinstance(found.get("text"), list) and isinstance(found.get("label"), list):
        found = dict(zip(map(str, found["label"]), found["text"], strict=False))
    if isinstance(found, list):
        found = dict(zip(LETTERS, found, strict=False))
    if not isinstance(found, Mapping) or len(found) < 2:
        return {}
    return {str(label): str(option) for label, option in found.items() if option is not None}


def _letter(answer: Any, options: Mapping[str, str], where: str) -> str:
    labels, texts = list(options), list(options.values())
    said = str(answer).strip().strip("()").rstrip(".")
    if said in labels:
        return LETTERS[labels.index(said)]
    if said.upper() in labels:
        return LETTERS[labels.index(said.upper())]
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(labels):
        return LETTERS[answer]
    if said.isdecimal() and len(said) < 3 and int(said) < len(labels) and str(answer).strip() not in texts:
        return LETTERS[int(said)]
    if texts.count(str(answer).strip()) == 1:
        return LETTERS[texts.index(str(answer).strip())]
    raise BadInput("the answer is none of the options", where=where, do=f"give a letter of {labels}, or a place from 0")


def _said(value: Any, what: str, row: Mapping[str, Any], where: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, float):
        value = str(int(value)) if value.is_integer() else str(value)  # 204.0 is 204; NaN stays what it is, and fails
        value = "" if value in ("nan", "inf", "-inf") else value
    if not isinstance(value, str) or not value.strip():
        do = f"every row needs a text in one of the columns {FIELDS[what]}; this one has {sorted(row)[:20]}"
        raise BadInput(f"there is no {what}", where=where, do=do)
    return value.strip()
