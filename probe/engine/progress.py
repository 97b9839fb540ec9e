"""How far is it, what is being made, and how long will it still take?

On a terminal a bar; elsewhere one line every 20 seconds. Time left is expected work left (`durations`) over the work
done per second lately, so it follows a machine that is slower than the one the estimates come from.
"""

import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import Self

from rich import progress
from rich.console import Console
from rich.text import Text

from probe.engine.durations import expected, recorded
from probe.engine.job import Job
from probe.engine.listener import Listener
from probe.engine.plan import Plan
from probe.store import Store
from probe.terminal import printable

EVERY = 20.0  # seconds between lines where there is no terminal
LATELY = 64  # finished jobs that the rate is taken over
PRIOR = 30.0  # seconds for which the expected rate outweighs the measured one


class Progress(Listener):
    """The display of one run: a context manager, handed to the engine as its listener."""

    def __init__(self, console: Console, store: Store, workers: int) -> None:
        """`console` should write to stderr; `workers` jobs are made at a time."""
        self.console, self.store, self.workers = console, store, workers
        self.todo: dict[str, Job] = {}
        self.total: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self._weights: dict[str, float] = {}
        self._lately: deque[tuple[float, float]] = deque(maxlen=LATELY)
        self._lock, self._over = threading.Lock(), threading.Event()
        self._started = self._changed = time.monotonic()
        self._part = ""
        self._before = {path: _touched(path) for path in self._work_folders()}
        columns = (progress.BarColumn(), progress.MofNCompleteColumn(), _State(self))
        self._bar = progress.Progress(*columns, console=console, refresh_per_second=2, transient=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._bar.live.is_started:  # else rich would end it with an empty line
            self._bar.stop()

    def on_plan(self, plan: Plan) -> None:
        """What is to be made; says so, and starts the display."""
        known = recorded(self.store)
        with self._lock:
            self.todo = dict(plan.todo)
            self.total = Counter(job.recipe.stage for job in plan.todo.values())
            self._weights = {digest: expected(job, known) for digest, job in plan.todo.items()}
        if not plan.todo:
            return self.say(f"everything is there: {plan.found} artifacts")
        self.say(f"{len(plan.todo)} jobs to make, about {duration(self.left())} with {self.workers} workers")
        if self.console.is_terminal:
            self._bar.add_task("", total=len(plan.todo))
            self._bar.start()
        else:
            threading.Thread(target=self._lines, daemon=True).start()

    def on_done(self, job: Job) -> None:
        """One job is finished."""
        with self._lock:
            self._changed, self._part = time.monotonic(), ""
            if self.todo.pop(job.recipe.digest, None) is not None:
                self.done[job.recipe.stage] += 1
                self._lately.append((self._changed, self._weights[job.recipe.digest]))
        for task in self._bar.task_ids:
            self._bar.update(task, completed=self.done.total())

    def on_part(self, done: int, of: int, unit: str) -> None:
        """How far the job being made in this process is."""
        spent = time.monotonic() - self._changed
        self._part = f"{done} of {of} {unit}, about {duration(spent / done * (of - done))} left"

    def say(self, text: str) -> None:
        """One line above the bar; labels may hold the name of a folder, and so anything."""
        self.console.print(_line(text), markup=False, highlight=False, soft_wrap=True)

    def left(self) -> float:
        """Expected seconds until everything is made."""
        with self._lock:
            now = time.monotonic()
            work, span = PRIOR * self.workers, PRIOR
            if self._lately:
                start = self._lately[0][0] if len(self._lately) == LATELY else self._started
                work, span = work + sum(weight for _, weight in self._lately), span + self._changed - start
            remaining = sum(self._weights[digest] for digest in self.todo)
            return max(0.0, remaining * span / work - (now - self._changed))

    def making(self) -> list[str]:
        """Labels of the jobs whose work folders were touched since this run began."""
        folders = {job.recipe.folder: job.label for job in list(self.todo.values())}
        active = [path for path in self._work_folders() if path.name in folders]
        return sorted(folders[path.name] for path in active if _touched(path) not in (None, self._before.get(path)))

    def line(self) -> str:
        """The state in one line."""
        return f"{self.done.total()} of {self.total.total()} jobs, {self.state()}"

    def state(self) -> str:
        """Time left, and what is being made."""
        now = ", ".join([*self.making()[:2], *filter(None, [self._part])])
        return f"about {duration(self.left())} left" + (f"; now {now}" if now else "")

    def _work_folders(self) -> list[Path]:
        partial = self.store.root / "partial"
        return list(partial.iterdir()) if partial.is_dir() else []

    def _lines(self) -> None:
        while not self._over.wait(EVERY):
            if self.todo:
                self.say(self.line())


class _State(progress.ProgressColumn):
    """Time left by our own estimate: jobs differ too much in size for one that counts them."""

    def __init__(self, shown: Progress) -> None:
        super().__init__()
        self.shown = shown

    def render(self, task: progress.Task) -> Text:
        stages = "  ".join(f"{stage} {self.shown.done[stage]}/{n}" for stage, n in self.shown.total.items())
        return Text(_line(f"{self.shown.state()}  ({stages})"), no_wrap=True, overflow="ellipsis")


def _line(text: str) -> str:
    """On one line, whatever console it is printed on."""
    return printable(" ".join(text.splitlines()))


def _touched(path: Path) -> int | None:
    # compared with itself only: the file system's clock lags time.time() by up to a tick
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def duration(seconds: float) -> str:
    """40 s, 3 min, 1 h 20 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
