"""Where do a page's numbers come from, and what makes them again? Artifacts with digests and versions, and commands."""

import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from probe import __version__
from probe.engine.job import Job
from probe.experiments.compare.job import CompareJob
from probe.grammar import GRAMMARS
from probe.rollouts.elicitation import chains
from probe.rollouts.options import SAMPLED
from probe.store import Store

ABOUT = ("stage", "digest", "version", "commit", "dirty", "versions")


def told(store: Store, jobs: Iterable[Job], commands: Sequence[str]) -> dict[str, Any]:
    """Of each artifact that was read what it is; all are in the store."""
    artifacts = []
    for job in jobs:
        spec = store.get(job.recipe).spec
        artifacts.append({"label": job.label, **{key: spec.get(key) for key in ABOUT}})
    return {"probe": __version__, "artifacts": artifacts, "commands": list(commands)}


def commands(job: CompareJob, flags: str = "") -> list[str]:
    """What is typed to make the page (with `flags`), and each table behind it, again."""
    return [command(job, verb) for verb in (f"report{flags}", "compare", "explain")]


def command(job: CompareJob, said: str) -> str:
    """The command line of that verb (and its flags) on the pair, asked as it was: "compare", "report --cards"."""
    verb, _, flags = said.partition(" ")
    pair = " ".join(shlex.quote(each.name) for each in job.pair.sides.values())
    return f"probe {verb} {pair}{asked(job)}{' ' if flags else ''}{flags}"


def asked(job: CompareJob) -> str:
    """The options that are not what they are unless somebody says so."""
    posed, options, outside = job.elicitation, job.options, job.pair.is_outside
    said, n, grammar = "", len(posed.problems.problems), GRAMMARS.get(posed.problems.name)
    if grammar is None or outside:
        said += f" --problems {shlex.quote(posed.problems.name)}"
    if grammar is None or outside or n < len(chains(grammar).problems.problems):
        said += f" --limit {n}"
    if grammar is None or outside:
        said += f" --template {shlex.quote(posed.template)} --max-new {options.max_new}"
    if outside:
        said += f" --dtype {job.pair.before.dtype}"
    said += f" --samples {options.samples}" if options.samples != SAMPLED.samples else ""
    said += f" --temperature {options.temperature:g}" if options.temperature != SAMPLED.temperature else ""
    return said
