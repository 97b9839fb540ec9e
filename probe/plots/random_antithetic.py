"""What does a random reward leave once its draws cancel, and is it clipping? Settings down, quantities across.

A mark is what a run and its antithetic twin have in common (`probe.stats.antithetic`), mean over bases with a t
interval, by prior for code; grey: the same of the walks as long as the runs. Hollow: what a single fork would do whose
twins end as far apart as these (`probe.stats.one_fork`), which has no other free parameter.
"""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import of_runs
from probe.plots._frame import finish, name_columns, panels
from probe.plots._marks import dots, key, null_handle, null_line, plain_numbers
from probe.plots._replicates import Mean, means_by, pick
from probe.plots._style import DOUBLE, GREY, Look, styled
from probe.plots._words import listing, signed
from probe.stats import holm, seeds_mean
from probe.stats.one_fork import Fork, as_noisy, common

QUANTITIES = (
    ("code_share", 1.0, "share of code"),
    ("token_probability", 1.0, "token probability"),
    ("accuracy", 1.0, "accuracy, T = 1"),
    ("accuracy", 0.0, "accuracy, greedy"),
)
SETTINGS = {
    "0.05": "clip .05",
    "0.2": "clip .2",
    "upper_clip": "upper clip alone",
    "lower_clip": "lower clip alone",
    "dual": "dual clip alone",
    "old_dropped": "old log-probs dropped",
    "rloo": "RLOO, no clip",
}
PRIORS = {"p65": Look("#0072B2", "o", label="prior .65"), "p30": Look("#D55E00", "v", label="prior .3")}
WALK = Look(GREY, "s", label="walk as long")
FORK_CLIPS = {"0.05": (0.05, "both"), "0.2": (0.2, "both"), "upper_clip": (0.2, "upper"), "lower_clip": (0.2, "lower")}
FORK = key("one fork, as noisy", "D", markerfacecolor="white")
LEVEL = 0.05
SAID = 3  # shares that are told one by one
STILL = "Where its draws cancel, a random reward still moves the share of code"


@figures.register("random_antithetic")
@styled
def random_antithetic(rows: Rows) -> Drawing | None:
    """One dot and interval a setting and prior; None where no run has a twin."""
    twins = {_run(row) for row in rows if row.get("side") == "draw"}
    mine = [_marked(row) for row in rows if _is_drawn(row) and _run(row) in twins]
    settings = [each for each in SETTINGS if any(row["clip"] == each for row in mine)]
    if not mine:
        return None
    figure, axes = panels(1, len(QUANTITIES), width=DOUBLE, height=0.34 * len(settings) + 0.45, sharey=True)
    table: list[Row] = [{"mark": "null", "value": 0.0}]
    shares: list[Mean] = []
    for axis, (name, temperature, _) in zip(axes[0], QUANTITIES, strict=True):
        held = pick(mine, name=name, temperature=temperature)
        means = means_by(held, ("prior", "clip", "of"))
        table += _panel(axis, means, settings, {"quantity": name, "temperature": temperature})
        if not shares:
            shares = [mean for mean in means if mean.key["of"] == "change"]
            table += _theory(axis, rows, shares, settings)
    name_columns(axes[0], [title for _, _, title in QUANTITIES])
    axes[0, 0].set_yticks(range(len(settings)), [SETTINGS[each] for each in settings])
    axes[0, 0].set_ylim(len(settings) - 0.4, -0.6)
    legend = [
        *(key(look.label, look.marker, color=look.colour) for look in (*PRIORS.values(), WALK)),
        FORK,
        null_handle("nothing"),
    ]
    text = of_runs(
        "a mark is the mean of a run and its twin, less the base", shares, "bars", "0 (dashed), and the walk"
    )
    return finish(figure, _title(shares), text, table, legend)


def _is_drawn(row: Row) -> bool:
    random = row.get("reward") == "random" and row.get("side") in ("change", "walk")
    return random and row.get("clip") in SETTINGS and str(row.get("family"))[:3] in PRIORS


def _run(row: Row) -> tuple[object, ...]:
    """Runs without a twin have no draw."""
    return tuple(row.get(name) for name in ("study", "family", "size", "base_seed", "reward", "clip", "rl_seed"))


def _marked(row: Row) -> Row:
    """With its prior, and of what it is; the walk's number is a change too."""
    return row | {"prior": str(row["family"])[:3], "of": row["side"], "side": "change"}


def _panel(axes: Axes, means: Sequence[Mean], settings: list[str], about: Row) -> list[Row]:
    table: list[Row] = []
    null_line(axes, 0.0, upright=True)
    for mean in means:
        prior, walked = mean.key["prior"], mean.key["of"] == "walk"
        aside = -0.2 if prior == "p65" else 0.12
        place = settings.index(mean.key["clip"]) + aside + 0.13 * walked
        dots(axes, place, mean, WALK if walked else PRIORS[prior], width=0.04, flat=True)
        table += mean.rows(**about)
    axes.set_xlabel("change")
    plain_numbers(axes, x=True, y=False)
    return table


def _theory(axes: Axes, rows: Rows, shares: Sequence[Mean], settings: list[str]) -> list[Row]:
    """One fork of the same prior, clip, batches and spread of the draws, where the setting has such a clip or none."""
    table: list[Row] = []
    drawn = pick(rows, name="code_share", side="draw", temperature=1.0)
    for mean in shares:
        prior, setting = mean.key["prior"], mean.key["clip"]
        mine = [row for row in drawn if (str(row["family"])[:3], row["clip"]) == (prior, setting)]
        if setting == "dual" or not mine:  # a bound on what has A < 0 alone: no fork here has it
            continue
        clip, sides = FORK_CLIPS.get(setting, (None, "both"))
        apart = math.sqrt(sum(row["value"] ** 2 for row in mine) / len(mine))
        share = float(prior[1:]) / 100
        value = common(as_noisy(Fork(share, clip, 1.0, batches=int(mine[0]["step"]), sides=sides), round(apart, 4)))  # type: ignore[arg-type]
        place = settings.index(setting) + (-0.3 if prior == "p65" else 0.34)
        axes.plot([value], [place], "D", color=PRIORS[prior].colour, markerfacecolor="white", markersize=3.2, zorder=4)
        table.append({**mean.key, "of": "one fork", "quantity": "code_share", "mark": "theory", "value": value})
    return table


def _title(shares: Sequence[Mean]) -> str:
    """Which shares of code move, after Holm over settings and priors; where most runs are destroyed, that alone."""
    whole = [mean for mean in shares if 2 * mean.n_destroyed <= len(mean.runs)]
    known = [mean for mean in whole if len(mean.replicates) > 1 and mean.lo == mean.lo]
    p = [seeds_mean(mean.replicates, name="share", null=0.0).p for mean in known]
    adjusted: Sequence[float] = holm([1.0 if each is None else each for each in p]).tolist() if p else []
    moved = [mean for mean, q in zip(known, adjusted, strict=True) if q < LEVEL]
    return f"{_moved(moved, len(whole))}{_lost(shares, whole)}"


def _moved(moved: Sequence[Mean], n: int) -> str:
    if not moved:
        return "Where its draws cancel, a random reward moves no share of code clearly"
    if len(moved) > SAID:
        most = signed(max((mean.value for mean in moved), key=abs))
        return f"{STILL} in {len(moved)} of {n} settings and priors, by at most {most}"
    said = (f"{SETTINGS[m.key['clip']]}, {PRIORS[m.key['prior']].label} {signed(m.value)}" for m in moved)
    return f"{STILL}: {listing(said)}"


def _lost(shares: Sequence[Mean], whole: Sequence[Mean]) -> str:
    """The settings under which it destroys most runs."""
    lost = [mean for mean in shares if mean not in whole]
    named = []
    for setting, label in SETTINGS.items():
        priors = [PRIORS[mean.key["prior"]].label for mean in lost if mean.key["clip"] == setting]
        named += [label if len(priors) == len(PRIORS) else f"{label}, {priors[0]}"] if priors else []
    return f"; it destroys most runs under {listing(named)}" if named else ""
