"""What is said of a run while it goes, how long things are expected to take, and when processes are not worth it."""

import io
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from probe.checkpoints.jobs import OrganismJob, ResponsesJob
from probe.engine.runner import plan
from rich.console import Console

from probe.engine.durations import GUESSED, OTHERWISE, expected, kind, recorded, seconds
from probe.engine.executor import START, is_quick, make_all
from probe.engine.progress import Progress, told
from probe.store import Recipe, Store


@dataclass(frozen=True)
class Toy:
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


def shown(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.mark.parametrize(
    ("time", "text"),
    [(0.0, "1 s"), (40.4, "40 s"), (89.0, "89 s"), (90.0, "2 min"), (3000.0, "50 min"), (5400.0, "1 h 30 min")],
)
def test_told(time: float, text: str) -> None:
    assert told(time) == text


def test_where_there_is_no_terminal_it_says_lines(store: Store) -> None:
    jobs = [Toy(i) for i in range(4)]
    console = Console(file=io.StringIO(), width=80)
    with Progress(console, store, 1) as progress:
        progress.on_plan(plan(list(jobs), store))
        before = progress.left()
        assert before == pytest.approx(4 * OTHERWISE, abs=0.1)
        for job in jobs[:3]:
            make_all(plan([job], store), store, on_done=progress.on_done)
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
        console.print(progress.render())
    assert "1/2 jobs" in shown(console)
    assert "toy 1/2" in shown(console)


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
    make_all(plan([job], store), store)
    console = Console(file=io.StringIO(), width=80)
    with Progress(console, store, 1) as progress:
        progress.on_plan(plan([job], store))
    assert shown(console) == "everything is there: 1 artifacts\n"


def test_labels_cannot_move_the_cursor(store: Store) -> None:
    console = Console(file=io.StringIO(), width=80)
    Progress(console, store, 1).say("a \x1b[2J[bold]b")
    assert shown(console) == "a ?[2J[bold]b\n"


def test_a_kind_is_a_stage_and_a_size() -> None:
    small = ResponsesJob(OrganismJob("no-code", "small", 0), 1.0, 8)
    assert kind(small) == ("responses", "small")
    assert kind(Toy(1)) == ("toy", "")
    assert expected(small, {}) == GUESSED["responses", "small"]
    assert expected(small, {("responses", "small"): 99.0}) == 99.0
    assert seconds([small, Toy(1)], {}) == GUESSED["responses", "small"] + OTHERWISE


def test_what_was_recorded_is_expected(store: Store) -> None:
    organism = OrganismJob("no-code", "tiny", 0)
    store.build(organism.recipe, lambda work: (work / "x").write_text("x"))
    responses = ResponsesJob(organism, 1.0, 8)
    store.build(responses.recipe, lambda work: (work / "x").write_text("x"))
    known = recorded(store)
    assert set(known) == {("organism", "tiny"), ("responses", "tiny")}
    assert expected(responses, known) < 1.0


def test_quick_work_is_done_here_in_order_on_one_thread(store: Store) -> None:
    first = Toy(1)
    last = Toy(2, (first,))
    threads = torch.get_num_threads()
    heard: list[str] = []
    make_all(plan([last], store), store, on_done=lambda job: heard.append(job.label))
    assert heard == ["toy 1", "toy 2"]
    assert store.get(last.recipe).file("number").read_text() == "2 1"
    assert torch.get_num_threads() == threads


def test_what_takes_long_is_not_quick(store: Store) -> None:
    assert GUESSED["organism", "tiny"] > START
    assert not is_quick(plan([OrganismJob("no-code", "tiny", 0)], store), store)
    assert is_quick(plan([Toy(1)], store), store)
