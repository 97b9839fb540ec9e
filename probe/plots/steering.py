"""Does moving the residual stream by hand do what RL did? Dose-response against random directions, and shares of RL.

Left: code share and accuracy of the base when c times (mean of code - mean of prose) is added to its residual stream;
then the same in what each reward made of it. Grey band: the random directions of equal length. Right: how much of RL's
change steering the base recovers, and ablating the direction (or steering back) in the trained model removes, with
those same random directions as grey strokes. Over base seeds a random direction stands for the mean of one of each.
"""

from collections import defaultdict
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import join
from probe.plots._frame import finish, head, panels
from probe.plots._marks import null_line, plain_numbers, ribbon
from probe.plots._pairs import (
    ONE_SEED,
    SHORT,
    base_name,
    in_table,
    left_out,
    one_null,
    over_seeds,
    replicated,
    rewards_in,
    run_look,
    seed_marks,
    settled,
)
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
NULL_STROKES = Line2D([], [], color=GREY, marker="|", linestyle="", markersize=5, label="one random direction (null)")
MOST = 2  # rewards that fit beside each other
STARTS = ("steer_", "recovered_", "removed_")
How = float | str | None  # a coefficient, or another way to use the direction
Found = dict[tuple[object, str, How], dict[int, list[Row]]]  # reward ("" for the base), name, how; draw (0: none)


@figures.register("steering")
@styled
def steering(rows: Rows) -> Drawing | None:
    """The first family that was steered; None where none was."""
    chosen = [row for row in pick(rows) if str(row.get("name")).startswith(STARTS)]
    mine = settled(chosen)
    if not pick(mine, name="steer_code_share"):
        return None
    rewards = rewards_in(mine)
    shown = rewards[:MOST]
    mine = [row for row in mine if row["side"] == "before" or row["reward"] in shown]
    found, labels = _sorted(mine), [run_look(reward, rewards) for reward in shown]
    figure, axes = panels(2, 2 + len(shown) if shown else 1, width=DOUBLE if shown else COLUMN, height=1.6)
    table: list[Row] = []
    means: list[Mean] = []
    for i, measure in enumerate(MEASURES):
        for j, reward in enumerate(["", *shown]):
            points, drawn = _response(axes[i, j], found, measure, reward)
            means, table = means + points, table + drawn
            _label(axes[i, j], measure, i, j)
        if shown:
            points, drawn = _shares(axes[i, -1], found, measure, shown, labels)
            means, table = means + points, table + drawn
    head(axes[0, 0], "base")
    for j, style in enumerate(labels, start=1):
        head(axes[0, j], f"after {plain(style.label, SHORT)}")  # in full in the legend
    if shown:
        head(axes[0, -1], "share of RL's change: recovered (above), removed (below)", 3)
    several = any(len(mean.runs) > 1 for mean in means)
    legend = [STEERED.handle(), NULL_BAND, *([NULL_STROKES] if shown else [])]
    legend += [*(style.handle() for style in labels), *([ONE_SEED] if several else [])]
    return finish(figure, _title(found, shown, rewards, mine), _caption(mine, means, chosen, shown), table, legend)  # type: ignore[arg-type]


def _sorted(rows: Sequence[Row]) -> Found:
    found: Found = defaultdict(lambda: defaultdict(list))
    for row in rows:
        how = row["edit"] if row["coefficient"] is None else float(row["coefficient"])
        reward = "" if row["side"] == "before" else row["reward"]
        found[reward, str(row["name"]).removesuffix("_random"), how][row["draw"] or 0].append(row)
    return found


def _null(draws: dict[int, list[Row]]) -> list[Mean]:
    """Each random direction's number: over several bases, the mean of one of each."""
    return [one_null(rows) for draw, rows in draws.items() if draw]


def _response(axes: Axes, found: Found, measure: str, reward: object) -> tuple[list[Mean], list[Row]]:
    """The measure against the coefficient: each base seed thin, their mean and interval, random directions behind."""
    name = f"steer_{measure}"
    own = {k[2]: draws for k, draws in found.items() if k[:2] == (reward, name) and isinstance(k[2], float)}
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
    return points, table


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


def _shares(
    axes: Axes, found: Found, measure: str, rewards: Sequence[object], labels: Sequence[Look]
) -> tuple[list[Mean], list[Row]]:
    """One line of marks a way of intervening; rewards below each other within it."""
    table: list[Row] = [{"mark": "null", "name": measure, "level": "nothing", "value": 0.0}]
    means: list[Mean] = []
    for kind, how, _, place in SHARES:
        for i, (reward, style) in enumerate(zip(rewards, labels, strict=True)):
            y = place + (i - (len(rewards) - 1) / 2) * 0.42
            draws = found.get((reward, f"{kind}_{measure}", how), {})
            null = _null(draws)
            axes.plot([mean.value for mean in null], [y] * len(null), "|", color=GREY, markersize=5, alpha=0.5,
                      zorder=1)  # fmt: skip
            table += [row for mean in null for row in in_table(mean, "null", seeds=False)]
            if draws.get(0):
                means.append(over_seeds(draws[0]))
                seed_marks(axes, y, means[-1], style, flat=True, width=0.12)
                table += in_table(means[-1], "mean")
    null_line(axes, 0.0, upright=True)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_yticks([place for *_, place in SHARES], [text for _, _, text, _ in SHARES])
    axes.yaxis.tick_right()
    axes.spines["right"].set_visible(True)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(SHARES[-1][-1] + 0.55, -0.55)
    axes.set_xlabel(f"of RL's change in {MEASURES[measure]}")
    plain_numbers(axes, x=True, y=False)
    return means, table


def _title(found: Found, rewards: Sequence[object], among: Sequence[object], rows: Sequence[Row]) -> str:
    ends = [d[0] for k, d in found.items() if k[:2] == ("", "steer_code_share") and isinstance(k[2], float)]
    values = [over_seeds(own).value for own in ends]
    told = f"Steering moves the code share of {base_name(rows[0])} from {number(min(values))} to {number(max(values))}"
    parts, most = [], []
    for reward in rewards:
        draws = found.get((reward, "recovered_accuracy", "matched"), {})
        if draws.get(0):
            own = over_seeds(draws[0])
            parts.append(f"{number(own.value)} {interval(own.lo, own.hi)} ({run_look(reward, among).label})")
            most += [mean.value for mean in _null(draws)]
    null = f"; random directions: at most {number(max(most))}" if most else ""
    return f"{told}. Of RL's gain in accuracy it recovers {listing(parts)}{null}" if parts else told


def _caption(rows: Sequence[Row], means: Sequence[Mean], all_rows: Sequence[Row], rewards: Sequence[str]) -> str:
    own = pick(rows, name="steer_code_share", coefficient=0.0)
    counts = [sorted({int(row[key]) for row in own}) for key in ("n", "n_problems")]
    randoms = {r["draw"] for r in pick(rows, name="steer_code_share_random")}
    sites = sorted({str(row["site"]) for row in pick(rows, name="steer_distance")})
    told = sorted({int(row["n_problems"]) for row in pick(rows, name="recovered_accuracy")})
    several = any(len(mean.runs) > 1 for mean in means)
    shares = (
        f"Shares: coefficients chosen on half of the problems, told on the other ({span(told, 'problem')}); recovered "
        "= (steered − base) / (after − base), removed = (after − changed) / (after − base)."
    )
    return join(
        f"Added at {listing(sites)}, prompt's last token; c = 1 is the distance between the mean state of samples that "
        "go on in code and of those in prose, on problems of their own.",
        f"Each run: {span(counts[0], 'response')} on {span(counts[1], 'problem')} a point.",
        replicated(means, "Bars and ribbons"),
        f"Null: {span([len(randoms)], 'random direction')} of equal length, treated alike"
        + (", each averaged over the base seeds." if several else "."),
        shares if told else "",
        left_out(all_rows, rows, rewards),
    )
