"""Which latents carry the KL between before and after where answers fork, and more than others as strong would?

A row a way of training. Left: nats of KL at a fork, what latents together say of it, what no latent says, and what the
weights above the site do. Middle: the part of the best carriers, 1, 3 and 10 of them, chosen on other problems; grey:
sets of other latents that move a state as far, and the same latents with their change of direction turned at random.
Right: latents one by one, a line a base.
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from scipy.stats import combine_pvalues

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts, replicated
from probe.plots._features import MOST, Cell, cells, left_out
from probe.plots._frame import finish, head, note, panels
from probe.plots._marks import band_key, key, null_band, null_handle, null_line, plain_numbers, seed_marks
from probe.plots._pairs import band, in_table, over_seeds
from probe.plots._replicates import LEVEL, columns_of, pick
from probe.plots._style import DOUBLE, Look, styled
from probe.plots._words import interval, number, small, span
from probe.stats import holm

PARTS = {"all": "all", "latents": "latents", "rest": "in no latent", "above": "above the site"}
OWN = Look("#0072B2", "o", "", "the pair's")
CARRIER, CODE = Look("#333333", "o", "", "carries most"), Look("#D55E00", "D", "", "one of those that best tell code")
NULLS = {"matched": -0.2, "redirected": 0.2}  # their places beside a set
COLUMNS = ("family", "size", "base_seed", "reward", "rl_seed", "name", "group", "latent")
NUMBERS = ("value", "lo", "hi", "n", "n_problems", "unit", "p")


@figures.register("latent_kl")
@styled
def latent_kl(rows: Rows) -> Drawing | None:
    """None where KL was not shared out."""
    found = [cell for cell in cells(rows, ("fork_kl", "latent_")) if pick(cell.rows, name="fork_kl", cell="all")]
    if not found:
        return None
    shown = found[:MOST]
    figure, axes = panels(len(shown), 3, width=DOUBLE, height=1.3)
    table: list[Row] = [{"mark": "null", "name": "latent_kl", "value": 0.0}]
    for i, cell in enumerate(shown):
        table += [*_parts(axes[i, 0], cell), *_sets(axes[i, 1], cell), *_single(axes[i, 2], cell)]
        axes[i, 0].set_ylabel(cell.lines(1.2))
    for j, text in enumerate(("KL(before || after) at forks", "best carriers together", "one by one")):
        head(axes[0, j], text)
    axes[-1, 0].set_xlabel("nats a fork")
    axes[-1, 1].set_xlabel("latents in the set")
    axes[-1, 2].set_xlabel("nats a fork")
    legend = [each.handle() for each in (OWN, CARRIER, CODE)]
    legend += [band_key("random sets: matched (left), redirected (right)", 4), null_handle("nothing")]
    legend.append(key("p ≥ .05 after Holm", "o", markerfacecolor="white"))
    return finish(figure, _title(found), _caption(found, table), table, legend)


def _parts(axes: Axes, cell: Cell) -> list[Row]:
    table: list[Row] = []
    null_line(axes, 0.0, upright=True)
    for place, part in enumerate(PARTS):
        mine = pick(cell.rows, name="fork_kl", cell=part)
        if mine:
            mean = over_seeds(mine)
            seed_marks(axes, place, mean, OWN, width=0.2, flat=True)
            table += in_table(mean, "part")
    axes.set_yticks(range(len(PARTS)), list(PARTS.values()))
    axes.set_ylim(len(PARTS) - 0.5, -0.5)
    plain_numbers(axes, x=True, y=False)
    return table


def _sets(axes: Axes, cell: Cell) -> list[Row]:
    mine = pick(cell.rows, name="latent_set_kl")
    sizes = sorted({row["k"] for row in mine})
    table: list[Row] = []
    if not sizes:
        note(axes, "no latent changed")
        axes.set_xticks([])
        axes.set_yticks([])
        return table
    null_line(axes, 0.0)
    for place, k in enumerate(sizes):
        own = [row for row in mine if (row["k"], row["edit"]) == (k, "latents")]
        mean = over_seeds(own)
        seed_marks(axes, place, mean, OWN, width=0.08)
        table += in_table(mean, "set")
        for how, shift in NULLS.items():
            beside = [row for row in mine if (row["k"], row["edit"]) == (k, how)]
            if beside:
                drawn = band(beside)
                null_band(axes, place + shift, (drawn.lo, drawn.hi), 5, 0.35 if how == "matched" else 0.7)
                table += in_table(drawn, "null", seeds=False)
    axes.set_xticks(range(len(sizes)), [str(k) for k in sizes])
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    plain_numbers(axes)
    return table


def _single(axes: Axes, cell: Cell) -> list[Row]:
    """A mark a latent, filled where its part is clear."""
    mine = pick(cell.rows, name="latent_kl")
    if not mine:
        note(axes, "no latent changed")
        axes.set_xticks([])
        axes.set_yticks([])
        return []
    null_line(axes, 0.0, upright=True)
    bases = sorted({(row["base_seed"], row["rl_seed"]) for row in mine})
    told = {(row["base_seed"], row["rl_seed"], row["latent"]) for row in pick(cell.rows, name="latent_auroc")}
    table: list[Row] = []
    for row in mine:
        run = row["base_seed"], row["rl_seed"]
        style = CODE if (*run, row["latent"]) in told else CARRIER
        fill = style.colour if row["p"] is not None and row["p"] < LEVEL else "white"
        drawn: dict[str, Any] = {"color": style.colour, "markerfacecolor": fill, "markersize": 3.2, "alpha": 0.8}
        axes.plot([row["value"]], [bases.index(run)], style.marker, **drawn)
        table.append(columns_of(row, (*COLUMNS, *NUMBERS), mark="latent"))
    axes.set_yticks(range(len(bases)), [f"base {base}" for base, _ in bases])
    axes.set_ylim(len(bases) - 0.5, -0.5)
    plain_numbers(axes, x=True, y=False)
    return table


def beyond_nulls(found: Sequence[Cell]) -> tuple[int, int]:
    """Ways of training in which the largest set carries more than both nulls; of how many that have both.

    p of a null is Fisher's over runs, the larger of the two counts, Holm over ways.
    """
    p = []
    for cell in found:
        mine = pick(cell.rows, name="latent_set_kl")
        most = max((row["k"] for row in mine), default=0)
        each = [[row["p"] for row in mine if (row["k"], row["edit"]) == (most, how)] for how in NULLS]
        p += [max(float(combine_pvalues(values).pvalue) for values in each)] if all(each) else []
    return (int((holm(p) < LEVEL).sum()) if p else 0), len(p)


def _title(found: Sequence[Cell]) -> str:
    """Of the first way in which a latent changed: the whole, the latents, the largest set."""
    changed = [cell for cell in found if pick(cell.rows, name="latent_set_kl", edit="latents")]
    cell = (changed or found)[0]
    whole = over_seeds(pick(cell.rows, name="fork_kl", cell="all"))
    text = f"Of {small(whole.value)} nats of KL at forks ({cell.name})"
    if not changed:
        return f"{text} latents carry none: nothing changed at the site"
    sets = pick(cell.rows, name="latent_set_kl", edit="latents")
    k = max(row["k"] for row in sets)
    part = over_seeds([row for row in sets if row["k"] == k])
    every = over_seeds(pick(cell.rows, name="fork_kl", cell="latents"))
    text += f" all latents carry {number(every.value)}, the best {k} {number(part.value)} {interval(part.lo, part.hi)}"
    beyond, n = beyond_nulls(found)
    return f"{text}; more than random sets in {beyond} of {span([n], 'way')} of training" if n else text


def _caption(found: Sequence[Cell], table: Sequence[Row]) -> str:
    own = [row for cell in found for row in pick(cell.rows, name="fork_kl", cell="all")]
    draws = [row for cell in found for row in pick(cell.rows, name="latent_set_kl", edit=tuple(NULLS))]
    n = f"{span(counts(own, 'n'), 'fork')} of {span(counts(own, 'n_problems'), 'problem')} that chose nothing"
    null = f"{span(counts(draws, 'n'), 'random set')} of each kind" if draws else "0"
    return caption("", n, replicated(table, "bars"), null, "titles: p by Fisher, Holm over ways", left_out(found))
