"""probe why: where a figure comes from, down to organisms' seeds and the digests of files."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.tree import Tree

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import clean, emit, results, say
from probe.errors import BadInput
from probe.registry import nearest

if TYPE_CHECKING:
    from probe.store import Lineage, Store

MANY = 4  # more inputs than these of one stage are told as one
VALUES = 6  # distinct values of a parameter that are listed
KEPT = ("params", "version", "commit", "dirty", "versions", "created", "seconds")


@command("why", place=180)
def why(
    figure: Annotated[str, typer.Argument(help="A figure that was drawn.")],
    full: Annotated[bool, typer.Option("--full", help="Every input, also where there are hundreds.")] = False,
    store: settings.Root = None,
    figures: settings.Figures = settings.FIGURES,
    as_json: settings.AsJson = False,
) -> None:
    """Print what a figure was made from."""
    record, held = figure_record(figure, figures), settings.open_store(store)
    roots = lineages(record["provenance"]["inputs"], held)
    if as_json:
        nodes = {node.name: _node(node) for node in _walk(roots, set())}
        about = {"figure": figure, "versions": record["versions"], "inputs": [root.name for root in roots]}
        return emit(about | {"nodes": nodes})
    tree = Tree(f"[bold]{clean(figure)}[/] {clean(figures / figure)}.csv")
    _grow(tree, roots, sys.maxsize if full else MANY, set())
    results().print(tree, highlight=False)
    absent = sum(root.kind == "absent" for root in roots)
    if absent:
        say(f"{absent} of {len(roots)} inputs are not in the store {held.shown}: set --store to where they are")


def figure_record(figure: str, figures: Path) -> dict[str, Any]:
    """The JSON beside a figure. BadInput where it is not there, or is not one."""
    path = figures / f"{figure}.json"
    if not path.is_file():
        drawn = sorted(file.stem for file in figures.glob("*.json")) if figures.is_dir() else []
        raise BadInput(f"no figure {figure!r} was drawn here", where=str(figures), do=nearest(figure, drawn))
    try:
        record = json.loads(path.read_bytes())
        inputs = record["provenance"]["inputs"]
        sound = isinstance(inputs, list) and all(isinstance(each, str) for each in inputs) and "versions" in record
    except (ValueError, LookupError, TypeError):
        sound = False
    if not sound:
        raise BadInput("this is no record of a figure", where=str(path), do="draw it again: probe figure NAME")
    return dict(record)


def lineages(inputs: list[str], store: "Store") -> "list[Lineage]":
    """One tree per input; nodes that occur twice are one object."""
    from probe.store.lineage import trace

    held = {each.digest: each for each in store.artifacts()}
    seen: dict[str, Lineage] = {}
    return [trace(name, held.get, seen) for name in inputs]


def _grow(tree: Tree, nodes: "Iterable[Lineage]", many: int, unfolded: set[frozenset[str]]) -> None:
    """Add the nodes by stage: one by one, or more than `many` as one; what was told before is not unfolded again."""
    by_stage: dict[str, list[Lineage]] = {}
    for node in nodes:
        by_stage.setdefault(node.stage or node.kind, []).append(node)
    for group in by_stage.values():
        for part in [[node] for node in group] if len(group) <= many else [group]:
            names = frozenset(node.name for node in part)
            below = {child.name: child for node in part for child in node.inputs}
            again = bool(below) and names in unfolded
            branch = tree.add((_leaf(part[0]) if len(part) == 1 else _group(part)) + (" (as above)" if again else ""))
            if not again:
                unfolded.add(names)
                _grow(branch, below.values(), many, unfolded)


def _leaf(node: "Lineage") -> str:
    if node.spec is None:
        return f"{clean(node.kind)} [dim]{clean(node.name)}[/]"
    commit = (node.spec.get("commit") or "no commit")[:10] + ("+" if node.spec.get("dirty") else "")
    return f"{clean(node.stage)} [dim]{clean(node.name[:16])}[/] {clean(_params([node]))} [dim]{clean(commit)}[/]"


def _group(nodes: "list[Lineage]") -> str:
    return f"[bold]{len(nodes)}[/] {clean(nodes[0].stage or nodes[0].kind)} [dim]{clean(_params(nodes))}[/]"


def _params(nodes: "list[Lineage]") -> str:
    """name=value, name=a|b|c where they differ; what has more values or is no scalar is left out."""
    values: dict[str, dict[str, None]] = {}
    for node in nodes:
        for name, value in (node.spec or {}).get("params", {}).items():
            values.setdefault(name, {})["{}" if isinstance(value, dict | list) else str(value)] = None
    few = {name: found for name, found in values.items() if len(found) <= VALUES and not found.keys() & {"{}", ""}}
    return ", ".join(f"{name}={'|'.join(found)}" for name, found in few.items())


def _node(node: "Lineage") -> dict[str, Any]:
    about = {name: node.spec.get(name) for name in KEPT} if node.spec else {}
    return {"kind": node.kind, "stage": node.stage, "inputs": [each.name for each in node.inputs], **about}


def _walk(nodes: "Iterable[Lineage]", seen: set[str]) -> "Iterator[Lineage]":
    for node in nodes:
        if node.name not in seen:
            seen.add(node.name)
            yield node
            yield from _walk(node.inputs, seen)
