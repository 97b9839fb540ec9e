"""Is a gain more readable answers, another mix of strategies, or better answers within each? (Kitagawa-Oaxaca-Blinder)

parse + mix + within = total, exactly, per run. H1 of 2506.10947 says mix; H4 says parse. Null 0 for each part.
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
from probe.plots._style import FAMILIES, look, ordered, styled

PARTS = {"parse": "parse rate", "mix": "strategy mix", "within": "within strategy", "total": "total gain"}


@figures.register("gain_parts")
@styled
def gain_parts(rows: Rows) -> Drawing | None:
    """One column per part, one row of panels per organism, a line per reward."""
    chosen, left_out = main_setting(by_reward(trained(rows, name="gain_parts", temperature=1)))
    found = means(last_step(chosen, ("family", "reward")), ("family", "reward", "part"))
    if not found:
        return None
    columns = [
        Column(title, "change in accuracy", 0.0, here, told={"name": "gain_parts", "part": part, "side": "change"})
        for part, title in PARTS.items()
        if (here := [mean for mean in found if mean.key["part"] == part])
    ]
    families = ordered((mean.key["family"] for mean in found), FAMILIES)
    figure, table = grid(columns, families, sharex=True)
    runs = [run for mean in found for run in mean.runs]
    caption = join(
        "Accuracy gained at the last batch (T = 1), split at the midpoint: parse rate + strategy mix + within strategy "
        "= total. An account, not an effect: a strategy is chosen per problem.",
        replicates(found),
        intervals(found, "Bars"),
        destroyed(runs),
        left_out,
    )
    legend = [null_handle("no gain"), *([DESTROYED] if any(run.get("destroyed") for run in runs) else [])]
    return finish(figure, _title(found, families), caption, table, legend)


def _title(found: list[Mean], families: list[str]) -> str:
    """Per organism: which part is the largest, and clearly above 0, under how many of the rewards with a clear gain."""
    told = []
    for family in families:
        mine = [mean for mean in found if mean.key["family"] == family]
        gains = [m.key["reward"] for m in mine if m.key["part"] == "total" and m.verdict() == "rises"]
        largest = [_largest([m for m in mine if m.key["reward"] == reward]) for reward in gains]
        parts = [f"{PARTS[part]} under {largest.count(part)}" for part in PARTS if part in largest]
        name = look(family, FAMILIES).label
        told.append(f"{name} {', '.join(parts)} of {len(gains)}" if parts else f"{name} none")
    return f"Largest part of a clear gain: {'; '.join(told)}"


def _largest(parts: list[Mean]) -> str | None:
    best = max((m for m in parts if m.key["part"] != "total"), key=lambda m: m.value, default=None)
    return best.key["part"] if best is not None and best.verdict() == "rises" else None
