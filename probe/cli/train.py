"""probe train: make an organism or a GRPO run of the manifest."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import say
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.checkpoints.checkpoint import Checkpoint

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
    from probe.cli.training import make_needs, make_run
    from probe.models.loading.load import save_folder
    from probe.store.folders import check_free, whole_folder

    which, held = run.checkpoint(name), run.held
    if which.is_outside:
        do = "name an organism or a run: probe ls checkpoints"
        raise BadInput(f"{name} was made elsewhere, nothing to train", do=do)
    if reward is not None:
        which = _under(which, reward, variant, labels, seed)
    elif variant is not None or seed or labels != "gold":
        do = "give REWARD behind the organism"
        raise BadInput("--variant, --labels and --seed are of a run under a reward", where=name, do=do)
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


def _under(base: "Checkpoint", reward: str, variant: str | None, labels: str, seed: int) -> "Checkpoint":
    """The organism after a run under that reward; one that draws has the run's seed."""
    from probe.api import run_of
    from probe.checkpoints.checkpoint import of_run
    from probe.rewards import rewards
    from probe.rl.labels import from_spec

    chosen = rewards.get("random")(seed=seed) if reward == "random" else reward
    made = run_of(base, chosen, from_spec({"labels": labels}), variant=variant, seed=seed)
    return of_run(replace(made, name=f"{reward} {variant}" if variant else reward))
