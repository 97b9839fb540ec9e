"""Train weights from outside with GRPO: rewards, labels, advantages and loss of the organisms, a folder a kept step.

    votes of the base (where labels are made of them) -> labels.json -> metrics.jsonl, step-010/, step-020/, ...

Its identity is the content of the base's files, the recipe, what is asked and the labels. How much is worked on at once
(`Memory`) is not: it rounds otherwise, and a killed run goes on to the same bits under the same `Memory`, on the CPU.
"""

import copy
import functools
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Hub
from probe.checkpoints.run_job import READ_VOTES
from probe.engine.job import Job
from probe.engine.listener import report
from probe.errors import BadInput
from probe.experiments.budget import PROMPT, Work
from probe.experiments.experiment import CheckpointJob
from probe.experiments.outside_runs.card import card
from probe.experiments.outside_runs.labels import answers_of, label_report
from probe.experiments.outside_runs.recipe import grader
from probe.experiments.responses import RESPONSES, SampleJob, check_lengths
from probe.models.loading.load import Loaded
from probe.models.sampling.organism_sampler import Samples
from probe.rl.causal_policy import BaseOf, CausalPolicy, Memory, cast
from probe.rl.labels import Labels, LabelSource
from probe.rl.labels import spec as labels_spec
from probe.rl.lora import Lora
from probe.rl.rollout import Question
from probe.rl.step_folders import StepFolders, step_folder
from probe.rl.train import GRPO, Logger, train_policy
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import Compute, SamplingOptions
from probe.rollouts.respond import texts_of
from probe.store import Artifact, Recipe, Store, write_atomic

VERSION = 1
VOTES = 64  # responses of the base a problem, as in 2506.10947
LABELS = "labels.json"


@dataclass(frozen=True)
class OutsideRunJob(CheckpointJob):
    """One GRPO run from `checkpoint`, whose dtype is that of the products; `name` is the reward's, in figures."""

    name: str
    checkpoint: Checkpoint
    elicitation: Elicitation
    grpo: GRPO
    labels: LabelSource
    lora: Lora | None = None
    votes: int = VOTES
    memory: Memory = field(default=Memory(), compare=False)

    def __post_init__(self) -> None:
        if self.checkpoint.dtype == "float16":
            do = "choose --dtype bfloat16 or float32"
            raise BadInput("float16 cannot be trained: its gradients underflow", where="train", do=do)
        if self.grpo.drawn_weight_cap is not None and self.checkpoint.dtype == "float32":
            what = "in float32 the sampler's log-probs are the forward's: there is nothing to weigh tokens by"
            raise BadInput(what, where="--weight-cap", do="leave it out, or choose --dtype bfloat16")

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {
            **self.grpo.spec(),
            **self.elicitation.spec(),
            **self.checkpoint.spec,
            "labels": labels_spec(self.labels),
            "lora": None if self.lora is None else self.lora.spec(),
        }
        made = tuple(job.recipe.digest for job in self.asked_before)
        return Recipe("outside-run", VERSION, params, (*self.checkpoint.inputs, *made))

    @property
    def label(self) -> str:
        return f"{self.checkpoint.name} {self.name} seed {self.grpo.seed}"

    @property
    def asked_before(self) -> tuple[SampleJob, ...]:
        """What the base answers to the problems, where labels are made of it."""
        if labels_spec(self.labels)["labels"] not in READ_VOTES:
            return ()
        options = SamplingOptions(self.grpo.temperature, self.votes, max_new=self.grpo.max_new)
        return (SampleJob(self.checkpoint, self.elicitation, options, Compute(self.memory.rows)),)

    @property
    def needs(self) -> tuple[Job, ...]:
        return (*self.checkpoint.needs, *self.asked_before)

    @property
    def steps(self) -> tuple[int, ...]:
        """After how many batches a checkpoint is kept."""
        every, last = self.grpo.save_every, self.grpo.batches
        return (*range(every, last, every), last)

    @property
    def work(self) -> tuple[Work, ...]:
        """What is sampled while training, and the passes of its updates."""
        rows = self.grpo.batches * self.grpo.prompts * self.grpo.samples
        read = rows * (PROMPT + self.grpo.max_new) * self.operations // 2
        return (Work(self.checkpoint, rows, self.grpo.max_new, self.memory.rows, read),)

    @property
    def operations(self) -> int:
        """A weight and token of an update: forward 2, backward 4 (by LoRA 2), and what is computed again 2 each."""
        again = self.memory.recompute + (self.checkpoint.dtype != "float32")  # old log-probs, in bf16
        return (4 if self.lora else 6) + 2 * again

    @property
    def base_name(self) -> str:
        """What its checkpoints are of: a hub id, else the name of a folder."""
        source = self.checkpoint.source
        return source.id if isinstance(source, Hub) else self.checkpoint.name

    def make(self, store: Store, work: Path, log: Logger = lambda batch, metrics: None) -> None:
        check_device(self.checkpoint.device_map)
        chosen, about = self._labels(store)
        loaded = self._load(store)
        pool = self._pool(loaded, chosen)
        write_atomic(work / LABELS, (json.dumps(about, indent=1) + "\n").encode())
        policy, base = self._policies(loaded)
        told = functools.partial(card, self.base_name, self.name)
        keeper = StepFolders(
            loaded.tokenizer, self.base_name, lambda step: told(step, self.recipe.params, self.recipe.inputs, about)
        )

        def heard(batch: int, metrics: dict[str, float]) -> None:
            report(batch + 1, self.grpo.batches, "batches")
            log(batch, metrics)

        reader = Reading(loaded, self.elicitation.prefix)
        train_policy(policy, base, reader, pool, self.grpo, work, keeper=keeper, log=heard)

    def _labels(self, store: Store) -> tuple[Labels, dict[str, Any]]:
        gold = {problem.id: problem.answer for problem in self.elicitation.problems.problems}
        answers: dict[str, list[str | None]] = {}
        for job in self.asked_before:
            rows = store.get(job.recipe).read_table(RESPONSES)
            answers = answers_of(rows["problem"].to_pylist(), rows["boxed"].to_pylist())
        chosen = self.labels(answers, gold)
        return chosen, label_report(chosen, answers, gold, grader())

    def _load(self, store: Store) -> Loaded:
        """In fp32 where every weight is trained."""
        whole = self.checkpoint if self.lora else replace(self.checkpoint, dtype="float32")
        return whole.load(store)

    def _pool(self, loaded: Loaded, chosen: Labels) -> list[Question]:
        by_id = {problem.id: problem for problem in self.elicitation.problems.problems}
        asked = [by_id[name] for name in dict.fromkeys(chosen.kept)]
        prompts, _ = self.elicitation.prompts(loaded.tokenizer, asked)
        check_lengths(loaded, prompts, self.grpo.max_new)
        ids = dict(zip((problem.id for problem in asked), prompts, strict=True))
        return [Question(by_id[name], ids[name], chosen.label[name]) for name in chosen.kept]

    def _policies(self, loaded: Loaded) -> tuple[CausalPolicy, BaseOf | None]:
        """What learns, and what it started from: LoRA switched off, else a copy, held only for a KL penalty."""
        half, reference = self.checkpoint.dtype == "bfloat16", None
        if self.lora is None and self.grpo.loss.kl_beta:
            reference = cast(loaded.model) if half else copy.deepcopy(loaded.model).requires_grad_(False)
        how: dict[str, Any] = {"seed": self.grpo.seed, "half": half, "memory": self.memory, "reference": reference}
        policy = CausalPolicy(loaded, lora=self.lora, **how)
        return policy, None if self.lora is None and reference is None else BaseOf(policy)


class Reading:
    """Responses as text, special tokens included, and whether the grader calls them right."""

    def __init__(self, loaded: Loaded, prefix: str = "") -> None:
        self.loaded, self.prefix = loaded, prefix

    def texts(self, samples: Samples) -> list[str]:
        """Each response without the token that ended it."""
        return texts_of(self.loaded, samples, self.prefix)

    def right(self, texts: list[str], golds: list[str]) -> list[bool]:
        """Of every response."""
        return [grade.outcome.name == "right" for grade in grader().grade_many(texts, golds)]


def step_files(artifact: Artifact, step: int) -> dict[str, Path]:
    """The files of a kept step, checked, by their names in its folder."""
    start = f"{step_folder(step)}/"
    return {name.removeprefix(start): artifact.file(name) for name in artifact.spec["files"] if name.startswith(start)}


def check_device(device_map: str | None) -> None:
    """BadInput where a GPU is asked for and none is there."""
    if device_map and device_map.startswith("cuda") and not torch.cuda.is_available():
        do = "leave --device-map out to train on the CPU, or install a torch that sees the GPU"
        raise BadInput("a GPU is asked for, and torch sees none", where=f"--device-map {device_map}", do=do)
