"""Which names can stand here? For the shell, while somebody types: quickly, so nothing is imported that computes.

Names of the manifest are read from its YAML, registered ones from the decorators in the files of their package. Names
that a shell could stumble over are left out, and what cannot be read completes to nothing. Left out: plug-ins.
"""

import ast
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

MANIFEST = "checkpoints_manifest.yaml"
LARGEST = 1_000_000  # bytes of a manifest
PLAIN = re.compile(r"[A-Za-z0-9_./@+-]+")
PACKAGE = Path(__file__).parents[1]
FOLDERS = {
    "rewards": "rewards",
    "studies": "studies",
    "figures": "plots",
    "variants": "rl/variants",
    "measures": "measures",
}
Names = Callable[[str], list[str]]


def names_of(*kinds: str) -> Names:
    """A function from what is typed so far to the names of those kinds that begin so."""

    def complete(incomplete: str) -> list[str]:
        found = [name for kind in kinds for name in known(kind)]
        return sorted({name for name in found if name.startswith(incomplete) and PLAIN.fullmatch(name)})

    return complete


@cache
def known(kind: str) -> tuple[str, ...]:
    """Every name of a kind: checkpoints, templates, datasets, rewards, studies, figures, variants, measures."""
    if kind in FOLDERS:
        return tuple(_registered(PACKAGE / FOLDERS[kind]))
    read = _manifest()
    sections = ("organisms", "runs", "checkpoints") if kind == "checkpoints" else (kind,)
    tables = [read.get(section) for section in sections]
    return tuple(str(name) for table in tables if isinstance(table, dict) for name in table)


def _registered(folder: Path) -> list[str]:
    found = []
    for path in sorted(folder.rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        texts = _constants(body)
        for node in body:
            found += [name for call in getattr(node, "decorator_list", ()) if (name := _first(call, texts))]
    return found


def _constants(body: list[ast.stmt]) -> dict[str, object]:
    """NAME = "text", and A, B = "a", "b"."""
    found: dict[str, object] = {}
    for node in body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            names, values = (getattr(each, "elts", [each]) for each in (node.targets[0], node.value))
            found |= {n.id: getattr(v, "value", None) for n, v in zip(names, values, strict=False) if hasattr(n, "id")}
    return found


def _first(call: ast.expr, texts: dict[str, object]) -> str:
    """The name in `@registry.register(name, ...)`; nothing for another decorator."""
    if not isinstance(call, ast.Call) or getattr(call.func, "attr", "") != "register" or not call.args:
        return ""
    said = call.args[0]
    value = said.value if isinstance(said, ast.Constant) else texts.get(getattr(said, "id", ""))
    return value if isinstance(value, str) else ""


def _manifest() -> dict[str, Any]:
    import yaml

    here = Path(MANIFEST)
    path = here if here.is_file() else PACKAGE.parent / MANIFEST
    try:
        if path.stat().st_size > LARGEST:
            return {}
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return read if isinstance(read, dict) else {}


checkpoints, rewards, datasets = names_of("checkpoints"), names_of("rewards"), names_of("datasets", "checkpoints")
OF: dict[str, Names] = {  # by the name of an argument or option; "command argument" where a command means another thing
    **dict.fromkeys(("before", "after", "name", "checkpoint", "run", "other", "scorer"), checkpoints),
    "reward": rewards,
    "study": names_of("studies"),
    "variant": names_of("variants"),
    "template": names_of("templates"),
    "figure": names_of("figures"),
    "figure name": names_of("figures"),
    "path": datasets,
    "fetch name": datasets,
    "inspect before": datasets,
    "report before": names_of("checkpoints", "datasets", "studies"),
    "import-rollouts name": names_of(),
}


def completer(command: str, argument: str) -> Names | None:
    """What completes that argument of that command; None where nothing is known of it."""
    return OF.get(f"{command} {argument}", OF.get(argument))
