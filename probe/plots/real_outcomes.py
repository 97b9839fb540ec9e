"""Which problems did real RLVR gain and lose? Both right, only before, only after, neither; and accuracy.

A net change hides its two parts. If nothing happened, a problem that differs is as likely to be lost as gained: the
dashed null of "only before" and "only after" is half their sum (McNemar), p from sign flips of whole problems.
"""

from matplotlib.axes import Axes

from probe.plots import Drawing, Rows, figures
from probe.plots._captions import join
from probe.plots._frame import beside, finish, head, panels
from probe.plots._marks import bar, null_handle, null_line, null_stretch, plain_numbers
from probe.plots._replicates import Row, limits, pick
from probe.plots._style import COLUMN, SYSTEMS, handles, look, styled
from probe.plots._systems import BASE, System, mark, p_text, pair_name, pairs, said, systems
from probe.plots._words import number, plain, signed, span

CELLS = {"both": "both\nright", "only_before": "only\nbefore", "only_after": "only\nafter", "neither": "neither"}


@figures.register("real_outcomes")
@styled
def real_outcomes(rows: Rows) -> Drawing | None:
    """Cells on top, accuracy below; None without outcome cells of the real study."""
    held = pairs(rows, ("outcome_share", "outcome_count", "accuracy"))
    held = {key: mine for key, mine in held.items() if pick(mine, name="outcome_share")}
    if not held:
        return None
    found = systems(rows, ("accuracy",))
    figure, axes = panels(2 if found else 1, 1, width=COLUMN, height=1.5)
    table: list[Row] = []
    for at, (key, mine) in enumerate(held.items()):
        table += _cells(axes[0, 0], key, mine, 0.7 * ((at + 0.5) / len(held) - 0.5))
    axes[0, 0].set_xticks(range(len(CELLS)), list(CELLS.values()))
    axes[0, 0].set_ylabel("share of problems")
    axes[0, 0].set_ylim(0, 1.2 * axes[0, 0].get_ylim()[1])
    head(axes[0, 0], "right before and after (numbers: problems)")
    table += _accuracies(axes[1, 0], found) if found else []
    for axis in axes[:, 0]:
        plain_numbers(axis)
    legend = [*handles([BASE, *(look(reward, SYSTEMS) for _, reward in held)]), null_handle("null")]
    return finish(figure, *_words(held), table, legend)


def _cells(axes: Axes, key: tuple[str, str], rows: list[Row], shift: float) -> list[Row]:
    style, table = look(key[1], SYSTEMS), []
    counts = {row["level"]: row for row in pick(rows, name="outcome_count")}
    for row in pick(rows, name="outcome_share", level=tuple(CELLS)):
        place, (lo, hi) = list(CELLS).index(row["level"]) + shift, limits(row)
        bar(axes, place, row["value"], lo, hi, style)
        table.append(mark(row, key[1]))
        if row["level"] in counts:
            spot = (place, max(x for x in (hi, row["value"], row.get("null") or 0.0) if x == x))
            beside(axes, f"{counts[row['level']]['value']:.0f}", spot, (0, 2), style.colour)
            table.append(mark(counts[row["level"]], key[1]))
        if row.get("null") is not None:
            null_stretch(axes, [place - 0.16, place + 0.16], [row["null"]] * 2)
            table.append({**mark(row, key[1]), "mark": "null", "value": row["null"], "lo": None, "hi": None})
    return table


def _accuracies(axes: Axes, found: list[System]) -> list[Row]:
    table = []
    for row in (row for system in found if system.reward is None for row in system.rows):
        null_line(axes, row["value"])
        table.append({**mark(row, None), "mark": "null", "lo": None, "hi": None})
    for place, system in enumerate(found):
        for row in system.rows:
            bar(axes, place, row["value"], *limits(row), system.look, hollow=system.reward is None)
            beside(axes, number(row["value"]), (place, row["value"]), (6, 6), system.look.colour)
            table.append(mark(row, system.reward))
    several = len({system.family for system in found}) > 1
    labels = [f"{system.look.label}\n{plain(system.family)}" if several else system.look.label for system in found]
    axes.set_xticks(range(len(found)), labels)
    axes.set_xlim(-0.5, len(found) - 0.5)
    axes.set_ylabel("accuracy")
    return table


def _words(held: dict[tuple[str, str], list[Row]]) -> tuple[str, str]:
    told, tests, n = [], [], []
    for key, mine in held.items():
        cells = {row["level"]: row for row in pick(mine, name="outcome_count")}
        counts = ""
        if {"only_before", "only_after"} <= set(cells):
            counts = f" ({cells['only_after']['value']:.0f} gained, {cells['only_before']['value']:.0f} lost)"
        for row in pick(mine, name="accuracy", side="change"):
            told.append(f"{look(key[1], SYSTEMS).label}: accuracy {said(row)}{counts}")
            tests.append(f"{pair_name(key)} {signed(row['value'])} {p_text(row.get('p'))}".strip())
        n += [int(row["n_problems"]) for row in mine if row.get("n_problems")]
    caption = join(
        f"Real outputs, paired, {span(n, 'problem')}. Bars: 95 % intervals clustered by problem.",
        "Null: as many problems lost as gained (above); the accuracy before (below).",
        f"Change of accuracy (paired sign-flip p): {'; '.join(tests)}." if tests else "",
    )
    return "; ".join(told) or "Problems gained and lost", caption
