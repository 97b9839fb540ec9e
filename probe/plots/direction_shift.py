"""Did RL rotate the direction of code, or did the model only move along it?

Left: cosine between the direction fitted before and after, beside what trading the two would give (null 1, grey band)
and what refits on halves of the problems give within one model and across (null 2, small marks). Right: mean projection
of questions on the direction fitted before, in distances between its prose and code; hollow before, filled after.
A row for each reward. Where training cannot have moved the residual (the head alone was trained) nothing is drawn.
"""

from collections import defaultdict
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from probe.measurements import Row, Rows
from probe.plots import Drawing, _marks, _pairs, figures
from probe.plots._captions import caption, counts, replicated
from probe.plots._frame import finish, head, panels
from probe.plots._marks import AFTER, BEFORE, band_key, key, null_handle, null_line, plain_numbers
from probe.plots._pairs import in_table, of_reward, over_seeds
from probe.plots._replicates import SAME, pick
from probe.plots._style import DOUBLE, GREY, Look, handles, styled
from probe.plots._words import interval, listing, number, sentence, signed, span

LABELS = {
    "own": Look("#000000", "o", "-", "each model's own labels"),
    "base": Look("#0072B2", "s", "-", "base's labels"),
}
GROUPS = {
    "prose": Look("#D55E00", "v", "--", "base writes prose"),
    "code": Look("#009E73", "^", "-", "base writes code"),
}
HALVES = {"halves before": "<", "halves across": ">"}  # marker
NULLS = [key(f"refits on {name.replace(' ', ': ')} (95 %)", m, markersize=3) for name, m in HALVES.items()]
NULLS += [band_key("before and after traded: 95 % (null)", 6), null_handle("nothing in common")]
Cells = dict[tuple[str, str, str, str], list[Row]]  # side, whose labels, site, group of questions


@figures.register("direction_shift")
@styled
def direction_shift(rows: Rows) -> Drawing | None:
    """The first organism of the table; None where no direction was compared."""
    chosen = pick(rows, name=("direction_cosine", "projection"))
    chosen, still = _moving(chosen)
    mine, rewards = _pairs.below_each_other(chosen)
    if not mine:
        return None
    figure, axes = panels(len(rewards), 2, width=DOUBLE, height=1.8, sharex="col", sharey="col")
    table: list[Row] = []
    for i, reward in enumerate(rewards):
        cells = _cells(mine, reward)
        table += _cosines(axes[i, 0], cells) + _projections(axes[i, 1], cells)
        axes[i, 0].set_ylabel(f"{_pairs.beside_row(reward, rewards)}cosine, before and after")
        axes[i, 1].set_ylabel("projection (distances)")
    head(axes[0, 0], "rotation of the direction")
    head(axes[0, 1], "projection on the direction fitted before")
    for axis in axes[-1]:
        axis.set_xlabel(_pairs.BLOCK)
    text = _caption(mine, table, still, _pairs.left_out(chosen, mine, rewards))
    return finish(figure, _title(mine, rewards), text, table, _legend(mine, table))


def _moving(rows: Sequence[Row]) -> tuple[list[Row], str]:
    """The rows of rewards whose runs moved the residual at all, and what the caption says of the others.

    No residual comes out the same to the last bit by chance: it stays where the weights before it do. Where nothing
    else was measured, that is what is drawn.
    """
    names, changes = _pairs.rewards_in(rows), pick(rows, name="projection", side="change")
    moved = {row.get("reward") for row in changes if abs(row["value"]) > SAME}
    still = [name for name in names if any(row.get("reward") == name for row in changes) and name not in moved]
    if not moved or not still:
        return list(rows), "the residual did not change" if still else ""
    told = listing(_pairs.run_look(name, names).label for name in still)
    return [row for row in rows if row.get("reward") not in still], f"left out: {told} (no residual can change)"


def _legend(rows: Sequence[Row], table: Sequence[Row]) -> list[Line2D]:
    labels = [look for name, look in LABELS.items() if any(_parts(row)[0] == name for row in rows)]
    seeds = [_marks.ONE_SEED] if _pairs.several(table) else []
    return [*handles([*labels, *GROUPS.values()]), *NULLS, BEFORE, AFTER, *seeds]


def _cosines(axes: Axes, cells: Cells) -> list[Row]:
    sites = list(dict.fromkeys(key[2] for key in cells if key[0] == "across" and not key[3]))
    kinds = [name for name in LABELS if any(key[:2] == ("across", name) for key in cells)]
    table: list[Row] = [{"mark": "zero", "name": "direction_cosine", "value": 0.0}]
    null_line(axes, 0.0)
    for (side, labels, where, group), rows in cells.items():
        if group or labels not in kinds or where not in sites:
            continue
        place = sites.index(where) + 0.4 * (kinds.index(labels) - (len(kinds) - 1) / 2)
        if side == "across":
            mean = over_seeds(rows)
            _marks.seed_marks(axes, place, mean, LABELS[labels], width=0.04)
            table += in_table(mean, "cosine")
        elif side == "traded" or side in HALVES:
            null, spot = _pairs.band(rows), place + {"halves before": -0.1, "halves across": 0.1}.get(side, 0)
            _marks.null_band(axes, spot, (null.lo, null.hi), *((6, 0.35) if side == "traded" else (0.5, 1)))
            if side == "traded":
                axes.plot((place - 0.08, place + 0.08), (null.value,) * 2, color=GREY, linewidth=0.8, zorder=1)
            else:
                axes.plot(spot, null.value, HALVES[side], color=GREY, markersize=3, zorder=2)
            table += in_table(null, "null", seeds=False)
    _pairs.site_ticks(axes, sites)
    axes.set_ylim(min(-0.05, *(row["value"] - 0.05 for row in table)), 1.06)
    plain_numbers(axes)
    return table


def _projections(axes: Axes, cells: Cells) -> list[Row]:
    sites = list(dict.fromkeys(key[2] for key in cells if key[0] in ("before", "after") and key[3]))
    table: list[Row] = []
    for i, (group, look) in enumerate(GROUPS.items()):
        for j, where in enumerate(sites):
            sides = {side: cells.get((side, "base", where, group), []) for side in ("before", "after")}
            means = {side: over_seeds(rows) for side, rows in sides.items() if rows}
            spots = {side: j + 0.36 * (i - 0.5) + (0.07 if side == "after" else -0.07) for side in means}
            if means:
                values = [mean.value for mean in means.values()]
                axes.plot(list(spots.values()), values, color=look.colour, linewidth=0.6, zorder=2)
            for side, mean in means.items():
                _marks.seed_marks(axes, spots[side], mean, look, hollow=side == "before", width=0.03)
                table += in_table(mean, "place")
    _pairs.site_ticks(axes, sites)
    plain_numbers(axes)
    return table


def _cells(rows: Sequence[Row], reward: str) -> Cells:
    cells: Cells = defaultdict(list)
    for row in of_reward(rows, reward):
        cells[row["side"], *_parts(row)].append(row)
    return cells


def _parts(row: Row) -> tuple[str, str, str]:
    """Whose labels, site, group of questions."""
    labels, where, group = (str(row.get(name) or "") for name in ("labels", "site", "group"))
    return labels, where, group


def _title(rows: Sequence[Row], rewards: Sequence[str]) -> str:
    """What each way of training did at the last site."""
    last = _last(rows)
    what = f"direction of code at {_parts(last[0][-1])[1]}" if last else "direction of code"
    said = [_message(of_reward(rows, name)) for name in rewards]
    if len(_pairs.pairs_of(rows)) == 1:
        return f"{_pairs.pair_name(rows[0], rewards)}: {what} {said[0]}"
    base, labels = _pairs.base_name(rows[0]), [_pairs.run_look(name, rewards).label for name in rewards]
    if len(rewards) == 1:
        return f"{base} → {labels[0]}: {what} {said[0]}"
    text = ". ".join(f"{sentence(label)}: {one}" for label, one in zip(labels, said, strict=True))
    return f"{base}, {what}. {text}"


def _last(rows: Sequence[Row]) -> list[list[Row]]:
    """At the last site there is: cosines between before and after, and changes of the projection of all questions."""
    cosines = pick(rows, name="direction_cosine", side="across")
    moved = [row for row in pick(rows, name="projection", side="change") if _parts(row)[2] == "all"]
    found = [[row for row in some if _parts(row) == _parts(some[-1])] for some in (cosines, moved)]
    return [some for some in found if some]


def _message(rows: Sequence[Row]) -> str:
    return ", ".join(_rotation(some) if some[0]["name"] == "direction_cosine" else _shift(some) for some in _last(rows))


def _rotation(rows: Sequence[Row]) -> str:
    """Over seeds, cosine - null has an interval below 0; of one run, its rank among the trades."""
    mean, bare = over_seeds(rows), [row | {"lo": None, "hi": None} for row in rows]
    null = over_seeds([row | {"value": row["null"]} for row in bare]).value
    apart = over_seeds([row | {"value": row["value"] - row["null"]} for row in bare])
    limits = f" {interval(mean.lo, mean.hi)}" if mean.hi > mean.lo else ""
    clear = apart.hi < 0 if len(apart.runs) > 1 else (rows[0].get("p") or 1.0) < 0.05
    verb = "rotates" if clear else "does not rotate"
    return f"{verb} (cosine {number(mean.value)}{limits}, null {number(null)})"


def _shift(rows: Sequence[Row]) -> str:
    mean = over_seeds(rows)
    verb = "rises" if mean.lo > 0 else "falls" if mean.hi < 0 else "stays"
    still = all(abs(run["value"]) <= SAME for run in mean.runs)
    limits = "" if still else f" {interval(mean.lo, mean.hi)}"
    return f"projection {verb} ({signed(mean.value)}{limits})"


def _caption(rows: Sequence[Row], table: Sequence[Row], *more: str) -> str:
    cosines = pick(rows, name="direction_cosine")
    n = f"{span(counts(cosines, 'n'), 'response')} to {span(counts(cosines, 'n_problems'), 'problem')} a run"
    null = "before and after traded in half of the problems"
    return caption("mean differences, code − prose", n, replicated(table, "bars"), null, *more)
