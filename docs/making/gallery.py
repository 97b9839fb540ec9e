"""What was drawn? Every committed figure with its question, its caption, who makes it and its table."""

import functools
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from docs.making.names import ROOT
from docs.making.texts import escaped, first_line

FIGURES = ROOT / "figures"


@dataclass(frozen=True)
class Figure:
    """One committed figure: `question` of its module, `caption` as it was drawn, `makers` the commands that make it."""

    name: str
    question: str
    caption: str
    makers: tuple[str, ...]

    @property
    def image(self) -> str:
        """Where the site holds its picture."""
        return f"/drawn/{self.name}.png"

    @property
    def link(self) -> str:
        """Where the gallery has it."""
        return f"/figures.md#{self.name}"

    def shown(self) -> list[str]:
        """Picture, question and a link, for another page."""
        return [f"[![{self.name}]({self.image})]({self.link})", "", escaped(self.question)]

    def told(self) -> list[str]:
        """Its part of the gallery."""
        made = " or ".join(f"`{maker}`" for maker in self.makers)
        ends = {"csv": "what is drawn", "svg": "as vectors", "json": "from what"}
        files = ", ".join(f"{{download}}`{told} </drawn/{self.name}.{end}>`" for end, told in ends.items())
        about = f"Made by {made} ({files})."
        lines = [f"## {escaped(self.name)}", "", escaped(self.question), "", f"![{self.name}]({self.image})"]
        return [*lines, "", escaped(self.caption), "", about, ""]


@functools.cache
def committed() -> tuple[Figure, ...]:
    """Every figure of `figures/`, in order of their names."""
    from probe.plots import figures

    found = []
    for path in sorted(FIGURES.glob("*.json")):
        caption = json.loads(path.read_text(encoding="utf-8"))["caption"]
        question = first_line(sys.modules[figures.get(path.stem).__module__].__doc__)
        found.append(Figure(path.stem, question, caption, _makers(path.stem)))
    return tuple(found)


@functools.cache
def _of_studies() -> dict[str, tuple[str, ...]]:
    """Which figures each study names, or has measured by what draws them; none for the study that draws the rest."""
    from probe.studies import in_order

    drawn = {}
    for study in in_order():
        names = study.figures
        if not names and not study.in_all:
            jobs = {type(job) for job in study.jobs()}
            names = tuple(name for job in jobs for name in getattr(job, "FIGURES", ()))
        drawn[study.name] = names
    return drawn


def _makers(figure: str) -> tuple[str, ...]:
    """The studies that draw it; where none names it, the one of `make study` that draws whatever its rows allow."""
    from probe.studies import in_order

    studies = [name for name, names in _of_studies().items() if figure in names]
    together = [each.name for each in in_order() if each.in_all and not each.apart]
    return tuple(f"probe run {name}" for name in studies or together)


def page() -> str:
    """The gallery."""
    every = committed()
    lines = ["# Every figure", "", f"{len(every)} figures are committed, each with the table of what is drawn.", ""]
    return "\n".join([*lines, *(line for each in every for line in each.told())])


def write(out: Path) -> None:
    """The page, and the files themselves."""
    (out / "figures.md").write_text(page(), encoding="utf-8")
    shutil.copytree(FIGURES, out / "drawn", dirs_exist_ok=True)
