"""What can be read off the residual, layer by layer, before and after RL, beyond shuffled labels?

AUROC on held-out problems against the site, a column for each thing that is read off, a row for each way of training;
hollow marks before RL, filled ones after. The grey band is the same probe on shuffled labels (2.5 to 97.5 % of the
draws). Thin grey line: what the other responses to the same question tell, about what can be known from the question.
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
from probe.plots._replicates import Mean, pick
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
SHUFFLED = Line2D([], [], color=GREY, alpha=0.35, linewidth=4, label="shuffled labels (null)")
SAME_QUESTION = Line2D([], [], color=GREY, linewidth=0.7, label="from other responses")
NAMES = ("probe_auroc", "probe_control", "probe_same_question")
MOST = 3  # ways of training that fit below each other
Cells = dict[tuple[str, str, str, str, str], list[Row]]  # name, side, target, site, kind


@figures.register("probe_accuracy")
@styled
def probe_accuracy(rows: Rows) -> Drawing | None:
    """The first organism of the table; None where nothing was probed."""
    chosen = pick(rows, name=NAMES)
    mine = settled(chosen)
    rewards = rewards_in(mine) or [""]
    mine = [row for row in mine if (row.get("reward") or "") in rewards[:MOST]]
    shown = [name for name in TARGETS if any(_parts(row)[0] == name for row in pick(mine, name="probe_auroc"))]
    if not shown:
        return None
    rewards = rewards[:MOST]
    width = COLUMN if len(shown) == 1 else DOUBLE
    figure, axes = panels(len(rewards), len(shown), width=width, height=1.75, sharex="col", sharey=True)
    table: list[Row] = []
    means: list[Mean] = []
    for i, reward in enumerate(rewards):
        cells = _cells([row for row in mine if (row.get("reward") or "") == reward])
        for j, target in enumerate(shown):
            found, drawn = _panel(axes[i, j], cells, target)
            means, table = means + found, table + drawn
            head(axes[i, j], TARGETS[target]) if i == 0 else None
            axes[i, j].set_xlabel("residual entering block" if i == len(rewards) - 1 else "")
        axes[i, 0].set_ylabel(f"{beside_row(reward, rewards)}AUROC, held out")
    legend = [*handles(list(LOOKS.values())), SHUFFLED, null_handle("chance"), SAME_QUESTION]
    legend += [BEFORE, AFTER] if pick(mine, side="after") else []
    legend += [ONE_SEED] if any(len(mean.runs) > 1 for mean in means) else []
    return finish(figure, _title(mine, rewards, shown[0]), _caption(mine, means, chosen, rewards), table, legend)


def _cells(rows: Sequence[Row]) -> Cells:
    found: Cells = defaultdict(list)
    for row in rows:
        found[row["name"], row["side"], *_parts(row)].append(row)
    return found


def _panel(axes: Axes, cells: Cells, target: str) -> tuple[list[Mean], list[Row]]:
    sites = list(dict.fromkeys(key[3] for key in cells if key[0] == "probe_auroc" and key[2] == target))
    null_line(axes, 0.5)
    means: list[Mean] = []
    table: list[Row] = []
    for side in ("before", "after"):
        name = _stand_in(cells, target) if side == "after" else target
        for i, (kind, look) in enumerate(LOOKS.items()):
            shift = 0.2 * (i * 2 + (side == "after") - 1.5)
            found, drawn = _line(axes, cells, (side, name, kind), sites, shift, look)
            means, table = means + found, table + drawn
    same = cells.get(("probe_same_question", "before", target, "", ""), [])
    if same:
        mean = over_seeds(same)
        axes.axhline(mean.value, color=GREY, linewidth=0.7, zorder=0)
        table.append(in_table(mean, "same question", seeds=False)[0])
    site_ticks(axes, sites)
    axes.set_ylim(0.28, 1.03)
    plain_numbers(axes)
    return means, table


def _line(
    axes: Axes, cells: Cells, what: tuple[str, str, str], sites: list[str], shift: float, look: Look
) -> tuple[list[Mean], list[Row]]:
    """Means joined by a line, over the bands of their controls."""
    side, target, kind = what
    places = [i for i, site in enumerate(sites) if cells.get(("probe_auroc", side, target, site, kind))]
    found = [over_seeds(cells["probe_auroc", side, target, sites[i], kind]) for i in places]
    values = [mean.value for mean in found]
    axes.plot([i + shift for i in places], values, color=look.colour, linestyle=look.line, linewidth=0.7, zorder=2)
    table = [row for mean in found for row in in_table(mean, "probe")]
    for i, mean in zip(places, found, strict=True):
        seed_marks(axes, i + shift, mean, look, hollow=side == "before", width=0.06)
        null = cells.get(("probe_control", side, target, sites[i], kind))
        if null:
            shuffled = band(null)
            limits = (shuffled.lo, shuffled.hi)
            axes.plot((i + shift,) * 2, limits, color=GREY, alpha=0.35, linewidth=4, zorder=1, solid_capstyle="butt")
            table.append(in_table(shuffled, "null", seeds=False)[0])
    return found, table


def _stand_in(cells: Cells, target: str) -> str:
    """What the base writes takes the place of what the model after RL writes, unless every run has enough of both."""
    if target != "strategy":
        return target
    runs = [{(row.get("base_seed"), row.get("rl_seed")) for key, rows in cells.items() for row in rows
             if key[:3] == ("probe_auroc", "after", name)} for name in (target, BASES_OWN)]  # fmt: skip
    return BASES_OWN if runs[1] - runs[0] else target


def _parts(row: Row) -> tuple[str, str, str]:
    """Target, site and kind of probe."""
    target, where, kind = (str(row.get(name) or "") for name in ("target", "site", "probe"))
    return target, where, kind


def _title(rows: Sequence[Row], rewards: Sequence[str], target: str) -> str:
    """At the site and with the probe that read most off the base."""
    first = [row for row in pick(rows, name="probe_auroc", side="before") if _parts(row)[0] == target]
    several = len(pairs_of(rows)) > 1
    name = base_name(rows[0]) if several else pair_name(rows[0], rewards)
    if not first:
        return f"{name}: probes of the residual"
    places = dict.fromkeys(_parts(row)[1:] for row in first)
    found = {where: over_seeds([row for row in first if _parts(row)[1:] == where]) for where in places}
    where = max(found, key=lambda key: found[key].value)
    stood = False
    told = [f"{number(found[where].value)} {interval(found[where].lo, found[where].hi)} before RL"]
    for reward in rewards:
        cells = _cells([row for row in rows if (row.get("reward") or "") == reward])
        stand_in = _stand_in(cells, target)
        after = cells.get(("probe_auroc", "after", stand_in, *where))
        if after:
            mean = over_seeds(after)
            label = f" {run_look(reward, rewards).label}" if several else " RL"
            stood |= stand_in == BASES_OWN
            told.append(f"{number(mean.value)} {interval(mean.lo, mean.hi)} after{label}")
    beyond = "is read off" if found[where].lo > 0.5 else "is not clearly read off"
    early = " before a token is written" if target == "strategy" else ""
    told = told if len(told) > 1 else [told[0].removesuffix(" before RL")]
    whose = " (there: what the base writes)" if stood else ""
    return f"{name}: {READ[target]} {beyond} {where[0]}{early}: AUROC {listing(told)}{whose}"


def _caption(rows: Sequence[Row], means: Sequence[Mean], all_rows: Sequence[Row], rewards: Sequence[str]) -> str:
    probed = pick(rows, name="probe_auroc")
    n, problems = (sorted({int(row[key]) for row in probed}) for key in ("n", "n_problems"))
    by_reward = defaultdict(list)
    for row in rows:
        by_reward[row.get("reward")].append(row)
    stood = any(_stand_in(_cells(mine), "strategy") == BASES_OWN for mine in by_reward.values())
    several = any(len(mean.runs) > 1 for mean in means)
    return join(
        f"Each run: {span(n, 'row')} of {span(problems, 'problem')}; 5 folds of whole problems, two kinds of probe.",
        f"{replicated(means, 'Bars')} They take the fitted probes as given.",
        "Band: 2.5 to 97.5 % of refits on labels traded between problems (forks: between tokens)"
        + (", limits averaged over the base seeds." if several else "."),
        "Thin line: AUROC of the share among other responses to the same question.",
        "After RL too few responses are prose: code or prose is what the base writes, read off the model after RL."
        if stood
        else "",
        "Title: the site and probe that read most off the base.",
        left_out(all_rows, rows, rewards),
    )
