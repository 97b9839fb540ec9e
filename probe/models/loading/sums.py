"""Is a folder still what it was when it was made? The sha256 of each file, beside them, as `sha256sum` writes them."""

from pathlib import Path

from probe.store import file_digest

SUMS = "SHA256SUMS"


def write_sums(folder: Path) -> tuple[str, ...]:
    """Write the sums of every file in it, which everyone may then read; returns their names."""
    files = tuple(sorted(file.name for file in folder.iterdir()))
    for file in files:
        (folder / file).chmod(0o644)  # some libraries write for their owner alone
    lines = [f"{file_digest(folder / file)}  {file}\n" for file in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return files


def damaged(folder: Path) -> list[str]:
    """The files that are lost or changed; SHA256SUMS itself where it is not there, or nothing is."""
    if not (folder / SUMS).is_file():
        return [SUMS]
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    sums = [(digest, name) for digest, _, name in (line.partition("  ") for line in lines)]
    return [name for digest, name in sums if not (folder / name).is_file() or file_digest(folder / name) != digest]
