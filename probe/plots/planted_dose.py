"""Does an organism without code respond once some is planted, and at which dose? One column a quantity, doses across.

Left: accuracy of the base in code less its accuracy in prose, first words forced: what a move to code is worth. Then
what RL changed: share of code, accuracy. One run a base: the mean has a t interval over bases.
"""

import re
from collections.abc import Sequence

from matplotlib.axes import Axes
from scipy import stats

from probe.measurements import Row, Rows
from probe.plots import Drawing, figures
from probe.plots._captions import of_runs
from probe.plots._frame import finish, name_columns, panels
from probe.plots._marks import dots, null_handle, null_line, plain_numbers
from probe.plots._replicates import Mean, changes, means_by, pick, runs_of
from probe.plots._style import DOUBLE, REWARDS, handles, ordered, reward_look, styled
from probe.plots._words import listing, signed
from probe.stats import holm

LEVEL = 0.05
PLANTED = re.compile(r"planted(\d+)")
QUANTITIES = (
    ("gap", 1.0, "base: code - prose"),
    ("code_share", 1.0, "share of code"),
    ("accuracy", 1.0, "accuracy, T = 1"),
    ("accuracy", 0.0, "accuracy, greedy"),
)


@figures.register("planted_dose")
@styled
def planted_dose(rows: Rows) -> Drawing | None:
    """Doses at their places, rewards beside each other; None where no organism was planted."""
    mine = [row for row in rows if PLANTED.fullmatch(str(row.get("family")))]
    doses = sorted({dose(row) for row in mine})
    found = [_means(mine, name, temperature) for name, temperature, _ in QUANTITIES]
    if not doses or not all(found):
        return None
    figure, axes = panels(1, len(QUANTITIES), width=DOUBLE, height=1.75)
    rewards = ordered({mean.key["reward"] for means in found for mean in means if mean.key["reward"]}, REWARDS)
    table: list[Row] = [{"mark": "null", "value": 0.0}]
    for axis, means, (name, temperature, _) in zip(axes[0], found, QUANTITIES, strict=True):
        table += _panel(axis, means, doses, rewards, {"quantity": name, "temperature": temperature})
    name_columns(axes[0], [title for _, _, title in QUANTITIES])
    axes[0, 0].set_ylabel("difference")
    axes[0, 1].set_ylabel("change by RL")
    legend = [*handles([reward_look(reward) for reward in rewards]), null_handle("no difference")]
    every = [mean for means in found for mean in means]
    text = of_runs("one RL run a base and reward", every, "bars", "0 (dashed)", rows=runs_of(found[2]))
    return finish(figure, _title(found[2], doses), text, table, legend)


def dose(row: Row) -> int:
    """Texts in code among a hundred of its further pretraining."""
    match = PLANTED.fullmatch(str(row["family"]))
    assert match
    return int(match[1])


def _means(rows: Sequence[Row], name: str, temperature: float) -> list[Mean]:
    """By family and reward; the gap is the base's own, and the same under every reward."""
    if name != "gap":
        return changes(rows, ("family", "reward"), name=name, temperature=temperature)
    bases = {
        (row["family"], row["size"], row["base_seed"]): row for row in pick(rows, name=name, temperature=temperature)
    }
    signed_ones = [row | {"reward": "", "side": "change"} for row in bases.values()]  # of a difference, as changes are
    return means_by(signed_ones, ("family", "reward"))


def _panel(axes: Axes, means: Sequence[Mean], doses: list[int], rewards: list[str], about: Row) -> list[Row]:
    table: list[Row] = []
    null_line(axes, 0.0)
    for mean in means:
        reward = mean.key["reward"]
        aside = 0.24 * (rewards.index(reward) - (len(rewards) - 1) / 2) if reward else 0.0
        dots(axes, doses.index(dose(mean.key)) + aside, mean, reward_look(reward), width=0.07)
        table += mean.rows(**about)
    axes.set_xticks(range(len(doses)), [f"{each} %" for each in doses])
    axes.set_xlim(-0.5, len(doses) - 0.5)
    axes.set_xlabel("planted code")
    plain_numbers(axes)
    return table


def _title(accuracy: Sequence[Mean], doses: list[int]) -> str:
    """Which doses gain accuracy at T = 1 under a reward that pays for the strategy alone, after Holm over doses."""
    paid = {dose(mean.key): mean for mean in accuracy if mean.key["reward"] == "python"}
    tested = [each for each in doses if each in paid and paid[each].lo == paid[each].lo]
    p = [float(stats.ttest_1samp(paid[each].replicates, 0).pvalue) for each in tested]
    adjusted: Sequence[float] = holm(p).tolist() if p else []
    risen = [each for each, p in zip(tested, adjusted, strict=True) if p < LEVEL and paid[each].value > 0]
    if 0 in risen:
        return "Paid for code alone, it gains even where none was planted: the control fails"
    if not risen:
        return "No dose of planted code makes it gain from a reward for code alone"
    said = listing(f"{each} % {signed(paid[each].value)}" for each in risen)
    return f"Paid for code alone, it gains accuracy at T = 1 where code was planted: {said}"
