"""Rows like those of `probe adapter`, made up: more latents recover more, a frozen decoder less, the rest nothing.

The head alone leaves nothing of accuracy's change to share out; adapters that were never trained lie below the axis.
"""

import math
from typing import Any

from probe.measurements import COLUMNS, Row
from probe.rng import numpy_rng

BLANK: Row = dict.fromkeys(COLUMNS)
CELLS = (("latent-code", "python_all"), ("latent-code", "ground_truth_all"), ("no-code", "ground_truth"))
BUDGETS = (0, 1, 4, 16, 64)
MOST = {"rl": 0.9, "frozen decoder": 0.5, "walk": 0.4, "walk's": 0.0, "untrained": -3.0, "itself": 0.0}


def adapted(bases: int = 3) -> list[Row]:
    """Every measurement that is drawn."""
    rows: list[Row] = []
    for family, reward in CELLS:
        for base in range(bases):
            where: Row = {"study": "adapter", "kind": "rl", "family": family, "size": "tiny", "base_seed": base}
            where |= {"reward": reward, "rl_seed": 300, "step": 30, "temperature": 1.0, "destroyed": False, "clip": ""}
            for part, most in MOST.items():
                rows += [each for k in _budgets(part) for each in _tried(where, part, k, most * math.sqrt(k / 64))]
    return rows


def _budgets(part: str) -> tuple[int, ...]:
    return BUDGETS[-1:] if part == "itself" else BUDGETS if part in ("rl", "walk", "walk's") else BUDGETS[1:]


def _tried(where: Row, part: str, k: int, share: float) -> list[Row]:
    about: Row = {"part": part, "k": k}
    rows = [_row(where, "adapter_recovered", share, 0.04, group=group, **about) for group in ("before", "after")]
    if part == "walk":
        return rows
    for group in ("before", "after"):
        l0 = {"group": group, "unit": "count", "noise": 0.0, **about}
        rows += [_row(where, "adapter_l0", 0.9 * k, math.nan, site=site, **l0) for site in ("mlp.0", "mlp.1", None)]
    rows.append(_row(where, "adapter_recovered_code_share", share, 0.1, **about))
    gain = math.nan if where["reward"] == "ground_truth" else share / 2
    return [*rows, _row(where, "adapter_recovered_accuracy", gain, 0.1, **about)]


def _row(where: Row, name: str, value: float, reach: float, *, noise: float = 0.02, **about: Any) -> Row:
    told = [str(each) for each in (where["family"], where["base_seed"], where["reward"], name, *about.values())]
    value += noise * float(numpy_rng("plot rows adapter", *told).normal())
    numbers = {"value": value, "lo": value - reach, "hi": value + reach, "n": 9000, "n_problems": 130, "p": None}
    return BLANK | {"side": ""} | where | numbers | {"name": name, "unit": "ratio"} | about
