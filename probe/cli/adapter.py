"""probe adapter: which share of RL's change do a few latents beside the MLPs of before recover?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli import settings
from probe.cli.experiment_command import present
from probe.cli.fitting import Answers
from probe.cli.groups import command
from probe.cli.show import interval, number, p_value, shown, table
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.checkpoints.checkpoint import Checkpoint
    from probe.experiments.adapter.fits import Training

Rows = Sequence[dict[str, Any]]
NATS = ("adapters", "budget", "L0", "after's texts", "95 % interval", "before's texts", "95 %  ", "p beside frozen")
ANSWERED = ("adapters", "budget", "code share", "of change", "95 % interval", "accuracy", "of change ", "95 %  ")
ALL = "all"
Budgets = Annotated[
    str | None, typer.Option("--active", help="Latents active at once beside an MLP, at most [0,1,4,16,all].")
]


@dataclass(frozen=True)
class Adapting:
    """How adapters are trained; what is left out is the recipe of organisms, or that of weights from outside."""

    latents: Annotated[int | None, typer.Option("--latents", min=1, help="[64 for organisms, else 4096]")] = None
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Updates [200, else 2000].")] = None
    texts: Annotated[int | None, typer.Option("--texts", min=1, help="Answers of an update [16, else 2].")] = None
    lr: Annotated[float | None, typer.Option("--lr", help="Rate of Adam [.02, else .001].")] = None
    adapter_seed: Annotated[int, typer.Option("--adapter-seed", help="Of where the training begins.")] = 0

    def of(self, checkpoint: "Checkpoint") -> "Training":
        """The recipe for that checkpoint."""
        from probe.experiments.adapter.job import default_training

        given = {"n_latents": self.latents, "steps": self.steps, "batch": self.texts, "lr": self.lr}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return replace(default_training(checkpoint), seed=self.adapter_seed, **chosen)


@command("adapter", place=108)
def adapter(
    before: settings.Before,
    after: settings.After,
    run: settings.Asking,
    adapting: Adapting,
    active: Budgets = None,
    samples: Answers = 8,
    temperature: settings.Warm = 1.0,
) -> None:
    """Train a few latents beside every MLP of before until it behaves like after: which share of RL's change do they
    recover, and how few need be active at a token?

    In nats to after on texts of both, and in answers, on problems that trained nothing. Beside them: a frozen random
    decoder, the same directions drawn at random, and adapters of a random change as large as RL's in nats.
    """
    from probe.experiments.adapter.job import AdapterJob, rungs_of

    pair = run.pair(before, after)
    elicitation, options = run.of(pair.before, temperature=temperature, samples=samples)
    training = adapting.of(pair.before)
    rungs = rungs_of(training, None if active is None else budgets(active, training.n_latents))
    job = AdapterJob(pair, elicitation, options, training, rungs, run.compute(batch=256))
    present(job, run, lambda result: _show(result.rows, job.label))


def budgets(said: str, most: int) -> tuple[int, ...]:
    """0,4,all as numbers. BadInput where one is none."""
    words = settings.split(said)
    if not all(word == ALL or word.isdecimal() for word in words):
        raise BadInput(f"{said!r} are no budgets", where="--active", do=f"write them as 0,1,4,{ALL}")
    return tuple(most if word == ALL else int(word) for word in words)


def _show(rows: Rows, label: str) -> None:
    """Nats, then answers, then why a number is missing."""
    at = {(row["name"], row["part"], row["k"], row["group"] or row["side"]): row for row in rows if row["site"] is None}
    keys = list(dict.fromkeys((row["part"], row["k"]) for row in rows if row["name"] == "adapter_recovered"))
    table(NATS, [list(_nats(at, *key)) for key in keys], f"{label}: share of the nats from before", right=NATS[1:])
    for side in ("after", "before"):
        change = at["adapter_change", "rl", None, side]
        told = f"{number(change['value'])} {interval(change['lo'], change['hi'])} nats a token"
        shown(f"{side}'s texts: {told} to recover, {change['n']} tokens of {change['n_problems']} problems")
    answered = [key for key in keys if ("adapter_accuracy", *key, "") in at]
    table(ANSWERED, [list(_answered(at, *key)) for key in answered], f"{label}: answers", right=ANSWERED[1:])
    for measure in ("code_share", "accuracy"):
        own = [number(at[f"adapter_{measure}", None, None, side]["value"]) for side in ("before", "after")]
        shown(f"{measure.replace('_', ' ')}: {own[0]} before, {own[1]} after")
    for reason in dict.fromkeys(row["reason"] for row in rows if row["reason"]):
        shown(reason)


def _nats(at: dict[Any, dict[str, Any]], part: str, k: int) -> Iterator[str]:
    active = at.get(("adapter_l0", "walk's" if part == "walk" else part, k, "after"))
    yield from (part, str(k), number(active["value"]) if active else "")
    for side in ("after", "before"):
        row = at.get(("adapter_recovered", part, k, side))
        yield from (number(row["value"]), interval(row["lo"], row["hi"])) if row else ("", "")
    own = at.get(("adapter_recovered", part, k, "after"))
    yield p_value(own["p"]) if own and part == "rl" and k else ""


def _answered(at: dict[Any, dict[str, Any]], part: str, k: int) -> Iterator[str]:
    yield from (part, str(k))
    for measure in ("code_share", "accuracy"):
        share = at[f"adapter_recovered_{measure}", part, k, ""]
        yield number(at[f"adapter_{measure}", part, k, ""]["value"])
        yield from (number(share["value"]), interval(share["lo"], share["hi"]))
