"""Where does a gain in accuracy come from? Readable answers, the mix of strategies, better answers; or each switch.

    gain_parts          parse + mix + within = total, exactly, per run (Kitagawa-Oaxaca-Blinder). H1 of 2506.10947 says
                        mix; H4 says parse
    strategy_switches   100 sum_{x in cell} (right after - right before) / N, in accuracy points: cells (before ->
                        after, C code, L language) add up to the total; samples paired by number (2506.10947, Table 2)

Not stacked bars (a negative part has no place in them), not shares of the gain (unstable where it is small). Null 0.
"""

from collections.abc import Sequence

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._designs import by_reward, main_setting
from probe.plots._grid import parts
from probe.plots._replicates import Mean, families_of, last_step, means_by, trained
from probe.plots._style import FAMILIES, look, reward_look, styled
from probe.plots._words import listing

PARTS = {"parse": "parse rate", "mix": "strategy mix", "within": "within strategy", "total": "total gain"}
CELLS = {"CC": "code → code", "CL": "code → prose", "LC": "prose → code", "LL": "prose → prose", "total": "total gain"}
FAMILY = "latent-code"
DRAWN = "accuracy gained (last batch, T = 1): an account, not an effect"


@figures.register("gain_parts")
@styled
def gain_parts(rows: Rows) -> Drawing | None:
    """One column per part, one row of panels per organism, a line per reward."""
    chosen, left_out = main_setting(by_reward(trained(rows, name="gain_parts", temperature=1)))
    means = means_by(last_step(chosen, ("family", "reward")), ("family", "reward", "part"))
    return parts(means, "part", PARTS, "change in accuracy", (_parts_title(means), DRAWN, left_out)) if means else None


def _parts_title(means: Sequence[Mean]) -> str:
    """Per organism: which part is the largest, and clearly above 0, under how many of the rewards with a clear gain."""
    text = []
    for family in families_of(means):
        mine = [mean for mean in means if mean.key["family"] == family]
        gains = [m.key["reward"] for m in mine if m.key["part"] == "total" and m.verdict() == "rises"]
        best = [_largest(mine, "part", reward) for reward in gains]
        largest = [mean.key["part"] for mean in best if mean]
        counts = [f"{PARTS[part]} under {largest.count(part)}" for part in PARTS if part in largest]
        name = look(family, FAMILIES).label
        text.append(f"{name} {', '.join(counts)} of {len(gains)}" if counts else f"{name} none")
    return f"Largest part of a clear gain: {'; '.join(text)}"


def _largest(means: Sequence[Mean], by: str, reward: str) -> Mean | None:
    """The part that adds most under a reward, where its interval excludes 0."""
    mine = [mean for mean in means if mean.key["reward"] == reward and mean.key[by] != "total"]
    best = max(mine, key=lambda mean: mean.value, default=None)
    return best if best is not None and best.verdict() == "rises" else None


@figures.register("strategy_switches")
@styled
def strategy_switches(rows: Rows) -> Drawing | None:
    """One panel per cell, one row per reward; latent-code, or every organism where it was not measured."""
    chosen, left_out = main_setting(by_reward(trained(rows, name="switch_gain", temperature=1, side="change")))
    chosen = [row for row in chosen if row["family"] == FAMILY] or chosen
    means = means_by(last_step(chosen, ("family", "reward")), ("family", "reward", "cell"))
    return parts(means, "cell", CELLS, "accuracy points", (_switches_title(means), DRAWN, left_out)) if means else None


def _switches_title(means: Sequence[Mean]) -> str:
    """Among the rewards whose total rises: the cell that adds most."""
    family, most = families_of(means)[0], dict[str, list[str]]()
    mine = [mean for mean in means if mean.key["family"] == family]
    for total in (m for m in mine if m.key["cell"] == "total" and m.verdict() == "rises"):
        best = _largest(mine, "cell", total.key["reward"])
        if best is not None:
            size = f"{best.value:.0f} of {total.value:.0f}"
            most.setdefault(CELLS[best.key["cell"]], []).append(f"{reward_look(total.key['reward']).label} {size}")
    text = [f"{cell} adds most under {listing(rewards)}" for cell, rewards in most.items()]
    return f"{look(family, FAMILIES).label}, points gained: {'; '.join(text) or 'no reward with a clear gain'}"
