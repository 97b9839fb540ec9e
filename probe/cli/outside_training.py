"""probe train on weights from outside: what may be said of such a run, what it comes to, and where its weights go."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.cli import settings
from probe.cli.show import emit, say, table
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.checkpoints.checkpoint import Checkpoint
    from probe.experiments.outside_runs.job import OutsideRunJob
    from probe.store import Store

CONFIGS = ("config.json", "adapter_config.json")


@dataclass(frozen=True)
class OfAnyRun:
    """Numbers of a recipe; None is the preset's, else the default."""

    lr: Annotated[float | None, typer.Option("--lr", help="Of Adam.")] = None
    prompts: Annotated[int | None, typer.Option("--prompts", min=1, help="A batch.")] = None
    samples: Annotated[int | None, typer.Option("--samples", min=1, help="A prompt.")] = None
    updates: Annotated[int | None, typer.Option("--updates", min=1, help="Optimiser steps a batch.")] = None
    batches: Annotated[int | None, typer.Option("--batches", min=1, help="Of the whole run.")] = None
    save_every: Annotated[int | None, typer.Option("--save-every", min=1, help="Batches between kept steps.")] = None
    max_new: Annotated[int | None, typer.Option("--max-new", min=1, help="New tokens [outside: 3072].")] = None
    temperature: Annotated[float | None, typer.Option("--temperature", help="Of the responses.")] = None

    @property
    def changes(self) -> dict[str, Any]:
        """What was said."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class OfOutsideRuns:
    """Options that organisms do not have."""

    preset: Annotated[
        Literal["spurious-rewards"] | None, typer.Option("--preset", help="Of weights from outside: 2506.10947.")
    ] = None
    problems: Annotated[
        str | None, typer.Option("--problems", help="To train weights from outside on: gsm8k, ... or a file.")
    ] = None
    limit: settings.Limit = None
    columns: settings.Columns = None
    keep_readable: settings.KeepReadable = False
    template: Annotated[str | None, typer.Option("--template", help="Prompt template [the manifest's, else none].")] = (
        None
    )
    lora: Annotated[int | None, typer.Option("--lora", min=1, help="Train LoRA of that rank [16].")] = None
    all_weights: Annotated[bool, typer.Option("--all-weights", help="Train every weight instead.")] = False
    kl: Annotated[float | None, typer.Option("--kl", min=0.0, help="Weight of KL to the start [0].")] = None
    weight_cap: Annotated[
        float | None, typer.Option("--weight-cap", help="bf16: weigh tokens by forward / sampler, that at most [off].")
    ] = None
    votes: Annotated[int | None, typer.Option("--votes", min=1, help="Responses a problem for majorities [64].")] = None
    micro_tokens: Annotated[
        int | None, typer.Option("--micro-tokens", min=1, help="Tokens in memory at once in an update [16384].")
    ] = None
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Rows sampled at a time [64].")] = None
    recompute: Annotated[bool, typer.Option("--recompute", help="Gradient checkpointing: less memory.")] = False

    def refuse(self, name: str) -> None:
        """BadInput where any of them was said of what is made here."""
        said = [field.name for field in fields(self) if getattr(self, field.name) != field.default]
        if said:
            option = f"--{said[0].replace('_', '-')}"
            raise BadInput(f"{option} is of weights from outside", where=name, do=f"leave {option} out")


def outside_job(
    base: "Checkpoint",
    reward: str,
    numbers: OfAnyRun,
    options: OfOutsideRuns,
    *,
    variant: str | None,
    labels: str | None,
    seed: int,
    manifest: Path | None,
) -> "OutsideRunJob":
    """The run that is meant. BadInput for what does not go together, or is missing."""
    from probe.api import asked
    from probe.experiments.outside_runs.described import described
    from probe.rl.causal_policy import Memory

    if options.problems is None:
        do = "--problems gsm8k, or a file with a problem and an answer a row"
        raise BadInput(f"{base.name} needs problems to train on", where="train", do=do)
    if options.all_weights and options.lora is not None:
        raise BadInput("--lora and --all-weights", where="train", do="give one of them")
    changes: dict[str, Any] = numbers.changes
    if options.all_weights or options.lora is not None:
        changes["lora"] = options.lora
    if options.weight_cap is not None:
        changes["drawn_weight_cap"] = options.weight_cap
    ask = {"limit": options.limit, "template": options.template, "keep_readable": options.keep_readable}
    columns = dict(settings.pair_of(each, "--columns", "problem=their.column") for each in options.columns or ())
    elicitation, _ = asked(base, manifest, problems=options.problems, columns=columns or None, **ask)  # type: ignore[arg-type]
    for why, n in elicitation.problems.left_out:
        say(f"left out of {options.problems}, {n} rows: {why}")
    usual = Memory()
    memory = Memory(options.micro_tokens or usual.tokens, options.batch or usual.rows, options.recompute)
    about: dict[str, Any] = {"preset": options.preset, "variant": variant, "labels": labels, "votes": options.votes}
    return described(base, reward, elicitation, memory=memory, seed=seed, kl=options.kl, **about, **changes)


def announce_run(job: "OutsideRunJob", as_json: bool) -> None:
    """Memory, GPU-hours and disk at most, and the recipe, on stdout."""
    from probe.experiments.outside_runs.cost import cost_of

    needed = cost_of(job)
    if as_json:
        return emit({"of": job.label, **asdict(needed), "hours": needed.hours, "recipe": job.grpo.spec()})
    rows = [
        ("weights, gradients, moments", f"{needed.weights / 1e9:.1f} GB"),
        ("at the peak, one GPU", f"{needed.memory / 1e9:.1f} GB"),
        ("sampling", f"{needed.sampling_hours:.1f} GPU-hours"),
        ("updates", f"{needed.training_hours:.1f} GPU-hours"),
        ("on disk", f"{needed.disk / 1e9:.1f} GB"),
    ]
    table(("what", "at most"), rows, job.label, right=("at most",))
    how = job.grpo
    trained = "every weight" if job.lora is None else f"LoRA of rank {job.lora.rank}"
    say(
        f"{trained}; {how.batches} batches of {how.prompts} prompts x {how.samples} responses of up to {how.max_new}"
        f" tokens, {how.updates} updates each; lr {how.lr:g}"
    )
    say("an upper bound: every response is taken to run to --max-new; hours are those of one H100 with transformers")


def told_labels(job: "OutsideRunJob", store: "Store") -> None:
    """What the labels were, and how right."""
    import json

    from probe.experiments.outside_runs.card import labels_said
    from probe.experiments.outside_runs.job import LABELS

    report: Mapping[str, Any] = json.loads(store.get(job.recipe).file(LABELS).read_bytes())
    say(f"labels: {labels_said(job.recipe.params, report)}")


def export_run(job: "OutsideRunJob", store: "Store", out: Path, overwrite: bool) -> None:
    """The last kept step as a folder: an adapter, or a whole checkpoint."""
    from probe.experiments.outside_runs.job import step_files
    from probe.store.folders import whole_folder

    files = step_files(store.get(job.recipe), job.steps[-1])
    with whole_folder(out, overwrite=overwrite, shows=shows_of(job)) as folder:
        for name, file in files.items():
            shutil.copyfile(file, folder / name)
    say(f"exported to {out}")


def shows_of(job: "OutsideRunJob") -> str:
    """The file that shows that a folder is such an export."""
    return CONFIGS[job.lora is not None]
