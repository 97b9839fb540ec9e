"""What is said of a run while it goes, how long things are expected to take, and when processes are not worth it."""

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from rich.console import Console

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.pair import Pair
from probe.engine.durations import OTHERWISE, expected, recorded, seconds
from probe.engine.executor import START, is_quick, make
from probe.engine.job import Job
from probe.engine.listener import Listener
from probe.engine.plan import plan
from probe.engine.progress import Progress, duration
from probe.experiments.patching.job import PatchJob
from probe.experiments.patching.layers import LayersJob
from probe.experiments.responses import SampleJob
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import SAMPLED
from probe.store import Recipe, Store


@dataclass(frozen=True)
class Toy(Job):
    """A job that writes its number, after those it needs."""

    number: int
    needs: "tuple[Toy, ...]" = ()

    @property
    def recipe(self) -> Recipe:
        return Recipe("toy", 1, {"number": self.number}, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"toy {self.number}"

    def make(self, store: Store, work: Path) -> None:
        assert all(store.holds(job.recipe) for job in self.needs)
        (work / "number").write_text(f"{self.number} {torch.get_num_threads()}")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


class Done(Listener):
    """Passes on what is done; the plan was told before."""

    def __init__(self, progress: Progress) -> None:
        self.on_done = progress.on_done  # type: ignore[method-assign]


def responses(size: str) -> SampleJob:
    return SampleJob(of_organism(OrganismJob("no-code", size, 0)), CHAIN, SAMPLED)


def shown(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.mark.parametrize(
    ("time", "text"),
    [(0.0, "1 s"), (40.4, "40 s"), (89.0, "89 s"), (90.0, "2 min"), (3000.0, "50 min"), (5400.0, "1 h 30 min")],
)
def test_durations(time: float, text: str) -> None:
    assert duration(time) == text


def test_where_there_is_no_terminal_it_says_lines(store: Store) -> None:
    jobs = [Toy(i) for i in range(4)]
    console = Console(file=io.StringIO(), width=80)
    with Progress(console, store, 1) as progress:
        progress.on_plan(plan(list(jobs), store))
        before = progress.left()
        assert before == pytest.approx(4 * OTHERWISE, abs=0.1)
        for job in jobs[:3]:
            make([job], store, listener=Done(progress))
        assert progress.left() < before
        assert progress.line().startswith("3 of 4 jobs, about 1 s left")
        progress.on_done(jobs[0])  # heard twice, or not planned: not counted
        assert progress.line().startswith("3 of 4 jobs")
    assert shown(console) == "4 jobs to make, about 2 s with 1 workers\n"


def test_a_bar_on_a_terminal(store: Store) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with Progress(console, store, 2) as progress:
        progress.on_plan(plan([Toy(1), Toy(2)], store))
        progress.on_done(Toy(1))
    ends = re.findall(r"(\d/\d)\S* about 1 s left +\(toy (\d/\d)\)", shown(console))
    assert set(ends) == {("0/2", "0/2"), ("1/2", "1/2")}  # jobs, and jobs of the stage
    assert ends[-1] == ("1/2", "1/2")


def test_what_is_being_made_is_what_is_touched_now(store: Store) -> None:
    jobs = [Toy(1), Toy(2)]
    left_behind = store.root / "partial" / jobs[0].recipe.folder
    left_behind.mkdir(parents=True)
    os.utime(left_behind, (0, 0))
    progress = Progress(Console(file=io.StringIO()), store, 1)
    progress.on_plan(plan(list(jobs), store))
    assert progress.making() == []
    (store.root / "partial" / jobs[1].recipe.folder).mkdir(parents=True)
    assert progress.making() == ["toy 2"]
    with progress:
        assert progress.line().endswith("; now toy 2")
        (left_behind / "steps").touch()
        assert progress.making() == ["toy 1", "toy 2"]


def test_nothing_to_do_is_said(store: Store) -> None:
    job = Toy(1)
    make([job], store)
    console = Console(file=io.StringIO(), width=80)
    with Progress(console, store, 1) as progress:
        progress.on_plan(plan([job], store))
    assert shown(console) == "everything is there: 1 artifacts\n"


def test_labels_cannot_move_the_cursor(store: Store) -> None:
    console = Console(file=io.StringIO(), width=80)
    Progress(console, store, 1).say("a \x1b[2J[bold]b")
    assert shown(console) == "a \ufffd[2J[bold]b\n"


def test_a_kind_is_a_stage_and_a_size() -> None:
    small, tiny = responses("small"), responses("tiny")
    assert expected(small, {("responses", "small"): 99.0, ("responses", "tiny"): 1.5}) == 99.0
    assert expected(Toy(1), {("toy", ""): 7.0, ("toy", "small"): 99.0}) == 7.0
    assert expected(small, {}) == SampleJob.TYPICAL["small"] > expected(tiny, {}) == SampleJob.TYPICAL["tiny"]
    assert seconds([small, Toy(1)], {}) == SampleJob.TYPICAL["small"] + OTHERWISE


def test_measurements_are_told_apart_by_what_is_measured() -> None:
    base = of_organism(OrganismJob("latent-code", "tiny", 0))
    patching, layers = PatchJob(Pair(base, base)), LayersJob(Pair(base, base))
    known = {("measurements patching", "tiny"): 3.0, ("measurements", "tiny"): 9.0}
    assert expected(patching, known) == 3.0
    assert expected(layers, known) == LayersJob.TYPICAL["tiny"]


def test_what_was_recorded_is_expected(store: Store) -> None:
    organism = OrganismJob("no-code", "tiny", 0)
    store.build(organism.recipe, lambda work: (work / "x").write_text("x"))
    asked = responses("tiny")
    store.build(asked.recipe, lambda work: (work / "x").write_text("x"))
    known = recorded(store)
    assert set(known) == {("organism", "tiny"), ("responses", "tiny")}
    assert expected(asked, known) < SampleJob.TYPICAL["tiny"]


def test_quick_work_is_done_here_in_order_on_one_thread(store: Store) -> None:
    first = Toy(1)
    last = Toy(2, (first,))
    threads = torch.get_num_threads()
    heard: list[str] = []
    listener = Listener()
    listener.on_done = lambda job: heard.append(job.label)  # type: ignore[method-assign]
    make([last], store, listener=listener)
    assert heard == ["toy 1", "toy 2"]
    assert store.get(last.recipe).file("number").read_text() == "2 1"
    assert torch.get_num_threads() == threads


def test_what_takes_long_is_not_quick(store: Store) -> None:
    assert OrganismJob.TYPICAL["tiny"] > START
    assert not is_quick(plan([OrganismJob("no-code", "tiny", 0)], store), store)
    assert is_quick(plan([Toy(1)], store), store)
