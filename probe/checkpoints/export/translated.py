"""What a recipe comes to in another trainer: its settings, what it cannot be told, and what will differ all the same.

A setting that would change the loss is told exactly, or refused: never the nearest thing that the other side has. What
somebody accepts by name (`ACCEPTABLE`) is told as the other side does it, and stands in the folder's README.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from probe.errors import BadInput

ACCEPTABLE = ("eps",)  # of the standard deviation
OFF = 1e9  # a clip so wide that it never acts, where the other side has no None
DRAWS = "prompts, tokens and minibatches are drawn by the other trainer: the same law, other draws"


@dataclass
class Translated:
    """`settings` by the other side's names; `refused` and `differs` in words."""

    settings: dict[str, Any] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=lambda: [DRAWS])
    accepted: Collection[str] = ()

    def need(self, holds: bool, what: str) -> None:
        """Refuse `what` unless it holds."""
        if not holds:
            self.refused.append(what)

    def accept(self, name: str, what: str) -> None:
        """Refuse `what`, or say it where `name` was accepted."""
        (self.differs if name in self.accepted else self.refused).append(what)

    def checked(self, trainer: str) -> "Translated":
        """Itself; BadInput with all that cannot be told."""
        if self.refused:
            do = "change the recipe (--variant), or train it here: probe train"
            if any(what.endswith(f"[{name}]") for what in self.refused for name in ACCEPTABLE):
                do = f"--accept-eps takes what ends in [eps]; else {do}"
            raise BadInput(f"{trainer} cannot be told this run: {'; '.join(self.refused)}", do=do)
        return self
