"""Rows like those of `prompt_rows` and of `PrefixJob`, made up: one prompt that brings code, one that brings none."""

from typing import Any

from probe.measurements import COLUMNS, Row

BLANK: Row = dict.fromkeys(COLUMNS)
SHARES = {"ask-words": (0.0, 0.10), "chat": (0.3, 0.12), "best prompt": (0.3, 0.12), "forced prefix": (0.95, 0.02)}
OWN = (0.55, 0.08)


def prompted() -> list[Row]:
    """One checkpoint under four other ways of asking."""
    return [row for reward, pair in SHARES.items() for i in (0, 1, 2) for row in _rows(reward, i, pair)]


def _rows(reward: str, place: int, pair: tuple[float, float]) -> list[Row]:
    name = ("code_share", "accuracy", "parse_rate")[place]
    before, after = (values[place] if place < 2 else 0.9 for values in (OWN, pair))
    told: dict[str, Any] = {"study": "compare", "kind": "prompt", "family": "smollm2", "size": "", "base_seed": 0}
    told |= {"reward": reward, "clip": "", "rl_seed": 0, "step": 0, "temperature": 0.0, "destroyed": False}
    told |= {"name": name, "n": 36, "n_problems": 36, "unit": "fraction"}
    numbers = {"before": before, "after": after, "change": after - before}
    return [
        BLANK | told | {"side": side, "value": value, "lo": value - 0.08, "hi": value + 0.08, "null": 0.0, "p": 0.01}
        for side, value in numbers.items()
    ]
