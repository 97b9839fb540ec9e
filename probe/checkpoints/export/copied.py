"""Which files of the package does a reward need? They are copied where it is to run without the package.

What a file imports, wherever in it, and what those import; the packages above each. Nothing is run to find out.
"""

import ast
import shutil
from pathlib import Path

import probe

ROOT = Path(probe.__file__).parent
NAME = probe.__name__


def copy_needed(modules: list[str], folder: Path) -> list[str]:
    """Copy those modules and all of the package that they import into `folder`; returns what was copied, by path."""
    found = sorted(needed(modules))
    for path in found:
        to = folder / NAME / path.relative_to(ROOT)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
    return [str(Path(NAME) / path.relative_to(ROOT)) for path in found]


def needed(modules: list[str]) -> set[Path]:
    """The files of those modules, and of everything of the package that they import."""
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        parts = waiting.pop().split(".")
        for end in range(1, len(parts) + 1):
            path = _file(parts[:end])
            if path is not None and path not in found:
                found.add(path)
                waiting += _imported(path)
    return found


def _file(parts: list[str]) -> Path | None:
    if parts[0] != NAME:
        return None
    place = ROOT.joinpath(*parts[1:])
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return file if file.is_file() else None


def _imported(path: Path) -> list[str]:
    """The modules that it names; of `from a import b` both a and a.b, where the latter is one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {id(each) for node in ast.walk(tree) if _for_types(node) for each in ast.walk(node)}
    found = []
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
    return found


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
