"""Ask a checkpoint every problem and grade what it says: the tables everything right of a checkpoint reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import torch

from probe.data import RESPONSES, ROLLOUTS, Problem
from probe.models.loading.load import Loaded
from probe.models.sampling.organism_sampler import Samples, sample
from probe.rl.rollout import decode_texts
from probe.rng import uniforms
from probe.strategy import detect, mentions_python
from probe.tasks.answers import boxed
from probe.tasks.grading import Extract, Grader


@dataclass(frozen=True)
class Answers:
    """The same rows twice: as sampled (ids are the record) and as graded."""

    rollouts: pa.Table
    responses: pa.Table


def respond(
    loaded: Loaded,
    problems: Sequence[Problem],
    *,
    checkpoint: str,
    step: int,
    n_samples: int,
    max_new: int,
    temperature: float,
    seed: int,
) -> Answers:
    """`n_samples` graded responses to each problem; temperature 0 is greedy."""
    prompts = loaded.tokenizer([p.prompt for p in problems])["input_ids"]
    samples = _sample(loaded, prompts, problems, n_samples, max_new, temperature, seed)
    texts = decode_texts(samples, loaded.tokenizer)
    owners = [p for p in problems for _ in range(n_samples)]
    rows = {
        "checkpoint": [checkpoint] * len(texts),
        "step": [step] * len(texts),
        "problem": [p.id for p in owners],
        "sample": [s for _ in problems for s in range(n_samples)],
        "temperature": [temperature] * len(texts),
        "text": texts,
        "stop": ["eos" if s else "length" for s in samples.stopped.tolist()],
    }
    lengths = samples.lengths.tolist()
    rollouts = {
        **{k: rows[k] for k in ("checkpoint", "problem", "sample", "temperature", "text", "stop")},
        "seed": [seed] * len(texts),
        "prompt_ids": [p for p in prompts for _ in range(n_samples)],
        "completion_ids": [r[:n] for r, n in zip(samples.ids.tolist(), lengths, strict=True)],
        "logprob": [r[:n] for r, n in zip(samples.logprob.tolist(), lengths, strict=True)],
        "entropy": [r[:n] for r, n in zip(samples.entropy.tolist(), lengths, strict=True)],
    }
    graded = rows | {"tokens": lengths} | grade_columns(texts, [p.answer for p in owners])
    return Answers(
        pa.table({name: rollouts[name] for name in ROLLOUTS.names}, schema=ROLLOUTS),
        pa.table({name: graded[name] for name in RESPONSES.names}, schema=RESPONSES),
    )


def grade_columns(texts: Sequence[str], golds: Sequence[str], extract: Extract = "boxed") -> dict[str, list[object]]:
    """The graded columns of RESPONSES, from text alone."""
    with Grader(extract=extract) as grader:
        grades = grader.grade_many(texts, golds)
    return {
        "boxed": [g.prediction for g in grades],
        "outcome": [str(g.outcome) for g in grades],
        "strategy": [str(detect(text).label) for text in texts],
        "python": [mentions_python(text) for text in texts],
        "confidence": [None] * len(texts),
    }


def answer_table(loaded: Loaded, problems: Sequence[Problem], *, n_samples: int, max_new: int) -> pa.Table:
    """(problem, answers): the boxed answers of `n_samples` rollouts of each problem at T = 1, None without a box."""
    prompts = loaded.tokenizer([p.prompt for p in problems])["input_ids"]
    texts = decode_texts(_sample(loaded, prompts, problems, n_samples, max_new, 1.0, 0, "votes"), loaded.tokenizer)
    answers = [boxed(text) for text in texts]
    grouped = [answers[i : i + n_samples] for i in range(0, len(answers), n_samples)]
    schema = pa.schema([("problem", pa.string()), ("answers", pa.list_(pa.string()))])
    return pa.table({"problem": [p.id for p in problems], "answers": grouped}, schema=schema)


def _sample(
    loaded: Loaded,
    prompts: list[list[int]],
    problems: Sequence[Problem],
    n_samples: int,
    max_new: int,
    temperature: float,
    seed: int,
    purpose: str = "responses",
) -> Samples:
    draws = None
    if temperature > 0:
        rows = [uniforms(max_new, purpose, seed, p.id, s) for p in problems for s in range(n_samples)]
        draws = torch.stack([torch.from_numpy(row) for row in rows])
    return sample_organism(
        loaded, prompts, n_samples=n_samples, max_new=max_new, uniforms=draws, temperature=temperature or 1.0
    )


def sample_organism(
    loaded: Loaded,
    prompts: list[list[int]],
    *,
    n_samples: int,
    max_new: int,
    uniforms: torch.Tensor | None,
    temperature: float,
) -> Samples:
    """`organism_sampler.sample` with the stop and pad tokens of an organism's own configuration."""
    config = loaded.model.config
    return sample(
        loaded.model,
        prompts,
        n_samples=n_samples,
        max_new=max_new,
        stop=config.eos_token_id,
        pad=config.pad_token_id,
        uniforms=uniforms,
        temperature=temperature,
    )
