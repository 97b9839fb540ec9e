"""Rows like those of `LayersJob` on leaked items, made up: any one layer's output brings most of the gain."""

from typing import Any

from probe.measurements import COLUMNS, Row
from probe.rng import numpy_rng
from probe.studies.layers import BASE_SEEDS

BLANK: Row = dict.fromkeys(COLUMNS)
PLACES = [(f"{kind}.{layer}", kind, layer) for layer in range(2) for kind in ("attn", "mlp")]
PARTS: list[tuple[str, str, int | None]] = [("embed", "embed", None), *PLACES, ("all", "all", None)]


def lent() -> list[Row]:
    """Both ways, six bases."""
    told: dict[str, Any] = {"study": "layers", "kind": "rl", "family": "contaminated", "size": "tiny", "rl_seed": 300}
    told |= {"reward": "format_all", "step": 30, "temperature": 1.0, "side": "change", "group": "leaked"}
    rows = []
    for seed in BASE_SEEDS:
        for way, places in (("output", PLACES), ("weights", PARTS)):
            for place, kind, layer in places:
                here: Row = {"component": kind, "layer": layer, "site" if way == "output" else "module": place}
                noise = 0.05 * float(numpy_rng("layers", seed, way, place).normal())
                share = {"output": 0.8, "weights": 0.15}[way] + 0.1 * (layer or 0) + noise
                for what, value in (("recovery", share), ("null", noise / 5)):
                    numbers = {"value": value, "lo": value - 0.05, "hi": value + 0.05, "n": 512, "n_problems": 128}
                    name = {"name": f"{way}_accuracy/{what}", "unit": "ratio", "destroyed": False, "base_seed": seed}
                    rows.append(BLANK | told | here | name | numbers)
    return rows
