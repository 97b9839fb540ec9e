"""Is a gain another mix of strategies, more readable answers, or better answers within each? (Kitagawa-Oaxaca-Blinder)

mix + parse + within = total, exactly, per run; the parse rate is that of each strategy. H1 of 2506.10947 says mix; H4
says parse. Null 0 for each part.
"""

from collections.abc import Sequence

from probe.measurements import Rows
from probe.plots import Drawing, figures
from probe.plots._designs import by_reward, main_setting
from probe.plots._frame import NO_BREAK
from probe.plots._grid import parts
from probe.plots._replicates import Mean, after_holm, families_of, last_step, means_by, trained
from probe.plots._style import FAMILIES, look, styled

PARTS = {"mix": "strategy mix", "parse": "parse rate", "within": "within strategy", "total": "total gain"}


@figures.register("gain_parts")
@styled
def gain_parts(rows: Rows) -> Drawing | None:
    """One column per part, one row of panels per organism, a line per reward."""
    chosen, left_out = main_setting(by_reward(trained(rows, name="gain_parts", temperature=1)))
    means = after_holm(means_by(last_step(chosen, ("family", "reward")), ("family", "reward", "part")))
    return parts(means, "part", PARTS, "change in accuracy", (_title(means), left_out)) if means else None


def _title(means: Sequence[Mean]) -> str:
    """Per organism: under how many rewards accuracy clearly rises, and how often each part rises or falls there."""
    text = []
    for family in families_of(means):
        mine = [mean for mean in means if mean.key["family"] == family and not mean.is_null]
        totals = [mean for mean in mine if mean.key["part"] == "total"]
        gains = [mean.key["reward"] for mean in totals if mean.verdict() == "rises"]
        clear = [mean for mean in mine if mean.key["reward"] in gains]
        said = ", ".join(_moves(clear, part) for part in PARTS if part != "total")
        name = f"{look(family, FAMILIES).label} {len(gains)} of {len(totals)}"
        text.append(f"{name} ({said})" if gains else name)
    return f"Rewards with a clear gain, and parts that clearly rise (+) or fall (−) under them: {'; '.join(text)}"


def _moves(means: Sequence[Mean], part: str) -> str:
    """A part under some rewards: mix +3 −1, or mix 0."""
    found = [mean.verdict() for mean in means if mean.key["part"] == part]
    counts = [f"{sign}{found.count(word)}" for sign, word in (("+", "rises"), ("−", "falls")) if word in found]
    return NO_BREAK.join([part, *(counts or ["0"])])
