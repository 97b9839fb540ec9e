"""Rows of the study "inside", made up after its first pairs: the head trained, and every weight trained.

Every weight under the random reward too, of which the weights alone are compared. Shapes, names and columns are those
the jobs leave; random directions and layers are fewer.
"""

import math
from typing import Any

from probe.measurements import COLUMNS, Row
from probe.rng import numpy_rng

HEAD, ALL, NOISE = "ground_truth", "ground_truth_all", "random_all"
DOSES = (-6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6)
RANDOMS, POSITIONS, LAYERS = 4, 3, 2
MATRICES = {"attn": ("q_proj", "k_proj", "v_proj", "o_proj"), "mlp": ("gate_proj", "up_proj", "down_proj")}
SHARES = {  # of code share, of accuracy; where every weight was trained
    ("recovered", "matched"): (0.98, 0.48),
    ("recovered", "best"): (0.97, 0.47),
    ("removed", "project out"): (0.50, 0.30),
    ("removed", "clamp"): (0.04, 0.01),
    ("removed", "back"): (1.1, 0.71),
}


def inside(bases: int = 4, rewards: tuple[str, ...] = (HEAD, ALL, NOISE)) -> list[Row]:
    """Every measurement of the study that is drawn."""
    rows: list[Row] = []
    for base in range(bases):
        for reward in rewards:
            place = {"base_seed": base, "reward": reward}
            if reward == NOISE:
                rows += weights(place)
                continue
            rows += _steered(place, reward == ALL) + _probed(place, reward == ALL) + _turned(place, reward == ALL)
            if reward == ALL:
                rows += patched(place) + weights(place)
    return rows


def _row(place: Row, name: str, side: str, value: float, reach: float, **more: Any) -> Row:
    where = {"study": "inside", "kind": "rl", "family": "latent-code", "size": "tiny", "clip": "", "rl_seed": 300}
    told = {"step": 30, "temperature": 1.0, "destroyed": False, "name": name, "side": side}
    limits = {"value": value, "lo": value - reach, "hi": value + reach} if math.isfinite(reach) else {"value": value}
    size = {"n": 512, "n_problems": 256, "unit": "fraction"}
    return {**dict.fromkeys(COLUMNS), **where, **told, **limits, **size, **place, **more}


def _noise(*address: str | int) -> float:
    return float(numpy_rng("inside rows", *address).normal())


def _curve(base: int, c: float, measure: str, side: str, every: bool) -> float:
    middle = 0.6 if side == "before" else 3.2 if every else 5.5
    share = 1 / (1 + math.exp(-(0.9 * c + middle + 0.4 * _noise("curve", base))))
    right = (0.15, 0.7) if side == "before" else (0.2, 0.91)
    return share if measure == "code_share" else right[0] + (right[1] - right[0] + 0.02 * _noise("right", base)) * share


def _steered(place: Row, every: bool) -> list[Row]:
    base = place["base_seed"]
    far = 12.0 + _noise("far", base)
    rows = [_row(place, "steer_distance", "before", far, math.nan, unit="ratio", **_at("resid", 2))]
    for side in ("before", "after"):
        for i, measure in enumerate(("code_share", "accuracy")):
            for c in DOSES:
                value = _curve(base, c, measure, side, every)
                rows.append(_row(place, f"steer_{measure}", side, value, 0.04, coefficient=float(c), null=0.5, p=0.05))
                for draw in range(1, RANDOMS + 1) if c else ():
                    start = _curve(base, 0, measure, side, every)
                    moved = start + 0.03 * abs(c) * _noise("random", base, draw, i) * (side == "before")
                    told: Row = {"coefficient": float(c), "draw": draw}
                    moved = min(1.0, max(0.0, moved))
                    rows.append(_row(place, f"steer_{measure}_random", side, moved, 0.04, **told))
    for (kind, edit), shares in SHARES.items():
        for measure, share in zip(("code_share", "accuracy"), shares, strict=True):
            size = 0.0 if kind == "removed" and not every and edit != "back" else 1.0
            value = size * (share + 0.08 * _noise(kind, edit, measure, base, int(every)))
            told = {"n": 260, "n_problems": 130, "unit": "ratio", "edit": edit}
            rows.append(_row(place, f"{kind}_{measure}", "change", value, 0.1 * size, **told))
            for draw in range(1, RANDOMS + 1):
                other = size * 0.15 * (1 + _noise(kind, edit, measure, base, draw))
                name = f"{kind}_{measure}_random"
                rows.append(_row(place, name, "change", other, math.nan, draw=draw, **told))
    return rows


def _probed(place: Row, every: bool) -> list[Row]:
    base, rows = place["base_seed"], []
    tops = {"strategy": (0.5, 0.76, 0.78), "correct": (0.5, 0.61, 0.63), "correct-end": (0.7, 0.84, 0.85)}
    tops |= {"fork": (0.9, 0.97, 0.97), "base-strategy": (0.5, 0.76, 0.77)}
    for side, left in (("before", "base-strategy"), ("after", "strategy")):  # after RL all is code
        for target in tops.keys() - {left}:
            for layer in range(LAYERS + 1):
                for kind, less in (("logistic", 0.0), ("difference", 0.05)):
                    drop = 0.12 * (side == "after" and target.startswith("correct")) + less * (layer > 0)
                    key = (target, base, f"resid.{layer}", kind, side, int(every and side == "after"))
                    value = min(0.99, max(0.5, tops[target][layer] - drop + 0.02 * _noise(*key)))
                    told = {"target": target, "probe": kind, "n": 2048, "null": 0.5, **_at("resid", layer)}
                    rows.append(_row(place, "probe_auroc", side, value, 0.03, p=0.048, **told))
                    null = 0.5 + 0.01 * _noise(*key, "null")
                    rows.append(_row(place, "probe_control", side, null, 0.05, **told))
        for target, value in (("strategy", 0.72), ("correct", 0.67)):
            value += 0.02 * _noise("same", base, target, side)
            rows.append(_row(place, "probe_same_question", side, value, 0.03, target=target, n=2048, null=0.5))
    return rows


def _turned(place: Row, every: bool) -> list[Row]:
    base, rows = place["base_seed"], []
    for layer in range(1, LAYERS + 1):
        noise = _noise("turn", base, layer)
        true = 1.0 - every * (0.46 * (layer == 2) + 0.06) + 0.03 * noise * every
        within = 0.8 if layer == 1 else 0.99
        halves = {"before": (within, 0.15), "after": (within, 0.15), "across": (true * within, 0.1)}
        told: Row = {"unit": "none", "n": 2048, "labels": "base", **_at("resid", layer)}
        traded = 0.995 if every else 1.0
        rows.append(_row(place, "direction_cosine", "across", true, 0.02 * every, null=traded, p=0.005, **told))
        rows.append(_row(place, "direction_cosine", "traded", traded, 0.005 * every, **told))
        for name, (value, reach) in halves.items():
            rows.append(_row(place, "direction_cosine", f"halves {name}", value, reach * (1 - within), **told))
        moved = every * ((-0.4, 1.7)[layer - 1] + 0.2 * noise)
        for group, start in (("all", 0.13), ("prose", -0.5), ("code", 0.5)):
            start += 0.05 * _noise("start", base, layer)
            for side, value in (("before", start), ("after", start + moved), ("change", moved)):
                reach = 0.1 if side != "change" or every else 0.0
                rows.append(_row(place, "projection", side, value, reach, group=group, **told))
    return rows


def patched(place: Row, layers: int = LAYERS, heads: int = 3) -> list[Row]:
    """Of one pair: the last layer at the fork, and where the style letter stands, the first everywhere."""
    base, rows = place["base_seed"], []
    told: Row = {"temperature": 0.0, "n": 64, "n_problems": 64, "unit": "ratio"}
    for side, gap in (("before", 3.8), ("after", 1.5), ("change", 4.5)):
        rows.append(_row(place, "patch/gap", side, gap + 0.1 * _noise("gap", base), 0.1, **told | {"unit": "none"}))
        for at in _sites(layers, heads):
            site = at["site"]
            paths: list[tuple[str, Row]] = [(f"@{i}", {"position": i}) for i in range(-POSITIONS, 0)]
            paths += [("@all", {"everywhere": True})] + ([("", {})] if "resid" not in site else [])
            for where, spot in paths:
                deep = (at["layer"] + 1) / (layers + (at["component"] == "resid"))
                here = {"@-1": deep**4, "@all": 0.3 + 0.7 * deep, "": deep}.get(where, 0.0)
                most = {"resid": 0.95, "mlp": 0.58, "attn": 0.3}.get(at["component"], 0.2 * (at["head"] == 1))
                value = most * here * (1 + 0.06 * _noise(side, site, base))
                what = "patch" if where else "path"
                p = 0.048 if here else 1.0
                null = 0.02 * _noise(side, site, where) * here
                rows.append(_row(place, f"{what}/recovery", side, value, 0.01, null=null, p=p, **told | at | spot))
                rows.append(_row(place, f"{what}/null", side, null, 0.02, **told | at | spot | {"n": 20}))
    return rows


def _sites(layers: int, heads: int) -> list[Row]:
    found = [_at("resid", layer) for layer in range(layers + 1)]
    found += [_at(kind, layer) for kind in ("attn", "mlp") for layer in range(layers)]
    return found + [_at("head", layer, i) for layer in range(layers) for i in range(heads)]


def _at(kind: str, layer: int, head: int | None = None) -> Row:
    site = f"{kind}.{layer}" if head is None else f"{kind}.{layer}.{head}"
    return {"site": site, "component": kind, "layer": layer, "head": head}


def weights(place: Row, layers: int = LAYERS) -> list[Row]:
    """Of the true reward, and under the random one a smaller change of higher rank that is unlike it."""
    base, rows, random = place["base_seed"], [], place["reward"] == NOISE
    for place_in in _modules(layers):
        module = place_in["module"]
        told: Row = {"n": 2304, "n_problems": 1, "unit": "none", "temperature": 0.0, **place_in}
        for side in ("change", "other"):
            noise = 1 + 0.1 * _noise(module, side, base, int(random))
            size = {"relative": 0.012 if random else 0.02, "stable_rank": 3.8 if random else 3.5, "sparsity": 0.009}
            for what, value in size.items():
                scaled = value * noise * (2 if "down" in module else 1)
                rows.append(_row(place, f"weight_change/{what}", side, scaled, 0.0, **told))
        cosine = (0.1 if random else 0.8) + 0.02 * noise
        rows.append(_row(place, "weight_change/cosine", "change", cosine, 0.0, **told | {"n": 1}))
    return rows


def _modules(layers: int) -> list[Row]:
    found: list[Row] = []
    for layer in range(layers):
        for kind, names in MATRICES.items():
            told = {"component": kind, "layer": layer}
            found += [told | {"module": f"{kind}.{layer}.{name}.weight", "matrix": name} for name in names]
    return [*found, {"module": "embed.weight", "component": "embed", "matrix": "embed"}]
