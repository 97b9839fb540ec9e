"""Rows like those of the study `features`, made up: nothing new, old latents turned up, code latents that do something.

Under python with the head alone no activation changes: no shares. No code is written by two of the families: nothing is
told of single latents there, and nothing turned.
"""

import math
from typing import Any

from probe.measurements import COLUMNS, Row
from probe.rng import numpy_rng

BLANK: Row = dict.fromkeys(COLUMNS)
CELLS = (  # family, reward, whether its activations change, whether it writes code
    ("latent-code", "python_all", True, True),
    ("latent-code", "python", False, True),
    ("latent-code", "ground_truth_all", True, True),
    ("no-code", "ground_truth_all", True, False),
    ("contaminated", "format_all", True, False),
)
PARTS = ("rl", "seed", "other run", "walk", "itself", "halves")
SHARES = {"turned": 0.4, "rotated": 0.2, "new": 0.01, "lost": 0.0, "unclear": 0.02, "bias": 0.05, "rest": 0.32}
DOSES, DRAWS, TOP = (-1.0, 0.0, 1.0, 2.0, 4.0), 5, 10
SIZES = (1, 3, 10)
CONTROLS = ("frozen decoder", "frozen encoder", "untrained")
CONTEXTS = ("B:3+5*2    «=»```python\nx=3", "$\\frac{1}{2 \x1b[31m«\n»</text> & so on and on and on and on", "«日本»")


def featured(bases: int = 3, new: float = 0.0) -> list[Row]:
    """Every measurement that is drawn; `new` is how many more latents than its nulls the pair has alone."""
    rows: list[Row] = []
    for family, reward, changed, code in CELLS:
        for base in range(bases):
            where: Row = {"study": "features", "kind": "rl", "family": family, "size": "tiny", "base_seed": base}
            where |= {"reward": reward, "rl_seed": 300, "step": 30, "temperature": 1.0, "destroyed": False, "clip": ""}
            rows += [*_exclusive(where, new), *_shares(where, changed), *_controls(where, code)]
            rows += [*_latents(where), *_doses(where), *_smallest(where), *_cards(where)] if code else []
            rows += _forks(where, changed)
    return rows


def _exclusive(where: Row, new: float) -> list[Row]:
    rows = []
    for part in PARTS:
        for side in ("before", "after"):
            value = {"halves": 0.08, "walk": 0.02}.get(part, 0.01) + (new if (part, side) == ("rl", "after") else 0.0)
            rows.append(
                _row(where, "exclusive_latents", value, 0.02, side=side, part=part, n=120, null=0.0, noise=0.005)
            )
        for place in range(20):
            height = math.exp(-(((place - 9.5) / (5 if part == "halves" else 2)) ** 2)) / 4
            rows.append(_row(where, "relative_norm", height, 0.05, part=part, bin=place / 20, n=120, noise=0.005))
    about: Row = {"side": "after", "part": "rl", "reason": "no more than halves"}
    return [*rows, _row(where, "exclusive_verdict", 0.0, 0.0, **about, unit="none", noise=0.0)]


def _shares(where: Row, changed: bool) -> list[Row]:
    rows = []
    for part in ("rl", "other run", "walk"):
        for cell, share in SHARES.items():
            value = (share if part != "walk" else {"rest": 1.0}.get(cell, 0.0)) if changed else math.nan
            rows.append(_row(where, "change_share", value, 0.05, part=part, cell=cell, unit="ratio", noise=0.02))
    return rows


def _latents(where: Row) -> list[Row]:
    rows = [_row(where, "direction_auroc", 0.9, 0.02, target="strategy", null=0.5)]
    for place in range(TOP):
        latent, value = 7 * place + where["base_seed"], 0.85 - 0.07 * place
        about: Row = {"latent": latent}
        rows.append(_row(where, "latent_auroc", value, 0.04, target="strategy", null=0.5, p=0.001, **about))
        for strategy, start in (("code", 0.5), ("prose", 0.2)):
            gain = 0.2 if strategy == "code" and place < 4 else 0.0
            for side, rate in (("before", start), ("after", start + gain)):
                rows.append(_row(where, "latent_rate", rate, 0.02, group=strategy, side=side, **about))
            p = 0.001 if gain else 0.6
            rows.append(_row(where, "latent_rate", gain, 0.02, group=strategy, side="change", null=0.0, p=p, **about))
    return rows


def _doses(where: Row) -> list[Row]:
    rows = []
    for side, start in (("before", 0.6), ("after", 0.9)):
        for measure in ("code_share", "accuracy", "parse_rate", "kl"):
            name, unit = f"latent_dose_{measure}", "nats" if measure == "kl" else "fraction"
            about: dict[str, Any] = {"side": side, "unit": unit}
            zero = 0.0 if measure == "kl" else start
            rows.append(_row(where, name, zero, 0.03, edit="plain", k=0, coefficient=0.0, **about))
            for k in SIZES:
                for dose in DOSES:
                    value = min(1.0, max(0.0, zero + 0.02 * k * dose))
                    for edit in ("latents", "difference", "logistic"):
                        if dose or edit == "latents":
                            rows.append(_row(where, name, value, 0.03, edit=edit, k=k, coefficient=dose, **about))
            for edit in ("matched", "redirected"):
                here: Row = {"edit": edit, "k": 10, "coefficient": 4.0}
                rows += [_row(where, name, zero, 0.03, draw=d, **here, **about) for d in range(1, DRAWS + 1)]
                p: Row = {"side": side, "unit": "none", "target": measure, "n": DRAWS, "noise": 0.0}
                rows.append(_row(where, "latent_dose_p", 0.0099, math.nan, **here, **p))
    return rows


def _smallest(where: Row) -> list[Row]:
    rows = []
    for side, reached in (("before", True), ("after", where["base_seed"] == 0)):
        about: dict[str, Any] = {"side": side, "unit": "ratio"}
        for k in (0, 1, 2, 3, 4):
            value = min(1.1, 0.3 * k) if reached else 0.1 * k
            rows.append(_row(where, "minimal_set_curve", value, math.nan, k=k, noise=0.02 * (k > 0), **about))
        size = 3.0 if reached else math.nan
        why: Row = {} if reached else {"reason": "no set of up to 32 latents has .8 of RL's change"}
        rows.append(_row(where, "minimal_set", size, math.nan, side=side, unit="count", noise=0.0, **why))
        if reached:
            rows.append(_row(where, "minimal_set_share", 0.85, 0.15, k=3, **about))
    return rows


def _controls(where: Row, code: bool) -> list[Row]:
    """Frozen directions leave more unsaid, and tell code nearly as well."""
    rows = []
    for part in (*PARTS, *CONTROLS):
        left, best = {"untrained": (0.9, 0.7), "frozen decoder": (0.5, 0.8)}.get(part, (0.2, 0.87))
        for side in ("before", "after"):
            rows.append(_row(where, "dictionary_fvu", left, 0.02, part=part, side=side, null=1.0, unit="ratio"))
            if part in CONTROLS:
                rows.append(_row(where, "exclusive_latents", 0.0, 0.01, side=side, part=part, n=120, noise=0.0))
        if code and part != "halves":
            value = best if where["base_seed"] else 1 - best  # of code, or of prose
            rows.append(_row(where, "best_auroc", value, 0.04, part=part, target="strategy", null=0.5))
    return rows


def _cards(where: Row) -> list[Row]:
    """The first three latents of `_latents`: one of strategy, one of a token, one of nothing clear."""
    rows = []
    for place in range(3):
        about: dict[str, Any] = {"latent": 7 * place + where["base_seed"]}
        for group, high in (("code", 0.3), ("prose", 0.05)):
            for step in range(12):
                rows.append(
                    _row(where, "latent_histogram", high / (1 + step), 0.01, group=group, bin=step / 4, **about)
                )
        for k, text in enumerate(CONTEXTS, start=1):
            rows.append(_row(where, "latent_context", 4.0 / k, math.nan, k=k, reason=text, n=1, unit="none", **about))
            word: Row = {"k": k, "reason": ("=", "\n", "```python\nx=")[k - 1], "null": 0.1}
            rows.append(_row(where, "latent_token", 0.5 / k, 0.02, **word, **about))
            for side in ("before", "after"):
                for part, sign in (("up", 1.0), ("down", -1.0)):
                    token: Row = {"k": k, "reason": f"{part} ${k}", "null": sign * 1.5, "unit": "none"}
                    value = sign * (3.0 - 0.5 * k)
                    rows.append(_row(where, "latent_logit", value, math.nan, side=side, part=part, **token, **about))
        share, told = ((0.1, "not the token alone"), (0.8, "fires on the token"), (0.4, "undecided"))[place]
        rows.append(_row(where, "latent_token_share", share, 0.1, unit="ratio", reason=told, **about))
        kept, told = ((0.9, "stays in other words"), (0.2, "goes with the words"), (0.5, "undecided"))[place]
        for edit in ("letter", "answer"):
            rows.append(_row(where, "latent_kept_share", kept, 0.1, unit="ratio", edit=edit, reason=told, **about))
        match = 0.9 - 0.3 * place
        rows.append(_row(where, "latent_match", match, math.nan, unit="none", null=0.4, noise=0.0, **about))
    return rows


def _forks(where: Row, changed: bool) -> list[Row]:
    """Ten carriers of the KL where activations changed, the last three of the ranking among them."""
    parts = {"all": 0.4, "latents": 0.3, "rest": 0.05, "above": 0.05} if changed else {"all": 0.1, "above": 0.1}
    nats: dict[str, Any] = {"unit": "nats", "null": 0.0}
    rows = [_row(where, "fork_kl", part, 0.03, cell=cell, **nats) for cell, part in parts.items()]
    for place in range(TOP if changed else 0):
        group = "carrier" if place < 7 else "code"
        about: Row = {"latent": 7 * place + where["base_seed"], "group": group, "p": 0.001 if place < 5 else 0.4}
        rows.append(_row(where, "latent_kl", 0.06 - 0.006 * place, 0.02, **about, **nats))
    for k in SIZES if changed else ():
        rows.append(_row(where, "latent_set_kl", 0.03 * k, 0.02, k=k, edit="latents", **nats))
        for edit in ("matched", "redirected"):
            null: Row = {"k": k, "edit": edit, "n": 100, "p": 1 / 101}
            rows.append(_row(where, "latent_set_kl", 0.0, 0.02, **null, **nats))
    return rows


def _row(where: Row, name: str, value: float, reach: float, *, noise: float = 0.01, **about: Any) -> Row:
    told = [str(where[each]) for each in ("family", "base_seed", "reward")]
    told += [name, *(f"{key}={each}" for key, each in sorted(about.items()) if key not in ("p", "n", "null"))]
    value += noise * float(numpy_rng("plot rows features", *told).normal())
    if about.get("unit", "fraction") == "fraction":
        value = min(max(value, -1.0 if about.get("side") == "change" else 0.0), 1.0)
    numbers = {"value": value, "lo": value - reach, "hi": value + reach, "n": 1024, "n_problems": 130, "p": None}
    return BLANK | {"side": ""} | where | numbers | {"name": name, "unit": "fraction"} | about
