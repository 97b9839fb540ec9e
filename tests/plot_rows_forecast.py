"""Rows like those of `probe forecast`, made up: three organisms' forecasts, whose runs `plot_rows.tiny` has."""

from typing import Any

from probe.measurements import COLUMNS, Row
from probe.rng import numpy_rng

BLANK: Row = dict.fromkeys(COLUMNS)
UNITS = {
    "accuracy": "fraction",
    "code_share": "fraction",
    "parse_rate": "fraction",
    "tokens": "tokens",
    "entropy": "nats",
}
SIZES = {"accuracy": 0.1, "code_share": 0.2, "parse_rate": 0.1, "tokens": 1.0, "entropy": 0.8}
FAMILIES = {"latent-code": 1.0, "no-code": 0.0, "bad-code": -0.4}  # how far accuracy follows
REWARDS = {
    "ground_truth": 2.0,
    "majority": 1.0,
    "format": 0.5,
    "incorrect": 0.4,
    "python": 1.4,
    "random": 0.0,
    "constant": 0.0,
}
INFORMATIVE = ("ground_truth", "majority")


def forecasts(bases: int = 2) -> list[Row]:
    """Every reward on every base."""
    rows: list[Row] = []
    for family in FAMILIES:
        for base in range(bases):
            place = {"study": "forecast", "kind": "base", "family": family, "size": "tiny", "base_seed": base}
            place |= {"step": 0, "rl_seed": 0, "clip": "", "temperature": 1.0}
            for reward in REWARDS:
                rows += _reward(place, family, base, reward)
            verdict = "responder: python" if family == "latent-code" else "no responder"
            rows.append(
                _row(place, "forecast/responder", "", float(family == "latent-code"), 0.0, reason=verdict, reward="")
            )
    return rows


def _reward(place: Row, family: str, base: int, reward: str) -> list[Row]:
    where = place | {"reward": reward, "informative": reward in INFORMATIVE}
    where |= {"kind": "null"} if reward == "constant" else {}
    rows, still = [], reward == "constant"
    for trait, unit in UNITS.items():
        for part in ("direct", "by strategy") if trait == "accuracy" else ("direct",):
            noise = float(numpy_rng("plot rows forecast", family, base, reward, trait, part).normal())
            follows = FAMILIES[family] if trait == "accuracy" and reward not in INFORMATIVE else 1.0
            value = 0.0 if still else SIZES[trait] * (REWARDS[reward] * follows + 0.1 * noise)
            reach = 0.0 if still else 0.2 * SIZES[trait]
            told = {"part": part, "unit": unit}
            rows.append(_row(where, f"forecast/{trait}", "change", value, reach, null=0.0, p=0.01, **told))
            rows.append(_row(where, f"forecast/{trait}", "permuted", 0.0, reach, n=2000, **told))
        if trait in ("accuracy", "code_share", "parse_rate"):
            told = {"part": "mean field", "unit": unit}
            rows.append(_row(where, f"forecast/{trait}", "change", 0.4 * value, 0.4 * reach, null=0.0, **told))
    said = "no first-order response" if still or family == "no-code" else "responds up"
    return [*rows, _row(where, "forecast/response", "", 3.0, 1.0, reason=said, unit="none")]


def _row(where: Row, name: str, side: str, value: float, reach: float, **more: Any) -> Row:
    told = {"name": name, "side": side, "value": value, "n": 8192, "n_problems": 512, "destroyed": False}
    return {**BLANK, **told, "lo": value - reach, "hi": value + reach, **where, **more}
