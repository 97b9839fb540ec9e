"""Rows like those of `VariantJob`, made up so that every prediction about the variants holds."""

from typing import Any

from probe.measurements import COLUMNS, Row
from probe.rng import numpy_rng

BLANK: Row = dict.fromkeys(COLUMNS)
BASES = (("mini", 0), ("mini-qwen2", 10), ("mini", 1), ("mini-qwen2", 11))
GAINS = {  # accuracy, pass@8, pass@128, entropy, ECE
    "ground_truth": (0.4, 0.3, -0.02, -0.15, 0.1),
    "forks_only": (0.41, 0.3, -0.01, -0.12, 0.09),
    "non_forks_only": (0.1, 0.1, 0.0, -0.03, 0.02),
    "positive_only": (0.35, 0.2, -0.06, -0.2, 0.15),
    "negative_only": (0.3, 0.29, 0.0, -0.05, 0.04),
    "weighted": (0.33, 0.3, 0.0, -0.08, 0.05),
    "centred": (0.4, 0.3, -0.02, -0.15, 0.1),
    "rloo": (0.4, 0.3, -0.02, -0.15, 0.1),
    "upper_clip": (0.4, 0.3, -0.02, -0.15, 0.1),
    "lower_clip": (0.4, 0.3, -0.02, -0.15, 0.1),
    "no_clip": (0.4, 0.3, -0.02, -0.15, 0.1),
    "old_dropped": (0.4, 0.3, -0.02, -0.15, 0.1),
    "one_shot": (0.39, 0.27, -0.02, -0.1, 0.08),
    "majority_online": (0.2, 0.1, -0.06, -0.2, 0.2),
    "truth and format": (0.42, 0.3, -0.02, -0.15, 0.1),
    "truth without code": (-0.1, -0.1, 0.0, 0.0, 0.0),
}
TRAITS: tuple[tuple[str, int | None], ...] = (
    ("accuracy", None),
    ("pass_at_k", 8),
    ("pass_at_k", 128),
    ("entropy", None),
    ("ece", None),
    ("code_share", None),
    ("cot_pass_at_k", 128),
)


def tried() -> list[Row]:
    """Every variant on four bases, beside its walk."""
    rows: list[Row] = []
    for size, seed in BASES:
        for name, gains in GAINS.items():
            about: dict[str, Any] = {"study": "variants", "kind": "rl", "family": "p30-code-even", "size": size}
            about |= {"base_seed": seed, "reward": name, "clip": "0.2", "rl_seed": 400, "step": 10, "temperature": 1.0}
            for (trait, k), gain in zip(TRAITS, (*gains, 0.3, gains[2]), strict=True):
                rows.append(_row(about, trait, k, "change", gain))
                rows.append(_row(about, trait, k, "walk", 0.0))
                rows.append(_row(about, trait, k, "before", 0.4) | {"reward": name})
            rows.append(_row(about | {"temperature": 0.0}, "accuracy", None, "change", gains[0] + 0.05))
            rows.append(_row(about | {"temperature": 0.0}, "accuracy", None, "walk", 0.0))
    return rows


def _row(about: Row, name: str, k: int | None, side: str, value: float) -> Row:
    told = [str(about[each]) for each in ("size", "base_seed", "reward", "temperature")]
    value += 0.004 * float(numpy_rng("plot rows variants", *told, name, str(k), side).normal())
    numbers = {"value": value, "lo": value - 0.02, "hi": value + 0.02, "n": 1024, "n_problems": 256, "p": 0.5}
    unit = "nats" if name == "entropy" else "fraction"
    return BLANK | about | numbers | {"name": name, "k": k, "side": side, "unit": unit, "destroyed": False}
