"""Clip fractions from training logs: one number per run (the mean over its batches), then means over runs.

Names are those of `probe.rl.loss.clip_report` without their prefix: low_mean, high_mean, region_mean, dual_mean,
region_mean/update_<i>, low/pi_old_<a>_<b>, high/pi_old_<a>_<b>.
"""

from collections.abc import Sequence

from probe.plots import Rows
from probe.plots._replicates import Mean, Row, means, pick, run_of
from probe.plots._style import FAMILIES, REWARDS, look, ordered, reward_look

PREFIX = "train/clip_ratio/"
SIDES = {"low_mean": "lower\n(A < 0)", "high_mean": "upper\n(A > 0)", "dual_mean": "dual\n(A < 0)"}
UPDATE, LOW, HIGH = "region_mean/update_", "low/pi_old_", "high/pi_old_"
STUDIES = ("random", "tiny")


def clip_means(rows: Rows) -> tuple[list[Mean], str]:
    """Means keyed by clip and name, and which runs they are of: one organism and reward, random reward if logged."""
    logged = pick([row for row in rows if str(row.get("name")).startswith(PREFIX)], kind="rl")
    logged = [row for row in logged if str(row.get("clip")) != "none" and "/count/" not in row["name"]]
    study = next((name for name in STUDIES if any(row["study"] == name for row in logged)), None)
    logged = pick(logged, study=study)
    families = ordered((row["family"] for row in logged), FAMILIES)
    if not families:
        return [], ""
    logged = pick(logged, family=families[0])
    rewards = ordered((row["reward"] for row in logged), REWARDS)
    reward = "random" if "random" in rewards else rewards[0]
    batches: dict[tuple[object, ...], list[Row]] = {}
    for row in pick(logged, reward=reward):
        batches.setdefault((run_of(row), row["name"]), []).append(row)
    found = means([_over_batches(some) for some in batches.values()], ("clip", "name"))
    return found, f"{look(families[0], FAMILIES).label}, {reward_look(reward).label} reward, {study} study"


def edges(name: str) -> tuple[float, float]:
    """The bin of pi_old that a name speaks of."""
    start, end = name.rsplit("_", 2)[1:]
    return float(start), float(end)


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
