"""Does one direction do what a prompt does? Dose-response along the mean difference between two prompts.

Code share and accuracy under one prompt when c times (mean state under another - mean state under this one) is added to
the residual stream from the prompt's last token on. Grey band: random directions of that length. The square: what the
other prompt itself brings on the same problems. Drawn for the first checkpoint.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import PROBLEMS, caption, counts, not_drawn
from probe.plots._frame import finish, panels
from probe.plots._marks import bar, key, plain_numbers
from probe.plots._pairs import base_name
from probe.plots._replicates import columns_of, estimate, pick
from probe.plots._style import COLUMN, GREY, Look, styled
from probe.plots._words import interval, number, plain, span

MEASURED = {"code_share": "code share", "accuracy": "accuracy"}
STEERED, ITSELF = Look("#0072B2", "o"), Look("#D55E00", "s")
NULL_BAND = Patch(color=GREY, alpha=0.25, linewidth=0, label="random directions (null): all of them")
KEPT = ("family", "reward", "site", "name", "coefficient", "value", "lo", "hi", "n", "n_problems", "p")


@figures.register("prompt_steering")
@styled
def prompt_steering(rows: Rows) -> Drawing | None:
    """Two panels; None where nothing was steered from one prompt to another."""
    found = [row for row in pick(rows, kind="prompt") if str(row["name"]).startswith("prompt_")]
    who = list(dict.fromkeys((row.get("family"), row.get("base_seed"), row["reward"]) for row in found))
    mine = [row for row in found if (row.get("family"), row.get("base_seed"), row["reward"]) == who[0]]
    if not pick(mine, name="prompt_steer_code_share"):
        return None
    figure, axes = panels(2, 1, width=COLUMN, height=1.35, sharex=True)
    table: list[Row] = []
    for axis, name in zip(axes[:, 0], MEASURED, strict=True):
        table += _panel(axis, mine, name)
        axis.set_ylabel(MEASURED[name])
    axes[1, 0].set_xlabel("coefficient c (distances between the two prompts)")
    prompt = plain(mine[0]["reward"])
    legend = [STEERED.handle(), key(f"{prompt} itself", "s", color=ITSELF.colour), NULL_BAND]
    legend[0].set_label("along the difference")
    site = next((row["site"] for row in mine if row.get("site")), "")
    steered = pick(mine, name="prompt_steer_code_share")
    n = f"{span(counts(steered, 'n'), 'response')} to {span(counts(steered, 'n_problems'), 'problem')} at each dose"
    draws = len({row["draw"] for row in mine if row.get("draw")})
    text = caption(
        f"{base_name(mine[0])} steered at {site} toward {prompt}, from the prompt's last token on", n, PROBLEMS,
        f"{span([draws], 'random direction')} of equal length", not_drawn(len(who) - 1, "checkpoint"),
    )  # fmt: skip
    return finish(figure, _title(mine, prompt), text, table, legend)


def _panel(axes: Axes, rows: Sequence[Row], name: str) -> list[Row]:
    own = sorted(pick(_dosed(rows), name=f"prompt_steer_{name}"), key=lambda row: row["coefficient"])
    null = pick(_dosed(rows), name=f"prompt_steer_{name}_random")
    table = [columns_of(row, KEPT, mark="dose") for row in own]
    doses, limits = [row["coefficient"] for row in own], []
    for row in own:
        there = [each["value"] for each in null if each["coefficient"] == row["coefficient"]] or [row["value"]]
        limits.append((min(there), max(there)))
        table.append(columns_of(row, KEPT, mark="null", value=None, lo=limits[-1][0], hi=limits[-1][1], p=None))
    low, high = zip(*limits, strict=True)
    axes.fill_between(doses, low, high, color=GREY, alpha=0.25, linewidth=0, zorder=0)
    axes.plot(doses, [row["value"] for row in own], color=STEERED.colour, zorder=2)
    for row in own:
        bar(axes, row["coefficient"], estimate(row), STEERED)
    for row in pick(rows, name=f"prompt_itself_{name}"):
        bar(axes, max(doses) + 0.25, estimate(row), ITSELF)
        table.append(columns_of(row, KEPT, mark="the prompt itself"))
    axes.set_ylim(-0.04, 1.04)
    plain_numbers(axes, x=True)
    return table


def _dosed(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.get("coefficient") is not None]


def _title(rows: Sequence[Row], prompt: str) -> str:
    """What the largest share of code is, where the random directions end, and what the prompt itself does."""
    own = max(pick(_dosed(rows), name="prompt_steer_code_share"), key=lambda row: row["value"])
    null = [row["value"] for row in pick(_dosed(rows), name="prompt_steer_code_share_random")]
    start = next(row for row in _dosed(rows) if row["name"] == "prompt_steer_code_share" and row["coefficient"] == 0)
    itself = next(iter(pick(rows, name="prompt_itself_code_share")), None)
    said = f"Steered toward {prompt}, code goes from {number(start['value'])} to at most {number(own['value'])}"
    said += f" {interval(own['lo'], own['hi'])}; random directions: at most {number(max(null))}" if null else ""
    return said + (f"; the prompt itself: {number(itself['value'])}" if itself else "")
