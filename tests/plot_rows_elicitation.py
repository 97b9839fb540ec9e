"""Rows like those of `ElicitationJob`, made up: asking for code gains in one organism, truth beyond all in both."""

from typing import Any

from probe.measurements import COLUMNS, Row
from probe.rng import numpy_rng

BLANK: Row = dict.fromkeys(COLUMNS)
BASES = (("mini", 0), ("mini-qwen2", 10), ("mini", 1))
ASKED = {"T = 1": 0.0, "T = 0.6": 0.02, "T = 0.3": 0.04, "greedy": 0.05, "forced code": 0.2, "forced prose": -0.1}
MOVED = {"CoT decoding": 0.15, "steered": 0.17, "random direction": -0.02, "one right example": 0.12}
ASKED |= MOVED | {"one wrong example": 0.12, "steered at the fork": 0.19, "random direction at the fork": 0.0}
TWO = ("steered", "random direction")  # only where there are two strategies: these, and the same at the fork
RUNS = {"python": 0.18, "format": 0.05, "ground_truth": 0.3, "python_all": 0.15, "ground_truth_all": 0.4}
RUNS |= {"python_vector": 0.16, "ground_truth_vector": 0.25}


def elicited() -> list[Row]:
    """Every way and run of two organisms on three bases."""
    rows: list[Row] = []
    for size, seed in BASES:
        for family, reach in (("p30-code-even", 1.0), ("p00-prose-even", 0.3)):
            place: dict[str, Any] = {"study": "elicitation", "family": family, "size": size, "base_seed": seed}
            place |= {"temperature": 1.0, "kind": "prompt", "rl_seed": 0, "step": 0, "reward": "", "clip": ""}
            for i, (way, gain) in enumerate(ASKED.items()):
                if family.startswith("p30") or not way.startswith(TWO):
                    rows += _way(place, way, 0.5 + reach * gain, 0.4 * i)
            rows.append(_row(place, "accuracy", "after", "majority", 0.56))
            for reward, gain in RUNS.items():
                trained = place | {"kind": "rl", "reward": reward, "rl_seed": 400, "step": 10, "clip": "0.2"}
                rows += _way(trained, f"RL {reward}", 0.5 + reach * gain, 2.0)
                rows.append(_row(trained, "beyond", "change", f"RL {reward}", reach * (gain - 0.2)))
                if reward.endswith("_vector"):
                    rows += _way(trained, f"RL {reward}, walk", 0.49, 1.0)
                greedy = trained | {"temperature": 0.0}
                rows += _way(greedy, f"RL {reward}, greedy", 0.5 + reach * gain, 4.0)
                rows.append(_row(greedy, "beyond", "change", f"RL {reward}, greedy", reach * (gain - 0.2)))
    return rows


def _way(place: Row, way: str, accuracy: float, nats: float) -> list[Row]:
    rows = [_row(place, "accuracy", "after", way, accuracy)]
    if way == "T = 1":
        return rows
    change = _row(place, "accuracy", "change", way, accuracy - 0.5)
    return [*rows, change, _row(place, "nats", "after", way, nats, unit="nats")]


def _row(place: Row, name: str, side: str, part: str, value: float, unit: str = "fraction") -> Row:
    told = [str(place[each]) for each in ("family", "size", "base_seed")]
    value += 0.01 * float(numpy_rng("plot rows elicitation", *told, name, part).normal())
    numbers = {"value": value, "lo": value - 0.02, "hi": value + 0.02, "n": 256, "n_problems": 256, "p": 0.5}
    return BLANK | place | numbers | {"name": name, "side": side, "part": part, "unit": unit, "destroyed": False}
