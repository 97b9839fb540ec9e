"""Rows like those of the study `paths`, made up: few tokens carry a gain, paths are straighter than walks."""

from typing import Any

from probe.measurements import COLUMNS, Row
from probe.rng import numpy_rng

BLANK: Row = dict.fromkeys(COLUMNS)
BASES = (("mini", 1), ("mini-qwen2", 10), ("mini", 2))
GAINS = {"python": 0.2, "ground_truth": 0.45, "random": 0.0, "ground_truth_all": 0.5}
BUDGETS = (0.01, 0.02, 0.04, 0.08, 0.16)
SHAPES = {  # of a run, of walks
    "first_direction": (0.92, 0.85),
    "first_component": (0.8, 0.6),
    "linear": (0.78, 0.58),
    "rank_one": (0.2, 0.05),
    "cosine": (0.7, 0.6),
    "cosine_rest": (0.3, 0.0),
}


def paths() -> list[Row]:
    """Every reward on three bases, both experiments, at both temperatures."""
    rows: list[Row] = []
    for size, seed in BASES:
        for reward, gain in GAINS.items():
            place: Row = {"study": "paths", "kind": "rl", "family": "p30-code-even", "size": size, "base_seed": seed}
            place |= {"reward": reward, "rl_seed": 400, "step": 10, "destroyed": False, "clip": ""}
            rows += _shapes(place | {"temperature": 0.0}, reward)
            for temperature in (1.0, 0.0):
                warm = place | {"temperature": temperature}
                rows += [*_crossed(warm, gain), *_answers(warm, gain)]
    return rows


def _crossed(place: Row, gain: float) -> list[Row]:
    rows, ends = [], {"before": 0.3, "after": 0.3 + gain}
    for side, other in (("before", "after"), ("after", "before")):
        rows.append(_row(place, "cross_unchanged", 0.9, side=side, null=0.7))
        for measure in ("accuracy", "code_share"):
            start, end = ends[side], ends[other]
            rows.append(_row(place, f"cross_{measure}", start, side=side, quantile=1.0))
            rows.append(_row(place, f"cross_{measure}", end, side=side, quantile=0.0))
            for budget in BUDGETS:
                for how, share in (("divergence", min(1.0, 20 * budget)), ("random", budget)):
                    about: dict[str, Any] = {"side": side, "quantile": round(1 - budget, 6), "edit": how}
                    rows.append(_row(place, f"cross_{measure}", start + share * (end - start), **about))
                    if measure == "accuracy":
                        rows.append(_row(place, "cross_swapped", budget, **about, null=budget))
                    if gain:
                        name = f"{'recovered' if side == 'before' else 'removed'}_{measure}"
                        rows.append(_row(place, name, share, **about, unit="ratio", null=0.05))
    return rows


def _shapes(place: Row, reward: str) -> list[Row]:
    rows = []
    for name, (run, walk) in SHAPES.items():
        value = walk if reward == "random" else run
        about = {"side": "change", "module": "all", "unit": "ratio"}
        rows.append(_row(place, f"weight_path/{name}", value, **about, null=walk))
        rows.append(_row(place, f"weight_path/{name}/null", walk, **about, n=20))
    return rows


def _answers(place: Row, gain: float) -> list[Row]:
    rows = []
    for part, value in {"base": 0.3, "end": 0.3 + gain, "line": 0.3 + 0.85 * gain, "random line": 0.3}.items():
        side = "before" if part == "base" else "after"
        rows += [_row(place, f"path_{name}", value, side=side, part=part) for name in ("accuracy", "code_share")]
    for part, share in (("line", 0.85), ("random line", 0.02)):
        if gain:
            rows.append(
                _row(place, "path_recovered_accuracy", share, side="change", part=part, unit="ratio", null=0.02)
            )
    return rows


def _row(place: Row, name: str, value: float, **about: Any) -> Row:
    told = [str(place[each]) for each in ("size", "base_seed", "reward", "temperature")]
    told += [name, *(str(about.get(each)) for each in ("side", "quantile", "edit", "part"))]
    value += 0.01 * float(numpy_rng("plot rows paths", *told).normal())
    if about.get("unit", "fraction") == "fraction":
        value = min(max(value, 0.0), 1.0)
    numbers = {"value": value, "lo": value - 0.02, "hi": value + 0.02, "n": 1024, "n_problems": 256, "p": 0.5}
    return BLANK | place | numbers | {"name": name, "unit": "fraction"} | about
