"""How few tokens carry what RL did? Accuracy and code share against the share of tokens that the other model wrote.

Columns: rewards. Blue: the base writes and RL steps in; orange: RL writes and the base steps in. Solid: where the two
part most; dotted: as many swaps at random places (the null). Ends: each model alone. Across is the realised share.
"""

from collections import defaultdict
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from probe.measurements import Row, Rows
from probe.plots import Drawing, _pairs, figures
from probe.plots._captions import caption, counts, destroyed, not_drawn, replicated
from probe.plots._frame import finish, name_columns, panels
from probe.plots._marks import plain_numbers, ribbon
from probe.plots._pairs import in_table, over_seeds, rewards_in, run_look
from probe.plots._replicates import Mean, pick
from probe.plots._style import DOUBLE, FAMILIES, Look, ordered, styled
from probe.plots._words import interval, listing, number, plain, span

PANELS = (
    ("accuracy", 1.0, "accuracy, T = 1"),
    ("accuracy", 0.0, "accuracy, greedy"),
    ("code_share", 1.0, "code share, T = 1"),
)
LOOKS = {
    ("before", "divergence"): Look("#0072B2", "o", "-", "base writes, RL steps in where they part most"),
    ("after", "divergence"): Look("#D55E00", "s", "-", "RL writes, base steps in where they part most"),
    ("before", "random"): Look("#56B4E9", "v", ":", "RL steps in at random places (null)"),
    ("after", "random"): Look("#E69F00", "^", ":", "base steps in at random places (null)"),
}
TICKS = {0.0: "0", 0.01: "1", 0.04: "4", 0.16: "16", 1.0: "all"}  # %
FEW, TOLD = 0.96, 2  # quantile of a budget of 4 %; rewards that the title tells
MOST = 4  # rewards that fit beside each other
ENDS = (1.0, 0.0)  # quantiles of a writer alone, and of the other


@figures.register("cross_sampling")
@styled
def cross_sampling(rows: Rows) -> Drawing | None:
    """The first family that was crossed; None where none was."""
    crossed = [row for row in pick(rows) if str(row.get("name")).startswith("cross_") and row.get("side") in SIDES]
    families = ordered((row.get("family") for row in crossed), FAMILIES)
    mine = [row for row in crossed if row.get("family") == families[0] and row.get("quantile") is not None]
    rewards = rewards_in(mine)
    if not mine or not rewards:
        return None
    shown = rewards[:MOST]
    figure, axes = panels(len(PANELS), len(shown), width=DOUBLE, height=1.35, sharey="row", sharex=True)
    table: list[Row] = []
    for line, (measure, temperature, label) in enumerate(PANELS):
        for column, reward in enumerate(shown):
            here = pick(mine, reward=reward, temperature=temperature)
            table += _panel(axes[line, column], here, f"cross_{measure}")
        axes[line, 0].set_ylabel(label)
    for axis in axes[-1]:
        axis.set_xlabel("tokens swapped (%)")
    name_columns(axes[0], [plain(run_look(reward, rewards).label, _pairs.SHORT) for reward in shown])
    told, shares = _told(rows, families[0], shown)
    left = {_run(row) for row in crossed} - {_run(row) for row in mine if row["reward"] in shown}
    return finish(figure, told, _caption(mine, table, len(left)), table + shares, [*map(Look.handle, LOOKS.values())])


SIDES = ("before", "after")


def _run(row: Row) -> tuple[object, ...]:
    return tuple(row.get(name) for name in ("family", "size", "base_seed", "reward", "rl_seed"))


def _panel(axes: Axes, rows: Sequence[Row], name: str) -> list[Row]:
    """Both writers, solid and dotted."""
    table: list[Row] = []
    groups: defaultdict[tuple[str, str, float, object], list[Row]] = defaultdict(list)
    for row in rows:
        at = (row["name"], row["side"], row["quantile"], row["edit"])
        groups[at].append(row | {"side": ""})  # who writes: not a base that several runs share
    for (side, how), look in LOOKS.items():
        points = _points(groups, name, side, how)
        if points:
            ribbon(axes, [share for share, _ in points], [mean for _, mean in points], look)
            for share, mean in points:
                seeds = how == "divergence"
                mark = "null" if how == "random" else "mean"
                table += [
                    row | {"side": side, "how": how, "swapped": share} for row in in_table(mean, mark, seeds=seeds)
                ]
    axes.set_xscale("symlog", linthresh=0.01, linscale=0.5)
    axes.xaxis.set_major_locator(FixedLocator(list(TICKS)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(list(TICKS), list(TICKS.values()))
    axes.set_xlim(-0.001, 1.15)
    axes.set_ylim(-0.04, 1.04)
    plain_numbers(axes)
    return table


def _points(
    groups: dict[tuple[str, str, float, object], list[Row]], name: str, side: str, how: str
) -> list[tuple[float, Mean]]:
    """(realised share, mean) from the writer alone to the other alone."""
    found = []
    for quantile in sorted({key[2] for key in groups if key[:2] == (name, side)}, reverse=True):
        edit = None if quantile in ENDS else how
        own, swapped = (groups.get((each, side, quantile, edit)) for each in (name, "cross_swapped"))
        if own and (swapped or edit is None):
            found.append((over_seeds(swapped).value if swapped else 1 - quantile, over_seeds(own)))
    return found


def _told(rows: Rows, family: object, rewards: Sequence[str]) -> tuple[str, list[Row]]:
    """Of RL's change of accuracy at T = 1, what swaps at a budget of 4 % bring."""
    said, table = [], list[Row]()
    for reward in rewards:
        wanted = {"name": "recovered_accuracy", "family": family, "reward": reward, "temperature": 1.0}
        known = [row | {"side": ""} for row in pick(rows, **wanted, quantile=FEW)]
        own, null = (pick(known, edit=how) for how in ("divergence", "random"))
        if not own or not null:
            continue
        found, drawn = over_seeds(own), over_seeds(null)
        table += [*in_table(found, "share"), *in_table(drawn, "null")]
        label = plain(run_look(reward, rewards).label, _pairs.SHORT)
        limit = interval(found.lo, found.hi)
        said.append(f"{number(found.value)} {limit} under {label} (anywhere {number(drawn.value)})")
    if not said:
        return "No run changed accuracy clearly enough for swapped tokens to bring back a share of it", table
    where = "A budget of 4 % of the base's tokens, swapped where RL parts most"
    return f"{where}, brings of its gain in accuracy {listing(said[:TOLD])}", table


def _caption(rows: Sequence[Row], table: Sequence[Row], left: int) -> str:
    about = pick(rows, name="cross_accuracy")
    n = f"{span(counts(about, 'n'), 'response')} on {span(counts(about, 'n_problems'), 'problem')} each"
    null = "as many swaps at random places (dotted)"
    drawn = "the budget's thresholds are chosen on other problems, so the realised share is drawn"
    return caption(drawn, n, replicated(table, "ribbons"), null, destroyed(rows), not_drawn(left))
