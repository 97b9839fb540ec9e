"""What does each variant of the recipe change? A row a variant, a column a trait, as change from the untrained base.

Filled: T = 1, mean over bases with its t interval, and each base; hollow: greedy. The grey stroke is what a random walk
as long as the variant's own run changes (t interval over bases). The title says which variants change accuracy
otherwise than GRPO under the true reward on all tokens, by pairs of runs of one base, after Holm.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import of_runs
from probe.plots._frame import finish, panels
from probe.plots._marks import ONE_SEED, band_key, destroyed_key, key, null_handle, null_line, plain_numbers, seed_marks
from probe.plots._replicates import Mean, means_by, pick, runs_of
from probe.plots._style import COLUMN, GREY, Look, styled
from probe.plots._words import listing, plain, signed
from probe.stats import holm, seeds_mean
from probe.stats.variant_predictions import ALL, of_variants

GROUPS = (  # rows that say one thing stand together
    (ALL, "forks_only", "non_forks_only"),
    ("positive_only", "negative_only", "weighted"),
    ("centred", "rloo"),
    ("upper_clip", "lower_clip", "no_clip", "old_dropped"),
    ("one_shot", "majority_online", "truth and format", "truth without code"),
)
ORDER = tuple(name for group in GROUPS for name in group)
COLOURS = ("#000000", "#D55E00", "#56B4E9", "#009E73", "#CC79A7")
TRAITS: dict[str, dict[str, Any]] = {
    "accuracy": {"name": "accuracy"},
    "pass@128": {"name": "pass_at_k", "k": 128},
    "entropy": {"name": "entropy"},
    "ECE": {"name": "ece"},
}
LEVEL, BAND = 0.05, 4.5


@figures.register("variants")
@styled
def variants(rows: Rows) -> Drawing | None:
    """A row a variant; None where none was run beside its walk."""
    mine = of_variants(rows)
    names = variants_in(mine)
    if not pick(mine, name="accuracy", side="change"):
        return None
    figure, axes = panels(1, len(TRAITS), width=COLUMN, height=0.165 * len(names) + 0.45, sharey=True)
    table: list[Row] = []
    drawn: list[Mean] = []
    for axis, (title, trait) in zip(axes[0], TRAITS.items(), strict=True):
        axis.set_title(title)
        axis.set_xlabel("in nats" if title == "entropy" else "change")
        means = means_by(pick(mine, side="change", temperature=1.0, **trait), ("reward", "name", "k"))
        walked = [row | {"side": "change"} for row in pick(mine, side="walk", temperature=1.0, **trait)]
        walks = means_by(walked, ("reward", "name", "k"))
        drawn += means
        table += _panel(axis, names, means, walks)
    greedy = means_by(pick(mine, name="accuracy", side="change", temperature=0.0), ("reward", "name"))
    table += _hollow(axes[0, 0], names, greedy)
    axes[0, 0].set_yticks([-place for place in range(len(names))], [shown_name(name) for name in names])
    axes[0, 0].set_ylim(0.6 - len(names), 0.6)
    legend = [key("T = 1", "o"), key("greedy", "o", markerfacecolor="white"), ONE_SEED, *destroyed_key(runs_of(drawn))]
    legend += [null_handle("the base"), band_key("as long a random walk", BAND)]
    text = of_runs(
        "one row a variant: changes from the base", drawn, "bars and strokes", "a walk as long, the base (dashed)"
    )
    return finish(figure, _title(mine), text, table, legend)


def variants_in(rows: Rows) -> list[str]:
    """The variants in their order, others last."""
    named = {str(row["reward"]) for row in rows}
    return [*(each for each in ORDER if each in named), *sorted(named - set(ORDER))]


def _panel(axes: Axes, names: Sequence[str], means: Sequence[Mean], walks: Sequence[Mean]) -> list[Row]:
    table: list[Row] = [{"mark": "null", "value": 0.0}]
    null_line(axes, 0.0, upright=True)
    for mean in walks:
        place = -names.index(mean.key["reward"])
        if isfinite(mean.lo) and isfinite(mean.hi):
            axes.plot((mean.lo, mean.hi), (place, place), color=GREY, alpha=0.35, linewidth=BAND, zorder=1)
        table.append({**mean.key, "mark": "null", "value": mean.value, "lo": mean.lo, "hi": mean.hi})
    for mean in means:
        seed_marks(axes, -names.index(mean.key["reward"]), mean, _look(mean.key["reward"]), width=0.22, flat=True)
        table += mean.rows(temperature=1.0)
    plain_numbers(axes, x=True, y=False)
    axes.locator_params(axis="x", nbins=2)
    return table


def _hollow(axes: Axes, names: Sequence[str], greedy: Sequence[Mean]) -> list[Row]:
    table: list[Row] = []
    for mean in greedy:
        place, look = -names.index(mean.key["reward"]), _look(mean.key["reward"])
        axes.plot([mean.value], [place], "o", color="white", markeredgecolor=look.colour, markersize=3.6, zorder=5)
        table += mean.rows(temperature=0.0)[:1]
    return table


def _look(name: str) -> Look:
    return Look(next((c for group, c in zip(GROUPS, COLOURS, strict=True) if name in group), "#6B6B00"), "o")


def shown_name(name: str) -> str:
    """How a variant is called in a figure."""
    return "all tokens" if name == ALL else plain(name).replace("_", " ")


def _title(rows: Rows) -> str:
    """Which variants change accuracy at T = 1 otherwise than all tokens do; pairs share their base."""
    means = means_by(pick(rows, name="accuracy", side="change", temperature=1.0), ("reward",))
    by = {mean.key["reward"]: {(run["size"], run["base_seed"]): run["value"] for run in mean.runs} for mean in means}
    whole = by.pop(ALL, {})
    gaps = {name: [value - whole[base] for base, value in found.items() if base in whole] for name, found in by.items()}
    tested = {name: seeds_mean(gap, name="gap", null=0.0) for name, gap in gaps.items() if len(gap) > 1}
    if not tested:
        return f"{len(by)} variants of the recipe, as change from the base"
    p = holm([1.0 if each.p is None else each.p for each in tested.values()])
    clear = [(name, each.value) for (name, each), q in zip(tested.items(), p, strict=True) if q < LEVEL]
    said = f"{len(clear)} of {len(tested)} variants change accuracy otherwise than all tokens under the true reward do"
    if not clear:
        return f"None {said.removeprefix('0 ')}"
    most = sorted(clear, key=lambda each: -abs(each[1]))[:3]
    return f"{said}: {listing(f'{shown_name(name)} {signed(gap)}' for name, gap in most)}{' (most)' * (len(clear) > 3)}"
