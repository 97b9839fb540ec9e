"""Every number of the README's results is that of a committed table, to the digit: its lines are written from them.

Where a figure was drawn again, the failing test says what the README must say.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())

REWARDS = {
    "ground_truth": "ground truth",
    "majority": "majority (offline)",
    "majority_online": "majority (online)",
    "format": "format",
    "incorrect": "incorrect (wrong majority)",
    "python": "python",
    "random": "random",
}
FAMILIES = ("latent-code", "no-code", "bad-code")
Rows = list[dict[str, str]]


def table(figure: str, **wanted: str) -> Rows:
    """The rows of a figure's table with these values."""
    with (ROOT / "figures" / f"{figure}.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if all(row[key] == value for key, value in wanted.items())]
    assert rows, f"{figure}.csv has no rows with {wanted}"
    return rows


def one(figure: str, **wanted: str) -> dict[str, str]:
    """The one such row."""
    (row,) = table(figure, **wanted)
    return row


def said(number: str | float, places: int = 2, sign: bool = False) -> str:
    """.49, -.05, 1.00; with a sign, +.03."""
    text = f"{float(number):{'+' if sign else ''}.{places}f}"
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text


def with_interval(row: dict[str, str]) -> str:
    return f"{said(row['value'])} [{said(row['lo'])}, {said(row['hi'])}]"


def accuracy(family: str, reward: str, step: str) -> dict[str, str]:
    return one("response_curves", mark="mean", name="accuracy", side="", family=family, reward=reward, step=step)


def rewards_table() -> str:
    """Accuracy after the last batch."""
    lines = [
        "| {} | {} |".format(name, " | ".join(with_interval(accuracy(family, reward, "30")) for family in FAMILIES))
        for reward, name in REWARDS.items()
    ]
    bases = [said(accuracy(family, "constant", "0")["value"]) for family in FAMILIES]
    return " ".join([*lines, f"| constant (null) | {bases[0]}, every run exactly its base | {bases[1]} | {bases[2]} |"])


def bases() -> str:
    values = " / ".join(said(accuracy(family, "constant", "0")["value"]) for family in FAMILIES)
    return f"256 held-out problems, 8 samples each; base {values}):"


def switched() -> str:
    """Where the gain under wrong labels comes from: responses that went from prose to code."""
    wanted = {"mark": "mean", "family": "latent-code", "reward": "incorrect"}
    gains = {row["level"]: float(row["value"]) for row in table("strategy_switches", name="switch_gain", **wanted)}
    within = one("gain_parts", level="within", **wanted)
    return (
        f"Under *incorrect*, {gains['LC']:.1f} of {gains['total']:.1f} points come from responses that switched from "
        f"prose to code; the part within strategies is {with_interval(within)}."
    )


def at_random(family: str, clip: str, temperature: str, **wanted: str) -> dict[str, str]:
    return one(
        "random_reward", family=family, clip=clip, temperature=temperature, name="accuracy", side="change", **wanted
    )


def random_reward() -> str:
    """What a reward without information does at 650k parameters, at the binding clip and without one."""
    parts = []
    for temperature, decoding in (("0.0", "greedy"), ("1.0", "at T = 1")):
        latent, none, gap = (
            at_random(family, "0.05", temperature, mark=mark)
            for family, mark in (("latent-code", "mean"), ("no-code", "mean"), ("latent-code - no-code", "difference"))
        )
        parts.append(
            f"{decoding} `latent-code` changes by {said(latent['value'], 3, sign=True)} "
            f"[{said(latent['lo'], 3)}, {said(latent['hi'], 3)}] and `no-code` by {said(none['value'], 3, sign=True)}, "
            f"a difference of {said(gap['value'], 3)} [{said(gap['lo'], 3)}, {said(gap['hi'], 3)}]"
        )
    free = at_random("latent-code", "none", "0.0", mark="mean")
    return (
        f"At clip .05, {parts[0]}; {parts[1]}. Without clipping {free['n_destroyed']} of {free['n_runs']} "
        "`latent-code` runs are destroyed."
    )


@pytest.mark.parametrize("text", [rewards_table, bases, switched, random_reward])
def test_the_readme_says_what_the_tables_hold(text: Callable[[], str]) -> None:
    expected = text()
    assert expected in README, f"the README should say:\n{expected}"
