"""probe train: make an organism or a GRPO run of the manifest, or train weights from outside."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from probe.cli import settings
from probe.cli.dry_run import announce
from probe.cli.groups import command
from probe.cli.outside_training import (
    OfAnyRun,
    OfOutsideRuns,
    announce_run,
    export_run,
    outside_job,
    shows_of,
    told_labels,
)
from probe.cli.show import say
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.checkpoints.checkpoint import Checkpoint
    from probe.experiments.outside_runs.job import OutsideRunJob

CONFIG = "config.json"  # shows that a folder is a checkpoint


@command("train", place=30)
def train(
    name: Annotated[str, typer.Argument(help="An organism, a run, NAME@STEP of one, or weights from outside.")],
    run: settings.Weights,
    numbers: OfAnyRun,
    outside: OfOutsideRuns,
    reward: Annotated[str | None, typer.Argument(help="Train it under this reward.")] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", help="Of the recipe: a name of `probe ls variants`.")
    ] = None,
    labels: Annotated[
        Literal["gold", "offline_majority", "wrong_majority"] | None,
        typer.Option(help="What REWARD compares with [gold; incorrect, outside: wrong_majority]."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of a run under REWARD.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Export an ordinary Hugging Face folder there.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint that stands there.")] = False,
    log: Annotated[
        Literal["tensorboard", "trackio", "wandb"] | None, typer.Option("--log", help="Also log a run's metrics there.")
    ] = None,
    dry: settings.Dry = False,
    as_json: settings.AsJson = False,
) -> None:
    """Make an organism or a GRPO run of the manifest, or train any checkpoint under a reward.

    With REWARD: train it under that reward, in any variant of the recipe; --out keeps it for other commands.
    Weights from outside learn by LoRA on --problems: --out DIR is then read as NAME+DIR.
    Killed at any moment, the same command goes on where it was.
    """
    from probe.cli.training import meant

    which = run.checkpoint(name)
    if which.is_outside:
        if reward is None:
            do = "name an organism or a run: probe ls checkpoints; or give REWARD and --problems"
            raise BadInput(f"{name} was made elsewhere, nothing to train", do=do)
        about = {"variant": variant, "labels": labels, "seed": seed, "manifest": run.manifest}
        job = outside_job(which, reward, numbers, outside, **about)  # type: ignore[arg-type]
        return _outside(job, run, out, overwrite, log, dry, as_json)
    outside.refuse(name)
    _made_here(meant(which, reward, variant, labels, seed, numbers.changes), run, out, overwrite, log, dry, as_json)


def _made_here(
    which: "Checkpoint", run: settings.Weights, out: Path | None, overwrite: bool, log: str | None, dry: bool, js: bool
) -> None:
    """Make an organism or a run of one, and export it."""
    from probe.checkpoints.cards import card_of
    from probe.cli.training import make_needs, make_run
    from probe.models.loading.load import save_folder
    from probe.store.folders import check_free, whole_folder

    held = run.held
    if out is not None:
        check_free(out, overwrite=overwrite, shows=CONFIG)
    if dry:
        return announce(which.needs, held, run.workers, which.name, js)
    if which.run is not None:
        make_run(which.run, held, run.workers, log)
    make_needs(which.needs, held, run.workers)  # also what a run is loaded with, should that be damaged
    say(f"{which.name} is in the store: {which.needs[0].recipe.stage} {which.needs[0].recipe.digest[:16]}")
    if out is not None:
        with whole_folder(out, overwrite=overwrite, shows=CONFIG) as folder:
            save_folder(which.load(held), folder, card_of(which))
        say(f"exported to {out}")


def _outside(
    job: "OutsideRunJob", run: settings.Weights, out: Path | None, overwrite: bool, log: str | None, dry: bool, js: bool
) -> None:
    """Train weights from outside, and export the last step."""
    from probe.cli.training import make_run
    from probe.engine.plan import check_cost
    from probe.experiments.outside_runs.job import check_device
    from probe.store.folders import check_free

    if out is not None:
        check_free(out, overwrite=overwrite, shows=shows_of(job))
    check_cost(job)
    if dry:
        return announce_run(job, js)
    check_device(run.device_map)
    held = run.held
    make_run(job, held, run.workers, log)
    say(f"{job.label} is in the store: {job.recipe.stage} {job.recipe.digest[:16]}")
    told_labels(job, held)
    if out is not None:
        export_run(job, held, out, overwrite)
