"""Which Inspect logs are there of a checkpoint's answers, of both sides of a pair, and of outputs without weights?

    SampleJob (responses, rollouts)  ->  one log a checkpoint, its prompts as they were rendered
    PublishedJob (responses)         ->  one log a system; prompts and gold answers as far as the files hold them

What stands in a log: `probe.rollouts.eval_sample`; the file: `probe.rollouts.eval_log`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.experiments.published_outputs.files import read_answers
from probe.experiments.published_outputs.job import PublishedJob
from probe.families import families
from probe.rollouts.eval_log import WHOLE, LogOf, write_log
from probe.rollouts.eval_sample import safe_id
from probe.store import Store
from probe.tasks.corpus import leaked
from probe.tasks.published_outputs import read_rlcr
from probe.tasks.rows import read_rows

if TYPE_CHECKING:
    from probe.experiments.responses import SampleJob

PACKED = ".eval"


@dataclass(frozen=True)
class InspectLog:
    """One log: `name` is that of its file, without what it ends in."""

    name: str
    rows: Sequence[Mapping[str, Any]]
    of: LogOf

    def write(self, path: Path, *, whole: bool) -> None:
        """To a file of any name; with `whole` as JSON."""
        write_log(self.rows, path, self.of, whole=whole)


def file_names(names: Sequence[str], *, whole: bool) -> list[str]:
    """Names of the files of a checkpoint, or of before and after."""
    sides = ("before-", "after-") if len(names) == 2 else ("",) * len(names)
    ending = WHOLE if whole else PACKED
    return [f"{side}{safe_id(name)}{ending}" for side, name in zip(sides, names, strict=True)]


def logs_of_checkpoints(jobs: "Sequence[SampleJob]", store: Store) -> Iterator[InspectLog]:
    """The log of each job; all must have been made."""
    for job in jobs:
        yield InspectLog(job.checkpoint.name, _rows(job, store), _about(job))


def logs_of_outputs(job: PublishedJob, store: Store) -> Iterator[InspectLog]:
    """The log of each system that is compared; `job.source` must have been made."""
    source = job.source
    asked = _asked(job)
    table = store.get(source.recipe).read_table("responses.parquet").to_pylist()
    for name in dict.fromkeys(row["checkpoint"] for row in table):
        rows = [row | asked.get(row["problem"], {}) for row in table if row["checkpoint"] == name]
        if source.grading == "published":  # no verdict of ours
            rows = [_labelled(row) for row in rows]
        degrees = {row["temperature"] for row in rows}
        config = {"temperature": degrees.pop()} if len(degrees) == 1 else {}
        about = {"grading": source.grading, "extract": source.extract, "responses": source.recipe.digest}
        dataset = source.paths[0].name
        yield InspectLog(name, rows, LogOf(name, f"outputs of {dataset}", dataset, config=config, about=about))


def _rows(job: "SampleJob", store: Store) -> list[dict[str, Any]]:
    """Responses with what was asked, the gold answer, the seed and whether an organism has read the problem."""
    from probe.experiments.responses import RESPONSES, ROLLOUTS  # loads torch, which outputs need not

    held = store.get(job.recipe)
    responses, seeds = held.read_table(RESPONSES).to_pylist(), held.read_table(ROLLOUTS)["seed"].to_pylist()
    problems = {each.id: each for each in job.elicitation.problems.problems}
    organism = job.checkpoint.organism
    reads = organism is not None and families.get(organism.family)().leak > 0
    known = leaked(problems.values()) if reads else None
    rows = []
    for row, seed in zip(responses, seeds, strict=True):
        problem = problems[row["problem"]]
        text = job.elicitation.text
        prompt = problem.prompt if text.chat else text.render(problem.prompt)
        read = {} if known is None else {"leaked": problem.id in known}
        rows.append(row | read | {"prompt": prompt, "answer": problem.answer, "seed": seed})
    return rows


def _about(job: "SampleJob") -> LogOf:
    asked, options = job.elicitation, job.options
    config = {"temperature": options.temperature, "max_tokens": options.max_new, "seed": options.seed}
    about = {
        "template": asked.template,
        "prefix": asked.prefix,
        "extract": asked.extract,
        "leak": asked.problems.leak,
        "dtype": job.checkpoint.dtype,
        "responses": job.recipe.digest,
    }
    name, system = asked.problems.name, asked.text.system
    return LogOf(job.checkpoint.name, f"{name}, template {asked.template}", name, system, config, about)


def _labelled(row: dict[str, Any]) -> dict[str, Any]:
    right = None if row["outcome"] is None else row["outcome"] == "right"
    return {key: value for key, value in row.items() if key != "outcome"} | {"right": right}


def _asked(job: PublishedJob) -> dict[str, dict[str, Any]]:
    """Prompt and gold answer by problem."""
    source = job.source
    if not source.names:
        return {each.id: {"prompt": each.prompt, "answer": each.answer} for each in read_rlcr(source.paths[0]).problems}
    held = read_answers(source.paths[0])
    found = {name: {"answer": answer} for name, answer in zip(held["problem"], held["answer"], strict=True)}
    for _, row in read_rows(source.paths[0], ("problem", "prompt")):
        if isinstance(row.get("prompt"), str) and str(row.get("problem")) in found:
            found[str(row["problem"])]["prompt"] = row["prompt"]
    return found
