"""What carries the change that RL made in the activations: old latents, turned or rotated, or new ones?

A panel a way of training: shares of the change over the same texts by kind of latent, with what the bias carries and
what no latent does; beside the pair's own those of another run and of a random walk as long as the run. Shares sum to 1
and may be below 0.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import CORRECTED, caption, counts, replicated
from probe.plots._features import MOST, Cell, cells, left_out, surviving
from probe.plots._frame import finish, note, panels
from probe.plots._marks import null_handle, null_line, plain_numbers, seed_marks
from probe.plots._pairs import in_table, over_seeds
from probe.plots._replicates import pick
from probe.plots._style import DOUBLE, SMALL, Look, styled
from probe.plots._words import interval, listing, number, span

PARTS = {
    "turned": "old, turned",
    "rotated": "old, rotated",
    "new": "new",
    "lost": "lost",
    "unclear": "unclear",
    "bias": "bias",
    "rest": "in no latent",
}
OF = {
    "rl": Look("#0072B2", "o", label="RL"),
    "other run": Look("#56B4E9", "^", label="another run"),
    "walk": Look("#767676", "s", label="random walk (null)"),
}


@figures.register("change_shares")
@styled
def change_shares(rows: Rows) -> Drawing | None:
    """None where no change was shared out."""
    found = [cell for cell in cells(rows, ("change_share",)) if cell.pick(part="rl")]
    if not any(_own(cell) for cell in found):
        return None
    shown = found[:MOST]
    figure, axes = panels(1, len(shown), width=DOUBLE, height=1.9, sharey=True)
    table: list[Row] = [{"mark": "null", "name": "change_share", "value": 0.0}]
    for axis, cell in zip(axes[0], shown, strict=True):
        table += _panel(axis, cell)
        axis.set_title(cell.lines(1.1), fontsize=SMALL, color="#333333", pad=3)
        axis.set_xlabel("share of change")
    axes[0, 0].set_yticks(range(len(PARTS)), list(PARTS.values()))
    axes[0, 0].set_ylim(len(PARTS) - 0.5, -0.5)
    legend = [*(style.handle() for style in OF.values()), null_handle("nothing")]
    for each in legend[: len(OF)]:
        each.set_linestyle("")
    return finish(figure, _title(found), _caption(found, table), table, legend)


def _own(cell: Cell) -> list[Row]:
    """The pair's own shares; none where nothing changed."""
    return pick(cell.rows, name="change_share", part="rl")


def _panel(axes: Axes, cell: Cell) -> list[Row]:
    null_line(axes, 0.0, upright=True)
    plain_numbers(axes, x=True, y=False)
    if not _own(cell):
        note(axes, "no change")
        return []
    table: list[Row] = []
    for i, (name, style) in enumerate(OF.items()):
        mine = pick(cell.rows, name="change_share", part=name)
        for place, part in enumerate(PARTS):
            here = [row for row in mine if row["cell"] == part]
            if here:
                mean = over_seeds(here)
                seed_marks(axes, place + 0.24 * (i - 1), mean, style, width=0.07, flat=True)
                table += in_table(mean, "null share" if name == "walk" else "share")
    return table


def _title(found: Sequence[Cell]) -> str:
    """New latents' share in every cell in which something changed, and old ones' beside it."""
    known = [cell for cell in found if _own(cell)]
    means = {part: [over_seeds([r for r in _own(c) if r["cell"] == part]) for c in known] for part in ("new", "turned")}
    clear = surviving(means["new"])
    new = [
        f"{number(mean.value)} {interval(mean.lo, mean.hi)} ({cell.name})"
        for cell, mean in zip(known, clear, strict=True)
        if mean.lo > 0 and mean.holds
    ]
    old = span_of([mean.value for mean in means["turned"]])
    if new:
        return f"New latents carry {listing(new)} of RL's change in the activations; old ones turned {old}"
    most = number(max(mean.value for mean in clear))
    return f"New latents carry no clear share of RL's change in the activations (at most {most}); old ones turned {old}"


def span_of(values: Sequence[float]) -> str:
    """The range of numbers in words."""
    low, high = number(min(values)), number(max(values))
    return (low if low == high else f"{low} to {high}").replace("-", "−")


def _caption(found: Sequence[Cell], table: Sequence[Row]) -> str:
    own = [row for cell in found for row in _own(cell)]
    n = f"{span(counts(own, 'n'), 'row')} of {span(counts(own, 'n_problems'), 'problem')} a run"
    null = "a walk as long" if any(row["mark"] == "null share" for row in table) else ""
    return caption("same texts for all", n, replicated(table, "bars"), null, CORRECTED, left_out(found))
