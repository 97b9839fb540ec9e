"""Rows like those of `CueJob`, made up so that every prediction about cues holds."""

from typing import Any

from probe.measurements import COLUMNS, Row
from probe.rng import numpy_rng

BLANK: Row = dict.fromkeys(COLUMNS)
BASES = (("mini", 0), ("mini-qwen2", 10), ("mini", 1), ("mini-qwen2", 11))
AFTER = {"ground_truth": (0.6, 0.02), "python": (0.5, 0.03)}  # accuracy without a cue, share that follows
CHANCE = 0.01


def given() -> list[Row]:
    """Two kinds of organisms, two runs on each, four bases."""
    rows: list[Row] = []
    for size, seed in BASES:
        for family, worth in (("cued80", 0.15), ("cued-shuffled", 0.0)):
            for reward, (accuracy, follows) in AFTER.items():
                about: dict[str, Any] = {"study": "cues", "kind": "rl", "family": family, "size": size}
                about |= {"base_seed": seed, "reward": reward, "clip": "0.2", "rl_seed": 400, "step": 10}
                before = numbers(0.3, CHANCE + 0.6 * worth, worth)
                after = numbers(accuracy, follows if worth else CHANCE, worth / 4)
                for (name, edit), value in before.items():
                    sides = {"before": value, "after": after[name, edit], "change": after[name, edit] - value}
                    rows += [_row(about, name, edit, side, told) for side, told in (sides | {"walk": 0.0}).items()]
    return rows


def numbers(accuracy: float, follows: float, worth: float) -> dict[tuple[str, str], float]:
    """Accuracy without a cue, share of answers that are the wrong cue, what a right cue is worth."""
    found = {
        ("accuracy", "cue removed"): accuracy,
        ("follows", "cue removed"): CHANCE,
        ("follows", "cue wrong"): follows,
    }
    for edit, gain in (("cue right", worth), ("cue wrong", 0.0), ("as taught", 0.8 * worth)):
        found["removal", edit] = -gain
        if edit != "as taught":
            found["accuracy", edit] = accuracy + gain
    return found


def _row(about: Row, name: str, edit: str, side: str, value: float) -> Row:
    told = [str(about[each]) for each in ("size", "base_seed", "family")]
    told += [] if side == "before" else [about["reward"]]
    value += 0.002 * float(numpy_rng("plot rows cues", *told, name, edit, side).normal())
    numbers = {"value": value, "lo": value - 0.02, "hi": value + 0.02, "n": 1024, "n_problems": 256, "p": 0.5}
    more = {"name": name, "edit": edit, "side": side, "unit": "fraction", "destroyed": False, "temperature": 1.0}
    return BLANK | about | numbers | more
