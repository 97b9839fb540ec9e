"""Adapters beside every MLP of before at one budget, as an artifact: the pair's own, and those that should do less.

    rl               before + adapters is to behave like after                                         (2602.20904)
    frozen decoder   the same; its directions are drawn, as long as those of rl, and stay as they are  (2602.14111)
    walk             like before with its weights moved at random, each tensor in proportion as RL moved it, until that
                     is as many nats from before as after is: a change that no reward chose
    itself           like before: there is nothing to learn

Budget: at most `k` latents are active at a token beside each MLP, the largest (TopK). k = 0: none, so that one vector a
layer is added at every token; k = all of them: those above 0. Trained on what both wrote to one half of the problems,
all layers together, by KL(target || before + adapters). Killed, a fit goes on to the same bits.
"""

import dataclasses
import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from transformers import PreTrainedModel

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.pair import Pair
from probe.dictionaries.activation import ReLU, TopK
from probe.dictionaries.causes.adapter import Adapter, as_dictionary, new_adapters, of_dictionary
from probe.dictionaries.causes.adapter_forward import Texts
from probe.dictionaries.causes.adapter_nulls import as_large, random_change, untrained
from probe.dictionaries.causes.adapter_training import AdapterOptions, train_adapters
from probe.dictionaries.causes.recovered_change import nats_from
from probe.dictionaries.exchange.folder import Kept, read_dictionary, write_dictionary
from probe.engine.job import Job
from probe.engine.listener import report
from probe.errors import BadInput
from probe.experiments.budget import BYTES, PROMPT, Fitting, Work, size_of
from probe.experiments.responses import ROLLOUTS, SampleJob
from probe.interventions.steering import Part, part_of
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.sites import Site, site
from probe.models.loading.organism import shape_of
from probe.store import Recipe, Store, write_atomic

VERSION = 1
RL, FROZEN, WALK, ITSELF = "rl", "frozen decoder", "walk", "itself"
EVERY = 100  # steps between two states that are kept
ABOUT = "training.json"
SIZED = 128  # texts, evenly among those that train, that say how large a change is
SAVED = 34  # bytes of activations a token, layer and number of d_model at 2 bytes a number (2205.05198 eq. 2)


@dataclass(frozen=True)
class Training:
    """How adapters are trained; `seed` says where they begin and in which order they read."""

    n_latents: int = 64  # of each
    steps: int = 200
    lr: float = 0.02
    batch: int = 16  # texts a step
    warm_up: int = 10  # steps until the rate is whole
    seed: int = 0

    def options(self, *frozen: str) -> AdapterOptions:
        """For the loop. BadInput where they are no options."""
        return AdapterOptions(self.steps, self.lr, batch=self.batch, warm_up=self.warm_up, frozen=frozen)


ORGANISMS = Training()
OUTSIDE = Training(n_latents=4096, steps=2000, lr=1e-3, batch=2)


@dataclass(frozen=True)
class Read:
    """Texts, row by row, with the problem and the sample of each."""

    prompts: Texts
    completions: Texts
    problems: list[str]
    samples: list[int]


def texts_of(store: Store, written: Sequence[SampleJob], part: Part, most: int | None = None) -> Read:
    """What they wrote to one half of the problems; the first `most` of each writer, first samples first.

    BadInput where that half is empty.
    """
    found = []
    for job in written:
        rows = store.get(job.recipe).read_table(ROLLOUTS).to_pylist()
        mine = [row for row in rows if part_of(row["problem"]) == part]
        found += sorted(mine, key=lambda row: row["sample"])[:most]
    if not found:
        raise BadInput(f"no problem to {part}", where="adapter", do="ask a dozen or more")
    columns = ("prompt_ids", "completion_ids", "problem", "sample")
    return Read(*([row[name] for row in found] for name in columns))


@dataclass(frozen=True)
class AdapterFitJob(Job):
    """One fit: `of` is what it is to learn, `k` the budget."""

    TYPICAL: ClassVar = {"tiny": 3.0}
    pair: Pair
    written: tuple[SampleJob, ...]
    training: Training
    of: str
    k: int

    def __post_init__(self) -> None:
        if not 0 <= self.k <= self.training.n_latents:
            what = f"{self.k} of {self.training.n_latents} latents active at once"
            raise BadInput(what, where="adapter", do="give budgets from 0 to all latents")
        self.training.options()  # wrong ones are told now

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {"training": dataclasses.asdict(self.training), "of": self.of, "k": self.k} | self.pair.spec
        made = (*self.written, *self.begun)
        return Recipe("adapter", VERSION, params, (*(job.recipe.digest for job in made), *self.pair.inputs))

    @property
    def label(self) -> str:
        return f"{self.pair.label} adapters of {self.of}, {self.k} active"

    @property
    def begun(self) -> "tuple[AdapterFitJob, ...]":
        """The fit whose decoder tells how long random directions are, where there is one."""
        return (replace(self, of=RL),) if self.of == FROZEN else ()

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.written, *self.begun, *self.pair.needs)

    @property
    def in_process(self) -> bool:
        return self.pair.is_outside

    @property
    def tokens(self) -> int:
        """Of one step, at most."""
        return self.training.batch * (PROMPT + self.written[0].options.max_new)

    @property
    def work(self) -> tuple[Work, ...]:
        """The target reads each text, before reads it and is gone through backwards; a walk is one more copy."""
        read, copies = self.training.steps * self.tokens, 1 + (self.of == WALK)
        beside = self.fitting.weights + self.fitting.batch
        before = Work(self.pair.before, read=3 * read, copies=copies, beside=beside)
        return (before, Work(self.pair.trained, read=read))

    @property
    def fitting(self) -> Fitting:
        """Memory and operations of the adapters, and of going backwards through before."""
        return fitting(self.training, self.pair.before, self.tokens)

    @property
    def disk(self) -> float:
        """Bytes of the adapters."""
        return self.fitting.weights / 4

    def make(self, store: Store, work: Path) -> None:
        base, after = (each.model for each in self.pair.load(store))
        texts, options = texts_of(store, self.written, "choose"), self.training.options(*self._frozen)
        found = train_adapters(
            base,
            self.target(base, after, texts),
            texts.prompts,
            texts.completions,
            self._start(store, base),
            options,
            "adapter",
            self.training.seed,
            folder=work / "scratch" / "state",
            every=EVERY,
            on_step=lambda done: report(done, self.training.steps, "steps"),
        )
        fitted_on = {job.checkpoint.name: job.recipe.digest for job in self.written}
        for each in found.adapters:
            kept = Kept(as_dictionary(each, self.pair.before.name), dict(self.recipe.params["training"]), fitted_on)
            (work / str(each.site)).mkdir(exist_ok=True)
            write_dictionary(kept, work / str(each.site))
        about = {"sites": [str(each.site) for each in found.adapters], "failed": found.failed}
        about |= {"distance": found.distance.tolist(), "l0": found.l0.tolist()}
        write_atomic(work / ABOUT, json.dumps(about).encode())

    def target(self, base: PreTrainedModel, after: PreTrainedModel, texts: Read) -> PreTrainedModel:
        """What before + adapters is to behave like, in nats on the first of the texts that train."""
        if self.of != WALK:
            return base if self.of == ITSELF else after
        each = max(1, len(texts.prompts) // SIZED)
        few = texts.prompts[::each], texts.completions[::each]

        def nats(model: PreTrainedModel) -> float:
            return float(nats_from(model, base, (), *few, self.training.batch).mean())

        walk = random_change(base, after, "adapter walk", self.training.seed)
        return as_large(base, walk, nats, nats(after))

    @property
    def _frozen(self) -> tuple[str, ...]:
        """Which tensors are not learned."""
        return ("W_enc", "b_enc", "W_dec") if not self.k else ("W_dec",) if self.of == FROZEN else ()

    def _start(self, store: Store, base: PreTrainedModel) -> Sequence[Adapter]:
        if self.begun:
            return untrained(adapters_of(store, self.begun[0])[0], "frozen", self.training.seed)
        layers, d = len(anatomy(base).mlp), base.get_input_embeddings().weight.shape[1]
        if not self.k:
            return [silent(Site("mlp", layer), d) for layer in range(layers)]
        return new_adapters(range(layers), d, self.training.n_latents, TopK(self.k), "adapter", self.training.seed)


def silent(place: Site, d: int) -> Adapter:
    """One latent that is never active: what is added is the bias alone."""
    return Adapter(place, ReLU(), torch.zeros(d, 1), -torch.ones(1), torch.zeros(1, d), torch.zeros(d))


def adapters_of(store: Store, job: AdapterFitJob) -> tuple[tuple[Adapter, ...], str]:
    """Those of a fit that was made, and why its training failed where it did."""
    folder = store.get(job.recipe).path
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return tuple(of_dictionary(read_dictionary(folder / str(site(name))).dictionary) for name in about["sites"]), about[
        "failed"
    ]


def fitting(training: Training, base: Checkpoint, tokens: int) -> Fitting:
    """Weights, gradients and both of Adam's moments; what before keeps of a step for the way back, and its latents.

    The weights of before are frozen, so SAVED is more than is kept. Operations are those of the adapters alone.
    """
    shape, n = shape_of(base.organism.size) if base.organism else size_of(base).shape, training.n_latents
    weights = 16.0 * shape.layers * (2 * shape.d_model * n + n + shape.d_model)
    kept = SAVED / 2 * BYTES[base.dtype] * shape.d_model + 3 * 4 * n
    rows = training.steps * tokens
    return Fitting(weights, tokens * shape.layers * kept, rows, 3.0 * 2 * rows * shape.layers * 2 * shape.d_model * n)
