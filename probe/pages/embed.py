"""How do data that may hold anything get into a page and stay text? One template, one JSON block, a strict policy.

* Data stand as JSON in <script type="application/json">, which no browser runs; <, >, & and everything beyond ASCII
  are \\u escapes there, so that no text can end the block. The page's script puts texts into the document as text.
* default-src 'none': the page reads nothing from anywhere. Its one script and one style are allowed by their sha256, so
  that nothing else runs even if it got in.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from probe.errors import BadInput
from probe.pages.pack import packed, plain
from probe.store.outputs import named_output

SCRIPTS = ("report.js", "tokens.js", "cards.js", "steering.js", "pairs.js", "responses.js")
PAGE, TWIN = "index.html", "report.json"
MARK = b'<!doctype html>\n<html lang="en" data-made-by="probe">'
SLOT = re.compile(r"\{\{(\w+)\}\}")
ESCAPED = {ord(char): f"\\u{ord(char):04x}" for char in "<>&"}


@dataclass(frozen=True, eq=False)
class Page:
    """What a page shows: its title, its data (marked parts: `probe.pages.pack`), and its figures as markup by name."""

    title: str
    data: Mapping[str, Any]
    figures: Mapping[str, str]

    @property
    def html(self) -> str:
        """The whole file."""
        style, script = template("report.css"), _script()
        slots = {
            "policy": f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
            "base-uri 'none'; form-action 'none'",
            "title": html.escape(self.title),
            "style": style,
            "figures": "\n".join(
                f'<div class="drawn" data-figure="{html.escape(name)}">{svg}</div>'
                for name, svg in self.figures.items()
            ),
            "data": as_json(packed(self.data)),
            "script": script,
        }
        return SLOT.sub(lambda slot: slots[slot.group(1)], template("report.html"))  # one pass: no slot within data

    @property
    def twin(self) -> str:
        """The same data as JSON, every number spelled out."""
        return json.dumps(plain(self.data), allow_nan=False, separators=(",", ":"))

    def write(self, folder: Path) -> list[Path]:
        """The page and its twin below `folder`, made where absent. BadInput where another file is in the way."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise BadInput(f"this folder cannot be made: {err.strerror}", where=str(folder), do="name another") from err
        content = {PAGE: self.html, TWIN: self.twin}
        outputs = [named_output(folder / name, overwrite=ours(folder)) for name in content]
        for output, text in zip(outputs, content.values(), strict=True):
            output.write_bytes(text.encode("utf-8"))
        return [output.named for output in outputs]


def ours(folder: Path) -> bool:
    """Whether the page in that folder was written here: only then is it replaced."""
    page = folder / PAGE
    if not page.is_file():
        return False
    with page.open("rb") as file:
        return file.read(len(MARK)) == MARK


def folder_of(names: Iterable[str]) -> Path:
    """Where the page of these checkpoints goes unless somebody names a folder: reports/BEFORE--AFTER."""
    return Path("reports") / slug(names)


def slug(names: Iterable[str]) -> str:
    """Names as one name of a folder: letters, digits and . @ + _ - of ASCII, at most 80 of each. Others may get it."""
    return "--".join(re.sub(r"[^A-Za-z0-9.@+_-]+", "-", name)[-80:].strip("-.") or "unnamed" for name in names)


def template(name: str) -> str:
    """One file of the template."""
    return resources.files("probe.pages").joinpath(name).read_text(encoding="utf-8")


def as_json(value: Any) -> str:
    """JSON that can stand inside a script block."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).translate(ESCAPED)


def _script() -> str:
    """The files of the script as one, whose names are its own: `name` and `top` are taken in a window."""
    return '"use strict";\n{\n' + "\n".join(map(template, SCRIPTS)) + "}\n"


def _hash(content: str) -> str:
    """As a policy names the text between two tags."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
