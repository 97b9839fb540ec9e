"""Rows like those of `AntitheticJob`, made up: clipping moves shares by the prior's sign, nothing else does."""

from typing import Any

from probe.measurements import COLUMNS, Row
from probe.rng import numpy_rng
from probe.studies.antithetic import FAMILIES, SETTINGS

BLANK: Row = dict.fromkeys(COLUMNS)
BASES = (("mini", 40), ("mini-qwen2", 50), ("mini", 41), ("mini-qwen2", 51))
TRAITS = ("accuracy", "code_share", "parse_rate", "token_probability")


def twins() -> list[Row]:
    """Every setting and prior on four bases, at both temperatures."""
    rows: list[Row] = []
    for size, seed in BASES:
        for family in FAMILIES:
            for setting in SETTINGS:
                for temperature in (1.0, 0.0):
                    place: dict[str, Any] = {"study": "antithetic", "kind": "rl", "family": family, "size": size}
                    place |= {"base_seed": seed, "reward": "random", "clip": setting, "rl_seed": 500, "step": 20}
                    rows += _pair(place | {"temperature": temperature, "informative": False})
    return rows


def _pair(place: Row) -> list[Row]:
    sign = 1 if place["family"].startswith("p65") else -1
    clipped = place["clip"] in ("0.05", "0.2", "upper_clip", "lower_clip")
    moved = {"code_share": 0.08 * sign, "token_probability": 0.02, "accuracy": 0.03 * sign, "parse_rate": 0.0}
    rows = []
    for name in TRAITS:
        if name == "token_probability" and not place["temperature"]:
            continue
        for side in ("change", "walk", "draw"):
            told = [str(place[each]) for each in ("family", "size", "base_seed", "clip", "temperature")]
            noise = 0.004 * float(numpy_rng("plot rows antithetic", *told, name, side).normal())
            value = noise + moved[name] * (clipped and side == "change")
            numbers = {"value": value, "lo": value - 0.02, "hi": value + 0.02, "n": 256, "n_problems": 256, "null": 0.0}
            about = {"name": name, "side": side, "unit": "fraction", "destroyed": False, "p": 0.5}
            rows.append(BLANK | place | about | numbers)
    return rows
