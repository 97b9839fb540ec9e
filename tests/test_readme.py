"""The README's tree names every file of the two packages a newcomer reads first, and every folder of the package."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TREE = README[README.index("## The tree") : README.index("## Add one")]
READ_FIRST = ("models", "experiments")
FILES = sorted(
    path.relative_to(ROOT / "probe")
    for package in READ_FIRST
    for path in (ROOT / "probe" / package).rglob("*.py")
    if path.name not in ("__init__.py", "job.py") and "backends" not in path.parts
)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_the_tree_names_the_file(path: Path) -> None:
    assert re.search(rf"\b{path.stem}\b", TREE), f"say in a line what {path} is for"


@pytest.mark.parametrize("folder", sorted(p.name for p in (ROOT / "probe").iterdir() if (p / "__init__.py").exists()))
def test_the_tree_names_the_folder(folder: str) -> None:
    assert f"{folder}/" in TREE


def test_no_file_is_long() -> None:
    long = [p.name for p in (ROOT / "probe").rglob("*.py") if len(p.read_text(encoding="utf-8").splitlines()) > 300]
    assert not long


def test_what_is_typed_in_the_readme_is_a_command() -> None:
    from probe.cli import app

    known = {each.name for each in app.registered_commands}
    typed = set(re.findall(r"^probe ([a-z-]+)", README, re.MULTILINE))
    assert typed and typed <= known
