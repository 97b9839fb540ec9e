"""What does whoever finds the folder of a checkpoint need to know? Its README.md, a Hugging Face model card.

Only what the weights are a function of: no dates and no paths, so the same weights have the same card.
https://huggingface.co/docs/hub/model-cards
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from probe.terminal import printable

CARD = "README.md"
PACKAGE = "rlvr-probe"


@dataclass(frozen=True)
class Card:
    """What is said: `head` is the metadata block, `facts` are the lines of a list, `recipe` what it was made by."""

    title: str
    about: str
    facts: Mapping[str, str] = field(default_factory=dict)
    head: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] | None = None

    def text(self) -> str:
        """Markdown with a block of metadata before it; every value of that block is JSON, which YAML reads alike."""
        head = ["---", *(f"{name}: {_line(json.dumps(value))}" for name, value in self.head.items()), "---"]
        lines = [*head, f"# {_line(self.title)}", "", self.about, ""]
        lines += [f"* {name}: {_line(said)}" for name, said in self.facts.items()]
        if self.recipe is not None:
            told = json.dumps(dict(self.recipe), indent=2, sort_keys=True)
            lines += ["", "## Recipe", "", "```json", told, "```"]
        return "\n".join([*lines, ""])

    def write(self, folder: Path) -> None:
        """Into the folder of the checkpoint."""
        (folder / CARD).write_text(self.text(), encoding="utf-8")


def _line(text: str) -> str:
    """One line: a name can be that of a folder, and so anything."""
    return printable(" ".join(text.split()))


def package_version() -> str:
    """Of this package, as it is installed."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "(not installed)"
