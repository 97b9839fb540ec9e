"""One run under the random reward, trained again and watched: what the clip cuts where the strategy is chosen.

    share(place, side, bin) = sum over updates of tokens that are cut / sum over updates of tokens there

Rows `clipped`: `strategy` code or prose of the fork (the first token), group "elsewhere" for every later token, which
is what clipping does without a fork; part "low" or "high"; pi_low and pi_high bound the old probability, null: all of
it. `n` counts tokens, once an update; `n_problems` is the number of batches. A run's own rows have no interval, as its
tokens are not independent: bases are the replicates.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from probe.checkpoints.organism_job import load_organism
from probe.checkpoints.run_job import RunJob
from probe.data import Estimate
from probe.engine.job import Job
from probe.experiments import experiments
from probe.experiments.experiment import Experiment
from probe.experiments.fork_clips.counts import BINS, PLACES, SIDES, fork_report
from probe.experiments.run_key import run_key
from probe.measurements import Rows, row_of
from probe.rl.clip_report import PI_OLD_EDGES
from probe.rl.train import METRICS, read_metrics
from probe.store import Store
from probe.tasks.corpus import CODE_FIRST


@experiments.register("fork_clips")
@dataclass(frozen=True)
class ForkClipsJob(Experiment):
    """The clipped shares of one run; `setting` names how it was clipped."""

    FIGURES: ClassVar = ("fork_clips",)
    TYPICAL: ClassVar = {"mini": 14.0, "mini-qwen2": 14.0}
    study: str
    setting: str
    run: RunJob

    @property
    def params(self) -> Mapping[str, Any]:
        return {"study": self.study, "setting": self.setting, "run": self.run.recipe.digest}

    @property
    def label(self) -> str:
        return f"{self.run.label} {self.setting}, its clips"

    @property
    def needs(self) -> tuple[Job, ...]:
        return self.run.needs

    def measure(self, store: Store) -> Rows:
        code = load_organism(store, self.run.organism).tokenizer.convert_tokens_to_ids(CODE_FIRST)
        with tempfile.TemporaryDirectory() as folder:
            self.run.make(store, Path(folder), report=fork_report(code))
            log = read_metrics(Path(folder) / METRICS)
        key = replace(run_key(self.study, self.run, 1.0), clip=self.setting)
        return [row_of(key, each) for each in shares(log, self.run.grpo.updates)]


def shares(log: Sequence[Mapping[str, float]], updates: int) -> Iterator[Estimate]:
    """Of a log whose rows hold the counts of `fork_report`, each the mean over `updates` of them."""
    total: Counter[str] = Counter()
    for row in log:
        total.update({name: value for name, value in row.items() if name.split("/")[0] in PLACES})
    for place in PLACES:
        about = {"group": "elsewhere"} if place == "later" else {"group": "forks", "strategy": place}
        for side in SIDES:
            for bins in (range(BINS), *([each] for each in range(BINS))):
                tokens = sum(total[f"{place}/tokens/{each}"] for each in bins)
                if not tokens:
                    continue
                cut = sum(total[f"{place}/{side}/{each}"] for each in bins)
                params: dict[str, Any] = {**about, "part": side}
                if len(bins) == 1:
                    params |= {"pi_low": PI_OLD_EDGES[bins[0]], "pi_high": PI_OLD_EDGES[bins[0] + 1]}
                yield _estimate(cut, tokens, params, updates, len(log))


def _estimate(cut: float, tokens: float, params: dict[str, Any], updates: int, batches: int) -> Estimate:
    none, n = float("nan"), round(tokens * updates)
    return Estimate("clipped", cut / tokens, none, none, n, batches, null=0.0, params=params)
