"""The README's tree names every file of the two packages a newcomer reads first, and every folder of the package."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
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


def commands(app: Any) -> set[str]:
    """Of the command line, groups of them too."""
    return {each.name for each in (*app.registered_commands, *app.registered_groups)}


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 250, "move what a newcomer does not need first to docs/"


CLAIMS = PAGES["claims.md"]
ROWS = [line for line in CLAIMS.splitlines() if re.match(r"\| \d{4}\.\d{5} ", line)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[2].strip())
def test_every_claim_has_a_command_and_a_figure_or_says_that_it_is_not_shown(row: str) -> None:
    from probe.cli import app

    _, _, _, ask, here, _ = row.split("|")
    named = re.findall(r"`probe ([a-z-]+)", ask)
    assert named or "no command yet" in ask
    assert set(named) <= commands(app)
    linked = re.findall(r"\]\(\.\./(figures/[^)]+)\)", here)
    assert linked or "not shown here" in here or "](#" in here
    assert all((ROOT / path).exists() for path in linked)


def test_variants_and_studies_that_the_claims_name_exist() -> None:
    from probe.rl.variants import variants
    from probe.studies import studies

    assert len(ROWS) >= 15
    assert set(re.findall(r"--variant ([a-z_]+)", CLAIMS)) <= set(variants.names())
    assert set(re.findall(r"probe run ([a-z]+)", CLAIMS)) <= set(studies.names())
