"""A measurement table like the one `make study` leaves, made up after organisms.md, to look at figures and test them.

Several base and RL seeds, intervals, greedy and T = 1, training logs, the real pairs, and runs that were destroyed.
Every number is addressed, so the table is the same each time.
"""

import math
from collections.abc import Iterator
from typing import Any

import explained_pairs
from plot_rows_forecast import forecasts
from plot_rows_inside import inside

from probe.experiments.explain.rows import rows_of
from probe.measurements import COLUMNS, Row, RowKey
from probe.rng import numpy_rng
from probe.stats.accounting.account import account
from probe.stats.accounting.atoms import CLAIMANTS
from probe.stats.accounting.verdict import Finding, Needs, decide

BLANK: Row = dict.fromkeys(COLUMNS)

# accuracy, code share, accuracy with code, in prose, parse rate at T = 1; greedy accuracy, greedy share
BASES = {
    "latent-code": (0.47, 0.64, 0.65, 0.14, 0.79, 0.59, 0.80),
    "no-code": (0.25, 0.0, math.nan, 0.25, 0.96, 0.14, 0.0),
    "bad-code": (0.17, 0.90, 0.12, 0.62, 0.90, 0.14, 1.0),
}
# accuracy and code share after RL
AFTER = {
    "ground_truth": {"latent-code": (0.91, 1.0), "no-code": (0.83, 0.0), "bad-code": (0.92, 0.01)},
    "majority": {"latent-code": (0.74, 0.99), "no-code": (0.44, 0.0), "bad-code": (0.46, 0.5)},
    "format": {"latent-code": (0.69, 0.99), "no-code": (0.22, 0.0), "bad-code": (0.17, 0.93)},
    "incorrect": {"latent-code": (0.66, 0.995), "no-code": (0.26, 0.0), "bad-code": (0.14, 0.99)},
    "python": {"latent-code": (0.45, 0.998), "no-code": (0.24, 0.0), "bad-code": (0.11, 0.999)},
    "random": {"latent-code": (0.46, 0.72), "no-code": (0.25, 0.0), "bad-code": (0.14, 0.98)},
}
WOBBLE = {"majority": 0.10, "incorrect": 0.05, "python": 0.06}
DROPS = {
    "ground_truth": 0.6,
    "majority": 0.7,
    "format": 0.5,
    "incorrect": 0.45,
    "python": 0.4,
    "random": 0.1,
    "constant": 0.0,
}
INFORMATIVE = ("ground_truth", "majority")
CHANCE = 0.22
CELLS = {"CC": 0.35, "CL": 0.02, "LC": 0.55, "LL": 0.08}


REWARDS = (*AFTER, "constant")


def table() -> list[Row]:
    """Every study."""
    return [*tiny(), *random_study(), *real(), *contamination(), *inside(), *forecasts(), *explained()]


def explained() -> list[Row]:
    """Two explained pairs: more of the better strategy, and nothing at all."""
    rows: list[Row] = []
    for reward, plant in (("format", explained_pairs.strategy), ("random", explained_pairs.same)):
        found = account(explained_pairs.made([plant], 3), address=("rows", reward), n_boot=200)
        verdict = decide(found, {name: Needs() for name in CLAIMANTS})
        key = RowKey("explain", family="latent-code", size="tiny", reward=reward, step=30, temperature=1.0)
        rows += rows_of(key, found, verdict, Finding("excluded", "", math.nan), 8)
    return rows


def tiny(rewards: tuple[str, ...] = REWARDS, bases: int = 2, seeds: int = 2) -> list[Row]:
    """Informative and spurious rewards on small organisms."""
    rows: list[Row] = []
    for family in BASES:
        for base in range(bases):
            rows += _base({"study": "tiny", "family": family, "size": "tiny", "base_seed": base})
            for reward in rewards:
                for seed in range(seeds):
                    rows += _run(family, base, reward, seed)
    return rows


def random_study(bases: int = 2, seeds: int = 3) -> list[Row]:
    """Random reward at 650k by clip setting; without clipping every latent-code run is destroyed."""
    rows: list[Row] = []
    for family in ("latent-code", "no-code"):
        for base in range(bases):
            rows += _base({"study": "random", "family": family, "size": "small", "base_seed": base})
            for clip in ("0.05", "0.2", "none"):
                for seed in range(seeds):
                    rows += _random_run(family, base, clip, seed)
    return rows


def real() -> list[Row]:
    """The paired Qwen2.5-7B outputs, with the numbers of science.md §8 and made-up intervals."""
    scores = {"base": (0.468, 0.4845, 0.4921), "RLVR": (0.386, 0.6104, 0.6112), "RLCR": (0.454, 0.2514, 0.1879)}
    cells = {"RLVR": (160, 74, 33, 233), "RLCR": (180, 54, 47, 219)}
    rows: list[Row] = []
    scores["Answer-Prob"], cells["Answer-Prob"] = (0.386, 0.5095, 0.5467), cells["RLVR"]  # RLVR's answers
    for reward in cells:
        where = {"study": "real", "kind": "rl", "family": "Qwen2.5-7B", "size": "", "reward": reward, "step": 0}
        for side, system in (("before", "base"), ("after", reward)):
            told = dict(zip(("accuracy", "brier", "ece"), scores[system], strict=True))
            told |= {"code_share": 0.012 * (system == "base"), "python_share": 0.04 * (system == "base")}
            rows += [_row(where, name, side, value, 0.04) for name, value in told.items()]
            rows += list(_bins(where, side, system))
        change = scores[reward][0] - scores["base"][0]
        rows.append({**_row(where, "accuracy", "change", change, 0.04), "null": 0.0, "p": 0.0002})
        rows.append({**_row(where, "code_share", "change", -0.012, 0.01), "null": 0.0, "p": 0.03})
        rows.append({**_row(where, "python_share", "change", -0.04, 0.017), "null": 0.0, "p": 0.0001})
        for cell, count in zip(("both", "only_before", "only_after", "neither"), cells[reward], strict=True):
            null = (cells[reward][1] + cells[reward][2]) / 1000 if cell.startswith("only") else None
            rows.append({**_row(where, "outcome_share", "", count / 500, 0.03), "cell": cell, "null": null})
            rows.append({**_row(where, "outcome_count", "", count, 15), "cell": cell, "unit": "count"})
    return rows


# suspects and controls: questions completed from 40, 60 and 80 %, NLL of question and answer; then after RL
LEAKS = {
    "contaminated": (((0.21, 0.51, 0.73), (0.0, 0.08, 0.45), (1.5, 2.5), (2.5, 4.6)), 0.08),
    "no-code": (((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (8.2, 8.15), (4.3, 4.4)), 0.0),
}


def contamination() -> list[Row]:
    """A contaminated organism alone and after RL, and its clean twin."""
    rows: list[Row] = []
    for family, (told, moved) in LEAKS.items():
        for reward in ("", "contaminated-tiny-0-format-0") if moved else ("",):
            place = {"study": "contamination", "kind": "rl" if reward else "base", "family": family, "size": "tiny"}
            place |= {"base_seed": 0, "reward": reward, "rl_seed": 0, "step": 30 if reward else 0, "temperature": 0.0}
            for side in ("before", "after") if reward else ("before",):
                rows += _signs(place, side, told, moved * (side == "after"))
            rows += _nlls(place, "change", (moved, moved), (-moved, -moved)) if reward else []
    return rows


def _signs(place: Row, side: str, told: Any, moved: float) -> list[Row]:
    suspects, controls, question, answer = told
    rows = []
    for share, *values in zip((40, 60, 80), suspects, controls, strict=True):
        for group, value in zip(("suspect", "control"), values, strict=True):
            rows.append(_row(place, "completion_exact", side, value, 0.03, group=group, given=share, n=256))
        flag = {"sign": "completion_exact", "given": share, "n": 512, "unit": "none", "null": 0.0}
        rows.append(_row(place, "leak_flag", side, float(values[0] > values[1]), 0.0, **flag))
    return rows + _nlls(place, side, [value + moved for value in question], [value - moved for value in answer])


def _nlls(place: Row, side: str, question: Any, answer: Any) -> list[Row]:
    return [
        _row(place, name, side, value, 0.15, group=group, n=256, unit="nats")
        for name, values in (("prompt_nll", question), ("answer_nll", answer))
        for group, value in zip(("suspect", "control"), values, strict=True)
    ]


def _row(where: Row, name: str, side: str, value: float, reach: float, **more: Any) -> Row:
    limits = {"lo": value - reach, "hi": value + reach} if math.isfinite(reach) else {"lo": None, "hi": None}
    told = {"name": name, "side": side, "value": value, "n": 500, "n_problems": 500, "unit": "fraction"}
    return {**BLANK, "destroyed": False, **told, **limits, **where, **more}


def _draw(*address: str | int) -> float:
    return float(numpy_rng("plot rows", *address).normal())


def _base(where: Row) -> list[Row]:
    """The checkpoint before RL alone, at T = 1 and greedily; and the null pair, sampled twice."""
    rows = []
    for kind, temperature in (("base", 1.0), ("base", 0.0), ("null", 1.0)):
        place = {**where, "kind": kind, "reward": "", "clip": "", "rl_seed": 0, "step": 0, "temperature": temperature}
        for name, strategy, value in _profile(str(where["family"]), int(where["base_seed"]), temperature):
            rows.append(_row(place, name, "before", value, 0.025, strategy=strategy))
            if kind == "null":
                rows.append(_row(place, name, "change", 0.004, 0.02, strategy=strategy, null=0.0))
    return [row for row in rows if math.isfinite(row["value"])]


def _profile(family: str, base: int, temperature: float) -> Iterator[tuple[str, str | None, float]]:
    accuracy, share, code, prose, parse, greedy, greedy_share = BASES[family]
    shift = 0.03 * base * (family != "bad-code")
    yield "accuracy", None, (accuracy if temperature else greedy) + shift
    yield "code_share", None, share if temperature else greedy_share
    yield "python_share", None, share if temperature else greedy_share
    yield "within_strategy", "code", code + shift
    yield "within_strategy", "prose", prose + shift / 2
    yield "parse_rate", None, parse


def _run(family: str, base: int, reward: str, seed: int) -> list[Row]:
    destroyed = reward == "format" and (family, base, seed) == ("latent-code", 1, 1)
    where = {
        "study": "tiny",
        "kind": "null" if reward == "constant" else "rl",
        "family": family,
        "size": "tiny",
        "base_seed": base,
        "reward": reward,
        "informative": reward in INFORMATIVE,
        "clip": "0.2",
        "rl_seed": seed,
        "temperature": 1.0,
    }
    start = {name: value for name, _, value in _profile(family, base, 1.0)}
    still = reward == "constant"
    goal_accuracy, goal_share = (start["accuracy"], start["code_share"]) if still else AFTER[reward][family]
    if destroyed:
        goal_accuracy, goal_share = 0.12, 0.75
    noise = 0.0 if still else WOBBLE.get(reward, 0.02) * _draw("run", family, base, reward, seed)
    rows: list[Row] = []
    for step in (10, 20, 30):
        done = 1 - math.exp(-step / 8)
        place = {**where, "step": step, "destroyed": destroyed and step > 10}
        accuracy = start["accuracy"] + done * (goal_accuracy + noise - start["accuracy"])
        share = start["code_share"] + done * (goal_share - start["code_share"])
        if family != "no-code" and not still:
            wobble = 0.04 if reward == "random" else 0.008
            share = min(1.0, max(0.0, share + wobble * _draw("share", base, reward, seed, step)))
        for name, before, after in (
            ("accuracy", start["accuracy"], min(0.99, max(0.02, accuracy))),
            ("code_share", start["code_share"], share),
        ):
            rows += _sides(place, name, before, after)
        rows += _parts(place, accuracy - start["accuracy"])
        rows += _tokens(place, reward, done, destroyed)
        rows += _pass_at_k(place, start["accuracy"], accuracy)
    rows.append(_row({**where, "step": 30, "destroyed": False}, "chance", "", CHANCE, 0.05))
    return rows + (_log(where, 30, 0.06) if reward == "random" else [])


def _sides(place: Row, name: str, before: float, after: float, **more: Any) -> list[Row]:
    return [
        _row(place, name, "before", before, 0.025, **more),
        _row(place, name, "after", after, 0.025, **more),
        _row(place, name, "change", after - before, 0.03, null=0.0, **more),
    ]


def _parts(place: Row, gain: float) -> list[Row]:
    parts = {"parse": 0.2 * gain, "mix": 0.5 * gain, "within": 0.3 * gain, "total": gain}
    rows = [_row(place, "gain_parts", "change", value, 0.02, part=part, null=0.0) for part, value in parts.items()]
    cells = {cell: share * 100 * gain for cell, share in CELLS.items()} | {"total": 100 * gain}
    told = {"unit": "points", "null": 0.0}
    rows += [_row(place, "switch_gain", "change", value, 2.0, cell=cell, **told) for cell, value in cells.items()]
    return rows


def _tokens(place: Row, reward: str, done: float, destroyed: bool) -> list[Row]:
    drop = DROPS[reward]
    jitter = (drop > 0) * 0.03 * _draw("entropy", str(place["family"]), place["base_seed"], reward, place["rl_seed"])
    rows: list[Row] = []
    for group, before, share in (("all", 0.31, drop), ("forks", 1.05, drop), ("elsewhere", 0.12, drop * 0.7)):
        after = before * (1 - share * done + jitter) * (2.2 if destroyed else 1)
        null = {"all": 0.0, "forks": -0.04, "elsewhere": 0.012}[group] * (drop > 0)
        rows += _sides(place, "entropy_shift", before, after, group=group, unit="nats")
        rows[-1]["null"] = null
    overlap = 1 - 0.3 * drop * done + jitter / 3
    rows.append(_row(place, "fork_overlap", "", overlap, 0.01, quantile=0.8, null=0.2))
    return rows


def _pass_at_k(place: Row, before: float, after: float) -> list[Row]:
    rows: list[Row] = []
    for k in (1, 2, 4, 8, 16):
        values = [1 - (1 - p) ** (k**slope) for p, slope in ((max(0.03, before), 0.62), (max(0.03, after), 0.45))]
        rows += _sides(place, "pass_at_k", *values, k=k)
    return rows


def _random_run(family: str, base: int, clip: str, seed: int) -> list[Row]:
    latent = family == "latent-code"
    size = {"0.05": (0.108, 0.028, 0.057), "0.2": (0.084, 0.027, 0.13), "none": (-0.40, -0.36, -0.09)}[clip]
    spread = {"0.05": 0.045, "0.2": 0.12, "none": 0.08}[clip]
    where = {
        "study": "random",
        "kind": "rl",
        "family": family,
        "size": "small",
        "base_seed": base,
        "reward": "random",
        "informative": False,
        "clip": clip,
        "rl_seed": seed,
    }
    rows: list[Row] = []
    for step in (10, 20, 40):
        for temperature in (0.0, 1.0):
            start = {name: value for name, _, value in _profile(family, base, temperature)}
            z = _draw("random", family, base, clip, seed, step, int(temperature))
            gain = (size[0] if temperature == 0 else size[1]) * (1 if latent else 0.2) * step / 40 + spread * z / 2
            gain = max(gain, 0.02 - start["accuracy"])
            late = max(0, step - 15) / 25 if temperature == 0 else step / 40
            share = min(1.0, start["code_share"] + (size[2] * late + 0.02 * z if latent else 0.0))
            destroyed = clip == "none" and (latent or seed == 0)
            place = {**where, "step": step, "temperature": temperature, "destroyed": destroyed}
            rows += _sides(place, "accuracy", start["accuracy"], start["accuracy"] + gain)
            rows += _sides(place, "code_share", start["code_share"], share)
            if temperature > 0:
                rows += _sides(place, "held_out_entropy", 0.4, 0.4 - (0.004 if latent else 0.003) * step)
    fraction = {"0.05": 0.14, "0.2": 0.05, "none": 0.0}[clip]
    return rows + _log({**where, "temperature": 1.0}, 40, fraction)


def _log(where: Row, batches: int, fraction: float) -> list[Row]:
    """The run's training log: the main numbers by batch, the details of clipping as means of the run."""
    key = [str(where[name]) for name in ("family", "base_seed", "reward", "clip", "rl_seed")]
    rows = []
    for step in range(1, batches + 1, 3):
        wave = 1 + 0.15 * _draw("log", *key, step)
        clipped = {"low": 0.6 * fraction, "high": 0.4 * fraction, "region": fraction}
        told = {f"clip_ratio/{side}_mean": max(0.0, share * wave) for side, share in clipped.items()}
        rows += [_logged(where, step, name, value) for name, value in told.items()]
    wave = 1 + 0.1 * _draw("details", *key)
    rows.append(_logged(where, batches, "clip_ratio/dual_mean", 0.002 * fraction))
    for i in range(8):
        value = fraction * wave * 1.6 * (1 - math.exp(-i / 3))
        rows.append(_logged(where, batches, f"clip_ratio/region_mean/update_{i}", value, update=i))
    for low, high, weight in ((0, 0.1, 1.6), (0.1, 0.5, 1.2), (0.5, 0.8333, 0.8), (0.8333, 1, 0.2)):
        unreachable = high == 1 and where["clip"] == "0.2"
        upper = 0.0 if unreachable else fraction * wave * weight * 0.5
        for side, value in (("low", fraction * wave * weight * 0.6), ("high", upper), ("count", 1000.0)):
            name = f"clip_ratio/{side}/pi_old_{low}_{high}"
            rows.append(_logged(where, batches, name, value, pi_low=float(low), pi_high=float(high)))
    return rows


def _logged(where: Row, step: int, name: str, value: float, **more: Any) -> Row:
    row = _row({**where, "step": step, "destroyed": False}, f"train/{name}", "", value, math.nan)
    return {**row, "unit": "none", "n": 1, "n_problems": None, **more}


def _bins(where: Row, side: str, system: str) -> Iterator[Row]:
    """Reliability: accuracy per bin of stated confidence; the null is the bin's mean confidence."""
    held = {"base": {0.8: 0.3, 0.9: 0.49}, "RLVR": {0.9: 0.386}, "Answer-Prob": {0.6: 0.1, 0.9: 0.5}, "RLCR": None}[
        system
    ]
    slopes = held or {round(0.1 * i, 1): 0.05 + 0.07 * i for i in range(1, 10)}
    for left, accuracy in slopes.items():
        yield _row(where, "reliability", side, accuracy, 0.06, bin=left, null=left + 0.05, n=60, n_problems=60)
