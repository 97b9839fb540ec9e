"""Which figures do a page's rows draw? All that the rows allow, as markup and as the table that each one draws."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from probe.measurements import Rows
from probe.pages.svg import inline_svg
from probe.plots import Drawing, figures
from probe.plots.save import csv_bytes


def drawn(rows: Rows, names: Sequence[str]) -> dict[str, Drawing]:
    """The drawings of those names that the rows allow, in order."""
    found = {name: figures.get(name)(rows) for name in names if name in figures.names()}
    return {name: drawing for name, drawing in found.items() if drawing is not None}


def told(drawings: dict[str, Drawing]) -> list[dict[str, Any]]:
    """Of each its name, its title, its caption and its table as CSV."""
    return [
        {
            "name": name,
            "title": _title(drawing.figure),
            "caption": drawing.caption,
            "csv": csv_bytes(drawing.table).decode(),
        }
        for name, drawing in drawings.items()
    ]


def markup(drawings: dict[str, Drawing]) -> dict[str, str]:
    """Each as SVG."""
    return {name: inline_svg(drawing, name) for name, drawing in drawings.items()}


def _title(figure: Figure) -> str:
    """What stands above a figure: its first text (`probe.plots._frame.finish`)."""
    return " ".join(figure.texts[0].get_text().split()) if figure.texts else ""
