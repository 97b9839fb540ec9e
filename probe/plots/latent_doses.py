"""Do latents that tell code from prose make the model write code? Doses of the best 1, 3, 10, before and after RL.

A row a way of training; base and model after RL beside each other. Lines: share of answers in code (and accuracy) while
the latents are clamped at so many times their level, ablated at 0, turned the other way below. Orange: a direction of
the same norm. Grey at the strongest dose: random sets as strong, and the same latents along random directions.
"""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.stats import combine_pvalues

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts, replicated
from probe.plots._features import Cell, cells
from probe.plots._frame import finish, head, panels
from probe.plots._marks import band_key, null_band, null_handle, null_line, plain_numbers, ribbon
from probe.plots._pairs import in_table, over_seeds
from probe.plots._replicates import Mean, pick
from probe.plots._style import DOUBLE, Look, styled
from probe.plots._words import interval, number, span
from probe.stats import holm

SETS = (Look("#9ECAE1", "v", ":"), Look("#4292C6", "s", "--"), Look("#08519C", "o", "-"))
LINES = {
    "difference": Look("#D55E00", "D", "-.", "difference of means, same norm as the most"),
    "logistic": Look("#E69F00", "P", (0, (1, 1)), "probe's direction, same norm"),
}
NULLS = {"matched": 0.14, "redirected": -0.14}  # their places beside the strongest dose
PANELS = tuple((side, measure) for side in ("before", "after") for measure in ("code_share", "accuracy"))
TITLES = {"code_share": "code share", "accuracy": "accuracy", "before": "base", "after": "after RL"}
MOST = 3  # ways of training
LEVEL = 0.05


@figures.register("latent_doses")
@styled
def latent_doses(rows: Rows) -> Drawing | None:
    """None where no latent was turned."""
    found = [cell for cell in cells(rows, ("latent_dose_",)) if pick(cell.rows, name="latent_dose_code_share")]
    if not found:
        return None
    shown = found[:MOST]
    figure, axes = panels(len(shown), len(PANELS), width=DOUBLE, height=1.35, sharex=True, sharey=True)
    table: list[Row] = []
    sizes = sizes_of(found)
    for i, cell in enumerate(shown):
        for j, (side, measure) in enumerate(PANELS):
            table += _panel(axes[i, j], cell, side, measure, sizes)
            head(axes[0, j], f"{TITLES[side]}: {TITLES[measure]}")
            axes[-1, j].set_xlabel("dose (levels)")
        axes[i, 0].set_ylabel(f"{cell.lines(1.2)}\nfraction")
    axes[0, 0].set_ylim(-0.04, 1.06)
    legend: list[Artist] = [_set_look(k, sizes).handle() for k in sizes]
    legend += [each.handle() for each in LINES.values()]
    legend += [band_key("all random sets: matched (right), redirected (left)", 4), null_handle("nothing turned")]
    return finish(figure, _title(found), _caption(found, table), table, legend)


def sizes_of(found: Sequence[Cell]) -> list[int]:
    """How many latents were turned at once."""
    return sorted({row["k"] for cell in found for row in cell.pick(edit="latents")})[-len(SETS) :]


def _set_look(k: int, sizes: Sequence[int]) -> Look:
    style = SETS[sizes.index(k) + len(SETS) - len(sizes)]
    return Look(style.colour, style.marker, style.line, f"best {k}" if k > 1 else "best latent")


def _panel(axes: Axes, cell: Cell, side: str, measure: str, sizes: Sequence[int]) -> list[Row]:
    mine = pick(cell.rows, name=f"latent_dose_{measure}", side=side)
    table: list[Row] = []
    plain = [row for row in mine if row["edit"] == "plain"]
    if plain:
        mean = over_seeds(plain)
        null_line(axes, mean.value)
        table += in_table(mean, "null")
    for k in sizes:
        table += _line(axes, [row for row in mine if row["edit"] == "latents" and row["k"] == k], _set_look(k, sizes))
    for kind, style in LINES.items():
        table += _line(axes, [row for row in mine if row["edit"] == kind and row["k"] == sizes[-1]], style)
    for how, shift in NULLS.items():
        draws = [row for row in mine if row["edit"] == how]
        if draws:
            low, high = _range(draws)
            null_band(axes, draws[0]["coefficient"] + shift, (low, high), 4)
            table.append({"mark": "null", "edit": how, "side": side, "name": mine[0]["name"], "reward": cell.reward,
                          "family": cell.family, "coefficient": draws[0]["coefficient"], "lo": low, "hi": high,
                          "n": len({row["draw"] for row in draws})})  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    plain_numbers(axes, x=True)
    return table


def _line(axes: Axes, rows: Sequence[Row], style: Look) -> list[Row]:
    doses = sorted({row["coefficient"] for row in rows})
    means = [over_seeds([row for row in rows if row["coefficient"] == dose]) for dose in doses]
    if means:
        ribbon(axes, doses, means, style)
    return [row for mean in means for row in in_table(mean, "mean", seeds=False)]


def _range(draws: Sequence[Row]) -> tuple[float, float]:
    """Of random sets: over several bases, of the mean of one of each."""
    each: defaultdict[int, list[float]] = defaultdict(list)
    for row in draws:
        each[row["draw"]].append(row["value"])
    means = [fmean(values) for values in each.values()]
    return min(means), max(means)


def _title(found: Sequence[Cell]) -> str:
    """The largest set at the strongest dose in the base of the first cell, and in how many pairs beyond its nulls."""
    sets = pick(found[0].rows, name="latent_dose_code_share", side="before", edit="latents")
    k, dose = max((row["k"], row["coefficient"]) for row in sets)
    start = over_seeds(pick(found[0].rows, name="latent_dose_code_share", side="before", edit="plain"))
    end = over_seeds([row for row in sets if (row["k"], row["coefficient"]) == (k, dose)])
    beyond, n = beyond_nulls(found)
    text = f"The {k} latents that best tell code, at {dose:g} times their level, take the base's code share from"
    text += f" {number(start.value)} to {_said(end)} ({found[0].name})"
    return f"{text}; further than random sets in {beyond} of {span([n], 'way')} of training" if n else text


def _said(mean: Mean) -> str:
    return f"{number(mean.value)} {interval(mean.lo, mean.hi)}"


def beyond_nulls(found: Sequence[Cell]) -> tuple[int, int]:
    """Ways of training in which the base's code share moves beyond both nulls; of how many.

    p of a null is Fisher's over bases, the larger of the two counts, Holm over ways.
    """
    p = []
    for cell in found:
        rows = pick(cell.rows, name="latent_dose_p", target="code_share", side="before")
        each = [[row["value"] for row in rows if row["edit"] == how] for how in NULLS]
        p += [max(float(combine_pvalues(values).pvalue) for values in each)] if all(each) else []
    return (int((holm(p) < LEVEL).sum()) if p else 0), len(p)


def _caption(found: Sequence[Cell], table: Sequence[Row]) -> str:
    own = [row for cell in found for row in pick(cell.rows, name="latent_dose_code_share", edit="latents")]
    draws = {row["n"] for row in table if row["mark"] == "null" and row.get("edit") in NULLS}
    n = f"{span(counts(own, 'n'), 'answer')} on {span(counts(own, 'n_problems'), 'problem')} that chose nothing"
    hidden = f"{len(found) - MOST} ways more" if len(found) > MOST else ""
    null = f"{span(sorted(draws), 'random set')} of each kind"
    test = "titles: p over bases by Fisher, Holm over ways"
    return caption("", n, replicated(table, "ribbons"), null, test, hidden)
