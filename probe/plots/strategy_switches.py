"""How much of latent-code's gain comes from responses that changed strategy? (2506.10947, Table 2, in accuracy points)

The gain of a cell is 100 sum_{x in cell} (right after - right before) / N: cells add up to the total, each with its
sign and its interval. Not stacked bars (a negative part has no place in them) and not shares of the gain (unstable
where the gain is small). Cells are before -> after, C code, L language; null 0.
"""

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._captions import destroyed, intervals, join, replicates
from probe.plots._curves import main_setting
from probe.plots._designs import by_reward
from probe.plots._frame import finish
from probe.plots._grid import Column, grid
from probe.plots._marks import DESTROYED, null_handle
from probe.plots._replicates import Mean, last_step, means, trained
from probe.plots._style import FAMILIES, look, ordered, reward_look, styled
from probe.plots._words import listing

CELLS = {"CC": "code → code", "CL": "code → prose", "LC": "prose → code", "LL": "prose → prose", "total": "total gain"}
FAMILY = "latent-code"


@figures.register("strategy_switches")
@styled
def strategy_switches(rows: Rows) -> Drawing | None:
    """One panel per cell, one row per reward; latent-code, or every organism where it was not measured."""
    chosen = by_reward(trained(rows, name="switch_gain", temperature=1, side="change"))
    chosen, left_out = main_setting(chosen)
    chosen = [row for row in chosen if row["family"] == FAMILY] or chosen
    found = means(last_step(chosen, ("family", "reward")), ("family", "reward", "cell"))
    if not found:
        return None
    columns = [
        Column(title, "accuracy points", 0.0, here, told={"name": "switch_gain", "cell": cell, "side": "change"})
        for cell, title in CELLS.items()
        if (here := [mean for mean in found if mean.key["cell"] == cell])
    ]
    families = ordered((mean.key["family"] for mean in found), FAMILIES)
    figure, table = grid(columns, families, sharex=True)
    runs = [run for mean in found for run in mean.runs]
    caption = join(
        "Accuracy points added by the responses of each strategy switch (before → after) at the last batch, T = 1; "
        "samples are paired by number. The four cells add up to the total. An account, not an effect: a cell is "
        "chosen by what the model did.",
        replicates(found),
        intervals(found, "Bars"),
        destroyed(runs),
        left_out,
    )
    legend = [null_handle("no gain"), *([DESTROYED] if any(run.get("destroyed") for run in runs) else [])]
    return finish(figure, _title(found, families[0]), caption, table, legend)


def _title(found: list[Mean], family: str) -> str:
    """Among the rewards whose total rises: the cell that adds most, where its interval excludes 0."""
    mine = [mean for mean in found if mean.key["family"] == family]
    told: dict[str, list[str]] = {}
    for total in (m for m in mine if m.key["cell"] == "total" and m.verdict() == "rises"):
        cells = [m for m in mine if m.key["reward"] == total.key["reward"] and m.key["cell"] != "total"]
        best = max(cells, key=lambda m: m.value, default=None)
        if best is not None and best.verdict() == "rises":
            size = f"{best.value:.0f} of {total.value:.0f}"
            told.setdefault(CELLS[best.key["cell"]], []).append(f"{reward_look(total.key['reward']).label} {size}")
    name = look(family, FAMILIES).label
    parts = [f"{cell} adds most under {listing(rewards)}" for cell, rewards in told.items()]
    return f"{name}, points gained: {'; '.join(parts) or 'no reward with a clear gain'}"
