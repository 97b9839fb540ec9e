"""Where do title, legend, panels and caption go, so that none covers another?

    title | legend | panels | caption      heights in inches, text wrapped by its measured width

The panels keep the height they were asked for; the figure grows by what title, legend and caption need.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from probe.plots import Drawing
from probe.plots._style import COLUMN, GREY, LARGE, SMALL

EDGE, GAP, LEADING = 0.06, 0.05, 1.28  # inches, inches, lines
POINTS = 72.0  # per inch
MEASURES = [RendererAgg(1, 1, dpi) for dpi in (100, 150, 200)]
NO_BREAK = "\u00a0"
BESIDE, BESIDE_SHARED = 0.65, 0.28  # inches beside a panel's axes: tick labels, axis label, padding
SNUG = {"borderaxespad": 0, "borderpad": 0, "columnspacing": 1.2, "handletextpad": 0.5, "labelspacing": 0.25}


def panels(
    rows: int, columns: int, *, width: float = COLUMN, height: float = 1.6, **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure `width` inches wide and its axes `[rows, columns]`, each row `height` inches high."""
    figure = Figure(figsize=(width, rows * height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def finish(
    figure: Figure, title: str, caption: str, table: list[dict[str, Any]], legend: Sequence[Artist] = ()
) -> Drawing:
    """Put title and legend above the panels and the caption below them, and make room for all three."""
    width, height = figure.get_size_inches()
    above, below = wrap(title, LARGE, width - 2 * EDGE, "bold"), wrap(caption, SMALL, width - 2 * EDGE)
    title_height = len(above) * LARGE * LEADING / POINTS + GAP
    caption_height = len(below) * SMALL * LEADING / POINTS + GAP
    legend_height = _legend(figure, legend) + GAP if legend else 0.0
    total = EDGE + title_height + legend_height + height + caption_height + EDGE
    figure.set_size_inches(width, total)
    left, low = EDGE / width, (EDGE + caption_height) / total
    put: dict[str, Any] = {"va": "top", "ha": "left", "linespacing": LEADING * 0.92}
    figure.text(left, 1 - EDGE / total, "\n".join(above), size=LARGE, weight="bold", **put)
    figure.text(left, low - GAP / total, "\n".join(below), size=SMALL, color="#333333", **put)
    if legend:
        figure.legends[0].set_bbox_to_anchor((left, 1 - (EDGE + title_height) / total))
    figure.set_layout_engine("constrained", rect=(0, low, 1, height / total), w_pad=0.03, h_pad=0.03)
    return Drawing(figure, table, caption)


def wrap(text: str, size: float, room: float, weight: str = "normal") -> list[str]:
    """`text` in lines of at most `room` inches; a word longer than a line stands alone."""
    lines: list[list[str]] = [[]]
    used, space = 0.0, _inches("a a", size, weight) - _inches("aa", size, weight)
    for held in ("T = 1", "95 %"):
        text = text.replace(held, held.replace(" ", NO_BREAK))
    for word in text.split(" "):
        width = _inches(word, size, weight)
        if lines[-1] and used + space + width > room:
            lines, used = [*lines, []], 0.0
        used += width + space * bool(lines[-1])
        lines[-1].append(word)
    return [" ".join(line) for line in lines]


@cache
def _inches(text: str, size: float, weight: str) -> float:
    """Hinting widens text differently at every resolution: the widest counts."""
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    return max(float(each.get_text_width_height_descent(text, font, ismath=False)[0]) / each.dpi for each in MEASURES)


def _legend(figure: Figure, entries: Sequence[Artist]) -> float:
    """Add the legend with as many columns as fit, and say how high it is in inches."""
    room, n = figure.get_size_inches()[0] - 2 * EDGE, len(entries)
    height = 0.0
    for lines in range(1, n + 1):  # as few lines as fit, evenly filled
        for old in figure.legends[:]:
            old.remove()
        figure.legend(handles=list(entries), loc="upper left", ncols=-(-n // lines), handlelength=2.4, **SNUG)
        box = figure.legends[0].get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
        height = box.height / figure.dpi
        if box.width / figure.dpi <= room:
            break
    figure.legends[0].set_in_layout(False)
    return float(height)


def note(axes: Axes, text: str) -> None:
    """One quiet line inside an empty panel."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY, size=SMALL)


def beside(axes: Axes, text: str, spot: tuple[float, float], offset: tuple[float, float], colour: str) -> None:
    """A number at a mark, `offset` points away: to the right of it, or centred above it where the first is 0."""
    side: dict[str, Any] = {"ha": "center", "va": "bottom"} if offset[0] == 0 else {"ha": "left", "va": "center"}
    side["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # a null line may run behind it
    axes.annotate(text, spot, xytext=offset, textcoords="offset points", color=colour, fontsize=SMALL, **side)


def head(axes: Axes, text: str, most: int = 2) -> None:
    """What a panel shows, in small print above it, in at most `most` lines; what goes beyond becomes an ellipsis."""
    figure, spec = axes.get_figure(root=True), axes.get_subplotspec()
    assert isinstance(figure, Figure)
    assert spec is not None
    shared = len(axes.get_shared_y_axes().get_siblings(axes)) > 1
    room = figure.get_size_inches()[0] / spec.get_gridspec().ncols - (BESIDE_SHARED if shared else BESIDE)
    lines = wrap(text, SMALL, room)
    shown = lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1]} …"]
    axes.set_title("\n".join(shown), fontsize=SMALL, color="#333333", pad=3)


def name_columns(axes: Sequence[Axes], names: Sequence[str]) -> None:
    """A name in bold over each column, above the tallest `head`."""
    lines = max(axis.get_title(loc="left").count("\n") + 1 for axis in axes)
    for axis, name in zip(axes, names, strict=True):
        spot: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        axis.annotate(name, (0, 1), xytext=(0, 4 + 9 * lines), weight="bold", fontsize=SMALL + 0.5, **spot)
