"""Where in the model does the fork stand, and where did RL move it? The share of the gap that patching a site recovers.

A panel a contrast: code <-> prose within the checkpoint before, and after, RL (the same chain under another style
letter), and before -> after on the same prompts. Down: residual stream (resid.i enters block i), attention and MLP by
layer, heads. Each is patched in at the fork alone and at all positions at once; means over pairs of bases. Grey: the
null, the range of changes of equal norm in random directions. What the title says of the best site was chosen on half
of the bases and is told of the other half; of one pair it says the mean over layers. Left out: other single positions
and direct paths to the fork (in the measurements); pairs without a gap to recover, which the caption counts.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from probe.measurements import Row, Rows
from probe.plots import Drawing, _pairs, figures
from probe.plots._captions import caption, counts, replicated
from probe.plots._frame import finish, head, panels
from probe.plots._marks import ONE_SEED, band_key, key, null_handle
from probe.plots._pairs import of_reward, over_seeds, pairs_of
from probe.plots._patches import (
    HATCH,
    KINDS,
    MOST_HEADS,
    MOST_SITES,
    PLACES,
    Patches,
    cut,
    layer_lines,
    limits,
    no_gap,
    patches,
    site_rows,
)
from probe.plots._replicates import pick
from probe.plots._style import DOUBLE, handles, styled
from probe.plots._words import interval, number, sentence, signed, span

SIDES = {"before": "code ↔ prose, before RL", "after": "code ↔ prose, after RL", "change": "before → after"}
SHARE = "share of the gap recovered"
NULL = [band_key("random change of equal norm (null)", 3.5), null_handle("none, and all")]
RESID = key("resid.i enters block i; its ends recover code ↔ prose by construction")


@figures.register("patching")
@styled
def patching(rows: Rows) -> Drawing | None:
    """One organism and reward; None where nothing was patched."""
    chosen = pick(rows, name=("patch/recovery", "patch/null", "patch/gap"))
    mine = _pairs.settled(chosen) if chosen else []
    rewards = _pairs.rewards_in(mine)
    mine = of_reward(mine, rewards[0]) if rewards else mine
    if not mine:
        return None
    found = patches(mine)
    sides = [side for side in SIDES if pick(mine, side=side)]
    heads = [site for site in found.sites if site.startswith("head.")]
    kept = heads if len(heads) <= MOST_HEADS else found.largest_heads()
    sites = [site for site in found.sites if site in kept or site not in heads]
    lines = len(sites) > MOST_SITES
    figure, table = _lines(found, sides) if lines else _rows(found, sides, sites)
    shown = "" if lines or len(kept) == len(heads) else f"the largest {len(kept)} of {len(heads)} heads"
    text = _caption(mine, table, "ribbons" if lines else "bars", shown, _pairs.left_out(chosen, mine, rewards[:1]))
    legend: list[Artist] = [*handles(list(PLACES.values())), *NULL, *([ONE_SEED] if _pairs.several(table) else [])]
    legend += [] if all(map(found.has, sides)) else [Patch(**HATCH, label="no gap")]
    legend += [RESID] if sides != ["change"] else []
    return finish(figure, _title(mine, found, sides[-1]), text, table, legend)


def _rows(found: Patches, sides: Sequence[str], sites: Sequence[str]) -> tuple[Figure, list[Row]]:
    height = 0.5 + 0.2 * max(len(sites), 4)
    figure, axes = panels(1, len(sides), width=DOUBLE, height=height, sharex=True, sharey=True)
    table: list[Row] = []
    for axis, side in zip(axes[0], sides, strict=True):
        if found.has(side):
            table += site_rows(axis, found, side, sites)
        else:
            no_gap(axis)
        head(axis, SIDES[side])
        axis.set_xlabel(SHARE)
    axes[0, 0].set_yticks(range(len(sites)), sites)
    axes[0, 0].set_ylim(max(len(sites), 1) - 0.4, -0.6)
    axes[0, 0].set_xlim(*limits(table)) if table else None
    return figure, table


def _lines(found: Patches, sides: Sequence[str]) -> tuple[Figure, list[Row]]:
    kinds = [kind for kind in KINDS if any(site.startswith(f"{kind}.") for site in found.sites)]
    figure, axes = panels(len(kinds), len(sides), width=DOUBLE, height=1.25, sharex=True, sharey=True)
    table: list[Row] = []
    for i, kind in enumerate(kinds):
        for axis, side in zip(axes[i], sides, strict=True):
            if found.has(side):
                table += layer_lines(axis, found, side, kind)
            else:
                no_gap(axis)
            if i == 0:
                head(axis, SIDES[side])
        axes[i, 0].set_ylabel(f"{KINDS[kind]}\nshare of the gap")
    for axis in axes[-1]:
        axis.set_xlabel("layer")
    axes[0, 0].set_ylim(*limits(table)) if table else None
    return figure, table


def _title(rows: Sequence[Row], found: Patches, side: str) -> str:
    one = len(pairs_of(rows)) == 1
    base, among = _pairs.base_name(rows[0]), _pairs.rewards_in(rows)
    name = _pairs.pair_name(rows[0], among) if one else f"{base} → {_pairs.run_look(rows[0]['reward'], among).label}"
    if not found.has(side):
        return sentence(f"{name}: no gap at the fork to recover")
    what = "RL's shift of the fork" if side == "change" else f"the gap {SIDES[side]}"
    return f"{name}: patched in at the fork alone, {_told(found, side, what) or _by_kind(found, side, what)}"


def _told(found: Patches, side: str, what: str) -> str:
    """The site below the residual stream that recovers most in every other base, and what it does in the others."""
    cells = {key: rows for key, rows in found.recovered.items() if key[:2] == (side, "fork")}
    below = {key: rows for key, rows in cells.items() if not key[2].startswith("resid.")}
    bases = sorted({row["base_seed"] for rows in below.values() for row in rows})
    if len(bases) < 2:
        return ""
    halves = [{key: _of(rows, bases[start::2]) for key, rows in below.items()} for start in (0, 1)]
    both = [key for key in below if halves[0][key] and halves[1][key]]
    if not both:
        return ""
    best = max(both, key=lambda key: over_seeds(halves[0][key]).value)
    mean, null = over_seeds(halves[1][best]), _of(found.nulls.get(best, []), bases[1::2])
    beside = f", null {signed(over_seeds(null).value)}" if null else ""
    halved = f"chosen on {span([len(bases[::2])], 'base')}, told of {len(bases[1::2])} others"
    return f"{best[2]} recovers {number(mean.value)} {interval(mean.lo, mean.hi)} of {what}{beside} ({halved})"


def _of(rows: Sequence[Row], bases: Sequence[Any]) -> list[Row]:
    return [row for row in rows if row["base_seed"] in bases]


def _by_kind(found: Patches, side: str, what: str) -> str:
    """The mean over layers, which chooses nothing."""
    text = []
    for kind, noun in (("resid", "residual"), ("attn", "attention"), ("mlp", "MLP"), ("head", "head")):
        mine = [rows for key, rows in found.recovered.items() if key[:2] == (side, "fork") and key[2].startswith(kind)]
        text += [f"{noun} {number(fmean(over_seeds(rows).value for rows in mine))}"] if mine else []
    return f"share of {what} recovered, means over layers: {', '.join(text) or 'not measured'}"


def _caption(rows: Sequence[Row], table: Sequence[Row], drawn: str, *more: str) -> str:
    gone = []
    for side, name in SIDES.items():
        gaps = pick(rows, name="patch/gap", side=side)
        missing = sum(bool(row.get("reason")) for row in gaps)
        gone += [f"no gap {name} in {missing} of {span([len(gaps)], 'pair')}"] if missing else []
    n = f"{span(counts(pick(rows, name='patch/recovery'), 'n_problems'), 'problem')} a pair"
    draws = counts(pick(rows, name="patch/null"), "n")
    null = f"range of {span(draws, 'random change')} of equal norm" if draws else ""
    beyond = cut(table) if table else 0
    off = f"{span([beyond], 'mean')} beyond the axis" if beyond else ""
    bars = replicated(table, drawn) if table else "no interval"
    return caption("log-odds of code at the fork", n, bars, null, *gone, *more, off)
