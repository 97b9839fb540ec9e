"""How far is it, what is being made, and how long will it still take?

On a terminal a bar that is redrawn; elsewhere one line every 20 seconds. Time left is expected work left (`estimate`)
over the work done per second lately, so it follows a machine that is slower than the one the estimates come from.
"""

import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from probe.engine.durations import expected, recorded
from probe.store import Store

if TYPE_CHECKING:
    from probe.checkpoints.jobs import Job
    from probe.engine.runner import Plan

EVERY = 20.0  # seconds between lines where there is no terminal
LATELY = 64  # finished jobs that the rate is taken over
PRIOR = 30.0  # seconds for which the expected rate outweighs the measured one


class Progress:
    """The display of one run: a context manager whose `on_plan` and `on_done` are handed to the runner."""

    def __init__(self, console: Console, store: Store, workers: int) -> None:
        """`console` should write to stderr; `workers` jobs are made at a time."""
        self.console, self.store, self.workers = console, store, workers
        self.todo: dict[str, Job] = {}
        self.total: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self._weights: dict[str, float] = {}
        self._lately: deque[tuple[float, float]] = deque(maxlen=LATELY)
        self._lock, self._over = threading.Lock(), threading.Event()
        self._live: Live | None = None
        self._started = self._changed = time.monotonic()
        self._part = ""
        self._before = {path: _touched(path) for path in self._work_folders()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._live is not None:
            self._live.stop()

    def on_plan(self, plan: "Plan") -> None:
        """What is to be made; says so, and starts the display."""
        known = recorded(self.store)
        with self._lock:
            self.todo = dict(plan.todo)
            self.total = Counter(job.recipe.stage for job in plan.todo.values())
            self._weights = {digest: expected(job, known) for digest, job in plan.todo.items()}
        if not plan.todo:
            return self.say(f"everything is there: {plan.found} artifacts")
        self.say(f"{len(plan.todo)} jobs to make, about {told(self.left())} with {self.workers} workers")
        if self.console.is_terminal:
            self._live = Live(get_renderable=self.render, console=self.console, refresh_per_second=2, transient=True)
            self._live.start()
        else:
            threading.Thread(target=self._lines, daemon=True).start()

    def on_done(self, job: "Job") -> None:
        """One job is finished."""
        with self._lock:
            self._changed, self._part = time.monotonic(), ""
            if self.todo.pop(job.recipe.digest, None) is not None:
                self.done[job.recipe.stage] += 1
                self._lately.append((self._changed, self._weights[job.recipe.digest]))

    def on_part(self, made: int, of: int) -> None:
        """How far the job being made in this process is, in responses."""
        spent = time.monotonic() - self._changed
        self._part = f"{made} of {of} responses, about {told(spent / made * (of - made))} left"

    def say(self, text: str) -> None:
        """One line above the bar; labels may hold the name of a folder, and so anything."""
        text = "".join(char if char.isprintable() else "?" for char in text)
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

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
        found = [path for path in self._work_folders() if path.name in folders]
        return sorted(folders[path.name] for path in found if _touched(path) not in (None, self._before.get(path)))

    def line(self) -> str:
        """The state in one line."""
        made, total = self.done.total(), self.total.total()
        now = ", ".join([*self.making()[:2], *filter(None, [self._part])])
        return f"{made} of {total} jobs, about {told(self.left())} left" + (f"; now {now}" if now else "")

    def render(self) -> RenderableType:
        """The bar, the stages and what is being made."""
        made, total = self.done.total(), self.total.total()
        head = Table.grid(padding=(0, 1))
        head.add_row(
            ProgressBar(total=max(total, 1), completed=made, width=40),
            f"{made}/{total} jobs",
            f"about {told(self.left())} left",
        )
        stages = "  ".join(f"{stage} {self.done[stage]}/{n}" for stage, n in self.total.items())
        return Group(
            head, Text(stages, style="dim"), Text("; ".join([*self.making(), *filter(None, [self._part])]), style="dim")
        )

    def _work_folders(self) -> list[Path]:
        partial = self.store.root / "partial"
        return list(partial.iterdir()) if partial.is_dir() else []

    def _lines(self) -> None:
        while not self._over.wait(EVERY):
            if self.todo:
                self.say(self.line())


def _touched(path: Path) -> int | None:
    # compared with itself only: the file system's clock lags time.time() by up to a tick
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def told(seconds: float) -> str:
    """40 s, 3 min, 1 h 20 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
