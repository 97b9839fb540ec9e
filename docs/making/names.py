"""Which names are public, and what does each say of itself? Read from the files, so that nothing heavy is imported.

Public is every class and function at the top of a module of `probe` whose own name and whose module's name start
without an underscore: what a user imports, what an extension subclasses or calls, and what other packages here rely on.
The command line (`probe.cli`) is left out: its functions are commands, which have pages of their own. Methods are shown
with their class where they are documented.
"""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.making.annotations import known_names, signature

ROOT = Path(__file__).parents[2]
Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Name:
    """One public class or function: `module` dotted, `signature` as written, `source` of a class's fields."""

    module: str
    name: str
    is_class: bool
    signature: str
    doc: str | None
    decorators: tuple[str, ...]
    fields: str
    methods: tuple["Name", ...]

    @property
    def path(self) -> str:
        """module.name"""
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Module:
    """One module: its dotted name, the folder that it belongs to, its docstring and its public names."""

    name: str
    package: str
    doc: str | None
    names: tuple[Name, ...]


@functools.cache
def modules(root: Path = ROOT / "probe") -> list[Module]:
    """Every public module of the package, packages first, in order of their names."""
    found = [_module(path, root) for path in sorted(root.rglob("*.py")) if _is_public(path.relative_to(root))]
    return sorted(found, key=lambda each: (each.package, each.name != each.package, each.name))


def _is_public(path: Path) -> bool:
    hidden = any(part.startswith("_") and part != "__init__.py" for part in path.parts)
    return not hidden and path.parts[0] != "cli"


def _module(path: Path, root: Path) -> Module:
    parts = path.relative_to(root.parent).with_suffix("").parts
    own = parts[:-1] if path.name == "__init__.py" else parts
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    name = ".".join(own)
    known = known_names(tree, name, root.name)
    return Module(name, ".".join(parts[:-1]), ast.get_docstring(tree), tuple(_public(tree.body, name, source, known)))


def _public(body: list[ast.stmt], module: str, source: str, known: dict[str, str]) -> Iterator[Name]:
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield _name(node, module, source, known)


def _name(node: Definition, module: str, source: str, known: dict[str, str]) -> Name:
    is_class = isinstance(node, ast.ClassDef)
    inside = node.body if is_class else []
    return Name(
        module,
        node.name,
        is_class,
        "" if isinstance(node, ast.ClassDef) else signature(node, known),
        ast.get_docstring(node),
        tuple(ast.unparse(each) for each in node.decorator_list),
        _fields(inside, source),
        tuple(each for each in _public(inside, module, source, known) if each.doc),
    )


def _fields(body: list[ast.stmt], source: str) -> str:
    """The fields of a class as they are written, with what is said of each behind it."""
    lines = source.splitlines()
    shown = []
    for node in body:
        named = isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if named and not node.target.id.startswith("_") and node.end_lineno:
            shown += [line[4:] for line in lines[node.lineno - 1 : node.end_lineno]]
    return "\n".join(shown)
