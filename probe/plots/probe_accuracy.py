"""What can be read off the residual, layer by layer, before and after RL, and with what selectivity?

AUROC on held-out problems against the site, a column for each thing that is read off, a row for each way of training;
hollow marks before RL, filled ones after. The grey band is the same probe on shuffled labels (2.5 to 97.5 % of the
draws). Thin grey line: what the other responses to the same question tell, about what can be known from the question.
"""

from collections import defaultdict
from collections.abc import Sequence

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, _marks, _pairs, figures
from probe.plots._captions import caption, counts, replicated
from probe.plots._frame import finish, head, panels
from probe.plots._marks import AFTER, BEFORE, band_key, key, null_band, null_handle, null_line, plain_numbers
from probe.plots._pairs import base_name, in_table, of_reward, over_seeds
from probe.plots._replicates import pick
from probe.plots._style import COLUMN, DOUBLE, GREY, Look, handles, styled
from probe.plots._words import interval, listing, number, span

TARGETS = {
    "strategy": "code or prose, from the question's last position",
    "correct": "right or wrong, from the question's last position",
    "correct-end": "right or wrong, from where the answer ends",
    "fork": "fork or not, at each token",
}
READ = {"strategy": "code or prose", "correct": "right or wrong", "correct-end": "right or wrong", "fork": "a fork"}
LOOKS = {"logistic": Look("#0072B2", "o", "-", "logistic"), "difference": Look("#D55E00", "s", "--", "mean difference")}
BASES_OWN = "base-strategy"  # drawn as the strategy where RL left too little of the model's own
SHUFFLED = band_key("shuffled labels, 95 % (null; selectivity: above it)", 4)
SAME_QUESTION = key("from other responses to the question", linestyle="-", linewidth=0.7)
NAMES = ("probe_auroc", "probe_control", "probe_same_question")
Cells = dict[tuple[str, str, str, str, str], list[Row]]  # name, side, target, site, kind


@figures.register("probe_accuracy")
@styled
def probe_accuracy(rows: Rows) -> Drawing | None:
    """The first organism of the table; None where nothing was probed."""
    chosen = pick(rows, name=NAMES)
    mine, rewards = _pairs.below_each_other(chosen)
    shown = [name for name in TARGETS if any(_parts(row)[0] == name for row in pick(mine, name="probe_auroc"))]
    if not shown:
        return None
    width = COLUMN if len(shown) == 1 else DOUBLE
    figure, axes = panels(len(rewards), len(shown), width=width, height=1.75, sharex="col", sharey=True)
    table: list[Row] = []
    for i, reward in enumerate(rewards):
        cells = _cells(mine, reward)
        for axis, target in zip(axes[i], shown, strict=True):
            table += _panel(axis, cells, target)
            axis.set_xlabel(_pairs.BLOCK if i == len(rewards) - 1 else "")
        axes[i, 0].set_ylabel(f"{_pairs.beside_row(reward, rewards)}AUROC, held out")
    for axis, target in zip(axes[0], shown, strict=True):
        head(axis, TARGETS[target])
    legend = [*handles(list(LOOKS.values())), SHUFFLED, null_handle("chance"), SAME_QUESTION]
    legend += [BEFORE, AFTER] if pick(mine, side="after") else []
    legend += [_marks.ONE_SEED] if _pairs.several(table) else []
    text = _caption(mine, table, rewards, _pairs.left_out(chosen, mine, rewards))
    return finish(figure, _title(mine, rewards, shown[0]), text, table, legend)


def _panel(axes: Axes, cells: Cells, target: str) -> list[Row]:
    sites = list(dict.fromkeys(key[3] for key in cells if key[0] == "probe_auroc" and key[2] == target))
    null_line(axes, 0.5)
    table: list[Row] = []
    for side in ("before", "after"):
        name = _stand_in(cells, target) if side == "after" else target
        for i, (kind, look) in enumerate(LOOKS.items()):
            shift = 0.2 * (i * 2 + (side == "after") - 1.5)
            table += _line(axes, cells, (side, name, kind), sites, shift, look)
    same = cells.get(("probe_same_question", "before", target, "", ""), [])
    if same:
        mean = over_seeds(same)
        axes.axhline(mean.value, color=GREY, linewidth=0.7, zorder=0)
        table.append(in_table(mean, "same question", seeds=False)[0])
    _pairs.site_ticks(axes, sites)
    axes.set_ylim(0.28, 1.03)
    plain_numbers(axes)
    return table


def _line(
    axes: Axes, cells: Cells, what: tuple[str, str, str], sites: list[str], shift: float, look: Look
) -> list[Row]:
    """Means joined by a line, over the bands of their controls."""
    side, target, kind = what
    places = [i for i, site in enumerate(sites) if cells.get(("probe_auroc", side, target, site, kind))]
    means = [over_seeds(cells["probe_auroc", side, target, sites[i], kind]) for i in places]
    values = [mean.value for mean in means]
    axes.plot([i + shift for i in places], values, color=look.colour, linestyle=look.line, linewidth=0.7, zorder=2)
    table = [row for mean in means for row in in_table(mean, "probe")]
    for i, mean in zip(places, means, strict=True):
        _marks.seed_marks(axes, i + shift, mean, look, hollow=side == "before", width=0.06)
        null = cells.get(("probe_control", side, target, sites[i], kind))
        if null:
            shuffled = _pairs.band(null)
            null_band(axes, i + shift, (shuffled.lo, shuffled.hi), 4)
            table.append(in_table(shuffled, "null", seeds=False)[0])
    return table


def _stand_in(cells: Cells, target: str) -> str:
    """What the base writes takes the place of what the model after RL writes, unless every run has enough of both."""
    if target != "strategy":
        return target
    runs = [{(row.get("base_seed"), row.get("rl_seed")) for key, rows in cells.items() for row in rows
             if key[:3] == ("probe_auroc", "after", name)} for name in (target, BASES_OWN)]  # fmt: skip
    return BASES_OWN if runs[1] - runs[0] else target


def _cells(rows: Sequence[Row], reward: str) -> Cells:
    cells: Cells = defaultdict(list)
    for row in of_reward(rows, reward):
        cells[row["name"], row["side"], *_parts(row)].append(row)
    return cells


def _parts(row: Row) -> tuple[str, str, str]:
    """Target, site and kind of probe."""
    target, where, kind = (str(row.get(name) or "") for name in ("target", "site", "probe"))
    return target, where, kind


def _title(rows: Sequence[Row], rewards: Sequence[str], target: str) -> str:
    """At the site and with the probe that read most off the base."""
    first = [row for row in pick(rows, name="probe_auroc", side="before") if _parts(row)[0] == target]
    several = len(_pairs.pairs_of(rows)) > 1
    name = base_name(rows[0]) if several else _pairs.pair_name(rows[0], rewards)
    if not first:
        return f"{name}: probes of the residual"
    places = dict.fromkeys(_parts(row)[1:] for row in first)
    means = {where: over_seeds([row for row in first if _parts(row)[1:] == where]) for where in places}
    where = max(means, key=lambda key: means[key].value)
    best = means[where]
    areas = [f"{number(best.value)} {interval(best.lo, best.hi)}"]
    for reward in rewards:
        cells = _cells(rows, reward)
        after = cells.get(("probe_auroc", "after", _stand_in(cells, target), *where))
        if after:
            mean = over_seeds(after)
            label = f" {_pairs.run_look(reward, rewards).label}" if several else " RL"
            areas.append(f"{number(mean.value)} {interval(mean.lo, mean.hi)} after{label}")
    areas[0] += " before RL" if len(areas) > 1 else ""
    verb = "is read off" if best.lo > 0.5 else "is not clearly read off"
    early = " before a token is written" if target == "strategy" else ""
    whose = " (there: what the base writes)" if len(areas) > 1 and _stood_in(rows, rewards, target) else ""
    return f"{name}: {READ[target]} {verb} {where[0]}{early}: AUROC {listing(areas)}{whose}"


def _stood_in(rows: Sequence[Row], rewards: Sequence[str], target: str) -> bool:
    return any(_stand_in(_cells(rows, reward), target) == BASES_OWN for reward in rewards)


def _caption(rows: Sequence[Row], table: Sequence[Row], rewards: Sequence[str], left_out: str) -> str:
    probed = pick(rows, name="probe_auroc")
    n = f"{span(counts(probed, 'n'), 'row')} of {span(counts(probed, 'n_problems'), 'problem')} a run"
    own = "after RL: what the base writes" if _stood_in(rows, rewards, "strategy") else ""
    bars = f"{replicated(table, 'bars')}, probes as fitted"
    return caption("AUROC of two kinds of probe, five folds", n, bars, "shuffled labels", own, left_out)
