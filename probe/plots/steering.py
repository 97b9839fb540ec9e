"""Does moving the residual stream by hand do what RL did? Dose-response against random directions, and shares of RL.

Left: code share and accuracy of the base when c times (mean of code - mean of prose) is added to its residual stream;
then the same in what each reward made of it. Grey band: the random directions of equal length. Right: how much of RL's
change steering the base recovers, and ablating the direction (or steering back) in the trained model removes, with
those same random directions as grey strokes. Over base seeds a random direction stands for the mean of one of each.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from probe.measurements import Row, Rows
from probe.plots import Drawing, _pairs, figures
from probe.plots._captions import caption, counts, replicated
from probe.plots._frame import finish, head, note, panels
from probe.plots._marks import ONE_SEED, key, null_line, plain_numbers, ribbon, seed_marks
from probe.plots._pairs import in_table, over_seeds, run_look
from probe.plots._replicates import Mean, pick
from probe.plots._style import COLUMN, DOUBLE, GREY, Look, styled
from probe.plots._words import interval, listing, number, plain, span

MEASURES = {"code_share": "code share", "accuracy": "accuracy"}
SHARES = (  # what is done, how the rows call it, its place: recovered above, removed below a gap
    ("recovered", "matched", "to RL's code share", 0.0),
    ("recovered", "best", "to best accuracy", 1.0),
    ("removed", "project out", "projected out", 2.4),
    ("removed", "clamp", "clamped to base", 3.4),
    ("removed", "back", "steered back", 4.4),
)
STEERED = Look("#0072B2", "o", "-", "along code − prose")
NULL_BAND = Patch(color=GREY, alpha=0.25, linewidth=0, label="random directions (null): all of them")
NULL_STROKES = key("one random direction (null)", "|", markersize=5)
DISTANCE = key("c = 1: from the mean state before prose to that before code")
MOST = 2  # rewards that fit beside each other
STARTS = ("steer_", "recovered_", "removed_")
How = float | str | None  # a coefficient, or another way to use the direction
Draws = dict[tuple[object, str, How], dict[int, list[Row]]]  # reward ("" for the base), name, how; draw (0: none)


@figures.register("steering")
@styled
def steering(rows: Rows) -> Drawing | None:
    """The first family that was steered; None where none was."""
    chosen = [row for row in pick(rows) if str(row.get("name")).startswith(STARTS)]
    mine = _pairs.settled(chosen)
    if not pick(mine, name="steer_code_share"):
        return None
    rewards = _pairs.rewards_in(mine)
    shown = rewards[:MOST]
    mine = [row for row in mine if row["side"] == "before" or row["reward"] in shown]
    draws, looks = _sorted(mine), {reward: run_look(reward, rewards) for reward in shown}
    figure, axes = panels(2, 2 + len(shown) if shown else 1, width=DOUBLE if shown else COLUMN, height=1.6)
    table: list[Row] = []
    for i, measure in enumerate(MEASURES):
        for j, reward in enumerate(["", *shown]):
            table += _response(axes[i, j], draws, measure, reward)
            _label(axes[i, j], measure, i, j)
        table += _shares(axes[i, -1], draws, measure, looks) if shown else []
    head(axes[0, 0], "base")
    for axis, style in zip(axes[0, 1:], looks.values(), strict=False):
        head(axis, f"after {plain(style.label, _pairs.SHORT)}")  # in full in the legend
    if shown:
        head(axes[0, -1], "share of RL's change: recovered (above), removed (below)", 3)
    legend: list[Artist] = [STEERED.handle(), NULL_BAND, *([NULL_STROKES] if shown else [])]
    legend += [*(style.handle() for style in looks.values()), *([ONE_SEED] if _pairs.several(table) else []), DISTANCE]
    text = _caption(mine, table, _pairs.left_out(chosen, mine, shown))
    return finish(figure, _title(draws, looks, mine), text, table, legend)


def _sorted(rows: Sequence[Row]) -> Draws:
    draws: Draws = defaultdict(lambda: defaultdict(list))
    for row in rows:
        how = row["edit"] if row["coefficient"] is None else float(row["coefficient"])
        reward = "" if row["side"] == "before" else row["reward"]
        draws[reward, str(row["name"]).removesuffix("_random"), how][row["draw"] or 0].append(row)
    return draws


def _null(draws: dict[int, list[Row]]) -> list[Mean]:
    """Each random direction's number: over several bases, the mean of one of each, without an interval of its own."""
    each = [tuple(_pairs.seeds_of(rows)) for draw, rows in draws.items() if draw]
    return [Mean({}, fmean(run["value"] for run in runs), math.nan, math.nan, runs) for runs in each]


def _response(axes: Axes, draws: Draws, measure: str, reward: object) -> list[Row]:
    """The measure against the coefficient: each base seed thin, their mean and interval, random directions behind."""
    name = f"steer_{measure}"
    own = {k[2]: rows for k, rows in draws.items() if k[:2] == (reward, name) and isinstance(k[2], float)}
    doses = sorted(own)
    points = [over_seeds(own[dose][0]) for dose in doses]
    table = [row for point in points for row in in_table(point, "mean")]
    bands = []
    for dose, point in zip(doses, points, strict=True):
        null = _null(own[dose])
        values = [mean.value for mean in null] or [point.value]  # at 0 nothing is added, whatever the direction
        bands.append((min(values), max(values)))
        about = in_table((null or [point])[0], "null", seeds=False)[0]
        table.append({**about, "value": None, "lo": bands[-1][0], "hi": bands[-1][1], "level": f"{dose:g} random"})
    low, high = zip(*bands, strict=True)
    axes.fill_between(doses, low, high, color=GREY, alpha=0.25, linewidth=0, zorder=0)
    for base in {run["base_seed"] for point in points for run in point.runs if len(point.runs) > 1}:
        line = [(d, r["value"]) for d, p in zip(doses, points, strict=True) for r in p.runs if r["base_seed"] == base]
        axes.plot(*zip(*line, strict=True), color=STEERED.colour, linewidth=0.5, alpha=0.55, zorder=2)
    ribbon(axes, doses, points, STEERED)
    return table


def _label(axes: Axes, measure: str, row: int, column: int) -> None:
    axes.set_ylim(-0.04, 1.06)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    plain_numbers(axes, x=True)
    if column == 0:
        axes.set_ylabel(f"{MEASURES[measure]} (fraction)")
    else:
        axes.set_yticklabels([])
    if row:
        axes.set_xlabel("coefficient c (distances)")
    else:
        axes.set_xticklabels([])


def _shares(axes: Axes, draws: Draws, measure: str, looks: dict[str, Look]) -> list[Row]:
    """One line of marks a way of intervening; rewards below each other within it."""
    table: list[Row] = [{"mark": "null", "name": measure, "level": "nothing", "value": 0.0}]
    for kind, how, _, place in SHARES:
        for i, (reward, style) in enumerate(looks.items()):
            y = place + (i - (len(looks) - 1) / 2) * 0.42
            own = draws.get((reward, f"{kind}_{measure}", how), {})
            null = _null(own)
            values = [mean.value for mean in null]
            axes.plot(values, [y] * len(null), "|", color=GREY, markersize=5, alpha=0.5, zorder=1)
            table += [row for mean in null for row in in_table(mean, "null", seeds=False)]
            if own.get(0):
                mean = over_seeds(own[0])
                seed_marks(axes, y, mean, style, flat=True, width=0.12)
                table += in_table(mean, "mean")
    if len(table) == 1:
        note(axes, "RL's change may be 0:\nno share of it")
    null_line(axes, 0.0, upright=True)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_yticks([place for *_, place in SHARES], [text for _, _, text, _ in SHARES])
    axes.yaxis.tick_right()
    axes.spines["right"].set_visible(True)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(SHARES[-1][-1] + 0.55, -0.55)
    axes.set_xlabel(f"of RL's change in {MEASURES[measure]}")
    plain_numbers(axes, x=True, y=False)
    return table


def _title(draws: Draws, looks: dict[str, Look], rows: Sequence[Row]) -> str:
    ends = [d[0] for k, d in draws.items() if k[:2] == ("", "steer_code_share") and isinstance(k[2], float)]
    values = [over_seeds(own).value for own in ends]
    base, least, most = _pairs.base_name(rows[0]), number(min(values)), number(max(values))
    shares, random = [], []
    for reward, style in looks.items():
        own = draws.get((reward, "recovered_accuracy", "matched"), {})
        if own.get(0):
            mean = over_seeds(own[0])
            shares.append(f"{number(mean.value)} {interval(mean.lo, mean.hi)} ({style.label})")
            random += [mean.value for mean in _null(own)]
    null = f"; random directions: at most {number(max(random))}" if random else ""
    gain = f". Of RL's gain in accuracy it recovers {listing(shares)}{null}" if shares else ""
    further = "" if _beyond(draws) else ", no further than random directions do"
    return f"Steering moves the code share of {base} from {least} to {most}{further}{gain}"


def _beyond(draws: Draws) -> bool:
    """Whether the doses span more of the base's code share than those of every random direction."""
    doses = [own for key, own in draws.items() if key[:2] == ("", "steer_code_share") and isinstance(key[2], float)]
    spans: defaultdict[int, list[float]] = defaultdict(list)
    for own in doses:
        for draw in {place for each in doses for place in each}:
            spans[draw].append(over_seeds(own.get(draw) or own[0]).value)  # at 0 nothing is added
    reach = {draw: max(values) - min(values) for draw, values in spans.items()}
    return all(reach[0] > reach[draw] for draw in reach if draw)


def _caption(rows: Sequence[Row], table: Sequence[Row], left_out: str) -> str:
    own = pick(rows, name="steer_code_share", coefficient=0.0)
    randoms = {row["draw"] for row in pick(rows, name="steer_code_share_random")}
    sites = sorted({str(row["site"]) for row in pick(rows, name="steer_distance")})
    held_out = counts(pick(rows, name="recovered_accuracy"), "n_problems")
    n = f"{span(counts(own, 'n'), 'response')} on {span(counts(own, 'n_problems'), 'problem')} a run and point"
    n += f", shares on {max(held_out)} held out" if held_out else ""
    null = f"{span([len(randoms)], 'random direction')} of equal length"
    drawn = f"steered at {listing(sites)}, last prompt token"
    return caption(drawn, n, replicated(table, "bars"), null, left_out)
