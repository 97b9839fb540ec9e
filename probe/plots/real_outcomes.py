"""Which problems did real RLVR gain and lose? Both right, only before, only after, neither; and accuracy.

A net change hides its two parts. If nothing happened, a problem that differs is as likely to be lost as gained: the
dashed null of "only before" and "only after" is half their sum (McNemar). Paired outputs, intervals clustered by
problem, p from sign flips of problems. Where a problem has several responses, what is counted is pairs of responses,
and is called so.
"""

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._frame import beside, finish, head, panels
from probe.plots._marks import bar, null_handle, null_line, null_stretch, plain_numbers
from probe.plots._replicates import estimate, limits, pick
from probe.plots._style import COLUMN, DOUBLE, handles, styled
from probe.plots._systems import BASE, RealPair, System, caption_of, counted_as, mark, pair_name, pairs, said, systems
from probe.plots._words import number, plain

PROBLEMS = "problems"
CELLS = {"both": "both\nright", "only_before": "only\nbefore", "only_after": "only\nafter", "neither": "neither"}


@figures.register("real_outcomes")
@styled
def real_outcomes(rows: Rows) -> Drawing | None:
    """Cells on top, accuracy below; None without outcome cells of a pair of outputs."""
    drawn = pairs(rows, ("outcome_share", "outcome_count", "accuracy"))
    drawn = [pair for pair in drawn if pick(pair.rows, name="outcome_share")]
    if not drawn:
        return None
    held = [system for system in systems(drawn) if system.only("accuracy")]
    width = COLUMN if len(drawn) <= 2 else DOUBLE
    figure, axes = panels(2 if held else 1, 1, width=width, height=1.5)
    table: list[Row] = []
    for at, pair in enumerate(drawn):
        table += _cells(axes[0, 0], pair, 0.7 * ((at + 0.5) / len(drawn) - 0.5), 0.33 / len(drawn))
    axes[0, 0].set_xticks(range(len(CELLS)), list(CELLS.values()))
    counted = counted_as(drawn)
    axes[0, 0].set_ylabel(f"share of {counted}")
    axes[0, 0].set_ylim(0, 1.2 * axes[0, 0].get_ylim()[1])
    head(axes[0, 0], f"right before and after (numbers: {counted})")
    table += _accuracies(axes[1, 0], held) if held else []
    for axis in axes[:, 0]:
        plain_numbers(axis)
    legend = [*handles([BASE, *(pair.look for pair in drawn)]), null_handle("null")]
    null = "as many lost as gained (above), accuracy before (below)"
    return finish(figure, _title(drawn), caption_of(drawn, null, {"accuracy": "accuracy"}), table, legend)


def _cells(axes: Axes, pair: RealPair, shift: float, reach: float) -> list[Row]:
    """The four cells of one pair, `shift` beside their ticks; nulls reach as far to either side."""
    table = []
    counts = {row["cell"]: row for row in pick(pair.rows, name="outcome_count")}
    for row in pick(pair.rows, name="outcome_share", cell=tuple(CELLS)):
        place = list(CELLS).index(row["cell"]) + shift
        bar(axes, place, estimate(row), pair.look)
        table.append(mark(row, pair.reward))
        if row["cell"] in counts:
            spot = (place, max(x for x in (limits(row)[1], row["value"], row.get("null") or 0.0) if x == x))
            beside(axes, f"{counts[row['cell']]['value']:.0f}", spot, (0, 2), pair.look.colour)
            table.append(mark(counts[row["cell"]], pair.reward))
        if row.get("null") is not None:
            null_stretch(axes, [place - reach, place + reach], [row["null"]] * 2)
            table.append({**mark(row, pair.reward), "mark": "null", "value": row["null"], "lo": None, "hi": None})
    return table


def _accuracies(axes: Axes, held: list[System]) -> list[Row]:
    table = []
    for row in (row for system in held if system.reward is None for row in system.only("accuracy")):
        null_line(axes, row["value"])
        table.append({**mark(row, None), "mark": "null", "lo": None, "hi": None})
    for place, system in enumerate(held):
        for row in system.only("accuracy"):
            bar(axes, place, estimate(row), system.look, hollow=system.reward is None)
            beside(axes, number(row["value"]), (place, row["value"]), (6, 6), system.look.colour)
            table.append(mark(row, system.reward))
    several = len({system.family for system in held}) > 1
    labels = [f"{system.look.label}\n{plain(system.family)}" if several else system.look.label for system in held]
    axes.set_xticks(range(len(held)), labels)
    axes.set_xlim(-0.5, len(held) - 0.5)
    axes.set_ylabel("accuracy")
    return table


def _title(drawn: list[RealPair]) -> str:
    text = []
    for pair in drawn:
        cells = {row["cell"]: row["value"] for row in pick(pair.rows, name="outcome_count")}
        known = {"only_before", "only_after"} <= set(cells)
        what = f" {counted_as([pair])}" if counted_as([pair]) != PROBLEMS else ""
        counts = f" ({cells['only_after']:.0f}{what} gained, {cells['only_before']:.0f} lost)" if known else ""
        moved = pick(pair.rows, name="accuracy", side="change")
        text += [f"{pair_name(pair, drawn)}: accuracy {said(row)}{counts}" for row in moved]
    return "; ".join(text) or f"{counted_as(drawn).capitalize()} gained and lost"
