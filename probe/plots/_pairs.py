"""Which pairs of checkpoints does a figure of what is inside a model draw, what are they called, and what do they say?

    mean +- t_{S-1} sd / sqrt(S),      S base seeds; runs of one base share it and are averaged first

One base: its runs are the replicates. One run: its own row's interval, which is over problems. A figure draws one
organism of one size, every run of it at its last step, at the highest temperature; `left_out` counts the other pairs.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes

from probe.measurements import VARIES, Row
from probe.plots._captions import not_drawn
from probe.plots._frame import wrap
from probe.plots._replicates import Mean, columns_of, last_step, limits, mean_of
from probe.plots._style import FAMILIES, REWARDS, SMALL, Look, look, ordered, reward_look
from probe.plots._words import plain

PAIR = ("family", "size", "base_seed", "reward", "rl_seed", "step", "temperature")
WHOSE = ("family", "size", "base_seed", "reward", "rl_seed", "step", "kind", "name", "side", *VARIES)
COLUMNS = (*WHOSE, "value", "lo", "hi", "n", "n_problems", "unit", "null", "p")
EVERY = "_all"  # how the study calls a run that trained every weight, not the head alone
LONGEST, SHORT = 60, 26  # characters of a checkpoint's name in a title, at a row or column of panels
MOST = 3  # ways of training that fit below each other
BLOCK = "residual entering block"  # the axis of `site_ticks`


def settled(rows: Sequence[Row]) -> list[Row]:
    """The rows that one figure can hold."""
    families = ordered((row.get("family") for row in rows), FAMILIES)
    mine = [row for row in rows if row.get("family") == families[0]]
    mine = last_step([row for row in mine if row.get("size") == mine[0].get("size")], ("reward",))
    warmest = max((float(row.get("temperature") or 0) for row in mine), default=0.0)
    return [row for row in mine if float(row.get("temperature") or 0) == warmest]


def below_each_other(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Those of them that are drawn, and their rewards: a row of panels for each."""
    mine = settled(rows)
    rewards = (rewards_in(mine) or [""])[:MOST]
    return [row for row in mine if (row.get("reward") or "") in rewards], rewards


def of_reward(rows: Sequence[Row], reward: str) -> list[Row]:
    """The rows of one row of panels."""
    return [row for row in rows if (row.get("reward") or "") == reward]


def pairs_of(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """The distinct pairs, in the order of the rows."""
    return list(dict.fromkeys(tuple(row.get(name) for name in PAIR) for row in rows))


def left_out(rows: Sequence[Row], shown: Sequence[Row], rewards: Sequence[str]) -> str:
    """For the caption, "" where every pair is drawn; a base alone is no pair where others are."""
    drawn = [row for row in shown if (row.get("reward") or "") in rewards or not rewards]
    every = [row for row in rows if row.get("reward") or not any(rewards)]
    return not_drawn(len(set(pairs_of(every)) - set(pairs_of(drawn))))


def rewards_in(rows: Sequence[Row]) -> list[str]:
    """What the bases became, in the fixed order; none of it where no run was made."""
    return [name for name in ordered((row.get("reward") for row in rows), REWARDS) if name]


def run_look(reward: object, among: Sequence[object] = ()) -> Look:
    """A reward's look; what was trained is said where that differs among the rewards."""
    stem = str(reward).removesuffix(EVERY)
    if stem != reward and stem in REWARDS and reward not in REWARDS:
        return replace(reward_look(reward), label=f"{reward_look(stem).label}, all weights")
    if f"{reward}{EVERY}" in among:
        return replace(reward_look(reward), label=f"{reward_look(reward).label}, head only")
    return replace(reward_look(reward), label=plain(reward, LONGEST)) if reward not in REWARDS else reward_look(reward)


def beside_row(reward: object, among: Sequence[object]) -> str:
    """A row's way of training for its y label, "" where there is but one row."""
    if len(among) < 2:
        return ""
    pieces = f"after {plain(run_look(reward, among).label, SHORT)}".replace(", ", ",\n").split("\n")
    return "\n".join(line for piece in pieces for line in wrap(piece, SMALL, 1.3)) + "\n"


def base_name(row: Row) -> str:
    """The organism, or the weights from outside."""
    return look(row.get("family"), FAMILIES).label if row.get("size") else plain(row.get("family"), LONGEST)


def pair_name(row: Row, among: Sequence[object] = ()) -> str:
    """One base and what it became, in full; a checkpoint that bears its base's name is called by the rest of it."""
    base = f"{base_name(row)} {row.get('base_seed')}" if row.get("size") else base_name(row)
    if not row.get("reward"):
        return base
    start = f"{row.get('family')}-{row.get('size')}-{row.get('base_seed')}-"
    return f"{base} → {run_look(str(row['reward']).removeprefix(start), among).label}"


def over_seeds(rows: Sequence[Row]) -> Mean:
    """Of one number that each run has: its mean and interval, `runs` holding one row per replicate."""
    mean = mean_of({}, seeds_of(rows))
    if len(mean.runs) > 1:
        return mean
    lo, hi = limits(mean.runs[0])
    return replace(mean, lo=lo, hi=hi)


def seeds_of(rows: Sequence[Row]) -> list[Row]:
    """Of one number that each run has: a row per base seed, or of one base a row per run."""
    bases: defaultdict[object, dict[object, Row]] = defaultdict(dict)
    for row in rows:
        run = None if row.get("side") == "before" else (row.get("reward"), row.get("rl_seed"))
        base = row.get("size"), row.get("base_seed")
        bases[base].setdefault(run, row)  # a base is measured once, whatever was made of it
    groups = [list(runs.values()) for runs in bases.values()]
    if len(groups) == 1:
        return groups[0]
    return [group[0] if len(group) == 1 else group[0] | {"rl_seed": None} | _middle(group) for group in groups]


def _middle(rows: Sequence[Row]) -> Row:
    lo, hi = (fmean(ends) for ends in zip(*map(limits, rows), strict=True))
    return {"value": fmean(row["value"] for row in rows), "lo": lo, "hi": hi}


def band(rows: Sequence[Row]) -> Mean:
    """Of a null that is a band of draws: its middle and its limits, each averaged over the replicates."""
    mean = over_seeds(rows)
    return replace(mean, **_middle(mean.runs) | {"value": mean.value})


def in_table(mean: Mean, mark: str, *, seeds: bool = True) -> list[Row]:
    """What is drawn of it: the mean, and where there are several each replicate."""
    drawn = {"mark": mark, "value": mean.value, "lo": mean.lo, "hi": mean.hi, "n_runs": len(mean.runs)}
    first = columns_of(mean.runs[0], COLUMNS)
    if len(mean.runs) == 1:
        return [first | drawn]
    own = dict.fromkeys(("base_seed", "rl_seed", "p", "null"))
    each = [columns_of(run, COLUMNS, lo=None, hi=None, mark="run") for run in mean.runs]
    return [first | own | drawn, *(each if seeds else [])]


def site_ticks(axes: Axes, sites: Sequence[str]) -> None:
    """The blocks that residuals enter, as many as can be read."""
    names = [site.removeprefix("resid.") for site in sites]
    step = -(-len(names) // 8) or 1
    axes.set_xticks(range(0, len(names), step), names[::step])
    axes.set_xlim(-0.5, max(len(names), 1) - 0.5)


def several(table: Sequence[Row]) -> bool:
    """Whether some mean is over several replicates, which are drawn then."""
    return any(row["mark"] == "run" for row in table)
