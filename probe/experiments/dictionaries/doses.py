"""What does a checkpoint answer while latents are turned by hand? Dose-responses as an artifact, row by row.

    every arm of `turned`, on the half of the problems that chose nothing, with the same addressed draws
    -> code or not, right or not, an answer in it or not; nats: KL(plain || turned) of the first token's distribution

`where`: at the fork alone (the prompt's last token), or at every new position too. At a model's last residual an edit
at the fork reaches the first token and nothing else. What is finished is on disk, PART arms at a time: a killed job
goes on from there.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float
from torch import Tensor

from probe.activations.linear import KINDS
from probe.checkpoints.checkpoint import Checkpoint
from probe.data import Problem
from probe.dictionaries.diffing.fork_kl import Logits, kl
from probe.engine.job import Job
from probe.engine.listener import report
from probe.errors import BadInput
from probe.experiments.budget import Work
from probe.experiments.dictionaries.comparisons import RL, Comparisons
from probe.experiments.dictionaries.fit_job import BEFORE_AFTER
from probe.experiments.dictionaries.turned import Arm, Turnable, arms, turnable
from probe.interventions.steering import MEASURES, Part, Where, answer, edit_at, part_of
from probe.models.hooks.backends import backend
from probe.models.hooks.edits import Change, Edit
from probe.models.loading.loaded import Loaded, pad_id
from probe.models.sampling.padding import left_padded
from probe.rollouts.options import Compute, SamplingOptions
from probe.rollouts.respond import Request
from probe.store import Recipe, Store, is_kept, keep_table, write_table

VERSION = 1
SIZES, DOSES, DRAWS = (1, 3, 10), (-1.0, 0.0, 1.0, 2.0, 4.0), 100
ONE = SamplingOptions(samples=1)  # per problem and arm
COMPUTE = Compute(batch=256)
PART = 20  # arms between two saves
READ = 64  # prompts whose logits are held at once


@dataclass(frozen=True)
class LatentDosesJob(Job):
    """One `side` of a pair: its model, with the pair's code latents turned."""

    TYPICAL: ClassVar = {"tiny": 20.0}
    comparisons: Comparisons
    side: str  # before, after
    sizes: tuple[int, ...] = SIZES
    doses: tuple[float, ...] = DOSES
    draws: int = DRAWS
    where: Where = "fork"
    options: SamplingOptions = ONE
    compute: Compute = field(default=COMPUTE, compare=False)

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1 or not self.doses or max(self.doses) <= 0 or self.draws < 1:
            what = f"sizes {self.sizes}, doses {self.doses}, {self.draws} draws"
            raise BadInput(what, where="latent doses", do="give sizes of 1 or more, a dose above 0, and 100 draws")

    @property
    def checkpoint(self) -> Checkpoint:
        """Whose latents are turned."""
        pair = self.comparisons.pair
        return (pair.before, pair.trained)[BEFORE_AFTER.index(self.side)]

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {name: getattr(self, name) for name in ("side", "draws", "where")}
        params |= {"sizes": list(self.sizes), "doses": list(self.doses)} | self.options.spec() | self.checkpoint.spec
        return Recipe("latent-doses", VERSION, params | self.comparisons.elicitation.spec(), inputs(self.comparisons))

    @property
    def label(self) -> str:
        return f"{self.checkpoint.name} latents turned at {self.comparisons.site}, {self.where}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return needs(self.comparisons)

    @property
    def in_process(self) -> bool:
        return self.comparisons.pair.is_outside

    @property
    def n_arms(self) -> int:
        """Nothing turned; every set, with a direction of each kind beside it unless it is ablated; random sets."""
        beside = sum(1 + len(KINDS) * (dose != 0) for dose in self.doses)
        return 1 + len(self.sizes) * beside + 2 * self.draws

    @property
    def work(self) -> tuple[Work, ...]:
        """Half of the problems under every arm, a direction of each kind beside each set."""
        rows = len(asked(self.comparisons, "report")) * self.options.samples * self.n_arms
        return (Work(self.checkpoint, rows, self.options.max_new, self.compute.batch),)

    def make(self, store: Store, work: Path) -> None:
        of = turnable(store, self.comparisons, self.side)
        loaded = self.checkpoint.load(store)
        problems, how = asked(self.comparisons, "report"), self.comparisons.elicitation
        bench = Bench(loaded, Request(problems, how, self.options, self.compute), of, self.where)
        every, tables, done = arms(of, self.sizes, self.doses, self.draws), [], 0
        while some := list(islice(every, PART)):  # each of a redirected set holds a decoder of its own
            file = work / "scratch" / f"part-{done:04d}.parquet"
            if not is_kept(file):
                keep_table(file, pa.concat_tables([bench.answers(*each) for each in some]))
            tables.append(pq.read_table(file, partitioning=None))
            done += len(some)
            report(done, self.n_arms, "arms")
        write_table(work / "data.parquet", pa.concat_tables(tables))


def needs(comparisons: Comparisons) -> tuple[Job, ...]:
    """What turning latents of a pair rests on."""
    return (comparisons.dictionaries[RL], comparisons.before, *comparisons.written, *comparisons.pair.needs)


def inputs(comparisons: Comparisons) -> tuple[str, ...]:
    """The same for recipes."""
    made = (comparisons.dictionaries[RL], comparisons.before, *comparisons.written)
    return (*(job.recipe.digest for job in made), *comparisons.pair.inputs)


def asked(comparisons: Comparisons, part: Part) -> tuple[Problem, ...]:
    """One half of the problems. BadInput where it is empty."""
    found = tuple(p for p in comparisons.elicitation.problems.problems if part_of(p.id) == part)
    if not found:
        raise BadInput(f"no problem to {part}", where=comparisons.elicitation.problems.name, do="ask a dozen or more")
    return found


@dataclass(frozen=True, eq=False)
class Bench:
    """A model, what it is asked, and where its latents are turned."""

    loaded: Loaded
    request: Request
    of: Turnable
    where: Where

    def edits(self, change: Change | None) -> list[Edit]:
        """`change` at the dictionary's site, at those positions."""
        return [] if change is None else [edit_at(self.of.dictionary.site, change, self.where)]

    @functools.cached_property
    def plain(self) -> Logits:
        """What the model says of the first token when nothing is turned."""
        return self.first(())

    def answers(self, arm: Arm, change: Change | None) -> pa.Table:
        """Every answer under one arm, graded; `kl` is that of its problem."""
        edits, n = self.edits(change), self.request.options.samples
        found = answer(self.loaded, self.request, edits)
        moved = kl(self.plain.double(), self.first(edits).double()) if edits else torch.zeros(len(self.plain))
        names = [problem.id for problem in self.request.problems]
        columns: dict[str, Any] = {name: [value] * len(names) * n for name, value in vars(arm).items()}
        size = min(arm.k, len(self.of.ranking))  # there may be fewer that tell anything
        columns |= {"size": [size] * len(names) * n}
        columns |= {"problem": [name for name in names for _ in range(n)], "sample": list(range(n)) * len(names)}
        columns |= {name: getattr(found, name).ravel() for name in MEASURES}
        return pa.table(columns | {"kl": moved.double().repeat_interleave(n).numpy(force=True)})

    @torch.no_grad()
    def first(self, edits: Sequence[Edit]) -> Float[Tensor, "problem vocab"]:
        """Logits of the first token of an answer."""
        loaded, own = self.loaded, backend("hooks", self.loaded)
        prompts, _ = self.request.elicitation.prompts(loaded.tokenizer, self.request.problems)
        device = loaded.model.get_input_embeddings().weight.device
        found = []
        for at in range(0, len(prompts), READ):
            ids, mask = left_padded(prompts[at : at + READ], pad_id(loaded), device)
            found.append(own.run(ids, edits=edits, mask=mask).logits[:, -1].float().cpu())
        return torch.cat(found)
