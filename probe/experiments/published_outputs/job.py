"""What do real outputs say before and after RL? Published responses -> RESPONSES -> the long measurement table.

    outputs of several systems (a saved Hugging Face dataset, `read_rlcr`), or two files BEFORE AFTER
      -> imported      RESPONSES of every system, graded once         input: file:<sha256>
      -> measurements  every measure of baseline against each system  study "real", kind "rl"

`published` takes the authors' own labels, `probe` our grader on the answer extracted from the text: the two differ (the
published evals of `rlcr_math500` are an exact match after dropping punctuation), so which it was is in the identity.
A file of the second form is JSON lines or parquet with `problem`, `text` and `answer`, and where it has them `sample`,
`confidence`, `temperature`, `stop` and `right` (the authors' label). Nothing here loads torch.
Left out: outputs of more than one step. Other column names: `probe import-rollouts`.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from probe.data import RESPONSES, Outcome
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments import experiments
from probe.experiments.experiment import Experiment
from probe.experiments.measuring import measure_pair
from probe.experiments.published_outputs.aligned import shared
from probe.experiments.published_outputs.files import read_answers, system_name
from probe.experiments.published_outputs.labels import Grading, Labels, choose_labels
from probe.measurements import RowKey, Rows
from probe.measures import PairData
from probe.store import Recipe, Store, file_digest, write_table
from probe.strategy import detect, mentions_python
from probe.tasks.answers import own_turn
from probe.tasks.extractors import Extract, extract
from probe.tasks.grading import Grader
from probe.tasks.published_outputs import Outputs, read_rlcr
from probe.tasks.rules import READING

Columns = dict[str, list[Any]]
VERSION = 3  # 3: how texts are read (`probe.tasks.rules.READING`), and how many were cut off
BASELINE, FAMILY = "Base", "Qwen2.5-7B"  # of the saved dataset
ASKED = "give one folder of a saved dataset, or two files: BEFORE AFTER"
LABELLED = {True: Outcome.right, False: Outcome.wrong, None: None}
READOUTS = ("RLVR-Classifier", "Answer-Prob")  # the RLVR model again, its confidence taken in another way


@dataclass(frozen=True)
class ImportJob(Job):
    """Read and grade the outputs of every system: a folder of a saved dataset, or files, each of one system."""

    TYPICAL: ClassVar = {"": 5.0}
    paths: tuple[Path, ...]
    grading: Grading
    extract: Extract
    notes: tuple[str, ...] = ()  # of whose labels these are

    @functools.cached_property
    def recipe(self) -> Recipe:
        with Grader(extract=self.extract) as grader:
            version = grader.version if self.grading == "probe" else ""
        params = {
            "grading": self.grading,
            "extract": self.extract,
            "grader": version,
            "reading": READING,
            "names": list(self.names),
        }
        return Recipe("imported", VERSION, params, tuple(f"file:{file_digest(file)}" for file in self.files))

    @property
    def files(self) -> list[Path]:
        """The files that are read."""
        return sorted(self.paths[0].glob("data-*.arrow")) if self.paths[0].is_dir() else list(self.paths)

    @property
    def names(self) -> tuple[str, ...]:
        """What the files are called: as `import-rollouts --name` said; a saved dataset names its systems itself."""
        return () if self.paths[0].is_dir() else tuple(system_name(path) for path in self.paths)

    @property
    def family(self) -> str:
        """What the systems have in common."""
        return self.names[0] if self.names else FAMILY

    @property
    def label(self) -> str:
        return f"{self.paths[0].name} imported"

    def make(self, store: Store, work: Path) -> None:
        with Grader(extract=self.extract) as grader:
            tables = [self._graded(name, rows, grader) for name, rows in self._read()]
        write_table(work / "responses.parquet", pa.concat_tables(tables))

    def _read(self) -> list[tuple[str, Columns]]:
        """The columns of every system that is a model of its own, the baseline first."""
        if self.names:
            return [(name, read_answers(path)) for name, path in zip(self.names, self.paths, strict=True)]
        found = read_rlcr(self.paths[0])
        if BASELINE not in found.systems:
            do = f"it has {list(found.systems)}"
            raise BadInput(f"no system is called {BASELINE!r}", where=str(self.paths[0]), do=do)
        names = [BASELINE, *(name for name in found.systems if name not in (BASELINE, *READOUTS))]
        return [(name, _columns(found, name)) for name in names]

    def _graded(self, name: str, columns: Columns, grader: Grader) -> pa.Table:
        """RESPONSES of one system."""
        texts, n = columns["text"], len(columns["text"])
        if self.grading == "published":
            labels = [LABELLED[right] for right in columns["right"]]
            answers = [extract(own_turn(text), self.extract).answer for text in texts]
        else:
            if None in columns["answer"]:
                do = "compare by published labels, or give the answers: probe import-rollouts --gold FILE --on COLUMN"
                raise BadInput("there are responses without a gold answer", where=name, do=do)
            grades = grader.grade_many(texts, columns["answer"])
            labels, answers = [g.outcome for g in grades], [g.prediction for g in grades]
        rows = columns | {
            "checkpoint": [name] * n,
            "step": [0] * n,  # which step it was is not published
            "stop": columns.get("stop", [None] * n),
            "tokens": [None] * n,
            "boxed": answers,
            "outcome": [None if label is None else str(label) for label in labels],
            "strategy": [str(detect(text).label) for text in texts],
            "python": [mentions_python(text) for text in texts],
        }
        return pa.table({column: rows[column] for column in RESPONSES.names}, schema=RESPONSES)


@experiments.register("compare-rollouts")
@dataclass(frozen=True)
class PublishedJob(Experiment):
    """Every measure of the baseline against each system that is another model."""

    FIGURES: ClassVar = ("real_strategy", "real_outcomes", "real_calibration")
    VERSION: ClassVar = 4  # 4: the parse part of a gain is that of each strategy
    source: ImportJob

    @property
    def params(self) -> dict[str, Any]:
        return {"study": "real"}

    @property
    def label(self) -> str:
        return f"{self.source.paths[0].name} measured"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.source,)

    def measure(self, store: Store) -> Rows:
        rows = []
        for key, before, after in self.pairs(store, "real"):
            rows += measure_pair(key, PairData(before, after, address=key.address))
        return rows

    def pairs(self, store: Store, study: str) -> Iterator[tuple[RowKey, pa.Table, pa.Table]]:
        """Of each other system the key of its rows, and what the baseline and it answer to the same; `source` is made.

        BadInput where the two were not sampled at one temperature.
        """
        table = store.get(self.source.recipe).read_table("responses.parquet")
        first, *others = table["checkpoint"].unique().to_pylist()  # in order of appearance
        for name in others:
            before, after, _ = shared(_of(table, first), _of(table, name))
            _check_temperatures(before, after)
            temperature = float(after["temperature"][0].as_py())
            family = self.source.family
            yield RowKey(study=study, kind="rl", family=family, reward=name, temperature=temperature), before, after

    def left_out(self, store: Store) -> list[str]:
        """What each comparison leaves out, in words."""
        table = store.get(self.source.recipe).read_table("responses.parquet")
        first, *others = table["checkpoint"].unique().to_pylist()
        left = {name: shared(_of(table, first), _of(table, name))[2] for name in others}
        return [note for name, each in left.items() for note in each.said(first, name)]


def published_job(
    paths: Sequence[Path], grading: Grading | None = None, extract: Extract | None = None
) -> PublishedJob:
    """The job that measures one folder of a saved dataset, or two files before and after.

    Published labels are taken where there are any, unless `grading` says otherwise. BadInput where nothing can be read.
    """
    paths, here = tuple(paths), " ".join(map(str, paths))
    absent = [path for path in paths if not path.exists()]
    if absent:
        raise BadInput("no such file or folder", where=str(absent[0]), do=ASKED)
    files = len(paths) == 2 and all(path.is_file() for path in paths)
    if not files and not (len(paths) == 1 and paths[0].is_dir()):
        raise BadInput("these are not outputs to compare", where=here, do=ASKED)
    if files and system_name(paths[0]) == system_name(paths[1]):
        do = "rename one, or import it with --name: they name the systems"
        raise BadInput(f"both files are called {system_name(paths[0])}", where=here, do=do)
    labels = choose_labels(paths, grading) if files else Labels(grading or "published")
    source = ImportJob(paths, labels.grading, extract or ("boxed" if files else "answer_tag"), labels.notes)
    if not source.files:
        do = "give the folder of the saved dataset"
        raise BadInput("no data-*.arrow in this folder", where=here, do=do)
    return PublishedJob(source)


def _columns(outputs: Outputs, name: str) -> Columns:
    system, n = outputs.systems[name], len(outputs.problems)
    return {
        "problem": [problem.id for problem in outputs.problems],
        "answer": [problem.answer for problem in outputs.problems],
        "text": list(system.texts),
        "right": list(system.right or ()),
        "confidence": list(system.confidence or [None] * n),
        "sample": [0] * n,
        "temperature": [0.0] * n,
    }


def _check_temperatures(before: pa.Table, after: pa.Table) -> None:
    """BadInput where the two sides, or the responses of one, are not sampled at one temperature."""
    met = [sorted(table["temperature"].unique().to_pylist()) for table in (before, after)]
    if met[0] != met[1] or len(met[0]) != 1:
        what = f"sampled at the temperatures {met[0]} before and {met[1]} after"
        do = "take one: probe import-rollouts --where temperature=T; or leave it out of both: --map temperature="
        raise BadInput(what, where=f"{before['checkpoint'][0]} and {after['checkpoint'][0]}", do=do)


def _of(table: pa.Table, name: str) -> pa.Table:
    return table.filter(pc.equal(table["checkpoint"], name))
