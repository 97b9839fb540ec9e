"""probe train: make an organism or a GRPO run of the manifest."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import say

CONFIG = "config.json"  # shows that a folder is a checkpoint


@command("train", place=30)
def train(
    name: Annotated[str, typer.Argument(help="An organism or a run of the manifest, or NAME@STEP of a run.")],
    run: settings.Weights,
    reward: Annotated[str | None, typer.Argument(help="Train that organism under this reward instead.")] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", help="Of the recipe: a name of `probe ls variants`.")
    ] = None,
    labels: Annotated[
        Literal["gold", "offline_majority", "wrong_majority"], typer.Option(help="What REWARD compares with.")
    ] = "gold",
    seed: Annotated[int, typer.Option(min=0, help="Of a run under REWARD.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Export an ordinary Hugging Face folder there.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint that stands there.")] = False,
    log: Annotated[
        Literal["tensorboard", "wandb"] | None, typer.Option("--log", help="Also log a run's metrics there.")
    ] = None,
) -> None:
    """Make an organism or a GRPO run of the manifest.

    With REWARD: train the organism under it, in any variant of the recipe; --out keeps it for other commands.
    Killed at any moment, the same command goes on where it was.
    """
    from probe.cli.training import make_needs, make_run, meant
    from probe.models.loading.load import save_folder
    from probe.store.folders import check_free, whole_folder

    which, held = meant(run.checkpoint(name), reward, variant, labels, seed), run.held
    if out is not None:
        check_free(out, overwrite=overwrite, shows=CONFIG)
    if which.run is not None:
        make_run(which.run, held, run.workers, log)
    make_needs(which.needs, held, run.workers)  # also what a run is loaded with, should that be damaged
    say(f"{which.name} is in the store: {which.needs[0].recipe.stage} {which.needs[0].recipe.digest[:16]}")
    if out is not None:
        with whole_folder(out, overwrite=overwrite, shows=CONFIG) as folder:
            save_folder(which.load(held), folder)
        say(f"exported to {out}")
