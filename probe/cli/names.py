"""From what is typed to checkpoints of the manifest."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from probe.checkpoints.resolve import Subject
    from probe.models.loading.load import Dtype

ManifestFile = Annotated[
    Path | None, typer.Option("--manifest", help="Manifest [checkpoints_manifest.yaml here, else the project's].")
]
CHECKPOINT = "A name of the manifest, NAME@STEP of a run, a Hugging Face folder, ORG/NAME[@REVISION], or BASE+ADAPTER."


def subject(name: str, manifest: Path | None, dtype: "Dtype" = "float32", device_map: str | None = None) -> "Subject":
    """The checkpoint meant; BadInput with the nearest names."""
    from probe.checkpoints.resolve import resolve
    from probe.models.loading.manifest import load_manifest

    return resolve(name, load_manifest(manifest), dtype=dtype, device_map=device_map)
