"""Rows like those of `LawJob`, made up: accuracy follows the law under `python`, and does more under truth."""

from typing import Any

from probe.families.factorial import CELLS, cell
from probe.measurements import COLUMNS, Row
from probe.rng import numpy_rng

BLANK: Row = dict.fromkeys(COLUMNS)
BASES = (("mini", 0), ("mini", 1), ("mini-qwen2", 10))
GAPS = {"code": 0.4, "prose": -0.5, "neither": 0.0}
BEYOND = {"python": 0.0, "ground_truth": 0.3}


def laws() -> list[Row]:
    """Every cell on three bases, under two rewards, at both temperatures."""
    rows: list[Row] = []
    for size, seed in BASES:
        for levels in CELLS:
            for reward in BEYOND:
                for temperature in (1.0, 0.0):
                    place = {"study": "why", "kind": "rl", "family": cell(*levels), "size": size, "base_seed": seed}
                    place |= {"reward": reward, "clip": "0.2", "rl_seed": 400, "step": 10, "temperature": temperature}
                    rows += _run(place | {"informative": reward == "ground_truth"}, levels, reward)
    return rows


def planted() -> list[Row]:
    """Doses of code on three bases: code is worth more the more there was, and RL moves to it where there was any."""
    rows: list[Row] = []
    for size, seed in BASES:
        for dose, gap in ((0, -0.6), (1, -0.3), (3, 0.1), (10, 0.4), (30, 0.5)):
            for reward in ("python", "ground_truth"):
                for temperature in (1.0, 0.0):
                    place = {"study": "planted", "kind": "rl", "family": f"planted{dose:02d}", "size": size}
                    place |= {"base_seed": seed, "reward": reward, "clip": "0.2", "rl_seed": 400, "step": 10}
                    place |= {"temperature": temperature, "informative": reward == "ground_truth"}
                    noise = 0.005 * float(numpy_rng("planted", size, seed, dose, reward, str(temperature)).normal())
                    moved = (0.8 if dose else 0.0) * (reward == "python" or gap > 0)
                    rows += [
                        _row(place, "gap", "before", gap, 0.03),
                        _row(place, "predicted", "change", moved * gap, 0.03),
                        _row(place, "accuracy", "change", moved * gap + noise * bool(dose), 0.04),
                        _row(place, "code_share", "change", moved, 0.04),
                        _row(place, "gain_parts", "change", 0.0, 0.03, part="within"),
                    ]
    return rows


def head_and_all() -> list[Row]:
    """Three rewards, head and every weight, on six bases: both gain from the truth, and the walks do nothing."""
    rows: list[Row] = []
    for family in ("latent-code", "no-code"):
        for seed in range(6):
            for reward in ("ground_truth", "incorrect", "random"):
                for every in ("", "_all"):
                    for temperature in (1.0, 0.0):
                        place = {"study": "trainable", "kind": "rl", "family": family, "size": "tiny"}
                        place |= {
                            "base_seed": seed,
                            "reward": reward + every,
                            "clip": "0.2",
                            "rl_seed": 100,
                            "step": 30,
                        }
                        place |= {"temperature": temperature, "informative": reward == "ground_truth"}
                        noise = float(
                            numpy_rng("head and all", family, seed, reward + every, str(temperature)).normal()
                        )
                        gain = {"ground_truth": 0.4, "incorrect": 0.2, "random": 0.0}[reward] * (family != "no-code")
                        rows.append(_row(place, "accuracy", "change", gain + 0.03 * noise, 0.04))
                        rows.append(_row(place, "accuracy", "walk", 0.01 * noise, 0.04))
    return rows


def _run(place: Row, levels: tuple[float, str, str], reward: str) -> list[Row]:
    prior, better, _ = levels
    rng = numpy_rng("plot rows law", *[str(place[name]) for name in ("family", "size", "base_seed", "temperature")])
    gap = GAPS[better] + 0.01 * float(rng.normal())
    predicted = (1 - prior if prior else 0.0) * gap * (1 if reward == "python" or better == "code" else -0.5)
    change = predicted + BEYOND[reward] + 0.02 * float(rng.normal())
    return [
        _row(place, "gap", "before", gap, 0.03),
        _row(place, "predicted", "change", predicted, 0.03),
        _row(place, "accuracy", "change", change, 0.04),
        _row(place, "gain_parts", "change", BEYOND[reward] / 2, 0.03, part="within"),
        _row(place, "predicted", "walk", 0.01 * float(rng.normal()), 0.01),
        _row(place, "accuracy", "walk", 0.01 * float(rng.normal()), 0.02),
    ]


def _row(place: Row, name: str, side: str, value: float, half: float, **more: Any) -> Row:
    numbers = {"value": value, "lo": value - half, "hi": value + half, "n": 1024, "n_problems": 256, "null": 0.0}
    told = {"name": name, "side": side, "unit": "fraction", "destroyed": False, "p": 0.5}
    return BLANK | place | told | numbers | more
