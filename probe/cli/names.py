"""From what is typed to checkpoints of the manifest."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from probe.pipeline.subjects import Subject

ManifestFile = Annotated[
    Path | None, typer.Option("--manifest", help="Manifest [checkpoints_manifest.yaml here, else the project's].")
]
CHECKPOINT = "A name of the manifest, NAME@STEP of a run, or a local Hugging Face folder."


def subject(name: str, manifest: Path | None) -> "Subject":
    """The checkpoint meant; BadInput with the nearest names."""
    from probe.models.manifest import load_manifest
    from probe.pipeline.subjects import resolve

    return resolve(name, load_manifest(manifest))
