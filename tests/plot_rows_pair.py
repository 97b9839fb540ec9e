"""Rows as `probe compare` leaves them on one pair, made up."""

from probe.measurements import COLUMNS, Row
from probe.plots.pair_changes import LINES
from probe.rng import numpy_rng


def compared() -> list[Row]:
    """One pair, sampled and greedy, and the base under another prompt, which is not drawn."""
    rng, rows = numpy_rng("plots", "pair"), []
    for temperature, n in ((1.0, 2048), (0.0, 256)):
        for reward, kind in (("run-0", "rl"), ("boxed", "prompt")):
            about = {"study": "compare", "kind": kind, "family": "latent-code", "reward": reward, "side": "change"}
            for wanted in LINES.values():
                value, half = float(rng.normal(0.1, 0.1)), float(rng.uniform(0.01, 0.05))
                numbers = {"value": value, "lo": value - half, "hi": value + half, "null": 0.0, "p": 0.01}
                size = {"n": n, "n_problems": 256, "unit": "fraction", "temperature": temperature}
                rows.append(dict.fromkeys(COLUMNS) | about | wanted | numbers | size)
    return rows
