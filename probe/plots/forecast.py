"""What will RL under each reward change first, before any RL? Rewards down, traits across, on base responses alone.

Marks are Price's equation (`probe.stats.price`): the change per unit of eta, with its interval over problems. The grey
bar behind each is the same under advantages shuffled within problems. Of the accuracy the form that is recommended for
the reward is filled, the other hollow. Drawn for the first checkpoint.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import caption, counts, not_drawn
from probe.plots._forecasts import BASE, TRAITS, changes, checkpoint_of, form, rewards_in
from probe.plots._frame import finish, panels
from probe.plots._marks import band_key, bar, key, null_handle, null_line, plain_numbers
from probe.plots._replicates import columns_of, estimate, pick
from probe.plots._style import COLUMN, DOUBLE, FAMILIES, GREY, look, ordered, reward_look, styled
from probe.plots._words import listing, plain, span

SHUFFLED = band_key("advantages shuffled within problems (null)", 4)
RECOMMENDED = key("recommended form of the accuracy", "o")
OTHER = key("the other form", "o", markerfacecolor="white")
SAID = ("responds up", "responds down", "undecided")
KEPT = (*BASE, "reward", "name", "side", "part", "value", "lo", "hi", "n", "n_problems", "unit", "p")


@figures.register("forecast")
@styled
def forecast(rows: Rows) -> Drawing | None:
    """One row a reward, one panel a trait; None where nothing was forecast."""
    every = [row for trait in TRAITS for row in pick(rows, name=f"forecast/{trait}", side="change")]
    if not every:
        return None
    first = ordered((row.get("family") for row in every), FAMILIES)[0]
    chosen = checkpoint_of(next(row for row in every if row.get("family") == first))
    mine = [row for row in rows if checkpoint_of(row) == chosen]
    shown = [trait for trait in TRAITS if pick(mine, name=f"forecast/{trait}", side="change")]
    rewards = rewards_in([row for row in every if checkpoint_of(row) == chosen])
    width, height = COLUMN if len(shown) == 1 else DOUBLE, 0.42 + 0.19 * len(rewards)
    figure, axes = panels(1, len(shown), width=width, height=height, sharey=True)
    table: list[Row] = [{"mark": "null", "value": 0.0}]
    for axis, trait in zip(axes[0], shown, strict=True):
        table += _panel(axis, mine, trait, rewards)
    axes[0, 0].set_ylim(len(rewards) - 0.4, -0.6)
    axes[0, 0].set_yticks(range(len(rewards)), [reward_look(name).label for name in rewards])
    others = len({checkpoint_of(row) for row in every}) - 1
    legend = [SHUFFLED, null_handle("no change"), RECOMMENDED, OTHER]
    return finish(figure, _title(mine), _caption(mine, others), table, legend)


def _panel(axes: Axes, rows: Sequence[Row], trait: str, rewards: Sequence[str]) -> list[Row]:
    null_line(axes, 0.0, upright=True)
    table: list[Row] = []
    several = trait == "accuracy"
    for row in pick(rows, name=f"forecast/{trait}", side="change", part=("direct", "by strategy")):
        shift = 0.0 if not several else -0.14 if row["part"] == "direct" else 0.14
        place = rewards.index(str(row["reward"])) + shift
        for null in pick(rows, name=row["name"], side="permuted", part=row["part"], reward=row["reward"]):
            limits = (null["lo"], null["hi"])
            axes.plot(limits, (place, place), color=GREY, alpha=0.35, linewidth=4, zorder=1, solid_capstyle="butt")
            table.append(columns_of(null, KEPT, mark="null"))
        style = reward_look(row["reward"])
        bar(axes, place, estimate(row), style, flat=True, hollow=row["part"] != form(row))
        table.append(columns_of(row, KEPT, mark="forecast"))
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.set_xlabel(TRAITS[trait].replace(" (", "\n("))
    plain_numbers(axes, x=True, y=False)
    return table


def _title(rows: Sequence[Row]) -> str:
    name = plain(rows[0].get("family"), 40)
    base = f"{look(rows[0]['family'], FAMILIES).label} {rows[0]['base_seed']}" if rows[0].get("size") else name
    said: dict[str, list[str]] = {}
    for row in changes(rows, "accuracy"):
        told = next((r for r in rows if r["name"] == "forecast/response" and r["reward"] == row["reward"]), {})
        said.setdefault(str(told.get("reason")), []).append(reward_look(row["reward"]).label)
    parts = [f"{word.replace('responds ', '')} under {listing(said[word])}" for word in SAID if word in said]
    text = f"Accuracy of {base}, as forecast before RL: {'; '.join(parts) or 'no first-order response'}"
    verdict = next((str(row.get("reason")) for row in rows if row["name"] == "forecast/responder"), "")
    return f"{text}. To spurious rewards: {plain(verdict.partition(':')[0])}" if verdict else text


def _caption(rows: Sequence[Row], others: int) -> str:
    direct = pick(rows, name=tuple(f"forecast/{trait}" for trait in TRAITS), side="change", part="direct")
    n = f"{span(counts(direct, 'n'), 'response')} to {span(counts(direct, 'n_problems'), 'problem')}"
    drawn = "first change per unit step: covariance of advantage and trait within problems"
    bars = "bars: 95 % interval over problems"
    return caption(drawn, n, bars, "shuffled advantages", not_drawn(others, "checkpoint"))
