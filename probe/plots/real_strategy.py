"""Do real models change strategy under RLVR? Code share (strict) and "python" substring share, before and after.

Paired outputs, intervals clustered by problem; p of the change by sign flips of whole problems. Both metrics, because
the substring also counts what is run on after the answer.
"""

from probe.plots import Drawing, Rows, figures
from probe.plots._captions import join
from probe.plots._frame import finish, panels
from probe.plots._marks import bar, null_handle, null_stretch, plain_numbers
from probe.plots._replicates import Row, limits, pick
from probe.plots._style import COLUMN, DOUBLE, SYSTEMS, handles, look, styled
from probe.plots._systems import mark, p_text, pair_name, pairs, said, systems
from probe.plots._words import plain, signed, span

METRICS = {"code_share": "code share\n(strict)", "python_share": '"python" share\n(substring)'}
NAMES = {"code_share": "code share", "python_share": '"python" share'}


@figures.register("real_strategy")
@styled
def real_strategy(rows: Rows) -> Drawing | None:
    """One panel per model family; None without strategy shares of the real study."""
    found = systems(rows, tuple(METRICS))
    if not found:
        return None
    families = list(dict.fromkeys(system.family for system in found))
    width = COLUMN if len(families) == 1 else DOUBLE
    figure, axes = panels(1, len(families), width=width, height=1.8, sharey=True)
    table: list[Row] = []
    for axis, family in zip(axes[0], families, strict=True):
        mine = [system for system in found if system.family == family]
        for at, system in enumerate(mine):
            for row in system.rows:
                place = list(METRICS).index(row["name"]) + 0.5 * ((at + 0.5) / len(mine) - 0.5)
                bar(axis, place, row["value"], *limits(row), system.look, hollow=system.reward is None)
                table.append(mark(row, system.reward))
        for row in (row for system in mine if system.reward is None for row in system.rows):
            middle = list(METRICS).index(row["name"])
            null_stretch(axis, [middle - 0.4, middle + 0.4], [row["value"]] * 2)
            table.append({**mark(row, None), "mark": "null", "lo": None, "hi": None})
        axis.set_xticks(range(len(METRICS)), list(METRICS.values()))
        axis.set_xlim(-0.5, len(METRICS) - 0.5)
        axis.set_title(plain(family))
        plain_numbers(axis)
    axes[0, 0].set_ylabel("share of responses")
    legend = [*handles([system.look for system in found]), null_handle("no change")]
    return finish(figure, *_words(rows, found[0].rows), table, legend)


def _words(rows: Rows, some: tuple[Row, ...]) -> tuple[str, str]:
    """Title and caption: what the interval of each change shows."""
    told, tests = [], []
    for key, mine in pairs(rows, tuple(METRICS)).items():
        moved = [(label, row) for name, label in NAMES.items() for row in pick(mine, name=name, side="change")]
        told += [f"{look(key[1], SYSTEMS).label}: {', '.join(f'{label} {said(row)}' for label, row in moved)}"]
        tests += [f"{pair_name(key)} {label} {signed(row['value'])} {p_text(row.get('p'))}" for label, row in moved]
    n = [int(row["n_problems"]) for row in some if row.get("n_problems")]
    caption = join(
        f"Real outputs, paired, {span(n, 'problem')}. Bars: 95 % intervals clustered by problem.",
        f"Changes (paired sign-flip p): {'; '.join(tests)}." if tests else "",
    )
    return "; ".join(told), caption
