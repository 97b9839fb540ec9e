"""Did the direction of code turn in RL, or did the model only go further along it?

Left: cosine between the direction fitted before and after, beside what trading the two would give (null 1, grey band)
and what refits on halves of the problems give within one model and across (null 2, small marks). Right: mean place of
questions along the direction of the model before, in distances between its prose and code; hollow before, filled after.
A row for each way of training.
"""

from collections import defaultdict
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import join
from probe.plots._frame import finish, head, panels
from probe.plots._marks import AFTER, BEFORE, null_handle, null_line, plain_numbers
from probe.plots._pairs import (
    EVERY,
    ONE_SEED,
    band,
    base_name,
    beside_row,
    in_table,
    left_out,
    over_seeds,
    pair_name,
    pairs_of,
    replicated,
    rewards_in,
    run_look,
    seed_marks,
    settled,
    site_ticks,
)
from probe.plots._replicates import SAME, Mean, pick
from probe.plots._style import DOUBLE, GREY, Look, handles, styled
from probe.plots._words import interval, number, sentence, signed, span

LABELS = {
    "own": Look("#000000", "o", "-", "each model's own labels"),
    "base": Look("#0072B2", "s", "-", "base's labels"),
}
GROUPS = {
    "prose": Look("#D55E00", "v", "--", "base writes prose"),
    "code": Look("#009E73", "^", "-", "base writes code"),
}
HALVES = {"halves before": "<", "halves across": ">"}  # marker; the legend: refits on halves
MOST = 3  # ways of training that fit below each other
Cells = dict[tuple[str, str, str, str], list[Row]]  # side, whose labels, site, group of questions


@figures.register("direction_shift")
@styled
def direction_shift(rows: Rows) -> Drawing | None:
    """The first organism of the table; None where no direction was compared."""
    chosen = pick(rows, name=("direction_cosine", "projection"))
    mine = settled(chosen)
    if not mine:
        return None
    rewards = rewards_in(mine)[:MOST] or [""]
    mine = [row for row in mine if (row.get("reward") or "") in rewards]
    figure, axes = panels(len(rewards), 2, width=DOUBLE, height=1.8, sharex="col", sharey="col")
    table: list[Row] = []
    means: list[Mean] = []
    for i, reward in enumerate(rewards):
        cells = _cells([row for row in mine if (row.get("reward") or "") == reward])
        for draw, axis in zip((_cosines, _places), axes[i], strict=True):
            found, drawn = draw(axis, cells)
            means, table = means + found, table + drawn
            axis.set_xlabel("residual entering block" if i == len(rewards) - 1 else "")
        axes[i, 0].set_ylabel(f"{beside_row(reward, rewards)}cosine, before and after")
        axes[i, 1].set_ylabel("place (distances prose to code)")
    head(axes[0, 0], "does the direction turn?")
    head(axes[0, 1], "does the model go along it?")
    several = any(len(mean.runs) > 1 for mean in means)
    legend = _legend(mine) + ([ONE_SEED] if several else [])
    return finish(figure, _title(mine, rewards), _caption(mine, means, chosen, rewards), table, legend)


def _legend(rows: Sequence[Row]) -> list[Line2D]:
    labels = [look for name, look in LABELS.items() if any(_parts(row)[0] == name for row in rows)]
    marks = [
        Line2D(
            [], [], color=GREY, marker=marker, linestyle="", markersize=3, label=f"refits on {name.replace(' ', ': ')}"
        )
        for name, marker in HALVES.items()
    ]
    traded = Line2D([], [], color=GREY, alpha=0.35, linewidth=6, label="if before and after were traded (null)")
    return [*handles([*labels, *GROUPS.values()]), *marks, traded, null_handle("nothing in common"), BEFORE, AFTER]


def _cells(rows: Sequence[Row]) -> Cells:
    found: Cells = defaultdict(list)
    for row in rows:
        found[row["side"], *_parts(row)].append(row)
    return found


def _sites(cells: Cells, sides: Sequence[str], grouped: bool) -> list[str]:
    return list(dict.fromkeys(key[2] for key in cells if key[0] in sides and bool(key[3]) == grouped))


def _cosines(axes: Axes, cells: Cells) -> tuple[list[Mean], list[Row]]:
    sites = _sites(cells, ("across",), False)
    kinds = [name for name in LABELS if any(key[:2] == ("across", name) for key in cells)]
    table: list[Row] = [{"mark": "zero", "name": "direction_cosine", "value": 0.0}]
    means: list[Mean] = []
    null_line(axes, 0.0)
    for (side, labels, where, group), rows in cells.items():
        if group or labels not in kinds or where not in sites:
            continue
        place = sites.index(where) + 0.4 * (kinds.index(labels) - (len(kinds) - 1) / 2)
        if side == "across":
            means.append(over_seeds(rows))
            seed_marks(axes, place, means[-1], LABELS[labels], width=0.04)
            table += in_table(means[-1], "cosine")
        elif side == "traded" or side in HALVES:
            null = band(rows)
            _null(axes, place, null, side)
            table += in_table(null, "null", seeds=False)
    site_ticks(axes, sites)
    axes.set_ylim(min(-0.05, *(row["value"] - 0.05 for row in table)), 1.06)
    plain_numbers(axes)
    return means, table


def _null(axes: Axes, place: float, null: Mean, side: str) -> None:
    limits = (null.lo, null.hi)
    if side == "traded":
        axes.plot((place, place), limits, color=GREY, alpha=0.35, linewidth=6, zorder=1, solid_capstyle="butt")
        axes.plot((place - 0.08, place + 0.08), (null.value,) * 2, color=GREY, linewidth=0.8, zorder=1)
        return
    spot = place + (0.1 if side == "halves across" else -0.1)
    axes.plot((spot, spot), limits, color=GREY, linewidth=0.5, zorder=1)
    axes.plot(spot, null.value, HALVES[side], color=GREY, markersize=3, zorder=2)


def _places(axes: Axes, cells: Cells) -> tuple[list[Mean], list[Row]]:
    sites = _sites(cells, ("before", "after"), True)
    means: list[Mean] = []
    table: list[Row] = []
    for i, (group, look) in enumerate(GROUPS.items()):
        for j, where in enumerate(sites):
            sides = {side: cells.get((side, "base", where, group), []) for side in ("before", "after")}
            found = {side: over_seeds(rows) for side, rows in sides.items() if rows}
            spots = {side: j + 0.36 * (i - 0.5) + (0.07 if side == "after" else -0.07) for side in found}
            ends = list(zip(spots.values(), (mean.value for mean in found.values()), strict=True))
            axes.plot(*zip(*ends, strict=True), color=look.colour, linewidth=0.6, zorder=2) if ends else None
            for side, mean in found.items():
                seed_marks(axes, spots[side], mean, look, hollow=side == "before", width=0.03)
                table += in_table(mean, "place")
            means += found.values()
    site_ticks(axes, sites)
    plain_numbers(axes)
    return means, table


def _parts(row: Row) -> tuple[str, str, str]:
    """Whose labels, site, group of questions."""
    labels, where, group = (str(row.get(name) or "") for name in ("labels", "site", "group"))
    return labels, where, group


def _title(rows: Sequence[Row], rewards: Sequence[str]) -> str:
    """What each way of training did at the last site."""
    if len(pairs_of(rows)) == 1:
        return f"{pair_name(rows[0], rewards)}: {_told(rows)}"
    told = [(run_look(name, rewards).label, _told([r for r in rows if r["reward"] == name])) for name in rewards]
    return f"{base_name(rows[0])}. {'. '.join(f'{sentence(label)}: {text}' for label, text in told)}"


def _told(rows: Sequence[Row]) -> str:
    cosines = pick(rows, name="direction_cosine", side="across")
    moved = [row for row in pick(rows, name="projection", side="change") if _parts(row)[2] == "all"]
    told = []
    if cosines:
        last = [row for row in cosines if _parts(row) == _parts(cosines[-1])]
        mean = over_seeds(last)
        null = over_seeds([row | {"value": row["null"], "lo": None, "hi": None} for row in last]).value
        limits = f" {interval(mean.lo, mean.hi)}" if mean.hi > mean.lo else ""
        turned = "turns" if _turns(last) else "does not turn"
        at = _parts(last[0])[1]
        told.append(
            f"the direction of code at {at} {turned} (cosine {number(mean.value)}{limits}, null {number(null)})"
        )
    if moved:
        mean = over_seeds([row for row in moved if _parts(row) == _parts(moved[-1])])
        still = all(abs(run["value"]) <= SAME for run in mean.runs)
        goes = "goes along it" if mean.lo > 0 else "goes against it" if mean.hi < 0 else "stays"
        told.append(
            f"the model {goes} (" + signed(mean.value) + ("" if still else f" {interval(mean.lo, mean.hi)}") + ")"
        )
    return " and ".join(told)


def _turns(rows: Sequence[Row]) -> bool:
    """Over seeds: cosine - null has an interval below 0. One run: its rank among the trades."""
    apart = over_seeds([row | {"value": row["value"] - row["null"], "lo": None, "hi": None} for row in rows])
    return apart.hi < 0 if len(apart.runs) > 1 else (rows[0].get("p") or 1.0) < 0.05


def _caption(rows: Sequence[Row], means: Sequence[Mean], all_rows: Sequence[Row], rewards: Sequence[str]) -> str:
    several = any(len(mean.runs) > 1 for mean in means)
    problems = sorted({int(row["n_problems"]) for row in pick(rows, name="direction_cosine")})
    n = sorted({int(row["n"]) for row in pick(rows, name="direction_cosine")})
    return join(
        f"Mean differences at the question's last position, each run: {span(n, 'response')} to "
        f"{span(problems, 'problem')}.",
        replicated(means, "Bars"),
        "Left: grey band, 95 % of refits with before and after traded in half of the problems; triangles, refits on "
        "disjoint halves of the problems, mean and 95 %" + (" (all averaged over the base seeds)." if several else "."),
        "Right: fitted before RL, on the other folds.",
        "A head trained alone leaves the residual as it was: cosine 1 and change 0 by construction."
        if any(f"{name}{EVERY}" in rewards_in(rows) for name in rewards_in(rows))
        else "",
        left_out(all_rows, rows, rewards),
    )
