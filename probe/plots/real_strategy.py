"""Do real models change strategy under RLVR? Code share (strict) and "python" substring share, before and after.

Both, because the substring also counts what is run on after the answer. Paired outputs, intervals clustered by problem,
p from sign flips of problems.
"""

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._frame import finish, panels
from probe.plots._marks import bar, null_handle, null_stretch, plain_numbers
from probe.plots._replicates import estimate, pick
from probe.plots._style import COLUMN, DOUBLE, handles, styled
from probe.plots._systems import RealPair, System, caption_of, mark, pair_name, pairs, said, systems
from probe.plots._words import plain

METRICS = {"code_share": "code share\n(strict)", "python_share": '"python" share\n(substring)'}
NAMES = {"code_share": "code share", "python_share": '"python" share'}


@figures.register("real_strategy")
@styled
def real_strategy(rows: Rows) -> Drawing | None:
    """One panel per model family; None without strategy shares of a pair of outputs."""
    drawn = pairs(rows, tuple(METRICS))
    if not drawn:
        return None
    families = list(dict.fromkeys(pair.family for pair in drawn))
    held = systems(drawn)
    figure, axes = panels(1, len(families), width=COLUMN if len(families) == 1 else DOUBLE, height=1.8, sharey=True)
    table: list[Row] = []
    for axis, family in zip(axes[0], families, strict=True):
        table += _shares(axis, [system for system in held if system.family == family])
    axes[0, 0].set_ylabel("share of responses")
    legend = [*handles([system.look for system in held]), null_handle("no change")]
    return finish(figure, _title(drawn), caption_of(drawn, "no change", NAMES), table, legend)


def _shares(axes: Axes, held: list[System]) -> list[Row]:
    table = []
    for at, system in enumerate(held):
        for row in system.rows:
            middle = list(METRICS).index(row["name"])
            place = middle + 0.5 * ((at + 0.5) / len(held) - 0.5)
            bar(axes, place, estimate(row), system.look, hollow=system.reward is None)
            table.append(mark(row, system.reward))
            if system.reward is None:
                null_stretch(axes, [middle - 0.4, middle + 0.4], [row["value"]] * 2)
                table.append({**mark(row, None), "mark": "null", "lo": None, "hi": None})
    axes.set_xticks(range(len(METRICS)), list(METRICS.values()))
    axes.set_xlim(-0.5, len(METRICS) - 0.5)
    axes.set_title(plain(held[0].family))
    plain_numbers(axes)
    return table


def _title(drawn: list[RealPair]) -> str:
    text = []
    for pair in drawn:
        moved = [(label, row) for name, label in NAMES.items() for row in pick(pair.rows, name=name, side="change")]
        text.append(f"{pair_name(pair, drawn)}: {', '.join(f'{label} {said(row)}' for label, row in moved)}")
    return "; ".join(text)
