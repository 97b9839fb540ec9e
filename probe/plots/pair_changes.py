"""What changed between two checkpoints? Shares after minus before, sampled and greedy, with intervals, beside nulls.

One pair, one panel a temperature; what is told by strategy or part has its own line. Intervals are 95 %, over problems:
there is one pair, so nothing is said of other seeds. Left out: what is no share (KL, entropies), and cells.
"""

import math
from collections.abc import Sequence
from typing import Any

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import PROBLEMS, caption, counts
from probe.plots._frame import finish, head, panels
from probe.plots._marks import bar, key, null_handle, plain_numbers
from probe.plots._replicates import columns_of, estimate, limits, pick
from probe.plots._style import DOUBLE, GREY, Look, styled
from probe.plots._words import interval, plain, signed, span

STUDY = "compare"
LINES: dict[str, dict[str, Any]] = {
    "accuracy": {"name": "accuracy"},
    "… by the strategy mix": {"name": "gain_parts", "part": "mix"},
    "… by what parses": {"name": "gain_parts", "part": "parse"},
    "… within strategies": {"name": "gain_parts", "part": "within"},
    "accuracy in code": {"name": "within_strategy", "strategy": "code"},
    "accuracy in prose": {"name": "within_strategy", "strategy": "prose"},
    "share in code": {"name": "code_share"},
    "answers that parse": {"name": "parse_rate"},
    "cut off": {"name": "cut_off"},
}
LOOK = Look("#0072B2", "o")
KEPT = ("name", "side", "strategy", "part", "temperature", "value", "lo", "hi", "n", "n_problems", "null", "p")


@figures.register("pair_changes")
@styled
def pair_changes(rows: Rows) -> Drawing | None:
    """The first pair of a comparison; None where there is none."""
    compared = [row for row in rows if row.get("study") == STUDY and row.get("kind") in ("rl", "null")]
    mine = [row for row in compared if row["reward"] == compared[0]["reward"]]
    found = {words: pick(mine, side="change", **wanted) for words, wanted in LINES.items()}
    lines = [words for words, held in found.items() if held]
    temperatures = sorted({row["temperature"] for words in lines for row in found[words]}, reverse=True)
    if not lines:
        return None
    figure, axes = panels(1, len(temperatures), width=DOUBLE, height=0.4 + 0.19 * len(lines), sharey=True, sharex=True)
    table: list[Row] = [{"mark": "null", "value": 0.0}]
    for axis, temperature in zip(axes[0], temperatures, strict=True):
        for place, words in enumerate(lines):
            for row in pick(found[words], temperature=temperature):
                bar(axis, place, estimate(row), LOOK, flat=True)
                axis.plot(
                    [row["null"]] * 2, [place - 0.4, place + 0.4], color=GREY, linewidth=0.8, linestyle=(0, (2, 1))
                )
                table.append(columns_of(row, KEPT, mark="change"))
        head(axis, f"T = {temperature:g}" if temperature else "greedy")
        axis.set_xlabel("after − before")
        plain_numbers(axis, x=True, y=False)
    axes[0, 0].set_yticks(range(len(lines)), lines)
    axes[0, 0].set_ylim(len(lines) - 0.5, -0.5)
    text = caption("changes of shares", _n(table), PROBLEMS, "no change")
    return finish(
        figure,
        _title(found["accuracy"], mine[0]),
        text,
        table,
        [key("change", "o", color=LOOK.colour), null_handle("null")],
    )


def _n(table: Sequence[Row]) -> str:
    return f"{span(counts(table, 'n'), 'response')} to {span(counts(table, 'n_problems'), 'problem')}"


def _title(accuracy: Sequence[Row], first: Row) -> str:
    """What happened to accuracy, each way of sampling."""
    told = []
    for row in sorted(accuracy, key=lambda row: -row["temperature"]):
        way = f"at T = {row['temperature']:g}" if row["temperature"] else "greedy"
        lo, hi = limits(row)
        limits_ = f" {interval(lo, hi)}" if math.isfinite(lo) and math.isfinite(hi) else ""
        told.append(f"{signed(row['value'])}{limits_} {way}")
    name = plain(first["reward"], 40)
    return f"{name}: accuracy {', '.join(told)}" if told else name
