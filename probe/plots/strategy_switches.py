"""How much of latent-code's gain comes from responses that changed strategy? (2506.10947, Table 2, in accuracy points)

The gain of a cell is 100 sum_{x in cell} (right after - right before) / N: cells (before -> after, C code, L language)
add up to the total; samples are paired by number. Not stacked bars (a negative part has no place in them), not shares
of the gain (unstable where it is small). Null 0.
"""

from collections.abc import Sequence

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._designs import by_reward, main_setting
from probe.plots._grid import largest, parts
from probe.plots._replicates import Mean, after_holm, families_of, last_step, means_by, trained
from probe.plots._style import FAMILIES, look, reward_look, styled
from probe.plots._words import listing

CELLS = {"CC": "code → code", "CL": "code → prose", "LC": "prose → code", "LL": "prose → prose", "total": "total gain"}
FAMILY = "latent-code"


@figures.register("strategy_switches")
@styled
def strategy_switches(rows: Rows) -> Drawing | None:
    """One panel per cell, one row per reward; latent-code, or every organism where it was not measured."""
    chosen, left_out = main_setting(by_reward(trained(rows, name="switch_gain", temperature=1, side="change")))
    chosen = [row for row in chosen if row["family"] == FAMILY] or chosen
    means = after_holm(means_by(last_step(chosen, ("family", "reward")), ("family", "reward", "cell")))
    return parts(means, "cell", CELLS, "accuracy points", (_title(means), left_out)) if means else None


def _title(means: Sequence[Mean]) -> str:
    """Among the rewards whose total rises: the cell that adds most."""
    family, most = families_of(means)[0], dict[str, list[str]]()
    mine = [mean for mean in means if mean.key["family"] == family]
    for total in (m for m in mine if m.key["cell"] == "total" and m.verdict() == "rises"):
        best = largest(mine, "cell", total.key["reward"])
        if best is not None:
            size = f"{best.value:.0f} of {total.value:.0f}"
            most.setdefault(CELLS[best.key["cell"]], []).append(f"{reward_look(total.key['reward']).label} {size}")
    text = [f"{cell} adds most under {listing(rewards)}" for cell, rewards in most.items()]
    return f"{look(family, FAMILIES).label}, points gained: {'; '.join(text) or 'no reward with a clear gain'}"
