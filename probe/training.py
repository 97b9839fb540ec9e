"""The Python face of RL on weights from outside: any causal language model, trained here and handed on.

run = probe.train_outside("ORG/NAME", "python", problems="gsm8k", limit=64, batches=20)
run.log                                        # one dict a batch: reward, entropy, strategy, clip fractions, ...
probe.compare(run.pair, problems="math500")    # what it changed
probe.compare(run.null_pair, ...)              # beside what a random change of its weights as large changes
"""

from dataclasses import dataclass
from typing import Any

from probe.api import Ask, Where, asked, load
from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.pair import Pair
from probe.engine.executor import make
from probe.engine.pool import pool_size
from probe.engine.progress import Progress
from probe.errors import BadInput
from probe.experiments.outside_runs.described import described
from probe.experiments.outside_runs.job import OutsideRunJob
from probe.experiments.outside_runs.kept import checkpoint_of, random_change_of
from probe.rl.train import METRICS, read_metrics
from probe.store import Store
from probe.terminal import Terminal


@dataclass(frozen=True, repr=False)
class OutsideRun:
    """One GRPO run on weights from outside, in a store."""

    job: OutsideRunJob
    store: Store

    def __repr__(self) -> str:
        return f"OutsideRun({self.job.label}, kept after {', '.join(map(str, self.job.steps))} batches)"

    @property
    def checkpoint(self) -> Checkpoint:
        """After the last batch; `checkpoint_of(run.job, step)` gives the others."""
        return checkpoint_of(self.job)

    @property
    def pair(self) -> Pair:
        """The base, and what it became."""
        return Pair(self.job.checkpoint, self.checkpoint)

    @property
    def null_pair(self) -> Pair:
        """The base, and the base after a random change as large. BadInput where every weight was trained."""
        return Pair(self.job.checkpoint, random_change_of(self.job))

    @property
    def log(self) -> list[dict[str, float]]:
        """The metrics of each batch."""
        return read_metrics(self.store.get(self.job.recipe).file(METRICS))


def train_outside(
    base: Checkpoint | str,
    reward: str,
    *,
    problems: str,
    ask: Ask | None = None,
    where: Where | None = None,
    **recipe: Any,
) -> OutsideRun:
    """Train any causal language model with GRPO under a reward, on `problems` (a benchmark's name, or a file).

    `ask` says how they are asked (limit, template, columns of a file); `recipe` holds preset, variant, labels, lora
    (the rank; None trains every weight), memory, and fields of `GRPO` (batches, prompts, samples, lr, max_new, seed,
    ...). Killed, it goes on where it was when it is called again. BadInput for an organism (`probe.train`), and for
    what is unknown.
    """
    chosen = load(base) if isinstance(base, str) else base
    if not chosen.is_outside:
        raise BadInput(f"{chosen.name} is made here", where="train_outside", do="train it with probe.train")
    question: Ask = {**(ask or {}), "problems": problems}
    elicitation, _ = asked(chosen, **question)
    job, here = described(chosen, reward, elicitation, **recipe), where or {}
    held = here.get("store")
    store = held if isinstance(held, Store) else Store(held)
    quiet = not here.get("progress", True)
    with Progress(Terminal(stderr=True, quiet=quiet), store, pool_size(here.get("workers"))) as shown:
        make([job], store, workers=here.get("workers"), listener=shown)
    return OutsideRun(job, store)
