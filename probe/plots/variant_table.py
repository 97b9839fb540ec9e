"""The result table of all variants: one row each, every trait as change from the untrained base with its interval.

Above them the base itself, and what a random walk as long as the run under the true reward changes. Intervals: 95 % t
over bases. Accuracy, pass@k, code share, entropy (nats) and ECE of agreement at T = 1 but where it says greedy. The
title says how many changes go beyond those of the variant's own walk, after Holm over the table.
"""

from typing import Any

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import of_runs
from probe.plots._frame import finish, panels
from probe.plots._replicates import Mean, after_holm, means_by, pick, run_of
from probe.plots._style import DOUBLE, GREY, SMALL, styled
from probe.plots._words import interval, number, signed
from probe.plots.variants import shown_name, variants_in
from probe.stats.variant_predictions import ALL, of_variants

WARM: dict[str, Any] = {"temperature": 1.0}
TRAITS: dict[str, dict[str, Any]] = {
    "accuracy": {"name": "accuracy"} | WARM,
    "greedy": {"name": "accuracy", "temperature": 0.0},
    "pass@8": {"name": "pass_at_k", "k": 8} | WARM,
    "pass@128": {"name": "pass_at_k", "k": 128} | WARM,
    "CoT-pass@128": {"name": "cot_pass_at_k", "k": 128} | WARM,
    "code share": {"name": "code_share"} | WARM,
    "entropy (nats)": {"name": "entropy"} | WARM,
    "ECE": {"name": "ece"} | WARM,
}
BASE, WALK = "the base", "random walk"
NAMES = 0.17  # share of the width for the names


@figures.register("variant_table")
@styled
def variant_table(rows: Rows) -> Drawing | None:
    """One row a variant; None where none was run beside its walk."""
    mine = of_variants(rows)
    names = variants_in(mine)
    cells = {(title, name): mean for title in TRAITS for name, mean in _column(mine, TRAITS[title]).items()}
    if not any(name in names for _, name in cells):
        return None
    lines = [*(name for name in (BASE, WALK) if ("accuracy", name) in cells), *names]
    figure, axes = panels(1, 1, width=DOUBLE, height=0.27 * (len(lines) + 1) + 0.1)
    table = [_line(axes[0, 0], place, name, cells) for place, name in enumerate(lines, 1)]
    _heads(axes[0, 0], len(lines))
    means = [mean for (_, name), mean in cells.items() if name in names]
    text = of_runs("one row a variant: changes from the base", means, "brackets", "a walk as long as all tokens' run")
    return finish(figure, _title(mine, names), text, table)


def _column(rows: Rows, trait: dict[str, Any]) -> dict[str, Mean]:
    """The means of one trait by variant, of the base and of the walk."""
    found = {m.key["reward"]: m for m in means_by(pick(rows, side="change", **trait), ("reward",))}
    walk = [row | {"side": "change"} for row in pick(rows, side="walk", reward=ALL, **trait)]
    base = pick(rows, side="before", reward=ALL, **trait)
    return found | {name: means_by(held, ("name",))[0] for name, held in ((WALK, walk), (BASE, base)) if held}


def _line(axes: Axes, place: int, name: str, cells: dict[tuple[str, str], Mean]) -> Row:
    row: Row = {"mark": "null" if name == WALK else "base" if name == BASE else "mean", "reward": name}
    lost = max((mean.n_destroyed for (_, whose), mean in cells.items() if whose == name), default=0)
    said = (name if name in (BASE, WALK) else shown_name(name)) + " ×" * bool(lost)
    axes.text(0, -place, said, va="center", fontsize=SMALL)
    for column, title in enumerate(TRAITS):
        mean = cells.get((title, name))
        if mean is None:
            continue
        value = number(mean.value) if name == BASE else signed(mean.value)
        where: dict[str, Any] = {"ha": "center", "fontsize": SMALL}
        axes.text(_at(column), -place, value, va="bottom", weight="bold", **where)
        axes.text(_at(column), -place, interval(mean.lo, mean.hi), va="top", color=GREY, **where)
        row |= {title: mean.value, f"{title} lo": mean.lo, f"{title} hi": mean.hi, "n_runs": len(mean.runs)}
    return row | {"n_destroyed": lost}


def _heads(axes: Axes, lines: int) -> None:
    for column, title in enumerate(TRAITS):
        axes.text(_at(column), 0, title, ha="center", va="center", fontsize=SMALL)
    axes.set_xlim(0, 1)
    axes.set_ylim(-lines - 0.5, 0.5)
    axes.set_axis_off()


def _at(column: int) -> float:
    return NAMES + (1 - NAMES) * (column + 0.5) / len(TRAITS)


def _title(rows: Rows, names: list[str]) -> str:
    """How many changes go beyond the variant's own walk, after Holm over the table."""
    beyond = after_holm([mean for trait in TRAITS.values() for mean in _beyond(rows, trait)])
    mine = [mean for mean in beyond if mean.key["reward"] in names]
    clear = sum(mean.verdict() in ("rises", "falls") for mean in mine)
    return f"{clear} of {len(mine)} changes by {len(names)} variants are not those of a walk as long"


def _beyond(rows: Rows, trait: dict[str, Any]) -> list[Mean]:
    """Each run's change less that of its own walk, by variant."""
    own = {run_of(row): row["value"] for row in pick(rows, side="walk", **trait)}
    moved = pick(rows, side="change", **trait)
    return means_by(
        [row | {"value": row["value"] - own[run_of(row)]} for row in moved if run_of(row) in own], ("reward",)
    )
