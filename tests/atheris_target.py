"""One reader under atheris, led by what it covers: `python atheris_target.py TARGET -runs=N -seed=1`. Run as a script.

Whatever it is fed, a reader gives a value or BadInput; anything else ends the run with exit code 77.
"""

import contextlib
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["probe.tasks", "probe.strategy", "probe.models.loading"]):
    from probe.models.loading.manifest import load_manifest
    from probe.models.loading.strict_json import parse
    from probe.strategy import detect
    from probe.tasks.equations import equations
    from probe.tasks.extractors import ONE_RULE
    from probe.tasks.normalise import normalise
    from probe.tasks.rows import read_rows
from probe.errors import BadInput

MEMORY = 2 << 30  # bytes of data: beyond it a reader raises MemoryError
FOLDER = Path(tempfile.mkdtemp(prefix="atheris-"))


def read_as(ending: str) -> Callable[[bytes], object]:
    """A reader of files with that ending."""

    def read(data: bytes) -> object:
        file = FOLDER / f"file.{ending}"
        file.write_bytes(data)
        return list(read_rows(file))

    return read


def manifest(data: bytes) -> object:
    file = FOLDER / "manifest.yaml"
    file.write_bytes(data)
    return load_manifest(file)


def texts(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for rule in (*ONE_RULE.values(), normalise, detect, equations):
        rule(text)


def json_of_weights(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse(data)


TARGETS: dict[str, Callable[[bytes], object]] = {
    "texts": texts,
    "manifest": manifest,
    "json": json_of_weights,
    **{ending: read_as(ending) for ending in ("csv", "jsonl")},
}


def one(data: bytes) -> None:
    try:
        TARGETS[target](data)
    except BadInput as err:
        assert err.what


if __name__ == "__main__":
    target = sys.argv.pop(1)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
