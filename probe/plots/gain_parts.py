"""Is a gain more readable answers, another mix of strategies, or better answers within each? (Kitagawa-Oaxaca-Blinder)

parse + mix + within = total, exactly, per run. H1 of 2506.10947 says mix; H4 says parse. Null 0 for each part.
"""

from collections.abc import Sequence

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._designs import by_reward, main_setting
from probe.plots._grid import largest, parts
from probe.plots._replicates import Mean, families_of, last_step, means_by, trained
from probe.plots._style import FAMILIES, look, styled

PARTS = {"parse": "parse rate", "mix": "strategy mix", "within": "within strategy", "total": "total gain"}


@figures.register("gain_parts")
@styled
def gain_parts(rows: Rows) -> Drawing | None:
    """One column per part, one row of panels per organism, a line per reward."""
    chosen, left_out = main_setting(by_reward(trained(rows, name="gain_parts", temperature=1)))
    means = means_by(last_step(chosen, ("family", "reward")), ("family", "reward", "part"))
    return parts(means, "part", PARTS, "change in accuracy", (_title(means), left_out)) if means else None


def _title(means: Sequence[Mean]) -> str:
    """Per organism: which part is the largest, and clearly above 0, under how many of the rewards with a clear gain."""
    text = []
    for family in families_of(means):
        mine = [mean for mean in means if mean.key["family"] == family]
        gains = [m.key["reward"] for m in mine if m.key["part"] == "total" and m.verdict() == "rises"]
        best = [largest(mine, "part", reward) for reward in gains]
        most = [mean.key["part"] for mean in best if mean]
        counts = [f"{PARTS[part]} under {most.count(part)}" for part in PARTS if part in most]
        name = look(family, FAMILIES).label
        text.append(f"{name} {', '.join(counts)} of {len(gains)}" if counts else f"{name} none")
    return f"Largest part of a clear gain: {'; '.join(text)}"
