"""What does any checkpoint answer to any problems under any prompt? A job that goes on where it was killed.

    problems x template (+ prefix) -> prompts -> sampling -> rollouts.parquet (ids), responses.parquet (graded)

Prompts are worked off longest first in parts of PART problems; each part is on disk before the next begins. Draws are
addressed by (seed, problem, sample), so before and after pair up and no batch size changes an answer (beyond the
rounding of half precision). Organisms use their own sampler, everything else `transformers_sampler`.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from probe.checkpoints.jobs import Job, OrganismJob, ResponsesJob
from probe.checkpoints.resolve import Folder, Hub, Subject
from probe.data import RESPONSES, ROLLOUTS, Problem
from probe.errors import BadInput
from probe.models.loading.load import Loaded, pad_id, stop_ids
from probe.models.loading.manifest import Template
from probe.models.loading.organism import MAX_NEW_TOKENS
from probe.models.sampling.batches import replicas
from probe.models.sampling.organism_sampler import Samples
from probe.models.sampling.prompts import prompt_ids
from probe.models.sampling.transformers_sampler import generate
from probe.rng import uniforms
from probe.rollouts.grades import grade_columns, sample_organism
from probe.store import Recipe, Store, write_table
from probe.tasks.benchmarks import ProblemSet
from probe.tasks.benchmarks import problems as problem_set
from probe.tasks.grading import Extract

VERSION = 1
PART = 32  # problems between two saves
NONE = Template(text="{prompt}")

Sampler = Literal["transformers", "vllm"]
OnPart = Callable[[int, int], None]  # responses made, of how many
Sample = Callable[..., Samples]


@dataclass(frozen=True)
class How:
    """How a checkpoint is asked; everything here can change a number and is part of the identity."""

    problems: ProblemSet
    template: str = "none"  # its name
    text: Template = NONE
    max_new: int = MAX_NEW_TOKENS  # tokens
    prefix: str = ""  # put into the model's mouth, and graded with what follows
    extract: Extract = "boxed"
    sampler: Sampler = "transformers"  # of weights from outside

    def spec(self) -> dict[str, Any]:
        """For recipes; the template counts by its content, not by its name."""
        return {
            "problems": self.problems.pin,
            "n": len(self.problems.problems),
            "template": self.text.model_dump(),
            "max_new": self.max_new,
            "prefix": self.prefix,
            "extract": self.extract,
            "sampler": self.sampler,
        }

    @property
    def is_study(self) -> bool:
        """Whether this is how the studies of organisms ask."""
        return self.spec() == CHAIN.spec()


CHAIN = How(problem_set("chain"))


@dataclass(frozen=True)
class AskJob:
    """Sample and grade one checkpoint."""

    subject: Subject
    how: How
    temperature: float  # 0 is greedy
    samples: int
    seed: int = 0
    batch: int = field(default=64, compare=False)  # rows at a time, no part of the identity
    devices: tuple[str, ...] = field(default=(), compare=False)  # a copy of the model on each
    on_part: OnPart | None = field(default=None, compare=False)

    @functools.cached_property
    def recipe(self) -> Recipe:
        params = {name: getattr(self, name) for name in ("temperature", "samples", "seed")} | self.how.spec()
        about = {"name": self.subject.name, "step": self.subject.step, "dtype": self.subject.dtype}
        return Recipe("responses", VERSION, params | about, self.subject.inputs)

    @property
    def label(self) -> str:
        return f"{self.subject.name} {self.how.problems.name} T={self.temperature:g} template {self.how.template}"

    @property
    def needs(self) -> tuple[Job, ...]:
        return self.subject.needs

    def make(self, store: Store, work: Path) -> None:
        loaded = self.subject.load(store)
        prompts, forced = prompt_ids(
            loaded.tokenizer, self.how.text, [p.prompt for p in self.how.problems.problems], self.how.prefix
        )
        _check_lengths(loaded, prompts, self.how.max_new)
        tables, made = [], 0
        sampler = self._sampler(loaded)
        for number, places in enumerate(_parts(prompts)):
            file = work / "scratch" / f"part-{number:04d}.parquet"
            if not file.exists():
                file.parent.mkdir(exist_ok=True)
                write_table(file, self._part(loaded, sampler, places, prompts))
            tables.append(pq.read_table(file, partitioning=None))
            made += len(places) * self.samples
            if self.on_part is not None:
                self.on_part(made, len(prompts) * self.samples)
        rows = pa.concat_tables(tables)
        order = pc.sort_indices(rows, sort_keys=[("place", "ascending"), ("sample", "ascending")])
        self._write(work, rows.take(order).drop_columns("place"), prefix_tokens=len(forced))

    def _part(self, loaded: Loaded, sampler: Sample, places: list[int], prompts: list[list[int]]) -> pa.Table:
        """ROLLOUTS of these problems, with each one's place."""
        problems = [self.how.problems.problems[place] for place in places]
        asked = [prompts[place] for place in places]
        temperature = self.temperature or 1.0
        samples = sampler(
            asked,
            n_samples=self.samples,
            max_new=self.how.max_new,
            uniforms=self._draws(problems),
            temperature=temperature,
        )
        n, lengths = self.samples, samples.lengths.tolist()
        ids = [row[:length] for row, length in zip(samples.ids.tolist(), lengths, strict=True)]
        stopped = samples.stopped.tolist()
        texts = [_text(loaded, row[:-1] if end else row) for row, end in zip(ids, stopped, strict=True)]
        columns = {
            "checkpoint": [self.subject.name] * len(ids),
            "problem": [p.id for p in problems for _ in range(n)],
            "sample": [s for _ in problems for s in range(n)],
            "seed": [self.seed] * len(ids),
            "temperature": [self.temperature] * len(ids),
            "prompt_ids": [prompt for prompt in asked for _ in range(n)],
            "completion_ids": ids,
            "stop": ["eos" if end else "length" for end in stopped],
            "logprob": [row[:length] for row, length in zip(samples.logprob.tolist(), lengths, strict=True)],
            "entropy": [row[:length] for row, length in zip(samples.entropy.tolist(), lengths, strict=True)],
            "text": [self.how.prefix + text for text in texts],
        }
        table = pa.table({name: columns[name] for name in ROLLOUTS.names}, schema=ROLLOUTS)
        return table.append_column("place", pa.array([place for place in places for _ in range(n)], pa.int32()))

    def _sampler(self, loaded: Loaded) -> Sample:
        """The one that knows these weights."""
        if self.subject.made_here:
            return functools.partial(sample_organism, loaded)
        ends: dict[str, Any] = {"stop": stop_ids(loaded), "pad": pad_id(loaded)}
        if self.how.sampler == "vllm":
            from probe.models.sampling.vllm_sampler import VllmSampler

            if not isinstance(self.subject.source, Folder | Hub) or self.subject.adapter:
                raise BadInput(
                    "vLLM reads whole checkpoints", where=self.subject.name, do="save the merged model first"
                )
            engine = VllmSampler(self.subject.source.files(), dtype=self.subject.dtype)
            return functools.partial(engine.sample, **ends)
        first, *rest = replicas(loaded.model, self.devices)
        return functools.partial(generate, first, batch=self.batch, replicas=rest, **ends)

    def _draws(self, problems: Sequence[Problem]) -> torch.Tensor | None:
        if not self.temperature:
            return None
        places = ((p.id, s) for p in problems for s in range(self.samples))
        rows = [uniforms(self.how.max_new, "responses", self.seed, *place) for place in places]
        return torch.stack([torch.from_numpy(row) for row in rows])

    def _write(self, work: Path, rollouts: pa.Table, prefix_tokens: int) -> None:
        rows = rollouts.to_pydict()
        gold = {p.id: p.answer for p in self.how.problems.problems}
        texts = rows["text"]
        graded = rows | {
            "step": [self.subject.step] * len(texts),
            "tokens": [len(ids) + prefix_tokens for ids in rows["completion_ids"]],
            **grade_columns(texts, [gold[name] for name in rows["problem"]], self.how.extract),
        }
        write_table(work / "rollouts.parquet", rollouts)
        write_table(
            work / "responses.parquet",
            pa.table({name: graded[name] for name in RESPONSES.names}, schema=RESPONSES),
        )


def ask(subject: Subject, how: How, temperature: float, samples: int, seed: int = 0, **options: Any) -> Job:
    """The job that samples a checkpoint; an organism's is the one of the studies, which may be there already."""
    if isinstance(subject.source, OrganismJob) and how.is_study:
        return ResponsesJob(subject.source, temperature, samples, seed)
    return AskJob(subject, how, temperature, samples, seed, **options)


def _parts(prompts: list[list[int]]) -> Iterator[list[int]]:
    """Places of the prompts, longest first: what does not fit into memory shows at once."""
    places = sorted(range(len(prompts)), key=lambda place: (-len(prompts[place]), place))
    for start in range(0, len(places), PART):
        yield places[start : start + PART]


def _text(loaded: Loaded, ids: list[int]) -> str:
    # markers stay: what a model writes behind one is cut off where texts are read, not glued to the answer
    return loaded.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def _check_lengths(loaded: Loaded, prompts: list[list[int]], max_new: int) -> None:
    config = loaded.model.config.get_text_config()
    longest, room = max(map(len, prompts)), getattr(config, "max_position_embeddings", None)
    if room is not None and longest + max_new > room:
        what = f"a prompt of {longest} tokens and {max_new} new ones are more than its {room} positions"
        do = f"--max-new {room - longest}" if room > longest else "give shorter problems or another template"
        raise BadInput(what, where=str(loaded.tokenizer.name_or_path), do=do)
