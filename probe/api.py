"""The Python face: load checkpoints, make pairs, run experiments, look at the results. The commands are thin over it.

    base = probe.load("latent-code-tiny-0")
    run = probe.train(base, "format")          # GRPO here, measured at every kept step
    run.figure()                               # response curves
    found = probe.compare(run.pair)            # or probe.compare(probe.pair("A", "B"))
    found.table.to_pandas()                    # one row a number: value, interval, n, null, p
    probe.explain(run.pair).verdict            # why accuracy changed (`probe.verdicts`)
    probe.forecast(base).verdict               # what RL will change, before any RL
    probe.steer(run.pair).figure()

Everything that is made is kept in a store [$PROBE_STORE, else .probe] and is not made again. `ask` options say what is
asked and how; `where` options say where things lie and how many processes work.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from probe.checkpoints.checkpoint import Checkpoint, of_run
from probe.checkpoints.pair import Pair
from probe.checkpoints.resolve import resolve
from probe.checkpoints.run_job import RunJob
from probe.engine.pool import pool_size
from probe.engine.progress import Progress
from probe.errors import BadInput
from probe.experiments.experiment import Experiment
from probe.experiments.result import Result, run
from probe.grammar import GRAMMARS, LETTERED
from probe.models.loading.load import Dtype
from probe.models.loading.manifest import load_manifest
from probe.rewards import Reward, rewards
from probe.rl.labels import Gold, LabelSource
from probe.rl.train import GRPO
from probe.rl.variants import variants
from probe.rollouts.elicitation import NONE, Elicitation, chains
from probe.rollouts.options import SAMPLED, Compute, Sampler, SamplingOptions
from probe.store import Store
from probe.tasks.benchmarks import problems as problem_set
from probe.terminal import Terminal

MAX_NEW = 3072  # tokens of weights from outside, as in 2506.10947
STUDY = "notebook"  # of the rows that `train` leaves


class Ask(TypedDict, total=False):
    """What is asked, and how it is sampled; left out, as in the studies of organisms."""

    problems: str  # chain, math500, gsm8k, ..., or a file
    limit: int | None  # the first problems only
    columns: dict[str, str] | None  # of a file: where it has its problem, answer, id or choices
    keep_readable: bool  # of a file: rows that cannot be read are left out
    template: str | None  # by name; None: the manifest's, else the question as it is
    prefix: str  # put into the model's mouth
    max_new: int | None  # tokens
    temperature: float
    samples: int  # per problem
    seed: int  # of the draws
    sampler: Sampler


class Where(TypedDict, total=False):
    """Where things lie, and who works."""

    store: Store | Path | str | None
    workers: int | None  # processes [one per core]
    progress: bool  # whether a bar is shown [True]


def load(
    name: str,
    *,
    manifest: Path | str | None = None,
    dtype: Dtype = "float32",
    device_map: str | None = None,
    store: Path | str | None = None,
) -> Checkpoint:
    """The checkpoint meant by a name of the manifest, NAME@STEP, a folder, ORG/NAME[@REVISION] or BASE+ADAPTER.

    Nothing is read yet: `checkpoint.load(store)` gives model and tokenizer. `store` is the folder of the store that
    holds what was fetched. BadInput with the nearest names.
    """
    return resolve(name, load_manifest(manifest), dtype=dtype, device_map=device_map, store=store)


def pair(
    before: Checkpoint | str, after: Checkpoint | str | None = None, other: Checkpoint | str | None = None
) -> Pair:
    """Before RL, after it, and at times another seed's run from the same base; names are loaded as `load` does.

    Nothing is read yet. BadInput with the nearest names.
    """
    return Pair(*(load(each) if isinstance(each, str) else each for each in (before, after, other)))  # type: ignore[arg-type]


def compare(
    pair: Pair, *, prompts: Sequence[str] = (), batch: int = 64, where: Where | None = None, **ask: Unpack[Ask]
) -> Result:
    """Everything that differs: every measure, sampled and greedy, and the base under other `prompts` (templates).

    `batch` rows are sampled at a time. The table holds shares in [0, 1], entropies and divergences in nats; n is
    responses or tokens, intervals are clustered by problem. BadInput where the two cannot answer or score one text.
    """
    from probe.experiments.compare.job import CompareJob

    known = load_manifest()
    tried = tuple((name, known.template(name)) for name in prompts)
    job = CompareJob(pair, *asked(pair.before, **ask), tried, Compute(batch))
    return run_here(job, **where or {})


def steer(
    pair: Pair,
    *,
    site: str | None = None,
    coefficients: Sequence[float] | None = None,
    batch: int = 256,
    where: Where | None = None,
    **ask: Unpack[Ask],
) -> Result:
    """Add the direction from prose to code at `site`, `coefficients` times, beside random directions of its length.

    `site` is a residual such as "resid.2" [the first that tells the strategies apart well enough]; a coefficient of 1
    is the distance between the two classes there. The table holds shares by coefficient, and what steering recovers of
    RL's change. BadInput for an unknown site, coefficients without 0, too few problems, or a base of one strategy only.
    """
    from probe.experiments.steering.job import COEFFICIENTS, SAMPLED, SteerJob

    ask.setdefault("samples", SAMPLED.samples)
    elicitation, options = asked(pair.before, **ask)
    doses = tuple(coefficients or COEFFICIENTS)
    return run_here(SteerJob(pair, elicitation, options, site, doses, compute=Compute(batch)), **where or {})


def probes(
    pair: Pair, *, sites: Sequence[str] = (), batch: int = 64, where: Where | None = None, **ask: Unpack[Ask]
) -> Result:
    """What linear probes read off the residual stream, beside shuffled labels, and whether RL moved the direction.

    `sites` are residuals [every layer]. The table holds AUROCs in [0, 1] on held-out problems, cosines, and distances
    in units of the spread between the classes. BadInput for a single sample a problem, or different architectures.
    """
    from probe.experiments.probing.job import ProbesJob

    job = ProbesJob(pair, *asked(pair.before, **ask), tuple(sites), compute=Compute(batch))
    return run_here(job, **where or {})


def patch(pair: Pair, *, n: int = 64, batch: int = 64, where: Where | None = None, **ask: Unpack[Ask]) -> Result:
    """Where the fork between code and prose is decided: lens, activation and path patching, transplanted weights.

    `n` problems. The table holds the fork in nats (log-odds of code against prose at the first token of a response) and
    the share of it that each intervention recovers: 0 none, 1 all. BadInput where the two have different blocks.
    """
    from probe.experiments.patching.job import PatchJob

    elicitation, _ = asked(pair.before, **ask)
    return run_here(PatchJob(pair, elicitation, n, compute=Compute(batch)), **where or {})


def weights(pair: Pair, *, where: Where | None = None) -> Result:
    """Size, rank and sparsity of the weight difference by module, and its cosine with the pair's other run.

    Norms are relative to the module before; ranks and shares have no unit. BadInput where the shapes differ.
    """
    from probe.experiments.weight_difference.job import WeightsJob

    return run_here(WeightsJob(pair), **where or {})


def cross_sample(pair: Pair, *, batch: int = 256, where: Where | None = None, **ask: Unpack[Ask]) -> Result:
    """How few tokens carry what RL did: one writes, and the other steps in where the two part most; both ways.

    The table holds shares in [0, 1] by budget of swapped tokens, beside as many swaps at random places, and the shares
    of RL's change that swaps recover and remove. BadInput for one problem, or different vocabularies.
    """
    from probe.experiments.cross_sampling.job import FEW, CrossSampleJob

    ask.setdefault("samples", FEW.samples)
    return run_here(CrossSampleJob(pair, *asked(pair.before, **ask), Compute(batch)), **where or {})


def weight_path(run: Checkpoint | str, *, every: int = 1, where: Where | None = None) -> Result:
    """Whether the weights of a run made here went along a line, beside walks; `every` that many batches are kept.

    The table holds shares, cosines and R² (no unit) by tensor, and what the first quarter made as long as the whole
    answers. BadInput where the run was made elsewhere, or has too few steps.
    """
    from probe.experiments.weight_path.job import path_of

    return run_here(path_of(load(run) if isinstance(run, str) else run, every), **where or {})


@dataclass(frozen=True, eq=False, repr=False)
class Trained(Result):
    """A run: its measurements at every kept step, and the checkpoints before and after."""

    pair: Pair

    @property
    def checkpoint(self) -> Checkpoint:
        """After the last batch."""
        return self.pair.trained


def train(
    organism: Checkpoint | str,
    reward: str | Reward,
    *,
    labels: LabelSource | None = None,
    recipe: Callable[[Reward], GRPO] = GRPO,
    variant: str | None = None,
    where: Where | None = None,
    **changes: Any,
) -> Trained:
    """Train an organism with GRPO under a reward, and measure it at every kept step.

    `labels` are what the reward compares with [the true answers]; `changes` are fields of `GRPO` (batches, seed, lr,
    trainable, ...), and `variant` one of `probe ls variants`. BadInput where the base is no organism.
    """
    from probe.experiments.rl_runs.job import MeasureRunJob

    base = load(organism) if isinstance(organism, str) else organism
    made = run_of(base, reward, labels or Gold(), recipe, variant, **changes)
    found = run_here(MeasureRunJob(STUDY, made), **where or {})
    return Trained(found.job, found.table, Pair(base, of_run(made)))


def run_of(
    base: Checkpoint,
    reward: str | Reward,
    labels: LabelSource,
    recipe: Callable[[Reward], GRPO] = GRPO,
    variant: str | None = None,
    **changes: Any,
) -> RunJob:
    """The GRPO run that `train` makes; nothing is made yet. BadInput where the base is no organism."""
    if base.run is not None or base.organism is None:
        raise BadInput(f"{base.name} is no organism", where="train", do="see `probe ls checkpoints`")
    chosen = rewards.get(reward)() if isinstance(reward, str) else reward
    name = reward if isinstance(reward, str) else type(chosen).__name__
    changed = replace(recipe(chosen), **{"max_new": base.organism.grammar.max_new, **changes})
    if variant is not None:
        name, changed = f"{name} {variant}", variants.get(variant)(changed)
    return RunJob(name, base.organism, changed, labels)


def asked(
    base: Checkpoint, manifest: Path | str | None = None, **ask: Unpack[Ask]
) -> tuple[Elicitation, SamplingOptions]:
    """What is asked of a base and how it is sampled, the rest filled in from the manifest and the studies.

    BadInput for an unknown problem set or template.
    """
    problems, limit, prefix = ask.get("problems", LETTERED.name), ask.get("limit"), ask.get("prefix", "")
    if problems == LETTERED.name and base.organism is not None:
        problems = base.organism.grammar.name  # the chains that it knows
    chain = GRAMMARS.get(problems)
    name = ask.get("template") or (base.entry.template if base.entry and not chain else "none")
    text = load_manifest(manifest).template(name) if name != "none" else NONE
    file = {"columns": ask.get("columns"), "keep_readable": ask.get("keep_readable", False)}
    whole = limit is None and not file["columns"]
    these = chains(chain).problems if chain and whole else problem_set(problems, limit=limit, **file)  # type: ignore[arg-type]
    sampled = {name: value for name, value in ask.items() if name in ("temperature", "samples", "seed", "sampler")}
    length = ask.get("max_new") or (chain.max_new if chain else MAX_NEW)
    return Elicitation(these, name, text, prefix), replace(SAMPLED, max_new=length, **sampled)  # type: ignore[arg-type]


def run_here(
    job: Experiment,
    store: Store | Path | str | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Result:
    """Run an experiment behind a progress bar on stderr, or read what the store holds of it.

    `workers` processes [one per core]; weights from outside are worked on in this one. ProbeError where a job fails.
    """
    held = store if isinstance(store, Store) else Store(store)
    with Progress(Terminal(stderr=True, quiet=not progress), held, pool_size(workers)) as shown:
        return run(job, held, workers=workers, listener=shown)
