"""Clip fractions from training logs: one number per run (the mean over its batches), then means over runs.

Names are those of `probe.rl.loss.clip_report` without their prefix: low_mean, high_mean, region_mean, dual_mean,
region_mean/update_<i>, low/pi_old_<a>_<b>, high/pi_old_<a>_<b>. Which update, and which bin, have columns
of their own.
"""

from collections.abc import Sequence

from probe.measurements import Row, Rows
from probe.plots._designs import by_clip, by_reward
from probe.plots._replicates import Mean, means_by, pick, run_of
from probe.plots._style import FAMILIES, REWARDS, look, ordered, reward_look
from probe.plots._words import plain

PREFIX = "train/clip_ratio/"
SIDES = {"low_mean": "lower\n(A < 0)", "high_mean": "upper\n(A > 0)", "dual_mean": "dual\n(A < 0)"}
LOW, HIGH = "low/", "high/"


def clip_means(rows: Rows) -> tuple[list[Mean], str]:
    """Means keyed by clip and name, and which runs they are of: one organism and reward, random reward if logged."""
    logged = pick([row for row in rows if str(row.get("name")).startswith(PREFIX)], kind="rl")
    logged = by_clip(logged) or by_reward(logged)
    logged = [row for row in logged if str(row.get("clip")) != "none" and "/count/" not in row["name"]]
    families = ordered((row["family"] for row in logged), FAMILIES)
    if not families:
        return [], ""
    logged = pick(logged, family=families[0])
    rewards = ordered((row["reward"] for row in logged), REWARDS)
    reward = "random" if "random" in rewards else rewards[0]
    batches: dict[tuple[object, ...], list[Row]] = {}
    for row in pick(logged, reward=reward):
        batches.setdefault((run_of(row), row["name"]), []).append(row)
    means = means_by([_over_batches(some) for some in batches.values()], ("clip", "name"))
    study = plain(logged[0]["study"])
    return means, f"{look(families[0], FAMILIES).label}, {reward_look(reward).label} reward, {study} study"


def edges(mean: Mean) -> tuple[float, float]:
    """The bin of pi_old that it is of."""
    return mean.runs[0]["pi_low"], mean.runs[0]["pi_high"]


def update(mean: Mean) -> int:
    """Which inner update it is of, counted from 1."""
    return int(mean.runs[0]["update"]) + 1


def unreachable(clip: str) -> float | None:
    """The pi_old above which a clip's upper edge cannot be reached, 1 / (1 + eps)."""
    try:
        return 1 / (1 + float(clip))
    except ValueError:
        return None


def _over_batches(rows: Sequence[Row]) -> Row:
    value = sum(row["value"] for row in rows) / len(rows)
    name = str(rows[0]["name"]).removeprefix(PREFIX)
    broken = any(row.get("destroyed") for row in rows)
    return {**rows[0], "name": name, "value": value, "unit": "fraction", "destroyed": broken, "step": None}
