"""How are recoveries by site drawn? Sites down and shares across where they are few; else lines over layers, by kind.

A cell is one contrast, one place of the patch (the fork alone, or all positions at once) and one site. Means are over
base seeds with their t interval, each pair small beside them; grey is the range of the null's draws.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from probe.measurements import Row
from probe.plots._frame import note
from probe.plots._marks import null_line, plain_numbers, ribbon, seed_marks, thread
from probe.plots._pairs import band, in_table, over_seeds
from probe.plots._replicates import Mean, by_run
from probe.plots._style import GREY, Look

KINDS = {"resid": "residual stream", "attn": "attention", "mlp": "MLP", "head": "heads"}
PLACES = {
    "fork": Look("#0072B2", "o", "-", "patched in at the fork alone"),
    "all": Look("#D55E00", "D", "--", "at all positions at once"),
}
MOST_SITES, MOST_HEADS = 26, 6
LEAST, MOST = -1.0, 2.0  # of the axis of shares: beyond, a share of the gap says little
HATCH: dict[str, Any] = {"facecolor": "#eeeeee", "edgecolor": "#bbbbbb", "hatch": "///"}
Key = tuple[str, str, str]  # side, place, site


@dataclass(frozen=True)
class Patches:
    """Recoveries and their nulls, a row a pair in each cell."""

    recovered: dict[Key, list[Row]]
    nulls: dict[Key, list[Row]]

    @property
    def sites(self) -> list[str]:
        """By kind, then layer and head."""
        rows = {row["site"]: row for mine in self.recovered.values() for row in mine}
        kinds = list(KINDS)
        return sorted(rows, key=lambda s: (kinds.index(rows[s]["component"]), rows[s]["layer"], rows[s]["head"] or 0))

    def largest_heads(self) -> list[str]:
        """The heads that recover most, on average over contrasts, places and pairs."""
        held: defaultdict[str, list[float]] = defaultdict(list)
        for (_, _, site), rows in self.recovered.items():
            held[site] += [abs(row["value"]) for row in rows if row["component"] == "head"]
        sizes = {site: fmean(values) for site, values in held.items() if values}
        return sorted(sizes, key=lambda site: (-sizes[site], site))[:MOST_HEADS]

    def has(self, side: str) -> bool:
        """Whether there was a gap to recover in some pair."""
        return any(key[0] == side for key in self.recovered)


def patches(rows: Sequence[Row]) -> Patches:
    """Of the sites that are drawn, at the fork or everywhere."""
    found: dict[str, defaultdict[Key, list[Row]]] = {name: defaultdict(list) for name in ("recovery", "null")}
    for row in rows:
        place = "all" if row.get("everywhere") else "fork" if row.get("position") == -1 else ""
        what = str(row["name"]).removeprefix("patch/")
        if place and what in found and row.get("component") in KINDS:
            found[what][row["side"], place, row["site"]].append(row)
    return Patches(dict(found["recovery"]), dict(found["null"]))


def no_gap(axes: Axes) -> None:
    """Nothing to recover: hatched."""
    axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, **HATCH))
    note(axes, "no gap")


def site_rows(axes: Axes, found: Patches, side: str, sites: Sequence[str]) -> list[Row]:
    """One contrast, its sites below each other; a faint line where the kind of site changes."""
    table: list[Row] = []
    for at, site in enumerate(sites):
        for (place, look), shift in zip(PLACES.items(), (-0.17, 0.17), strict=True):
            if nulls := found.nulls.get((side, place, site)):
                null = band(nulls)
                stroke: dict[str, Any] = {"color": GREY, "alpha": 0.4, "linewidth": 3.5, "solid_capstyle": "butt"}
                axes.plot((null.lo, null.hi), (at + shift,) * 2, zorder=1, **stroke)
                axes.plot((null.value,) * 2, (at + shift - 0.14, at + shift + 0.14), color=GREY, linewidth=0.8)
                table += in_table(null, "null", seeds=False)
            if rows := found.recovered.get((side, place, site)):
                mean = over_seeds(rows)
                seed_marks(axes, at + shift, mean, look, width=0.1, flat=True)
                table += in_table(mean, "patch")
    for at, (one, two) in enumerate(pairwise(sites)):
        if one.partition(".")[0] != two.partition(".")[0]:
            axes.axhspan(at + 0.5, at + 0.5, color="#bbbbbb", linewidth=0.5, zorder=0)
    table += _ends(axes, upright=True)
    plain_numbers(axes, x=True, y=False)
    return table


def layer_lines(axes: Axes, found: Patches, side: str, kind: str) -> list[Row]:
    """One contrast and kind of site over layers; of heads every one is a dot, spread within its layer."""
    table: list[Row] = []
    for place, look in PLACES.items():
        mine = [key for key in found.recovered if key[:2] == (side, place) and key[2].startswith(f"{kind}.")]
        mine.sort(key=lambda key: (found.recovered[key][0]["layer"], found.recovered[key][0]["head"] or 0))
        means = [over_seeds(found.recovered[key]) for key in mine]
        nulls = [band(found.nulls[key]) for key in mine if key in found.nulls]
        if not means:
            continue
        if kind == "head":
            _head_dots(axes, means, look.marker, look.colour)
            _head_dots(axes, nulls, "_", GREY)
        else:
            _layer_line(axes, means, nulls, look)
        table += [row for mean in means for row in in_table(mean, "patch")]
        table += [row for null in nulls for row in in_table(null, "null", seeds=False)]
    table += _ends(axes, upright=False)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    plain_numbers(axes)
    return table


def _ends(axes: Axes, *, upright: bool) -> list[Row]:
    """Where nothing is recovered, and all."""
    for value in (0.0, 1.0):
        null_line(axes, value, upright=upright)
    return [{"mark": "end", "name": "patch/recovery", "value": value} for value in (0.0, 1.0)]


def _layer_line(axes: Axes, means: Sequence[Mean], nulls: Sequence[Mean], look: Look) -> None:
    """Mean and ribbon, every pair a thread, and the null's range."""
    layers = [mean.runs[0]["layer"] for mean in means]
    ribbon(axes, layers, means, look, marked=len(means) <= 12)
    for run in by_run(means) if len(means[0].runs) > 1 else ():
        thread(axes, [row["layer"] for row in run], run, look)
    ends = np.array([(null.lo, null.hi) for null in nulls]).reshape(-1, 2).T
    spots = [null.runs[0]["layer"] for null in nulls]
    axes.fill_between(spots, *ends, color=GREY, alpha=0.3, linewidth=0, zorder=0.5) if spots else None


def _head_dots(axes: Axes, means: Sequence[Mean], marker: str, colour: str) -> None:
    """Heads side by side within the room of their layer."""
    rows = [mean.runs[0] for mean in means]
    wide = max((row["head"] for row in rows), default=0) + 1
    spots = [row["layer"] + 0.8 * ((row["head"] + 0.5) / wide - 0.5) for row in rows]
    faint: dict[str, Any] = {"markersize": 1.8, "alpha": 0.6, "linestyle": "", "zorder": 1 if colour == GREY else 3}
    axes.plot(spots, [mean.value for mean in means], marker, color=colour, **faint)


def limits(table: Sequence[Row]) -> tuple[float, float]:
    """Of the axis of shares: what is drawn, and never more than LEAST to MOST."""
    values = [row["value"] for row in table if row["mark"] in ("patch", "run")]
    values += [row[end] for row in table for end in ("lo", "hi") if row.get(end) is not None and np.isfinite(row[end])]
    return max(LEAST, min(-0.08, *values) - 0.04), min(MOST, max(1.08, *values) + 0.04)


def cut(table: Sequence[Row]) -> int:
    """How many means lie beyond the axis."""
    least, most = limits(table)
    return sum(not least <= row["value"] <= most for row in table if row["mark"] == "patch")
