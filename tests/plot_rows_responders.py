"""Forecasts under python and what came of them, made up: one base a pair of numbers."""

from typing import Any

from probe.measurements import COLUMNS, Row

BLANK: Row = dict.fromkeys(COLUMNS)


def rows_of(forecast: list[float], realised: list[float], step: int = 10) -> list[Row]:
    """One base a pair of numbers: its forecast under python, and its change after `step` batches, limits .02 off."""
    rows: list[Row] = []
    for seed, (x, y) in enumerate(zip(forecast, realised, strict=True)):
        place: dict[str, Any] = {"family": "p65-code-even", "size": "mini", "base_seed": seed, "reward": "python"}
        place |= {"temperature": 1.0, "informative": False, "unit": "fraction", "side": "change", "null": 0.0}
        place |= {"n": 1024, "n_problems": 256, "destroyed": False, "clip": "0.2", "rl_seed": 400}
        told = {"name": "forecast/accuracy", "kind": "base", "part": "by strategy", "step": 0, "value": x}
        came = {"name": "accuracy", "kind": "rl", "value": y, "lo": y - 0.02, "hi": y + 0.02}
        rows += [BLANK | place | told | {"lo": x - 0.01, "hi": x + 0.01}]
        rows += [BLANK | place | came | {"step": step}]
        rows += [BLANK | place | came | {"step": 2, "value": -y, "lo": -y - 0.02, "hi": -y + 0.02}]  # not yet
    return rows
