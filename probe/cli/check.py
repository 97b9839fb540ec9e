"""probe check: are manifest, versions, store and a checkpoint sound?"""

from typing import Annotated

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import clean, emit, results, shown

STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


@command("check", place=20)
def check(
    name: Annotated[str | None, typer.Argument(help=f"Test this checkpoint too. {settings.CHECKPOINT}")] = None,
    store: settings.Root = None,
    manifest: settings.ManifestFile = None,
    as_json: settings.AsJson = False,
) -> None:
    """Check manifest, versions, store, and a checkpoint.

    With NAME, a checkpoint that is made is loaded and tested: shapes, padding, our decoding against generate.

    Exit code 1 where something is damaged or a test fails; warnings do not count.
    """
    from probe.cli import checks

    held = settings.open_store(store)
    found = [*checks.manifest(manifest), *checks.environment(), *checks.store(held), *checks.published(held, manifest)]
    if name is not None:
        found += checks.checkpoint(name, held, manifest)
    if as_json:
        emit([vars(each) for each in found])
    else:
        for each in found:
            style = STYLES[each.state]
            results().print(f"[{style}]{each.state:8}[/] {clean(each.what)}", highlight=False, soft_wrap=True)
    failed = sum(each.state == "failed" for each in found)
    if failed:
        if not as_json:
            shown(f"{failed} failed")
        raise typer.Exit(1)
