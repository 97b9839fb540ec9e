"""What can be imported, what does it take and give, and where is that from? A page a package, from its docstrings."""

from collections.abc import Iterable
from pathlib import Path

from docs.making.names import Module, Name, modules
from docs.making.texts import Links, escaped, first_line, markdown

BORING = ("dataclass", "property", "staticmethod", "classmethod", "functools", "overload", "runtime_checkable")


APART = "---\norphan: true\n---\n\n"  # found from the index: in every page's list of contents they would be too many


def pages() -> dict[str, str]:
    """Path on the site -> Markdown, of every package and of the index."""
    every = modules()
    links = links_to(every)
    by_package: dict[str, list[Module]] = {}
    for each in every:
        by_package.setdefault(each.package, []).append(each)
    made = {f"api/{package}.md": APART + _package(package, held, links) for package, held in by_package.items()}
    return {"api/index.md": _index(by_package, links)} | made


def links_to(every: Iterable[Module]) -> Links:
    """Dotted names between backticks lead to where they are described."""
    kinds: dict[str, str] = {}
    for module in every:
        kinds[module.name] = "mod"
        for name in module.names:
            kinds[name.path] = "class" if name.is_class else "func"

    def link(span: str) -> str:
        return f"{{py:{kinds[span]}}}`{span}`" if span in kinds else f"`{span}`"

    return link


def _index(by_package: dict[str, list[Module]], links: Links) -> str:
    import probe

    lines = ["# Every public name", "", markdown(_doc_of("docs.making.names").partition("\n\n")[2]), ""]
    lines += ["## What `import probe` gives", "", "| name | what it does |", "|---|---|"]
    found = {each.path: each for held in by_package.values() for module in held for each in module.names}
    for name in probe.__all__:
        if name != "__version__":
            what = getattr(probe, name)
            path = f"{what.__module__}.{what.__qualname__}"
            role = "class" if found[path].is_class else "func"
            lines.append(f"| {{py:{role}}}`probe.{name} <{path}>` | {escaped(first_line(what.__doc__), links)} |")
    lines += ["", "## Packages", "", "| package | its question |", "|---|---|"]
    for package, held in by_package.items():
        lines.append(f"| [`{package}`]({package}.md) | {escaped(first_line(held[0].doc), links)} |")
    return "\n".join([*lines, ""])


def _doc_of(module: str) -> str:
    import importlib

    return importlib.import_module(module).__doc__ or ""


def _package(package: str, held: list[Module], links: Links) -> str:
    first, *rest = held if held[0].name == package else [Module(package, package, "", ()), *held]
    lines = [f"# {escaped(package)}", "", *_module(first, links)]
    for module in rest:
        lines += [f"## {escaped(module.name.removeprefix(package + '.'))}", "", *_module(module, links)]
    return "\n".join(lines)


def _module(module: Module, links: Links) -> list[str]:
    lines = [f"```{{py:module}} {module.name}", "```", "", markdown(module.doc, links), ""]
    for each in module.names:
        lines += [*_described(each, links), ""]
    return lines


def _described(each: Name, links: Links) -> list[str]:
    kind = "class" if each.is_class else "function"
    lines = [f"``````{{py:{kind}}} {each.name}{each.signature}", f":module: {each.module}", ""]
    shown = [name for name in each.decorators if not name.startswith(BORING)]
    lines += [f"`@{name}`" for name in shown] + [""] * bool(shown)
    lines += [markdown(each.doc, links), ""]
    if each.fields:
        lines += ["```python", *each.fields.splitlines(), "```", ""]
    for method in each.methods:
        is_property = any(name.endswith("property") for name in method.decorators)
        signature = "" if is_property else method.signature
        lines += [f"`````{{py:{'property' if is_property else 'method'}}} {each.name}.{method.name}{signature}"]
        lines += [f":module: {each.module}", "", markdown(method.doc, links), "`````", ""]
    return [*lines, "``````"]


def write(out: Path) -> None:
    """Every page, below `out`."""
    for name, text in pages().items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
