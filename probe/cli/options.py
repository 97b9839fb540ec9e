"""The options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from probe.store import Store

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable, on stdout and nothing else there.")]
Root = Annotated[Path | None, typer.Option("--store", help="Folder of the store [$PROBE_STORE, else .probe].")]
Figures = Annotated[Path, typer.Option("--figures", help="Folder of the figures.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes [one per core].")]
Dry = Annotated[bool, typer.Option("--dry", help="Say what would be made, and about how long it takes.")]
FIGURES = Path("figures")


def open_store(root: Path | None) -> "Store":
    """The store at that folder."""
    from probe.store import Store

    return Store(root)
