"""probe train: make an organism or a GRPO run of the manifest."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import say
from probe.errors import BadInput

CONFIG = "config.json"  # shows that a folder is a checkpoint


@command("train", place=30)
def train(
    name: Annotated[str, typer.Argument(help="An organism or a run of the manifest, or NAME@STEP of a run.")],
    run: settings.Weights,
    out: Annotated[Path | None, typer.Option("--out", help="Export an ordinary Hugging Face folder there.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint that stands there.")] = False,
    log: Annotated[
        Literal["tensorboard", "wandb"] | None, typer.Option("--log", help="Also log a run's metrics there.")
    ] = None,
) -> None:
    """Make an organism or a GRPO run of the manifest.

    Killed at any moment, the same command goes on where it was.
    """
    from probe.cli.training import make_needs, make_run
    from probe.models.loading.load import save_folder
    from probe.store.folders import check_free, whole_folder

    which, held = run.checkpoint(name), run.held
    if which.is_outside:
        do = "name an organism or a run: probe ls checkpoints"
        raise BadInput(f"{name} was made elsewhere, nothing to train", do=do)
    if out is not None:
        check_free(out, overwrite=overwrite, shows=CONFIG)
    if which.run is not None:
        make_run(which.run, held, run.workers, log)
    make_needs(which.needs, held, run.workers)  # also what a run is loaded with, should that be damaged
    say(f"{name} is in the store: {which.needs[0].recipe.stage} {which.needs[0].recipe.digest[:16]}")
    if out is not None:
        with whole_folder(out, overwrite=overwrite, shows=CONFIG) as folder:
            save_folder(which.load(held), folder)
        say(f"exported to {out}")
