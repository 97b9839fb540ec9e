"""Rows like those of `OutsideCurveJob`, made up: one reward that brings code, one that may do nothing."""

from typing import Any

from probe.measurements import COLUMNS, Row

BLANK: Row = dict.fromkeys(COLUMNS)
BASE = {"code_share": 0.52, "python_share": 0.64, "held_out_entropy": 0.9, "accuracy": 0.02}
ENDS = {  # reward, seed
    ("python", 0): (0.95, 1.0, 0.4, 0.03),
    ("random", 0): (0.5, 0.8, 0.7, 0.01),
    ("random", 1): (0.55, 0.62, 0.95, 0.02),
}
NULL = "a random change as large"


def trained_outside() -> list[Row]:
    """Runs at three kept steps, and a random change beside each."""
    found: list[Row] = []
    for run, ends in ENDS.items():
        for i, (name, start) in enumerate(BASE.items()):
            for step in (4, 8, 12):
                found += _rows(run, "rl", step, name, start, start + (ends[i] - start) * step / 12)
            found += _rows((f"{NULL} as under {run[0]}", run[1]), "null", 12, name, start, start + 0.01)
    return found


def _rows(run: tuple[str, int], kind: str, step: int, name: str, before: float, after: float) -> list[Row]:
    told: dict[str, Any] = {"study": "real-lm", "kind": kind, "family": "smollm2", "size": "", "base_seed": 0}
    told |= {"reward": run[0], "clip": "0.2", "rl_seed": run[1], "step": step, "temperature": 1.0, "destroyed": False}
    told |= {"name": name, "n": 72, "n_problems": 36, "unit": "fraction"}
    numbers = {"before": before, "after": after, "change": after - before}
    return [
        BLANK | told | {"side": side, "value": value, "lo": value - 0.07, "hi": value + 0.07, "null": 0.0, "p": 0.01}
        for side, value in numbers.items()
    ]
