"""Under which code and versions was this made? Recorded beside an artifact and outside its identity."""

import datetime
import functools
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

DISTRIBUTIONS = {"probe": "rlvr-probe"} | {name: name for name in ("torch", "transformers", "numpy", "pyarrow")}


def circumstances() -> dict[str, Any]:
    """Commit and dirty flag of the running code (null outside a checkout), versions and the time, UTC."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {**_commit(), "versions": _versions(), "created": now}


@functools.cache
def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name, distribution in DISTRIBUTIONS.items():
        try:
            versions[name] = metadata.version(distribution)  # read from metadata: importing torch takes seconds
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


@functools.cache
def _commit() -> dict[str, Any]:
    here = Path(__file__).parents[1]
    tracked = _git(here, "ls-files", "--error-unmatch", "__init__.py")  # not merely inside someone else's checkout
    commit = _git(here, "rev-parse", "HEAD") if tracked else None
    status = _git(here, "status", "--porcelain", "--", ".") if commit else None
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def _git(folder: Path, *words: str) -> str | None:
    try:
        command = ["git", "-C", str(folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
