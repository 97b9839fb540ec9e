r"""Real problems and real graded outputs, read from the files their authors published.

    read_math500        MATH-500 (problem, answer, unique_id)
    read_rlcr           Qwen2.5-7B before and after RLVR and RLCR on MATH-500, paired (2507.16806; damanimehul/RLCR)
    read_gsm8k_graded   four systems on GSM8K with correctness labels (2110.14168; openai/grade-school-math)
    read_tora           tool-integrated GSM8K outputs, all of them Python (2309.17452; microsoft/ToRA)

The last three give `Outputs`: problems, and for each system one response a problem in the same order. Labels and
confidences are the authors' own and are never recomputed here. Everything is public: a model may have seen it.
Left out: the authors' other columns (lengths, format adherence, classifier outputs), and any download.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.data import Problem
from probe.errors import BadInput
from probe.tasks.gold import marked_answer
from probe.tasks.rows import read_rows

Rows = list[dict[str, Any]]
_SYSTEM = re.compile(r"(.+)-output_0")
GSM8K_SYSTEMS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


@dataclass(frozen=True)
class Responses:
    """One system's responses, one a problem. `right`: the authors' labels; `confidence`: as stated, in [0, 1]."""

    system: str
    texts: tuple[str, ...]
    right: tuple[bool, ...] | None = None
    confidence: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Outputs:
    """Problems and the responses of every system to them, row for row."""

    problems: tuple[Problem, ...]
    systems: Mapping[str, Responses]


def read_math500(path: str | Path) -> list[Problem]:
    """The problems of MATH-500 from its JSONL file (or the folder of `test.jsonl`)."""
    file = _file(path, "test.jsonl")
    rows = [_fields(row, where, problem=str, answer=str, unique_id=str) for where, row in read_rows(file)]
    return [Problem(r["unique_id"], r["problem"], r["answer"], "math500", "public") for r in rows]


def read_rlcr(path: str | Path) -> Outputs:
    """The paired outputs in the folder of a saved Hugging Face dataset; every system with outputs and evals in it.

    A file that is cut off is refused, also where it is cut between two batches.
    """
    folder = _folder(path)
    rows = [row for _, row in read_rows(folder)]
    columns = _columns(rows, ("problem", "answer", "unique_id"), str, folder)
    names = [match.group(1) for name in rows[0] if (match := _SYSTEM.fullmatch(name))]
    if not names:
        raise BadInput(f"no system's outputs among the columns {list(rows[0])}", where=str(folder))
    triples = zip(columns["unique_id"], columns["problem"], columns["answer"], strict=True)
    problems = tuple(Problem(id_, text, answer, "math500", "public") for id_, text, answer in triples)
    return Outputs(problems, {name: _rlcr_system(rows, name, folder) for name in names})


def read_gsm8k_graded(path: str | Path) -> Outputs:
    """The four graded systems of GSM8K's `example_model_solutions.jsonl` (or its folder)."""
    file = _file(path, "example_model_solutions.jsonl")
    wanted: dict[str, type] = {"question": str, "ground_truth": str} | dict.fromkeys(GSM8K_SYSTEMS, dict)
    rows = [(where, _fields(row, where, **wanted)) for where, row in read_rows(file)]
    problems = tuple(
        Problem(f"gsm8k/test/{i}", r["question"], _after_mark(r["ground_truth"], where), "gsm8k", "public")
        for i, (where, r) in enumerate(rows)
    )
    graded = {s: [_fields(r[s], where, solution=str, is_correct=bool) for where, r in rows] for s in GSM8K_SYSTEMS}
    return Outputs(
        problems,
        {
            system: Responses(system, tuple(g["solution"] for g in got), tuple(g["is_correct"] for g in got))
            for system, got in graded.items()
        },
    )


def read_tora(path: str | Path) -> Outputs:
    """ToRA's outputs on GSM8K from `tora-code-34b.jsonl` (or its folder): one system, named after the file."""
    file = _file(path, "tora-code-34b.jsonl")
    rows = [(w, _fields(row, w, idx=int, question=str, gt=str, code=list)) for w, row in read_rows(file)]
    for where, row in rows:
        if len(row["code"]) != 1 or not isinstance(row["code"][0], str):
            raise BadInput("`code` must hold one response", where=where)
    problems = tuple(Problem(f"gsm8k/test/{r['idx']}", r["question"], r["gt"], "gsm8k", "public") for _, r in rows)
    return Outputs(problems, {file.stem: Responses(file.stem, tuple(r["code"][0] for _, r in rows))})


def _rlcr_system(rows: Rows, name: str, folder: Path) -> Responses:
    texts = _columns(rows, (f"{name}-output_0",), str, folder)[f"{name}-output_0"]
    evals = _columns(rows, (f"{name}-evals",), list, folder)[f"{name}-evals"]
    column = f"{name}-confidence_levels"
    stated = _columns(rows, (column,), list, folder)[column] if column in rows[0] else None
    for kind, lists in (("evals", evals), ("confidence_levels", stated or [])):
        if any(len(values) != 1 or values[0] is None for values in lists):
            raise BadInput(f"{name}-{kind} must hold one value a row", where=str(folder))
    if any(not isinstance(values[0], int | float) for values in stated or ()):
        raise BadInput(f"{column} must hold numbers", where=str(folder))
    confidence = tuple(float(values[0]) for values in stated) if stated else None
    return Responses(name, tuple(texts), tuple(values[0] == 1 for values in evals), confidence)


def _columns(rows: Rows, names: tuple[str, ...], kind: type, where: Path) -> dict[str, list[Any]]:
    columns = {}
    for name in names:
        if not rows or name not in rows[0]:
            do = f"it has {list(rows[0]) if rows else 'no rows'}"
            raise BadInput(f"no column {name!r}", where=str(where), do=do)
        columns[name] = [row[name] for row in rows]
        if not all(isinstance(value, kind) for value in columns[name]):
            raise BadInput(f"column {name!r} must hold {kind.__name__} in every row", where=str(where))
    return columns


def _fields(row: Mapping[str, Any], where: str, **kinds: type) -> Mapping[str, Any]:
    """The row, once it has every field with its type."""
    for name, kind in kinds.items():
        if not isinstance(row.get(name), kind):
            has = f"is {type(row[name]).__name__}" if name in row else "is missing"
            raise BadInput(f"field {name!r} {has}, {kind.__name__} is needed", where=where)
    return row


def _after_mark(solution: str, where: str) -> str:
    answer = marked_answer(solution)
    if not answer:
        raise BadInput("the solution does not end with `A: answer` or `#### answer`", where=where)
    return answer


def _file(path: str | Path, name: str) -> Path:
    file = Path(path)
    file = file / name if file.is_dir() else file
    if not file.is_file():
        raise BadInput("no such file", where=str(file), do=f"give the path of {name} or of its folder")
    return file


def _folder(path: str | Path) -> Path:
    folder = Path(path)
    if not folder.is_dir():
        raise BadInput("no such folder", where=str(folder), do="give the folder of the saved dataset")
    return folder
