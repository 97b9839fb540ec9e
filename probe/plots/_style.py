"""What do all figures look like? One size, one font, one fixed mapping from reward and organism to colour and marker.

Colours are Okabe & Ito's (legible with colour blindness); every reward also has its own marker and line style, so that
none needs colour to be told apart. A reward without an entry gets one of the spare looks, chosen by its name alone.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import matplotlib.style
from matplotlib.lines import Line2D

from probe.measurements import Rows
from probe.plots import Drawing
from probe.plots._words import plain

COLUMN, DOUBLE = 3.4, 7.0  # inches
SMALL, MEDIUM, LARGE = 7.0, 7.5, 8.5  # points
GREY = "#767676"

RC: dict[str, Any] = {f"{part}size": SMALL for part in ("font.", "axes.label", "xtick.label", "ytick.label")} | {
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: the same letters everywhere
    "axes.titlesize": MEDIUM,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.use_mathtext": False,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.0,
    "text.parse_math": False,  # names come from data
    "svg.hashsalt": "probe",
    "figure.dpi": 100,
}


@dataclass(frozen=True)
class Look:
    """Colour, marker and line style of one reward, organism or setting, and what it is called in a legend."""

    colour: str
    marker: str
    line: Any = "-"
    label: str = ""

    def handle(self) -> Line2D:
        """Its entry in a legend."""
        return Line2D([], [], color=self.colour, marker=self.marker, linestyle=self.line, label=self.label)


REWARDS: dict[str, Look] = {
    "ground_truth": Look("#000000", "o", "-", "ground truth"),
    "ground_truth_all": Look("#7B4FD6", "X", (0, (4, 1)), "ground truth, all weights"),
    "one_shot": Look("#444444", "*", (0, (5, 1)), "one-shot"),
    "majority": Look("#0072B2", "s", "-", "majority"),
    "majority_offline": Look("#0072B2", "s", "-", "majority"),
    "majority_online": Look("#56B4E9", "p", "--", "majority (online)"),
    "format": Look("#009E73", "^", "-", "format"),
    "incorrect": Look("#D55E00", "v", "--", "incorrect"),
    "inverse": Look("#8C510A", "<", ":", "inverse"),
    "python": Look("#E69F00", "P", "-.", "python"),
    "random": Look("#CC79A7", "D", (0, (3, 1, 1, 1)), "random"),
    "constant": Look(GREY, "h", ":", "constant (null)"),
}
SYSTEMS: dict[str, Look] = {  # real outputs, by the reward they were trained with
    "RLVR": Look("#0072B2", "s", "-", "RLVR"),
    "RLCR": Look("#D55E00", "v", "--", "RLCR"),
    "RLVR-Classifier": Look("#009E73", "^", "-", "RLVR-Classifier"),
    "Answer-Prob": Look("#CC79A7", "D", ":", "Answer-Prob"),
}
SPARE_COLOURS = ("#8B6914", "#5D3A9B", "#1A6B5A", "#A3195B", "#4A6FE3", "#6B6B00", "#B2471D")
SPARE_MARKERS = (">", "H", "d", "X", "8")

FAMILIES: dict[str, Look] = {
    "latent-code": Look("#0072B2", "o", "-", "latent-code"),
    "no-code": Look("#D55E00", "s", "--", "no-code"),
    "bad-code": Look("#009E73", "^", "-.", "bad-code"),
    "contaminated": Look("#CC79A7", "D", ":", "contaminated"),
}
CLIPS: dict[str, Look] = {
    "0.05": Look("#0072B2", "o", "-", "clip .05"),
    "0.2": Look("#E69F00", "s", "--", "clip .2"),
    "none": Look(GREY, "^", ":", "no clip"),
}


def look(name: object, known: dict[str, Look]) -> Look:
    """The fixed look of `name`, or a spare one that depends on the name alone."""
    if str(name) in known:
        return known[str(name)]
    first, second = hashlib.sha256(str(name).encode()).digest()[:2]
    marker = SPARE_MARKERS[second % len(SPARE_MARKERS)]
    return Look(SPARE_COLOURS[first % len(SPARE_COLOURS)], marker, (0, (4, 2)), plain(name))


def reward_look(name: object) -> Look:
    """A reward's look: the same in every figure."""
    return look(name, REWARDS)


def ordered(names: Iterable[Any], known: dict[str, Look]) -> list[Any]:
    """Distinct names in the order of `known`, the unknown ones last and sorted."""
    place = {name: i for i, name in enumerate(known)}
    return sorted(set(names), key=lambda name: (place.get(str(name), len(place)), str(name)))


def styled(draw: Callable[[Rows], Drawing | None]) -> Callable[[Rows], Drawing | None]:
    """Draw under this style and no other, whatever the reader's matplotlibrc says."""

    @wraps(draw)
    def inner(rows: Rows) -> Drawing | None:
        with in_style():
            drawing = draw(rows)
            if drawing is not None:
                drawing.figure.draw_without_rendering()  # ticks are made when first drawn: make them in style
            return drawing

    return inner


def in_style() -> Any:
    """Context in which figures are drawn and written."""
    return matplotlib.style.context(["default", RC])


def handles(looks: Sequence[Look]) -> list[Line2D]:
    """Legend entries, each label once."""
    return [item.handle() for item in {item.label: item for item in looks}.values()]
