r"""Real problems and real graded outputs, read from the files their authors published.

    read_math500        MATH-500 (problem, answer, unique_id)
    read_rlcr           Qwen2.5-7B before and after RLVR and RLCR on MATH-500, paired (2507.16806; damanimehul/RLCR)
    read_gsm8k_graded   four systems on GSM8K with correctness labels (2110.14168; openai/grade-school-math)
    read_tora           tool-integrated GSM8K outputs, all of them Python (2309.17452; microsoft/ToRA)

The last three give `Outputs`: problems, and for each system one response a problem in the same order. Labels and
confidences are the authors' own and are never recomputed here. Everything is public: a model may have seen it.
Left out: the authors' other columns (lengths, format adherence, classifier outputs), and any download.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from probe.data import Problem
from probe.errors import BadInput

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
    rows = [_fields(row, where, problem=str, answer=str, unique_id=str) for where, row in _jsonl(file)]
    return [Problem(r["unique_id"], r["problem"], r["answer"], "math500", "public") for r in rows]


def read_rlcr(path: str | Path) -> Outputs:
    """The paired outputs in the folder of a saved Hugging Face dataset; every system with outputs and evals in it.

    Reads the Arrow stream itself. A file that is cut off is refused, also where it is cut between two batches.
    """
    folder = _folder(path)
    files = sorted(folder.glob("data-*.arrow"))
    if not files:
        raise BadInput("no data-*.arrow in this folder", where=str(folder), do="give the folder of the saved dataset")
    table = pa.concat_tables([_arrow(file) for file in files])
    _check_rows(folder, table.num_rows)
    columns = _columns(table, ("problem", "answer", "unique_id"), str, folder)
    names = [match.group(1) for name in table.column_names if (match := re.fullmatch(r"(.+)-output_0", name))]
    if not names:
        raise BadInput(f"no system's outputs among the columns {table.column_names}", where=str(folder))
    triples = zip(columns["unique_id"], columns["problem"], columns["answer"], strict=True)
    problems = tuple(Problem(id_, text, answer, "math500", "public") for id_, text, answer in triples)
    return Outputs(problems, {name: _rlcr_system(table, name, folder) for name in names})


def read_gsm8k_graded(path: str | Path) -> Outputs:
    """The four graded systems of GSM8K's `example_model_solutions.jsonl` (or its folder)."""
    file = _file(path, "example_model_solutions.jsonl")
    wanted: dict[str, type] = {"question": str, "ground_truth": str} | dict.fromkeys(GSM8K_SYSTEMS, dict)
    rows = [(where, _fields(row, where, **wanted)) for where, row in _jsonl(file)]
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
    rows = [(w, _fields(row, w, idx=int, question=str, gt=str, code=list)) for w, row in _jsonl(file)]
    for where, row in rows:
        if len(row["code"]) != 1 or not isinstance(row["code"][0], str):
            raise BadInput("`code` must hold one response", where=where)
    problems = tuple(Problem(f"gsm8k/test/{r['idx']}", r["question"], r["gt"], "gsm8k", "public") for _, r in rows)
    return Outputs(problems, {file.stem: Responses(file.stem, tuple(r["code"][0] for _, r in rows))})


def _rlcr_system(table: pa.Table, name: str, folder: Path) -> Responses:
    texts = _columns(table, (f"{name}-output_0",), str, folder)[f"{name}-output_0"]
    evals = _columns(table, (f"{name}-evals",), list, folder)[f"{name}-evals"]
    column = f"{name}-confidence_levels"
    stated = _columns(table, (column,), list, folder)[column] if column in table.column_names else None
    for kind, lists in (("evals", evals), ("confidence_levels", stated or [])):
        if any(len(values) != 1 or values[0] is None for values in lists):
            raise BadInput(f"{name}-{kind} must hold one value a row", where=str(folder))
    confidence = tuple(float(values[0]) for values in stated) if stated else None
    return Responses(name, tuple(texts), tuple(values[0] == 1 for values in evals), confidence)


def _arrow(file: Path) -> pa.Table:
    try:
        with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as reader:
            return reader.read_all()
    except (pa.ArrowInvalid, OSError) as err:
        raise BadInput(f"not a whole Arrow stream: {err}", where=str(file), do="fetch the file again") from err


def _check_rows(folder: Path, found: int) -> None:
    """A stream cut between batches reads without an error: hold it against the row count beside it."""
    info = folder / "dataset_info.json"
    if not info.is_file():
        return
    splits = _json(info.read_text(encoding="utf-8"), str(info)).get("splits") or {}
    expected = [split.get("num_examples") for split in splits.values()]
    if len(expected) == 1 and expected[0] != found:
        raise BadInput(f"{found} rows, but {info.name} counts {expected[0]}", where=str(folder), do="fetch it again")


def _columns(table: pa.Table, names: tuple[str, ...], kind: type, where: Path) -> dict[str, list[Any]]:
    found = {}
    for name in names:
        if name not in table.column_names:
            raise BadInput(f"no column {name!r}", where=str(where), do=f"it has {table.column_names}")
        found[name] = table.column(name).to_pylist()
        if not all(isinstance(value, kind) for value in found[name]):
            raise BadInput(f"column {name!r} must hold {kind.__name__} in every row", where=str(where))
    return found


def _jsonl(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """("file:line", object) for every line that is not blank."""
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{file}:{number}", _json(line, f"{file}:{number}")
    except UnicodeDecodeError as err:
        raise BadInput(f"not UTF-8 text: {err}", where=str(file)) from err


def _json(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as err:
        raise BadInput(f"not JSON: {err}", where=where, do="the file may be cut off: fetch it again") from err
    if not isinstance(value, dict):
        raise BadInput(f"a JSON object is needed, not {type(value).__name__}", where=where)
    return value


def _fields(row: Mapping[str, Any], where: str, **kinds: type) -> Mapping[str, Any]:
    """The row, once it has every field with its type."""
    for name, kind in kinds.items():
        if not isinstance(row.get(name), kind):
            has = f"is {type(row[name]).__name__}" if name in row else "is missing"
            raise BadInput(f"field {name!r} {has}, {kind.__name__} is needed", where=where)
    return row


def _after_mark(solution: str, where: str) -> str:
    """The gold answer after GSM8K's last `A:` or `####`."""
    match = re.search(r"(?:\A|\n)\s*(?:A:|####)\s*([^\n]+?)\s*\Z", solution)
    if match is None:
        raise BadInput("the solution does not end with `A: answer` or `#### answer`", where=where)
    return match.group(1)


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
