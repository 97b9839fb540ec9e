"""Rows like those of `PromptSteerJob`, made up: the direction does most of what the prompt does."""

from typing import Any

from probe.measurements import COLUMNS, Row

BLANK: Row = dict.fromkeys(COLUMNS)
DOSES = {-1.0: 0.0, 0.0: 0.02, 0.5: 0.2, 1.0: 0.45, 2.0: 0.3}


def between_prompts() -> list[Row]:
    """One checkpoint, five doses, three random directions."""
    found: list[Row] = []
    for name in ("code_share", "accuracy"):
        for dose, share in DOSES.items():
            value = share if name == "code_share" else 0.03
            found.append(_row(f"prompt_steer_{name}", value, coefficient=dose))
            draws = range(1, 4) if dose else ()
            found += [_row(f"prompt_steer_{name}_random", 0.02 * n, coefficient=dose, draw=n) for n in draws]
        found.append(_row(f"prompt_itself_{name}", 0.55 if name == "code_share" else 0.04))
    return found


def _row(name: str, value: float, **more: Any) -> Row:
    told: dict[str, Any] = {"study": "inside", "kind": "prompt", "family": "smollm2", "size": "", "base_seed": 0}
    told |= {"reward": "ask-code", "clip": "", "rl_seed": 0, "step": 0, "temperature": 1.0, "destroyed": False}
    told |= {"site": "resid.15", "n": 24, "n_problems": 24, "unit": "fraction", "side": ""}
    return BLANK | told | {"name": name, "value": value, "lo": value - 0.1, "hi": value + 0.1} | more
