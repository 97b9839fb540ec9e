"""What does a dictionary score that learned little or nothing, beside the one that was trained? (2602.14111)

A row a way of training, every comparison, null and control in each panel: what is left unsaid of held-out states, how
well the best latent tells code at the fork (read either way, on problems that did not choose it), and latents that
after alone has. A measure on which frozen or untrained directions score as well says nothing about what was learned.
"""

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts, replicated
from probe.plots._features import MOST, Cell, cells, left_out
from probe.plots._frame import finish, head, note, panels
from probe.plots._marks import null_handle, null_line, plain_numbers, seed_marks
from probe.plots._pairs import in_table, over_seeds
from probe.plots._replicates import Mean, pick
from probe.plots._style import DOUBLE, Look, styled
from probe.plots._words import interval, number, span

TRAINED, NULL, CONTROL = (
    Look("#0072B2", "o", "", "trained on the pair"),
    Look("#767676", "s", "", "trained, on what should hold nothing new"),
    Look("#D55E00", "D", "", "learned in part, or not at all"),
)
PARTS = {
    "rl": ("before and after RL", TRAINED),
    "seed": ("the same, other seed", TRAINED),
    "other run": ("another run", TRAINED),
    "walk": ("random walk", NULL),
    "itself": ("base and itself", NULL),
    "halves": ("halves of problems", NULL),
    "frozen decoder": ("decoder frozen", CONTROL),
    "frozen encoder": ("encoder frozen", CONTROL),
    "untrained": ("untrained", CONTROL),
}
PANELS = {"dictionary_fvu": 1.0, "best_auroc": 0.5, "exclusive_latents": 0.0}
TITLES = ("left unsaid of held-out states, after", "best latent tells code at the fork", "genuinely after alone")
AXES = ("FVU", "AUROC, either way", "of live latents")


@figures.register("dictionary_controls")
@styled
def dictionary_controls(rows: Rows) -> Drawing | None:
    """None where no control was fitted."""
    controls = tuple(part for part, (_, style) in PARTS.items() if style is CONTROL)
    found = [c for c in cells(rows, tuple(PANELS)) if pick(c.rows, name="dictionary_fvu", part=controls)]
    if not found:
        return None
    shown = found[:MOST]
    figure, axes = panels(len(shown), 3, width=DOUBLE, height=1.5, sharex="col", sharey=True)
    table: list[Row] = []
    for i, cell in enumerate(shown):
        for j, (name, null) in enumerate(PANELS.items()):
            table += _panel(axes[i, j], cell, name, null)
            axes[-1, j].set_xlabel(AXES[j])
        axes[i, 0].set_ylabel(cell.lines(1.3))
        axes[i, 0].set_yticks(range(len(PARTS)), [name for name, _ in PARTS.values()])
        axes[i, 0].set_ylim(len(PARTS) - 0.5, -0.5)
    for j, text in enumerate(TITLES):
        head(axes[0, j], text)
    legend: list[Artist] = [each.handle() for each in (TRAINED, NULL, CONTROL)]
    legend.append(null_handle("1: no more than the mean; .5; 0"))
    return finish(figure, _title(found), _caption(found, table), table, legend)


def told(cell: Cell, name: str, part: str) -> list[Row]:
    """One number a run: of after, and an AUROC above .5."""
    mine = pick(cell.rows, name=name, part=part)
    if name == "best_auroc":
        return [_either_way(row) for row in mine]
    return [row for row in mine if row["side"] == "after"]


def _either_way(row: Row) -> Row:
    """A latent of prose tells code too."""
    if row["value"] >= 0.5:
        return row
    return row | {"value": 1 - row["value"], "lo": 1 - row["hi"], "hi": 1 - row["lo"]}


def _panel(axes: Axes, cell: Cell, name: str, null: float) -> list[Row]:
    table: list[Row] = [{"mark": "null", "name": name, "value": null}]
    null_line(axes, null, upright=True)
    for place, (part, (_, style)) in enumerate(PARTS.items()):
        mine = told(cell, name, part)
        if mine:
            mean = over_seeds(mine)
            seed_marks(axes, place, mean, style, width=0.2, flat=True)
            table += in_table(mean, "score")
    if len(table) == 1:
        note(axes, "one strategy alone" if name == "best_auroc" else "not told")
    plain_numbers(axes, x=True, y=False)
    return table


def _title(found: Sequence[Cell]) -> str:
    """What the trained one scores and the best control, in the first way that has both."""
    name = next((n for n in ("best_auroc", "dictionary_fvu") if any(told(c, n, "rl") for c in found)), "")
    cell = next((c for c in found if name and told(c, name, "rl")), None)
    if cell is None:
        return "What learned little scores, beside nothing that was trained"
    means = {part: over_seeds(told(cell, name, part)) for part in PARTS if told(cell, name, part)}
    sign = 1 if name == "best_auroc" else -1
    best = max((p for p in means if PARTS[p][1] is CONTROL), key=lambda part: sign * means[part].value, default=None)
    what = "tells code at the fork with AUROC" if sign > 0 else "leaves unsaid"
    subject = "The best latent of the trained dictionary" if sign > 0 else "The trained dictionary"
    text = f"{subject} {what} {_said(means['rl'])}"
    text += f", of the best control ({PARTS[best][0]}) {_said(means[best])}" if best else ""
    return f"{text} ({cell.name})"


def _said(mean: Mean) -> str:
    return f"{number(mean.value)} {interval(mean.lo, mean.hi)}"


def _caption(found: Sequence[Cell], table: Sequence[Row]) -> str:
    fvu, auroc = ([r for c in found for r in pick(c.rows, name=name)] for name in ("dictionary_fvu", "best_auroc"))
    n = f"FVU on {span(counts(fvu, 'n'), 'held-out row')}"
    n += f", AUROC on {span(counts(auroc, 'n_problems'), 'problem')}" if auroc else " of all problems"
    return caption("", n, replicated(table, "bars"), "dashed, and the grey", "exclusives: Wilson", left_out(found))
