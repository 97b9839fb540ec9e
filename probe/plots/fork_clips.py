"""What does the clip cut where a response chooses its strategy? Clips across, priors down, old probability along x.

A mark is the share of tokens whose gradient the clip stops, mean over bases with a t interval; its colour says how the
response opens, its shape on which side. Grey: every later token of that old probability, which is what clipping does
where there is no fork.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import of_runs
from probe.plots._frame import finish, head, panels
from probe.plots._marks import dots, key, null_handle, null_line, plain_numbers
from probe.plots._replicates import Mean, means_by, pick
from probe.plots._style import DOUBLE, GREY, Look, styled
from probe.plots._words import small

CLIPS = {"0.05": "clip .05", "0.2": "clip .2"}
PRIORS = {"p65": "prior .65", "p30": "prior .3"}
WHO = {"code": ("#0072B2", "opens in code"), "prose": ("#D55E00", "opens in prose"), "later": (GREY, "later tokens")}
SAID = {"code": "of openings in code", "prose": "in prose", "later": "of later tokens"}
SIDES = {"low": ("v", "below (A < 0)"), "high": ("^", "above (A > 0)")}


@figures.register("fork_clips")
@styled
def fork_clips(rows: Rows) -> Drawing | None:
    """One panel a prior and clip; None where no fork was watched."""
    held = [_told(row) for row in pick(rows, name="clipped") if row["clip"] in CLIPS]
    means = means_by(held, ("prior", "clip", "who", "strategy", "group", "part", "pi_low", "pi_high"))
    if not means:
        return None
    edges = sorted({(row["pi_low"], row["pi_high"]) for row in held if row.get("pi_low") is not None})
    figure, axes = panels(2, 2, width=DOUBLE, height=1.6, sharey="col", sharex=True)
    table: list[Row] = [{"mark": "null", "value": 0.0}]
    for down, prior in enumerate(PRIORS):
        for across, clip in enumerate(CLIPS):
            mine = [mean for mean in means if (mean.key["prior"], mean.key["clip"]) == (prior, clip)]
            table += _panel(axes[down, across], mine, [low for low, _ in edges])
            head(axes[down, across], f"{PRIORS[prior]}, {CLIPS[clip]}")
            axes[down, across].set_xticks(range(len(edges)), [f"{small(low)}–{small(high)}" for low, high in edges])
        axes[down, 0].set_ylabel("share of tokens cut")
    for axis in axes[1]:
        axis.set_xlabel("π_old of the token")
    legend = [key(label, "s", color=colour) for colour, label in WHO.values()]
    legend += [*(key(label, marker) for marker, label in SIDES.values()), null_handle("nothing cut")]
    text = of_runs("tokens whose gradient the clip stops, random reward", means, "bars", "later tokens", noun="")
    return finish(figure, _title(means), text, table, legend)


def _told(row: Row) -> Row:
    return row | {"prior": str(row["family"])[:3], "who": row.get("strategy") or "later"}


def _panel(axes: Axes, means: Sequence[Mean], lows: list[float]) -> list[Row]:
    null_line(axes, 0.0)
    table: list[Row] = []
    for mean in means:
        table += mean.rows()
        if mean.key["pi_low"] is None:
            continue
        who, side = list(WHO).index(mean.key["who"]), list(SIDES).index(mean.key["part"])
        place = lows.index(mean.key["pi_low"]) + 0.26 * (who - 1) + 0.11 * (side - 0.5)
        dots(axes, place, mean, Look(WHO[mean.key["who"]][0], SIDES[mean.key["part"]][0]), width=0.03)
    plain_numbers(axes)
    return table


def _title(means: Sequence[Mean]) -> str:
    """Of the wider clip, over all old probabilities."""
    clip = max((mean.key["clip"] for mean in means), key=float)
    by = {
        (mean.key["prior"], mean.key["who"], mean.key["part"]): mean.value
        for mean in means
        if mean.key["clip"] == clip and mean.key["pi_low"] is None
    }
    told = []
    for prior, label in PRIORS.items():
        shares = [f"{small(by[prior, who, 'high'])} {text}" for who, text in SAID.items() if (prior, who, "high") in by]
        told += [f"at {label} {', '.join(shares)}"] if shares else []
    return f"Cut above at {CLIPS[clip]}: {'; '.join(told)}" if told else "What the clip cuts at the fork"
