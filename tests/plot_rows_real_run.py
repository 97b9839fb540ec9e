"""Rows like those of `OutsideCurveJob`, made up: one reward that brings code, one that does nothing."""

from typing import Any

from probe.measurements import COLUMNS, Row

BLANK: Row = dict.fromkeys(COLUMNS)
BASE = {"code_share": 0.52, "held_out_entropy": 0.9, "accuracy": 0.02}
ENDS = {"python": (0.95, 0.4, 0.03), "random": (0.5, 0.88, 0.01)}
NULL = "a random change as large"


def trained_outside() -> list[Row]:
    """Two runs at three kept steps, and a random change beside each."""
    found: list[Row] = []
    for reward, ends in ENDS.items():
        for i, (name, start) in enumerate(BASE.items()):
            for step in (4, 8, 12):
                found += _rows(reward, "rl", step, name, start, start + (ends[i] - start) * step / 12)
            found += _rows(NULL, "null", 12, name, start, start + 0.01)
    return found


def _rows(reward: str, kind: str, step: int, name: str, before: float, after: float) -> list[Row]:
    told: dict[str, Any] = {"study": "real-lm", "kind": kind, "family": "smollm2", "size": "", "base_seed": 0}
    told |= {"reward": reward, "clip": "0.2", "rl_seed": 0, "step": step, "temperature": 1.0, "destroyed": False}
    told |= {"name": name, "n": 72, "n_problems": 36, "unit": "fraction"}
    numbers = {"before": before, "after": after, "change": after - before}
    return [
        BLANK | told | {"side": side, "value": value, "lo": value - 0.07, "hi": value + 0.07, "null": 0.0, "p": 0.01}
        for side, value in numbers.items()
    ]
