"""Do a prompt, first words and a direction move the strategy of a real language model, as they move an organism's?

SmolLM2-135M-Instruct at 4 bits (`probe fetch smollm2-135m`), on calculations with one to three operations that no one
has seen. It is asked for a program (`ask-code`), for words (`ask-words`), for neither (`chat`), and with the first line
of a program put into its mouth; code and prose are read off the middle layers, and it is steered along their direction
beside random ones. Whatever the manifest has that was trained from it is compared with it in the same way; RL on it is
no part of this study yet: a run of the recipe starts from organisms alone.

Looked at before this was written: six word problems under `chat` and under two system prompts that ask for a program
and for words, 72 tokens, greedy and sampled (no response of 54 was code; few answers were right), and one random
calculation of each length from 1 to 20 under the three prompts, sampled twice: three of those are asked here too.

Written down before any run of it:

    asked for     the share of code under `ask-code` is above those under `ask-words` and `chat`, intervals without 0
    forced        "```python" brings more code than any prompt: above .8
    no better     accuracy does not rise with code: it writes programs, and nothing runs them
    read          code or prose is told from the question's last residual with an AUROC above .6 at resid.15, no better
                  than what the other responses to the same question tell
    steered       the fitted direction moves the share of code further than every random one of its length
    null          the same weights twice: every interval of a difference holds 0
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from probe.studies import studies

if TYPE_CHECKING:
    from probe.checkpoints.checkpoint import Checkpoint
    from probe.checkpoints.pair import Pair
    from probe.engine.job import Job
    from probe.rollouts.elicitation import Elicitation
    from probe.tasks.benchmarks import ProblemSet

MODEL = "smollm2-135m"
ASKED, OTHERS = "ask-code", ("ask-words", "chat")
FIRST = "```python\n"
LEVELS, PER_LEVEL = (1, 2, 3), 12  # operations; problems of each
SITES = ("resid.10", "resid.15", "resid.20")
SITE = "resid.15"  # of 30 blocks
DOSES = (-4.0, -2.0, 0.0, 2.0, 4.0)
RANDOMS = 5  # directions: an evening on a laptop, not a proof of the tails
NEW = 64  # tokens of a response
FIGURES = ("prompt_shares", "probe_accuracy", "steering")


@studies.register("real-lm", order=70, in_all=False, apart=True, figures=FIGURES, dataset=MODEL)
def real_lm(store: Path | None = None) -> "list[Job]":
    """A real language model: prompts, first words, probes, steering."""
    from probe.checkpoints.pair import Pair
    from probe.store import Store
    from probe.tasks.published_data import held_at

    if held_at(MODEL, Store(store).root) is None:
        return []
    base = _named(MODEL, store)
    return [job for pair in (Pair(base), *_trained(base, store)) for job in _measured(pair)]


def _measured(pair: "Pair") -> "list[Job]":
    """The base alone: prompts, first words, probes, doses. What was made of it: compared, probed and steered too."""
    from probe.checkpoints.pair import Pair
    from probe.experiments.compare.job import CompareJob
    from probe.experiments.forced_prefix.job import PrefixJob
    from probe.experiments.probing.job import ProbesJob
    from probe.experiments.steering.job import SteerJob
    from probe.models.loading.manifest import load_manifest
    from probe.rollouts.options import SamplingOptions

    twice, fourfold, once = (SamplingOptions(samples=n, max_new=NEW) for n in (2, 4, 1))
    tried = tuple((name, load_manifest().template(name)) for name in OTHERS)
    asked = _asked(ASKED)
    jobs: list[Job] = [
        CompareJob(pair if pair.after else Pair(pair.before, pair.before), asked, twice, tried),
        ProbesJob(pair, asked, fourfold, SITES),
        SteerJob(pair, asked, once, SITE, DOSES, RANDOMS),
    ]
    return jobs if pair.after else [*jobs, PrefixJob(pair.before, asked, FIRST, twice)]


def _asked(template: str) -> "Elicitation":
    from probe.models.loading.manifest import load_manifest
    from probe.rollouts.elicitation import Elicitation

    return Elicitation(short_calculations(), template, load_manifest().template(template), extract="final_number")


def short_calculations() -> "ProblemSet":
    """The first random calculations of few operations."""
    from probe.tasks.benchmarks import problems

    every = problems("random-calculation")
    kept = tuple(p for p in every.problems if int(p.id.split("/")[2]) in LEVELS)[: len(LEVELS) * PER_LEVEL]
    return replace(every, problems=kept, pin=f"{every.pin} of levels {LEVELS[0]}-{LEVELS[-1]}")


def _trained(base: "Checkpoint", store: Path | None) -> "list[Pair]":
    """What the manifest has that was trained from it: adapters and checkpoints, in its order."""
    from probe.checkpoints.pair import Pair
    from probe.models.loading.manifest import load_manifest

    names = [name for name, entry in load_manifest().checkpoints.items() if entry.base == MODEL]
    return [Pair(base, _named(name, store)) for name in names]


def _named(name: str, store: Path | None) -> "Checkpoint":
    from probe.api import load

    return load(name, store=store)
