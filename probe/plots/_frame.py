"""Where do title, legend, panels and caption go, so that none covers another?

    title | legend | panels | caption      heights in inches, text wrapped by its measured width

The panels keep the height they were asked for; the figure grows by what title, legend and caption need.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D

from probe.plots import Drawing
from probe.plots._style import COLUMN, LARGE, SMALL

EDGE, GAP, LEADING = 0.06, 0.05, 1.28  # inches, inches, lines
POINTS = 72.0
SNUG = {
    "borderaxespad": 0,
    "borderpad": 0,
    "columnspacing": 1.2,
    "handlelength": 2.4,
    "handletextpad": 0.5,
    "labelspacing": 0.25,
}


def panels(
    rows: int, columns: int, *, width: float = COLUMN, height: float = 1.6, **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure `width` inches wide and its axes `[rows, columns]`, each row `height` inches high."""
    figure = Figure(figsize=(width, rows * height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def finish(
    figure: Figure,
    title: str,
    caption: str,
    table: list[dict[str, Any]],
    legend: Sequence[Line2D] = (),
) -> Drawing:
    """Put title and legend above the panels and the caption below them, and make room for all three."""
    width, height = figure.get_size_inches()
    head, foot = wrap(figure, title, LARGE, "bold"), wrap(figure, caption, SMALL)
    title_height = len(head) * LARGE * LEADING / POINTS + GAP
    caption_height = len(foot) * SMALL * LEADING / POINTS + GAP
    legend_height = _legend(figure, legend) + GAP if legend else 0.0
    total = EDGE + title_height + legend_height + height + caption_height + EDGE
    figure.set_size_inches(width, total)
    put = {"va": "top", "ha": "left", "linespacing": LEADING * 0.92}
    figure.text(EDGE / width, 1 - EDGE / total, "\n".join(head), size=LARGE, weight="bold", **put)
    figure.text(EDGE / width, (EDGE + caption_height - GAP) / total, "\n".join(foot), size=SMALL, color="#333333", **put)
    if legend:
        figure.legends[0].set_bbox_to_anchor((EDGE / width, 1 - (EDGE + title_height) / total))
    low, high = (EDGE + caption_height) / total, (height + EDGE + caption_height) / total
    figure.get_layout_engine().set(rect=(0, low, 1, high - low), w_pad=0.03, h_pad=0.03)  # type: ignore[union-attr]
    return Drawing(figure, table, caption)


def wrap(figure: Figure, text: str, size: float, weight: str = "normal") -> list[str]:
    """`text` in lines that fit the figure's width; a word longer than a line stands alone."""
    room = figure.get_size_inches()[0] - 2 * EDGE
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and _inches(figure, longer, size, weight) > room:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def _inches(figure: Figure, text: str, size: float, weight: str) -> float:
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    return float(renderer.get_text_width_height_descent(text, font, ismath=False)[0]) / figure.dpi


def _legend(figure: Figure, entries: Sequence[Line2D]) -> float:
    """Add the legend with as many columns as fit, and say how high it is in inches."""
    room, n = figure.get_size_inches()[0] - 2 * EDGE, len(entries)
    width = height = 0.0
    for lines in range(1, n + 1):  # as few lines as fit, evenly filled
        for old in figure.legends[:]:
            old.remove()
        figure.legend(handles=list(entries), loc="upper left", ncols=-(-n // lines), **SNUG)
        box = figure.legends[0].get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
        width, height = box.width / figure.dpi, box.height / figure.dpi
        if width <= room:
            break
    figure.legends[0].set_in_layout(False)
    return float(height)


def note(axes: Axes, text: str) -> None:
    """One quiet line inside an empty panel."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#767676", size=SMALL)
