"""probe export: a run as a folder that TRL or verl runs."""

from typing import Annotated, Literal

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import emit, say, shown
from probe.errors import BadInput

RECIPE = "recipe.json"  # shows that a folder was exported


@command("export", place=35)
def export(
    trainer: Annotated[Literal["trl", "verl"], typer.Argument(help="Who is to run it.")],
    name: Annotated[str, typer.Argument(help="A run of the manifest, or an organism.")],
    run: settings.Making,
    out: Annotated[settings.Path, typer.Option("--out", help="Folder to write.")],
    reward: Annotated[str | None, typer.Argument(help="Of a run from that organism.")] = None,
    variant: Annotated[str | None, typer.Option("--variant", help="Of the recipe (`probe ls variants`).")] = None,
    labels: Annotated[
        Literal["gold", "offline_majority", "wrong_majority"] | None,
        typer.Option(help="What REWARD compares with [gold]."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of a run under REWARD.")] = 0,
    processes: Annotated[int, typer.Option("--processes", min=1, help="Of the trainer: one a GPU.")] = 1,
    standalone: Annotated[
        bool, typer.Option("--standalone", help="Copy what the reward imports: no package of ours is needed there.")
    ] = False,
    accept_eps: Annotated[
        bool, typer.Option("--accept-eps", help="verl: divide advantages by std + 1e-6, as it does, not by ours.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder that was exported there.")] = False,
    as_json: settings.AsJson = False,
) -> None:
    """Write a run as a folder that TRL or verl runs.

    Settings, reward, problems with labels, base and launcher. Settings of the loss are told exactly, or the run is
    refused with all that cannot be told. Nothing is trained here; the organism is made if it is not there.
    """
    from probe.checkpoints.export.folder import Export, write_export
    from probe.cli.training import make_needs, meant
    from probe.store.folders import check_free, whole_folder

    which = meant(
        settings.Weights(manifest=run.manifest, store=run.store).checkpoint(name), reward, variant, labels, seed
    )
    if which.run is None:
        raise BadInput(f"{name} is no run", where=name, do="give a run, or an organism and a reward")
    how = Export(trainer, processes, standalone, ("eps",) if accept_eps else ())
    how.translated(which.run)  # refused before anything is made
    check_free(out, overwrite=overwrite, shows=RECIPE)
    make_needs(which.run.needs, run.held, run.workers)
    with whole_folder(out, overwrite=overwrite, shows=RECIPE) as folder:
        told = write_export(which.run, how, run.held, folder)
    for each in told.differs:
        say(f"differs: {each}")
    if as_json:
        return emit({"run": which.run.label, "folder": str(out), "settings": told.settings, "differs": told.differs})
    shown(f"{which.run.label}: {out} for {trainer}, {len(told.settings)} settings; start it with {out}/launch.sh")
