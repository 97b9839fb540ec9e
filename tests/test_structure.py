"""The shape of the package: no cycle among files, function-level imports counted; no two commands' bodies alike."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "probe").rglob("*.py")
}
SAME = 6  # lines of one shape that two commands may not share


def imported(name: str) -> set[str]:
    """The files of the package that a file imports, wherever in it; what only type checkers read is left out."""
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    hidden = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:  # of a package: its file of that name, else itself
            names = (f"{node.module}.{each.name}" for each in node.names)
            found |= {each if each in FILES else node.module for each in names}
    return {each for each in found if each in FILES and each != name}


def test_no_file_imports_itself_by_way_of_others() -> None:
    edges = {name: imported(name) for name in FILES}
    left = dict(edges)
    while ready := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in ready:
            del left[name]
    assert not left, f"in or behind a cycle: {sorted(left)}"


def shapes(path: Path) -> list[str]:
    """A command's lines with names, strings and numbers taken out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    tree = ast.parse("\n".join(lines))
    kept: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            kept |= {line for each in body for line in range(each.lineno, (each.end_lineno or 0) + 1)}
    return [lines[number - 1].strip() for number in sorted(kept) if not lines[number - 1].strip().startswith("from ")]


def test_no_two_commands_share_six_lines() -> None:
    seen: dict[tuple[str, ...], str] = {}
    for path in sorted((ROOT / "probe" / "cli").glob("*.py")):
        lines = shapes(path)
        for start in range(len(lines) - SAME + 1):
            run = tuple(lines[start : start + SAME])
            assert seen.setdefault(run, path.name) == path.name, f"{path.name} and {seen[run]} share {run}"


def test_every_figure_measure_and_reward_has_a_file_of_its_name() -> None:
    from probe.measures import measures
    from probe.plots import figures
    from probe.rewards import rewards

    for package, registry in (("plots", figures), ("measures", measures), ("rewards", rewards)):
        files = {path.stem for path in (ROOT / "probe" / package).glob("*.py")}
        assert set(registry.names()) <= files, f"probe/{package} has no file for {set(registry.names()) - files}"


def test_no_undefined_name_but_the_axes_of_shapes() -> None:
    """F821 is off because of jaxtyping's axes, which are lower case; a class or constant is none."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select",
        "F821",
        "--output-format",
        "json",
        "probe",
    ]
    found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout)
    names = {re.search(r"`(\w+)`", each["message"])[1] for each in found}  # type: ignore[index]
    assert "row" in names
    assert {name for name in names if not name.islower()} == set()
