"""The jobs right of the responses: token scores of a pair on one text, and the measurements of a run or an organism."""

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from probe.checkpoints.jobs import Job, OrganismJob, ResponsesJob, RunJob, load_step
from probe.data import TOKENS
from probe.experiments.measuring import ALONG_THE_WAY, at_step, first_samples, log_rows, measure_pair
from probe.measurements import RowKey, to_table
from probe.measures import PairData
from probe.models.loading.load import Loaded
from probe.rl.train import METRICS, read_metrics
from probe.store import Recipe, Store, write_table
from probe.tokens.score import TokenScores, kl, score

SAMPLES = 8  # per problem at T = 1
VERSION = 2  # of scores and measurements: count up when a change of code changes numbers
SCORED = 1  # of them, per problem, scored token by token


@dataclass(frozen=True)
class TokensJob:
    """The final model's own text, scored by the model before and after: the same ids, only the scorer changes."""

    run: RunJob

    @property
    def responses(self) -> ResponsesJob:
        return ResponsesJob(self.run, 1.0, SAMPLES)

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"step": self.run.grpo.batches, "samples": SCORED}
        return Recipe("tokens", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.run.label} tokens"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.responses, self.run, self.run.organism)

    def make(self, store: Store, work: Path) -> None:
        step = self.run.grpo.batches
        name = f"{self.run.label}@{step}"
        before, after = load_step(store, self.run.organism, 0), load_step(store, self.run, step)
        rollouts = store.get(self.responses.recipe).read_table("rollouts.parquet").to_pylist()
        # by step alone: a run of the same recipe under another name may have sampled them
        rows = [r for r in rollouts if r["checkpoint"].endswith(f"@{step}") and r["sample"] < SCORED]
        prompts, completions = [r["prompt_ids"] for r in rows], [r["completion_ids"] for r in rows]
        for side, loaded, scorer in (("before", before, self.run.organism.label), ("after", after, name)):
            scores = score(loaded.model, prompts, completions)
            write_table(work / f"{side}.parquet", token_table(rows, scores, name, scorer, loaded))
        divergence = kl(before.model, after.model, prompts, completions)
        write_table(work / "kl.parquet", pa.table({"kl": pa.array(divergence, pa.float32())}))


def token_table(rows: list[dict], scores: TokenScores, generator: str, scorer: str, loaded: Loaded) -> pa.Table:
    """TOKENS of one scorer; a token's span is what it spells."""
    n = len(scores.row)
    columns = {
        "generator": [generator] * n,
        "scorer": [scorer] * n,
        "problem": [rows[r]["problem"] for r in scores.row.tolist()],
        "sample": [rows[r]["sample"] for r in scores.row.tolist()],
        **{k: getattr(scores, k) for k in ("pos", "token", "logprob", "entropy", "margin", "rank")},
        "span": loaded.tokenizer.convert_ids_to_tokens(scores.token.tolist()),
    }
    return pa.table({name: columns[name] for name in TOKENS.names}, schema=TOKENS)


@dataclass(frozen=True)
class MeasureRunJob:
    """Every measure of one run against its base: at T = 1 and greedy, at every kept step, and the training log."""

    study: str
    run: RunJob

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"study": self.study, "name": self.run.name}
        return Recipe("measurements", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.run.label} measured"

    @property
    def needs(self) -> tuple[Job, ...]:
        organism = self.run.organism
        sampled = (ResponsesJob(s, t, n) for s in (organism, self.run) for t, n in ((1.0, SAMPLES), (0.0, 1)))
        return (*sampled, TokensJob(self.run), self.run)

    def context(self, step: int, temperature: float) -> RowKey:
        run, organism = self.run, self.run.organism
        return RowKey(
            study=self.study,
            kind="null" if run.name == "constant" else "rl",
            family=organism.family,
            size=organism.size,
            base_seed=organism.seed,
            reward=run.name,
            clip=run.clip,
            rl_seed=run.grpo.seed,
            step=step,
            temperature=temperature,
        )

    def make(self, store: Store, work: Path) -> None:
        tables = [store.get(job.recipe).read_table("responses.parquet") for job in self.needs[:4]]
        tokens = store.get(self.needs[4].recipe)
        last, rows = self.run.grpo.batches, []
        for temperature, base, run in ((1.0, tables[0], tables[2]), (0.0, tables[1], tables[3])):
            for step in self.run.steps:
                context = self.context(step, temperature)
                after = at_step(run, step)
                data = PairData(first_samples(base, after), after, address=context.address)
                if step == last and temperature > 0:
                    data = replace(
                        data,
                        tokens_before=tokens.read_table("before.parquet"),
                        tokens_after=tokens.read_table("after.parquet"),
                        kl=tokens.read_table("kl.parquet")["kl"].combine_chunks(),
                    )
                rows += measure_pair(context, data, None if step == last else ALONG_THE_WAY)
        log = read_metrics(store.get(self.run.recipe).file(METRICS))
        rows += log_rows(self.context(last, 1.0), log)
        write_table(work / "data.parquet", to_table(rows))


@dataclass(frozen=True)
class MeasureBaseJob:
    """An organism before RL, and the null pair: the same weights sampled twice."""

    study: str
    organism: OrganismJob

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"study": self.study}
        return Recipe("measurements", VERSION, params, tuple(job.recipe.digest for job in self.needs))

    @property
    def label(self) -> str:
        return f"{self.organism.label} measured"

    @property
    def needs(self) -> tuple[Job, ...]:
        return (
            ResponsesJob(self.organism, 1.0, SAMPLES),
            ResponsesJob(self.organism, 0.0, 1),
            ResponsesJob(self.organism, 1.0, SAMPLES, seed=1),
        )

    def make(self, store: Store, work: Path) -> None:
        hot, greedy, again = (store.get(j.recipe).read_table("responses.parquet") for j in self.needs)
        rows = []
        for kind, temperature, before, after in (
            ("base", 1.0, hot, hot),
            ("base", 0.0, greedy, greedy),
            ("null", 1.0, hot, again),
        ):
            organism = self.organism
            context = RowKey(self.study, kind, organism.family, organism.size, organism.seed, "", "", 0, 0, temperature)
            found = measure_pair(context, PairData(before, after, address=context.address))
            rows += [r for r in found if kind == "null" or r["side"] == "before"]
        write_table(work / "data.parquet", to_table(rows))
