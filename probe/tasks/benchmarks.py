"""Which problems is a model asked? Public benchmarks, files of one's own, and sets that are made here.

    problems("math500")                a file below $PROBE_DATA (math500/test.jsonl, math500.parquet, ...), else the hub
    problems("my/problems.csv")        any format of `probe.tasks.rows`
    problems("random-calculation")     generated: no model has seen them

The columns of the well-known sets are recognised, or said (`probe.tasks.problem_rows`). Every
problem has an answer and an id of its own; a problem that occurs twice with one answer is dropped and counted, with two
answers it is refused. `pin` says exactly what was read: "file:<sha256>", "hub:<id>@<commit>", "generated:<parameters>".

`leak` says whether a model can have seen the problems: "public" before the models studied here were trained, "dated
after" the date that is given, "synthetic" as they are new. A file of one's own counts as public. Adding a benchmark is
one line of BENCHMARKS. Hub revisions are not chosen ahead: the commit that was found is in the pin.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from probe.data import Leak, Problem
from probe.errors import BadInput
from probe.grammar import GRAMMARS, Grammar
from probe.registry import nearest
from probe.store import file_digest
from probe.tasks.chain import chain_problems
from probe.tasks.problem_rows import FIELDS, asked_and_answer, given_id
from probe.tasks.random_calculation import LEVELS, random_calculations
from probe.tasks.rows import READERS, read_rows

PER_LEVEL = 20  # random calculations
CHAINS = 256
FOLDER = "PROBE_DATA"


@dataclass(frozen=True)
class Benchmark:
    """Where a public set lies on the hub; `dated`: the day it came out, where models may be older."""

    hub: str
    leak: Leak
    dated: str = ""
    config: str | None = None
    split: str = "test"


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "math500": Benchmark("HuggingFaceH4/MATH-500", "public"),
        "gsm8k": Benchmark("openai/gsm8k", "public", config="main"),
        "amc23": Benchmark("math-ai/amc23", "public"),
        "aime24": Benchmark("math-ai/aime24", "public"),
        "aime25": Benchmark("math-ai/aime25", "dated after", "2025-02-06"),
        "deepscaler": Benchmark("agentica-org/DeepScaleR-Preview-Dataset", "public", split="train"),  # to train on
        "dapo17k": Benchmark("open-r1/DAPO-Math-17k-Processed", "public", config="en", split="train"),
    }
)


@dataclass(frozen=True)
class ProblemSet:
    """Problems, whether they can have been seen, where they were read, and what pins them.

    `dated`: the day they came out, where that matters. `dropped`: how many repeated problems were left out.
    `left_out`: how many rows could not be read, by reason.
    """

    name: str
    problems: tuple[Problem, ...]
    leak: Leak
    source: str
    pin: str
    dated: str = ""
    dropped: int = 0
    left_out: tuple[tuple[str, int], ...] = ()

    def __hash__(self) -> int:
        """By its pin: a plan asks for it at every job, and there are thousands of problems."""
        return hash((self.name, self.pin))


def problems(
    name_or_file: str | Path,
    *,
    limit: int | None = None,
    columns: Mapping[str, str] | None = None,
    keep_readable: bool = False,
) -> ProblemSet:
    """The problems of a benchmark or of a file, or the first `limit` of them. BadInput names what is not there.

    `columns` says where a file has its problem, answer, id or choices; `keep_readable` leaves out rows without, and
    problems that stand there with two answers.
    """
    if limit is not None and limit < 1:
        raise BadInput(f"limit is {limit}", where="problems", do="ask for at least one problem")
    benchmark = _looked_up(str(name_or_file), columns, keep_readable)
    return benchmark if limit is None else replace(benchmark, problems=benchmark.problems[:limit])


def names() -> tuple[str, ...]:
    """Every set that has a name."""
    return (*BENCHMARKS, *_GENERATED)


def _looked_up(name: str, columns: Mapping[str, str] | None, keep_readable: bool) -> ProblemSet:
    if columns and (name in _GENERATED or name in BENCHMARKS):
        raise BadInput(f"the columns of {name} are known", where="--columns", do="map those of a file of your own")
    if name in _GENERATED:
        return _GENERATED[name]()
    path = Path(name)
    if name in BENCHMARKS:
        local, known = _local(name), BENCHMARKS[name]
        if local is None:
            return _of_hub(name, known, keep_readable)
        return _of_file(name, local, known, keep_readable=keep_readable)
    if not path.exists():
        do = f"{nearest(name, sorted(names()))}, or the path of a file {READERS}"
        raise BadInput(f"there are no problems called {name!r}", where="--problems", do=do)
    return _of_file(path.stem, path, None, columns, keep_readable)


def _random_calculation() -> ProblemSet:
    name, drawn = "random-calculation", random_calculations(PER_LEVEL)
    pin = f"generated:{name} 1 per_level={PER_LEVEL} levels={LEVELS[0]}-{LEVELS[-1]} seed=0"
    return ProblemSet(name, tuple(drawn), "synthetic", "generated", pin)


def _chains(grammar: Grammar) -> ProblemSet:
    pin = f"generated:{grammar.name} 1 n={CHAINS} split=test seed=0 modulus={grammar.modulus}"
    return ProblemSet(grammar.name, tuple(chain_problems(CHAINS, "test", 0, grammar)), "synthetic", "generated", pin)


_GENERATED = {"random-calculation": _random_calculation} | {
    name: partial(_chains, grammar) for name, grammar in GRAMMARS.items()
}


def _local(name: str) -> Path | None:
    """The file of a benchmark below $PROBE_DATA: NAME.jsonl, NAME/test.jsonl or the only file there; None without."""
    root = os.environ.get(FOLDER)
    if not root:
        return None
    folder = Path(root) / name
    beside = [file for suffix in READERS if (file := Path(root) / f"{name}{suffix}").is_file()]
    inside = sorted(file for file in folder.glob("*") if file.suffix in READERS) if folder.is_dir() else []
    if any(file.name.startswith("data-") and file.suffix == ".arrow" for file in inside):
        return folder
    best = [file for file in inside if file.stem in ("test", name)] or inside
    files = [*beside, *best]
    if len(files) > 1:
        what = f"several files could be {name}: {[file.name for file in files]}"
        raise BadInput(what, where=str(folder), do=f"leave one there, or give its path instead of {name}")
    return files[0] if files else None


def _of_file(
    name: str,
    path: Path,
    known: Benchmark | None,
    columns: Mapping[str, str] | None = None,
    keep_readable: bool = False,
) -> ProblemSet:
    columns = columns or {}
    unknown = sorted(set(columns) - set(FIELDS))
    if unknown:
        raise BadInput(f"problems have no {unknown[0]!r}", where="--columns", do=f"map one of {list(FIELDS)}")
    kept, dropped, left_out = _problems(name, read_rows(path), known, str(path), columns, keep_readable)
    files = [path] if path.is_file() else sorted(path.glob("data-*.arrow"))
    digests = [file_digest(file) for file in files]
    pin = digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()
    leak, dated = (known.leak, known.dated) if known else ("public", "")
    mapped = "".join(f" {field}={column}" for field, column in sorted(columns.items()))
    read = f"file:{pin}{mapped}" + (" readable" if left_out else "")
    return ProblemSet(name, kept, leak, f"file {path.name}", read, dated, dropped, tuple(left_out.items()))


def _of_hub(name: str, known: Benchmark, keep_readable: bool) -> ProblemSet:
    import datasets  # half a second, and the network

    where = f"hub {known.hub}"
    try:
        builder = datasets.load_dataset_builder(known.hub, known.config)
        builder.download_and_prepare()
        rows = builder.as_dataset(split=known.split)
    except Exception as err:  # the errors of three libraries and their network clients meet here
        do = (
            f"fetch it once online (hf download {known.hub} --repo-type dataset), or put its {known.split} file at"
            f" ${FOLDER}/{name}/{known.split}.jsonl (or .parquet, .json, .csv), or give the path of a file"
        )
        raise BadInput(f"{name} is not here and cannot be fetched: {err}", where=where, do=do) from err
    told = ((f"{where} row {i}", row) for i, row in enumerate(rows, 1))
    kept, dropped, left_out = _problems(name, told, known, where, keep_readable=keep_readable)
    pin = f"hub:{known.hub}@{builder.hash}" + (" readable" if left_out else "")
    return ProblemSet(name, kept, known.leak, where, pin, known.dated, dropped, tuple(left_out.items()))


def _problems(
    name: str,
    rows: Iterator[tuple[str, dict[str, Any]]],
    known: Benchmark | None,
    where: str,
    columns: Mapping[str, str] = MappingProxyType({}),
    keep_readable: bool = False,
) -> tuple[tuple[Problem, ...], int, Counter[str]]:
    """The problems of the rows, each once; how many were repeated; how many cannot be read, by reason."""
    kept: dict[str, Problem] = {}
    ids, torn = set[str](), set[str]()  # ids; problems that stand there with two answers
    dropped, left_out = 0, Counter[str]()
    for place, (at, row) in enumerate(rows):
        try:
            problem = _problem(name, place, row, known, at, columns)
        except BadInput as err:
            if not keep_readable:
                raise
            left_out[err.what] += 1
            continue
        same = kept.setdefault(problem.prompt, problem)
        if same is not problem:
            if same.answer != problem.answer and not keep_readable:
                do = "drop one of them, or leave both out: --keep-readable"
                raise BadInput(f"the problem of {same.id} again, with another answer", where=at, do=do)
            torn |= {problem.prompt} if same.answer != problem.answer else set()
            dropped += 1
        elif problem.id in ids:
            raise BadInput(f"a second problem has the id {problem.id!r}", where=at, do="give every problem its own id")
        ids.add(problem.id)
    for prompt in torn:
        del kept[prompt]
        left_out["it stands there again, with another answer"] += 1
    if not kept:
        why = f": {next(iter(left_out))}" if left_out else ""
        raise BadInput(f"there are no problems in it{why}", where=where, do="give at least one row that can be read")
    return tuple(kept.values()), dropped, left_out


def _problem(
    name: str, place: int, row: dict[str, Any], known: Benchmark | None, where: str, columns: Mapping[str, str]
) -> Problem:
    row = {str(key).strip().lower().replace(" ", "_"): value for key, value in row.items()}
    prompt, answer = asked_and_answer(row, columns, where)
    given = given_id(row, columns)
    own = f"{name}/{known.split}/{place}" if known else f"{name}/{place}"
    id_ = own if given is None else given if isinstance(given, str) and "/" in given else f"{name}/{given}"
    return Problem(id_, prompt, answer, name, known.leak if known else "public")
