"""What are the organisms before RL? Accuracy, code share, accuracy within each strategy and parse rate, per base seed.

Each mark is one base with its interval over problems (T = 1). Open diamonds: Qwen2.5-Math-7B on MATH-500 as reported in
2506.10947 (greedy), the model that latent-code is made after: a likeness aimed at, not a null.
"""

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import join
from probe.plots._frame import finish, head, name_columns, panels
from probe.plots._marks import bar, plain_numbers
from probe.plots._replicates import limits, pick
from probe.plots._style import DOUBLE, FAMILIES, GREY, Look, look, ordered, styled
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
DIAMOND = Line2D([], [], color="k", marker="D", markerfacecolor="w", linestyle="", label="Qwen2.5-Math-7B (paper)")
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
    legend = [Line2D([], [], color=GREY, marker=SIZES[i % 4], label=f"{plain(s)} base") for i, s in enumerate(sizes)]
    legend += [DIAMOND] if LIKE in families else []
    return finish(figure, _title(chosen, families), _caption(chosen), table, legend)


def _what(row: Row) -> tuple[str, str]:
    return str(row.get("name")), str(row.get("strategy") or "")


def _panel(axes: Axes, rows: list[Row], sizes: list[str]) -> list[Row]:
    bases = sorted({(sizes.index(str(row.get("size"))), str(row.get("base_seed"))) for row in rows})
    table = []
    for row in rows:
        at = bases.index((sizes.index(str(row.get("size"))), str(row.get("base_seed"))))
        place = list(MEASURED).index(_what(row)) + 0.62 * ((at + 0.5) / len(bases) - 0.5)
        style = Look(look(row["family"], FAMILIES).colour, SIZES[bases[at][0] % 4])
        bar(axes, place, row["value"], *limits(row), style, flat=True)
        kept = ("family", "size", "base_seed", "name", "strategy", "value", "lo", "hi", "n", "n_problems")
        table.append({"mark": "base", **{name: row.get(name) for name in kept}})
    axes.set_yticks(range(len(MEASURED)), list(MEASURED.values()))
    axes.set_ylim(len(MEASURED) - 0.4, -0.6)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("share of responses")
    plain_numbers(axes, x=True, y=False)
    return table


def _paper(axes: Axes) -> list[Row]:
    table = []
    for what, value in PAPER.items():
        place = list(MEASURED).index(what)
        axes.plot(value, place + 0.42, "D", color="white", markeredgecolor="black", markersize=4.2, zorder=5)
        table.append(
            {"mark": "paper", "family": "Qwen2.5-Math-7B", "name": what[0], "strategy": what[1], "value": value}
        )
    return table


def _counts(rows: list[Row], sizes: list[str]) -> str:
    told = []
    for size in sizes:
        bases = {row.get("base_seed") for row in rows if str(row.get("size")) == size}
        told += [f"{span([len(bases)], f'{plain(size)} base')}"] if bases else []
    return ", ".join(told)


def _title(rows: list[Row], families: list[str]) -> str:
    told = []
    for family in families:
        held = {what: [r["value"] for r in rows if r["family"] == family and _what(r) == what] for what in MEASURED}
        accuracy, share = (_range(held[name, ""]) for name in ("accuracy", "code_share"))
        told.append(f"{look(family, FAMILIES).label} accuracy {accuracy}, code share {share}")
    return f"Before RL: {'; '.join(told)}"


def _range(values: list[float]) -> str:
    if not values:
        return "?"
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low}–{high}"


def _caption(rows: list[Row]) -> str:
    n = sorted({int(row["n_problems"]) for row in rows if row.get("n_problems")})
    paper = "Diamonds: Qwen2.5-Math-7B on MATH-500, greedy (2506.10947): a likeness, not a null."
    return join(
        "Organisms before RL, T = 1; one mark per base seed.",
        f"Bars: 95 % intervals clustered by problem ({span(n, 'problem')}; within a strategy, those that use it).",
        "No mark: the organism does not use that strategy.",
        paper if any(row["family"] == LIKE for row in rows) else "",
    )
