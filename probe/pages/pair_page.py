"""The page of one pair: what changed and why, and every response before and after, token by token.

    CompareJob (every measure) + ExplainJob (the verdict) + PairedTokensJob (both models' scores)  ->  Page

Each is an artifact of the store, made once; the page is put together from them and loads no weights.
"""

from dataclasses import dataclass
from typing import Any

from probe.checkpoints.pair import Pair
from probe.data import SIDES
from probe.engine.job import Job
from probe.experiments.compare.job import CompareJob
from probe.experiments.explain.job import ExplainJob, Prompts
from probe.experiments.responses import RESPONSES
from probe.experiments.token_view.job import PairedTokensJob
from probe.experiments.token_view.latents import LatentTokensJob
from probe.families import families
from probe.grammar import GRAMMARS
from probe.measurements import Rows
from probe.pages import cards, figures, measures, provenance, responses, steering, tokens, verdicts
from probe.pages.embed import Page
from probe.pages.steering import Steered
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import Compute, SamplingOptions
from probe.store import Store
from probe.tasks.corpus import leaked

FIGURES = ("verdict", "pair_changes")
MOST = 256  # pairs of responses at each temperature


@dataclass(frozen=True)
class PairPage:
    """What a pair's page is made from; without `explain`, `tokens` or `responses` it lacks those parts.

    `missing` names parts that were left out, each with the command that makes it; `study` is the one whose index links
    to the page.
    """

    compare: CompareJob
    explain: ExplainJob | None = None
    tokens: PairedTokensJob | None = None
    most: int = MOST
    cards: LatentTokensJob | None = None
    steering: Steered | None = None
    responses: bool = True
    missing: tuple[tuple[str, str], ...] = ()
    study: str = ""
    commands: tuple[str, ...] = ()  # that make it again, where the names of its checkpoints do not say it

    @property
    def jobs(self) -> list[Job]:
        """All of it."""
        steering = self.steering.jobs if self.steering else ()
        return [job for job in (self.tokens, self.compare, self.explain, self.cards, *steering) if job is not None]

    @property
    def label(self) -> str:
        return f"{self.compare.pair.label} reported"

    @property
    def names(self) -> list[str]:
        """Of the two checkpoints."""
        return [one.name for one in self.compare.pair.sides.values()]

    def page(self, store: Store) -> Page:
        """The page; every job has been made."""
        rows, explained = _rows(store, self.compare), _rows(store, self.explain)
        drawings = figures.drawn([*rows, *explained], FIGURES)
        places = {problem.id: place for place, problem in enumerate(self.compare.elicitation.problems.problems)}
        jobs = [*self.jobs, *(self.compare.sampled if self.responses else ())]
        commands = self.commands or provenance.commands(self.compare, self._flags)
        data = {
            "kind": "pair",
            "about": self._about(rows),
            "verdicts": verdicts.told(explained),
            "measures": measures.told(rows),
            "figures": figures.told(drawings),
            "cards": cards.told(self.cards, store) if self.cards else None,
            "steering": steering.told(self.steering, store) if self.steering else None,
            "responses": self._responses(store) if self.responses else None,
            "tokens": self._tokens(store, places),
            "provenance": provenance.told(store, jobs, commands),
        }
        return Page(self.compare.pair.label, data, figures.markup(drawings))

    def tokens_page(self, store: Store) -> Page:
        """The responses alone, token by token: for a notebook."""
        places = {problem.id: place for place, problem in enumerate(self.compare.elicitation.problems.problems)}
        data = {
            "kind": "tokens",
            "about": self._about([]),
            "responses": self._responses(store, warm=True),
            "tokens": self._tokens(store, places),
        }
        return Page(self.compare.pair.label, data, {})

    def _about(self, rows: Rows) -> dict[str, Any]:
        job = self.compare
        asked, pair = job.elicitation, job.pair
        return {
            **{side: one.name for side, one in pair.sides.items()},
            "pair": pair.kind,
            "family": pair.before.family,
            "problems": asked.problems.name,
            "n_problems": len(asked.problems.problems),
            "leak": asked.problems.leak,
            "template": asked.template,
            "prefix": asked.prefix,
            "samples": job.options.samples,
            "temperature": job.options.temperature,
            "max_new": job.options.max_new,
            "destroyed": any(row["destroyed"] for row in rows if row["reward"] == pair.trained.name),
            "warnings": [
                f"{one.name}: {said}" for one in pair.sides.values() if one.entry for said in one.entry.warnings
            ],
            "missing": [list(each) for each in self.missing],
            "study": self.study,
        }

    @property
    def _flags(self) -> str:
        """What asks for the parts that are made only when asked for."""
        return (" --cards" if self.cards else "") + (" --steering" if self.steering else "")

    def _responses(self, store: Store, warm: bool = False) -> dict[str, Any]:
        jobs = self.compare.sampled[: 2 if warm else 4]
        tables = [store.get(job.recipe).read_table(RESPONSES) for job in jobs]
        asked = self.compare.elicitation.problems.problems
        known = leaked(asked) if _has_read(self.compare) else None
        problems = {
            each.id: responses.problem(each.prompt, each.answer, None if known is None else each.id in known)
            for each in asked
        }
        return responses.told(list(zip(tables[::2], tables[1::2], strict=True)), problems, self.most)

    def _tokens(self, store: Store, places: dict[str, int]) -> dict[str, Any] | None:
        if self.tokens is None:
            return None
        held = store.get(self.tokens.recipe)
        tables = {side: tokens.first_texts(held.read_table(f"{side}.parquet"), self.most) for side in SIDES}
        found = {side: tokens.told(table, places) for side, table in tables.items()}
        if self.cards:
            values = store.get(self.cards.recipe)
            for side, columns in found.items():
                columns["shades"] = cards.shades(tokens.first_texts(values.read_table(f"{side}.parquet"), self.most))
        return {"temperature": self.compare.options.temperature, **found}


def pair_page(
    pair: Pair,
    elicitation: Elicitation,
    options: SamplingOptions,
    tried: Prompts = (),
    compute: Compute | None = None,
    most: int = MOST,
) -> PairPage:
    """The page of a pair, from the jobs of `probe compare` and `probe explain`, `tried` the other prompts of both."""
    compute = compute or Compute()
    compare = CompareJob(pair, elicitation, options, tried, compute)
    prompts = tried if tried or elicitation.problems.name in GRAMMARS else None
    explain = ExplainJob(pair, elicitation, options, prompts, compute=compute)
    return PairPage(compare, explain, PairedTokensJob(compare, most), most)


def _rows(store: Store, job: CompareJob | ExplainJob | None) -> Rows:
    return [] if job is None else store.get(job.recipe).read_table().to_pylist()


def _has_read(job: CompareJob) -> bool:
    """Whether it is known which problems the base has read: of an organism that was given some."""
    organism = job.pair.before.organism
    return organism is not None and families.get(organism.family)().leak > 0
