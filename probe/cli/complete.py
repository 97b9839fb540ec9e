"""Which names can stand here? For the shell, while somebody types: quickly, so nothing is imported that computes.

Names of the manifest are read from its YAML, registered ones from the decorators in the files of their package. Names
that a shell could stumble over are left out, and what cannot be read completes to nothing. Left out: plug-ins.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

MANIFEST = "checkpoints_manifest.yaml"
LARGEST = 1_000_000  # bytes of a manifest
PLAIN = re.compile(r"[A-Za-z0-9_./@+-]+")
REGISTERED = re.compile(r"^@\w+\.register\(\s*(?:\"([^\"]+)\"|(\w+))", re.MULTILINE)
CONSTANT = re.compile(r"^(\w+) = \"([^\"]+)\"", re.MULTILINE)
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
        text = path.read_text(encoding="utf-8")
        constants = dict(CONSTANT.findall(text))
        found += [name or constants.get(constant, "") for name, constant in REGISTERED.findall(text)]
    return [name for name in found if name]


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
