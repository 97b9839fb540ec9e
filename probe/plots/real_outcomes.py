"""Which problems did real RLVR gain and lose, and did it change strategy? Outcomes and accuracy; shares of code.

A net change hides its two parts. If nothing happened, a problem that differs is as likely to be lost as gained: the
dashed null of "only before" and "only after" is half their sum (McNemar). Code share is strict; the "python" share also
counts what is run on after the answer. Paired outputs, intervals clustered by problem, p from sign flips of problems.
"""

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import PROBLEMS, caption
from probe.plots._frame import beside, finish, head, panels
from probe.plots._marks import bar, null_handle, null_line, null_stretch, plain_numbers
from probe.plots._replicates import estimate, limits, pick
from probe.plots._style import COLUMN, DOUBLE, handles, styled
from probe.plots._systems import (
    BASE,
    RealPair,
    System,
    mark,
    models,
    p_text,
    pair_name,
    paired,
    pairs,
    said,
    systems,
    twins_of,
)
from probe.plots._words import number, plain

METRICS = {"code_share": "code share\n(strict)", "python_share": '"python" share\n(substring)'}
NAMES = {"code_share": "code share", "python_share": '"python" share'}
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
    axes[0, 0].set_ylabel("share of problems")
    axes[0, 0].set_ylim(0, 1.2 * axes[0, 0].get_ylim()[1])
    head(axes[0, 0], "right before and after (numbers: problems)")
    table += _accuracies(axes[1, 0], held) if held else []
    for axis in axes[:, 0]:
        plain_numbers(axis)
    legend = [*handles([BASE, *(pair.look for pair in drawn)]), null_handle("null")]
    null = "as many lost as gained (above), accuracy before (below)"
    return finish(figure, _outcomes_title(drawn), _caption(drawn, null, {"accuracy": "accuracy"}), table, legend)


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


def _outcomes_title(drawn: list[RealPair]) -> str:
    text = []
    for pair in drawn:
        cells = {row["cell"]: row["value"] for row in pick(pair.rows, name="outcome_count")}
        known = {"only_before", "only_after"} <= set(cells)
        counts = f" ({cells['only_after']:.0f} gained, {cells['only_before']:.0f} lost)" if known else ""
        moved = pick(pair.rows, name="accuracy", side="change")
        text += [f"{pair_name(pair, drawn)}: accuracy {said(row)}{counts}" for row in moved]
    return "; ".join(text) or "Problems gained and lost"


@figures.register("real_strategy")
@styled
def real_strategy(rows: Rows) -> Drawing | None:
    """One panel per model family; None without strategy shares of a pair of outputs."""
    drawn = pairs(rows, tuple(METRICS))
    if not drawn:
        return None
    families = list(dict.fromkeys(pair.family for pair in drawn))
    held = systems(drawn)
    figure, axes = panels(1, len(families), width=COLUMN if len(families) == 1 else DOUBLE, height=1.8, sharey=True)
    table: list[Row] = []
    for axis, family in zip(axes[0], families, strict=True):
        table += _shares(axis, [system for system in held if system.family == family])
    axes[0, 0].set_ylabel("share of responses")
    legend = [*handles([system.look for system in held]), null_handle("no change")]
    return finish(figure, _strategy_title(drawn), _caption(drawn, "no change", NAMES), table, legend)


def _shares(axes: Axes, held: list[System]) -> list[Row]:
    table = []
    for at, system in enumerate(held):
        for row in system.rows:
            middle = list(METRICS).index(row["name"])
            place = middle + 0.5 * ((at + 0.5) / len(held) - 0.5)
            bar(axes, place, estimate(row), system.look, hollow=system.reward is None)
            table.append(mark(row, system.reward))
            if system.reward is None:
                null_stretch(axes, [middle - 0.4, middle + 0.4], [row["value"]] * 2)
                table.append({**mark(row, None), "mark": "null", "lo": None, "hi": None})
    axes.set_xticks(range(len(METRICS)), list(METRICS.values()))
    axes.set_xlim(-0.5, len(METRICS) - 0.5)
    axes.set_title(plain(held[0].family))
    plain_numbers(axes)
    return table


def _strategy_title(drawn: list[RealPair]) -> str:
    text = []
    for pair in drawn:
        moved = [(label, row) for name, label in NAMES.items() for row in pick(pair.rows, name=name, side="change")]
        text.append(f"{pair_name(pair, drawn)}: {', '.join(f'{label} {said(row)}' for label, row in moved)}")
    return "; ".join(text)


def _caption(drawn: list[RealPair], null: str, names: dict[str, str]) -> str:
    tests = []
    for pair in drawn:
        moved = [(label, row) for name, label in names.items() for row in pick(pair.rows, name=name, side="change")]
        exact = [f"{label} {p_text(row['p'])}" for label, row in moved if p_text(row.get("p"))]
        tests += [f"{pair_name(pair, drawn)} {', '.join(exact)}"] if exact else []
    flips = f"sign flips: {'; '.join(tests)}" if tests else ""
    return caption(f"{models(drawn)}, real outputs", paired(drawn), PROBLEMS, null, flips, twins_of(drawn))
