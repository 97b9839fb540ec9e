"""What are the organisms before RL? Accuracy, code share, accuracy within each strategy and parse rate, per base seed.

Each mark is one base with its interval over problems (T = 1). Open diamonds: Qwen2.5-Math-7B on MATH-500 as reported in
2506.10947 (greedy), the model that latent-code is made after: a likeness aimed at, not a null.
"""

import math
from typing import Any

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import PROBLEMS, caption, counts
from probe.plots._frame import finish, head, name_columns, panels
from probe.plots._marks import bar, key, plain_numbers
from probe.plots._replicates import columns_of, estimate, pick
from probe.plots._style import DOUBLE, FAMILIES, Look, look, ordered, styled
from probe.plots._words import number, plain, span

MEASURED = {
    ("accuracy", ""): "accuracy",
    ("code_share", ""): "code share",
    ("within_strategy", "code"): "accuracy with code",
    ("within_strategy", "prose"): "accuracy in prose",
    ("parse_rate", ""): "parse rate",
}
PAPER = {
    ("accuracy", ""): 0.49,
    ("code_share", ""): 0.65,
    ("within_strategy", "code"): 0.61,
    ("within_strategy", "prose"): 0.28,
}
LIKE = "latent-code"
DIAMOND = key("Qwen2.5-Math-7B on MATH-500 (greedy, paper)", "D", color="k", markerfacecolor="w")
UNUSED = key("no mark: strategy not used")
SIZES = ("o", "s", "^", "v")


@figures.register("base_profile")
@styled
def base_profile(rows: Rows) -> Drawing | None:
    """Organisms by column, one mark per base and quantity; None without a base checkpoint."""
    bases = pick(rows, kind="base", temperature=1, side=("before", "after", "", None))
    unique = {(_what(row), *(row.get(k) for k in ("family", "size", "base_seed"))): row for row in bases}
    chosen = [row for row in unique.values() if _what(row) in MEASURED]
    if not chosen:
        return None
    families = ordered((row["family"] for row in chosen), FAMILIES)
    sizes = sorted({str(row.get("size")) for row in chosen}, reverse=True)
    figure, axes = panels(1, len(families), width=DOUBLE, height=2.2, sharey=True)
    table: list[Row] = []
    for axis, family in zip(axes[0], families, strict=True):
        mine = [row for row in chosen if row["family"] == family]
        table += _panel(axis, mine, sizes)
        table += _paper(axis) if family == LIKE else []
        head(axis, _counts(mine, sizes))
    name_columns(axes[0], [look(name, FAMILIES).label for name in families])
    legend = [key(f"{plain(size)} base", SIZES[i % 4], linestyle="-") for i, size in enumerate(sizes)]
    legend += [DIAMOND, UNUSED] if LIKE in families else [UNUSED]
    n = f"one mark per base seed, of {span(counts(chosen, 'n_problems'), 'problem')}"
    likeness = "the diamonds are a likeness aimed at" if LIKE in families else ""
    text = caption("organisms before RL (T = 1)", n, PROBLEMS, "", likeness)
    return finish(figure, _title(chosen, families), text, table, legend)


def _what(row: Row) -> tuple[str, str]:
    return str(row.get("name")), str(row.get("strategy") or "")


def _panel(axes: Axes, rows: list[Row], sizes: list[str]) -> list[Row]:
    bases = sorted({(sizes.index(str(row.get("size"))), str(row.get("base_seed"))) for row in rows})
    table = []
    for row in rows:
        at = bases.index((sizes.index(str(row.get("size"))), str(row.get("base_seed"))))
        place = list(MEASURED).index(_what(row)) + 0.62 * ((at + 0.5) / len(bases) - 0.5)
        style = Look(look(row["family"], FAMILIES).colour, SIZES[bases[at][0] % 4])
        bar(axes, place, estimate(row), style, flat=True)
        kept = ("family", "size", "base_seed", "name", "strategy", "value", "lo", "hi", "n", "n_problems")
        table.append(columns_of(row, kept, mark="base"))
    axes.set_yticks(range(len(MEASURED)), list(MEASURED.values()))
    axes.set_ylim(len(MEASURED) - 0.4, -0.6)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("share of responses")
    plain_numbers(axes, x=True, y=False)
    return table


def _paper(axes: Axes) -> list[Row]:
    table = []
    for what, value in PAPER.items():
        drawn: dict[str, Any] = {"color": "white", "markeredgecolor": "black", "markersize": 4.2, "zorder": 5}
        axes.plot(value, list(MEASURED).index(what) + 0.42, "D", **drawn)
        about = {"family": "Qwen2.5-Math-7B", "name": what[0], "strategy": what[1]}
        table.append({"mark": "paper", **about, "value": value})
    return table


def _counts(rows: list[Row], sizes: list[str]) -> str:
    bases = {size: {row.get("base_seed") for row in rows if str(row.get("size")) == size} for size in sizes}
    return ", ".join(span([len(seeds)], f"{plain(size)} base") for size, seeds in bases.items() if seeds)


def _title(rows: list[Row], families: list[str]) -> str:
    text = []
    for family in families:
        mine = [row for row in rows if row["family"] == family]
        accuracy, share = (_range(pick(mine, name=name)) for name in ("accuracy", "code_share"))
        text.append(f"{look(family, FAMILIES).label} accuracy {accuracy}, code share {share}")
    return f"Before RL: {'; '.join(text)}"


def _range(rows: list[Row]) -> str:
    low, high = (number(end((row["value"] for row in rows), default=math.nan)) for end in (min, max))
    return low if low == high else f"{low}–{high}"
