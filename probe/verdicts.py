"""The Python face of verdicts: why did accuracy change, and will it? See `probe.api` for what all verbs share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from probe.api import Ask, Where, asked, load, run_here
from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.pair import Pair
from probe.experiments.explain.told import lines, pairs_of, sentence_of
from probe.experiments.result import Result
from probe.grammar import GRAMMARS
from probe.measurements import Rows
from probe.models.loading.manifest import load_manifest
from probe.rollouts.options import Compute
from probe.tasks.benchmarks import problems as problem_set

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Explained(Result):
    """The verdict on one pair, sampled and greedy."""

    @property
    def verdict(self) -> str:
        """In a sentence, as sampled."""
        return sentence_of(self._sampled)

    @property
    def explanations(self) -> "pd.DataFrame":
        """One row an explanation: what it accounts for alone, in common and in all (of accuracy), and the verdict."""
        import pandas as pd

        return pd.DataFrame(lines(self._sampled)).set_index("explanation")

    @property
    def _sampled(self) -> Rows:
        return max(pairs_of(self.rows), key=lambda rows: rows[0]["temperature"])


def explain(
    pair: Pair,
    *,
    prompts: Sequence[str] = (),
    fresh: str | None = None,
    batch: int = 64,
    where: Where | None = None,
    **ask: Unpack[Ask],
) -> Explained:
    """Why accuracy changed: the verdict over rival explanations, and what would decide the rest.

    Both are also tried under other `prompts` (templates), and on `fresh` problems that cannot have leaked [chains:
    drawn]; the base at other temperatures. Amounts are in units of accuracy, intervals over problems. BadInput where
    the two cannot answer the same problems.
    """
    from probe.experiments.explain.job import ExplainJob

    known = load_manifest()
    elicitation, options = asked(pair.before, **ask)
    tried = tuple((name, known.template(name)) for name in prompts)
    untried = not tried and elicitation.problems.name not in GRAMMARS
    unleaked = problem_set(fresh, limit=ask.get("limit")) if fresh else None
    job = ExplainJob(pair, elicitation, options, None if untried else tried, unleaked, compute=Compute(batch))
    found = run_here(job, **where or {})
    return Explained(found.job, found.table)


@dataclass(frozen=True, eq=False, repr=False)
class Foretold(Result):
    """What RL under each reward will change first."""

    @property
    def verdict(self) -> str:
        """Whether the checkpoint is a responder, and to which rewards that know nothing of correctness."""
        return next(str(row["reason"]) for row in self.rows if row["name"] == "forecast/responder")


def forecast(
    checkpoint: Checkpoint | str, *, batch: int = 64, where: Where | None = None, **ask: Unpack[Ask]
) -> Foretold:
    """What RL under each reward will change, before any RL: from the checkpoint's own responses.

    The table holds the first change of accuracy, code share, parse rate, length and entropy per unit step, how far each
    can go, and the same under shuffled advantages. An organism is asked the chains that its runs train on. BadInput for
    one sample a problem, or temperature 0.
    """
    from probe.experiments.forecast.job import GROUP, ForecastJob, trained_on

    one = load(checkpoint) if isinstance(checkpoint, str) else checkpoint
    ask.setdefault("samples", GROUP)
    elicitation, options = asked(one, **ask)
    job = ForecastJob(one, trained_on(one, elicitation, ask.get("limit")), options, Compute(batch))
    found = run_here(job, **where or {})
    return Foretold(found.job, found.table)
