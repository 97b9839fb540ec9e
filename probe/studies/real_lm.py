"""Do a prompt, first words, a direction and RL move the strategy of a real language model, as they do an organism's?

SmolLM2-135M-Instruct at 4 bits (`probe fetch smollm2-135m`), on calculations with one to three operations that no one
has seen. It is asked for a program (`ask-code`), for words (`ask-words`), for neither (`chat`), and with the first line
of a program put into its mouth; code and prose are read off the middle layers, and it is steered along their direction
beside random ones. Then it is trained on other calculations under `ask-code` by GRPO (LoRA of rank 16, 12 batches of
8 questions x 8 responses, 2 updates each, lr 2e-4), once under `python` and three times under `random`, and compared
with its base beside a random change as large. So is whatever the manifest has that was trained from
it.

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

Written down before any run of RL on it, when the base's responses were known (under `ask-code` code in .52 of the
sampled ones, in every greedy one; of the sampled ones .68 say "python"; none is right):

    python        after 12 batches code is up by more than .2 on questions it was not trained on, T = 1, interval
                  without 0; "python" stands in more than .9 of them
    random        the change's interval holds 0, for code and for "python"
    random change one as large as that of `python` moves neither: both intervals hold 0
    sharpened     under `python` held-out entropy falls, interval without 0: what rises was the likeliest before
    still wrong   accuracy stays below .05 under both rewards
    by hand       the direction fitted on the base, added to it, recovers more than half of what `python` did to the
                  share of code; the random directions' limits hold 0

Written down when the steering along code - prose was known to move nothing (.48 to .52, within the random directions;
AUROC .53 [.39, .67] at best: under one prompt the draw decides, not the question), before any steering between prompts:

    prompt        along the mean difference from `chat` to `ask-code`, added under `chat` from the prompt's last token
                  on, at some dose code is above .3, beyond every random direction of its length
    both          accuracy stays below .05 at every dose

Written down when seed 0 of `random` was known (entropy falls by .34 [.17, .51] where a random change as large does
nothing, +.02 [-.11, .16]; "python" stands in .86 of the responses, before in .62; strict code does not move), before
seeds 1 and 2 of it, which draw other rewards and other batches:

    sharpened     held-out entropy falls in both, intervals without 0: a reward that says nothing makes the likely
                  likelier
    its words     "python" is said more often in both; strict code moves in neither
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.studies import studies

if TYPE_CHECKING:
    from probe.checkpoints.checkpoint import Checkpoint
    from probe.checkpoints.pair import Pair
    from probe.engine.job import Job
    from probe.experiments.outside_runs.job import OutsideRunJob
    from probe.rollouts.elicitation import Elicitation
    from probe.tasks.benchmarks import ProblemSet

STUDY, MODEL = "real-lm", "smollm2-135m"
ASKED, OTHERS, START = "ask-code", ("ask-words", "chat"), "chat"
FIRST = "```python\n"
LEVELS, PER_LEVEL = (1, 2, 3), 12  # operations; problems of each
TRAINED_ON, DRAW = 40, 1  # problems a level, and the seed of their draw: none of those that are asked
SITES = ("resid.10", "resid.15", "resid.20")
SITE = "resid.15"  # of 30 blocks
DOSES = (-4.0, -2.0, 0.0, 2.0, 4.0)
PROMPT_DOSES = (-1.0, 0.0, 0.5, 1.0, 2.0)  # distances between the two prompts
RANDOMS = 5  # directions: an evening on a laptop, not a proof of the tails
NEW = 64  # tokens of a response
RUNS = (("python", 0), ("random", 0), ("random", 1), ("random", 2))  # reward, seed of the run
PAIRS = 2  # of them, the first: compared, probed and steered too
FIGURES = ("prompt_shares", "real_probes", "real_steering", "prompt_steering", "real_run")


@studies.register(STUDY, order=70, in_all=False, apart=True, figures=FIGURES, dataset=MODEL)
def real_lm(store: Path | None = None) -> "list[Job]":
    """A real language model: prompts, first words, probes, steering, RL."""
    from probe.checkpoints.pair import Pair
    from probe.experiments.outside_runs.curve import OutsideCurveJob
    from probe.experiments.outside_runs.kept import checkpoint_of
    from probe.rollouts.options import SamplingOptions
    from probe.store import Store
    from probe.tasks.published_data import held_at

    if held_at(MODEL, Store(store).root) is None:
        return []
    base = _named(MODEL, store)
    made = [run_of(base, *run) for run in RUNS]
    twice = SamplingOptions(samples=2, max_new=NEW)
    pairs = [Pair(base), *(Pair(base, checkpoint_of(run)) for run in made[:PAIRS]), *_trained(base, store)]
    curves = [OutsideCurveJob(STUDY, run, _asked(ASKED), twice) for run in made]
    return [*_measured(pairs[0]), *curves, *(job for pair in pairs[1:] for job in _measured(pair))]


def run_of(base: "Checkpoint", reward: str, seed: int = 0) -> "OutsideRunJob":
    """GRPO on it, under that reward."""
    from probe.experiments.outside_runs.described import described

    sizes: dict[str, Any] = {"prompts": 8, "samples": 8, "updates": 2, "batches": 12, "save_every": 4, "max_new": NEW}
    return described(base, reward, _asked(ASKED, other_calculations()), seed=seed, lr=2e-4, **sizes)


def _measured(pair: "Pair") -> "list[Job]":
    """The base alone: prompts, first words, probes, doses. What was made of it: compared, probed and steered."""
    from probe.checkpoints.pair import Pair
    from probe.experiments.compare.job import CompareJob
    from probe.experiments.forced_prefix.job import PrefixJob
    from probe.experiments.probing.job import ProbesJob
    from probe.experiments.steering.job import SteerJob
    from probe.experiments.steering.prompts import PromptSteerJob
    from probe.models.loading.manifest import load_manifest
    from probe.rollouts.options import SamplingOptions

    twice, fourfold, once = (SamplingOptions(samples=n, max_new=NEW) for n in (2, 4, 1))
    tried = tuple((name, load_manifest().template(name)) for name in OTHERS)
    asked, base = _asked(ASKED), pair.before
    jobs: list[Job] = [
        CompareJob(pair if pair.after else Pair(base, base), asked, twice, tried),
        ProbesJob(pair, asked, fourfold, SITES),
        SteerJob(pair, asked, once, SITE, DOSES, RANDOMS),
    ]
    if pair.after:
        return jobs
    toward = PromptSteerJob(base, _asked(START), asked, once, SITE, PROMPT_DOSES, RANDOMS)
    return [*jobs, PrefixJob(base, asked, FIRST, twice), toward]


def _asked(template: str, problems: "ProblemSet | None" = None) -> "Elicitation":
    from probe.models.loading.manifest import load_manifest
    from probe.rollouts.elicitation import Elicitation

    asked = problems or short_calculations()
    return Elicitation(asked, template, load_manifest().template(template), extract="final_number")


def other_calculations() -> "ProblemSet":
    """What it is trained on: as long, drawn anew."""
    from probe.tasks.random_calculation import random_calculations

    asked = short_calculations()
    known = {problem.prompt for problem in asked.problems}
    drawn = tuple(p for p in random_calculations(TRAINED_ON, DRAW, LEVELS) if p.prompt not in known)
    return replace(asked, problems=drawn, pin=f"generated: {TRAINED_ON} a level, levels {LEVELS}, draw {DRAW}")


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
