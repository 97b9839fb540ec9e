"""Rows like those of `BuiltInJob`, made up: one known pair is found, one is taken for another, one null is flat."""

from probe.measurements import COLUMNS, Row
from probe.stats.accounting.atoms import CLAIMANTS

BLANK: Row = dict.fromkeys(COLUMNS)
BASES = (("mini", 20), ("mini-qwen2", 30), ("mini", 21))
# truth, kind, before, after, what is supported in each base (None: no change)
PAIRS = (
    ("strategy", "rl", "p30-code-even", "python", ({"strategy"}, {"strategy"}, {"strategy"})),
    ("sharpening", "taught", "slips", "p00-prose-even", ({"sharpening"}, {"sharpening", "prompt"}, set())),
    ("leak", "taught", "hidden", "hidden-leak", ({"acquired"}, {"leak"}, None)),
    ("nothing", "null", "slips", "slips", (None, None, {"strategy"})),
)


def verdicts() -> list[Row]:
    """Every pair on three bases, at both temperatures; greedy finds nothing."""
    rows: list[Row] = []
    for truth, kind, before, after, found in PAIRS:
        for (size, seed), supported in zip(BASES, found, strict=True):
            for temperature in (1.0, 0.0):
                place = {"study": "verdicts", "kind": kind, "family": before, "size": size, "base_seed": seed}
                place |= {"reward": after, "step": 0, "temperature": temperature, "destroyed": False, "side": ""}
                rows += _pair(BLANK | place, truth, supported if temperature else None)
    return rows


def _pair(place: Row, truth: str, supported: set[str] | None) -> list[Row]:
    changed = supported is not None
    rows = [place | {"name": "explained_state", "value": float(changed), "reason": "made up", "n_problems": 256}]
    rows.append(place | {"name": "explained_change", "side": "change", "value": 0.3 * changed, "n": 2048})
    rows.append(place | {"name": "explained_change", "side": "null", "value": 0.0, "n": 2048})
    rows.append(place | {"name": "explained_truth", "part": truth, "value": 1.0})
    for name in CLAIMANTS:
        value = 1.0 if changed and name in supported else 0.0 if changed else float("nan")
        rows.append(place | {"name": "explained_verdict", "part": name, "value": value})
    return rows
