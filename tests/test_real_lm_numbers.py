"""Every number of docs/real_lm.md is that of a committed table: its lines are written from them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from test_readme_numbers import one, said, table, with_interval

PAGE = Path(__file__).parents[1] / "docs" / "real_lm.md"
LAST = {"step": "12"}


def prompted() -> str:
    own = one("prompt_shares", name="code_share", mark="own")
    others = [one("prompt_shares", name="code_share", mark="prompt", reward=name) for name in ("ask-words", "chat")]
    return (
        f"Greedy, it writes code in {with_interval(own)} of the responses when asked for a program, and in "
        f"{with_interval(others[0])} and {with_interval(others[1])} when asked for words or for nothing"
    )


def sampled() -> str:
    base = one("real_run", name="code_share", mark="null")
    return f"Sampled at T = 1 it is {with_interval(base)}"


def read() -> str:
    rows = [row for row in table("real_probes", mark="probe", side="before") if row["level"].startswith("strategy")]
    best = max(rows, key=lambda row: float(row["value"]))
    return f"best of three layers and two kinds of probe, AUROC {with_interval(best)}"


def forks() -> str:
    rows = [row for row in table("real_probes", mark="probe", side="before") if row["level"].startswith("fork")]
    most, least = (which(rows, key=lambda row: float(row["value"])) for which in (max, min))
    return f"Whether a token is a fork is read: {with_interval(least)} to {with_interval(most)}"


def after_four() -> str:
    row = one("real_run", mark="step", reward="python", name="code_share", step="4")
    base = one("real_run", name="code_share", mark="null")
    return f"after 4 batches it stood at {with_interval(row)}, in the base at {with_interval(base)}"


def steered() -> str:
    doses = [float(row["value"]) for row in table("real_steering", name="steer_code_share", mark="mean", side="before")]
    toward = table("prompt_steering", name="prompt_steer_code_share", mark="dose")
    most = max(toward, key=lambda row: float(row["value"]))
    itself = one("prompt_steering", name="prompt_itself_code_share", mark="the prompt itself")
    return (
        f"moves the share from {said(min(doses))} to {said(max(doses))}, no further than random directions; along the "
        f"difference between the two prompts code comes to {with_interval(most)} at most, where the prompt itself "
        f"brings {with_interval(itself)}"
    )


def change(reward: str, name: str, seed: str = "0") -> dict[str, str]:
    return one("real_run", mark="change", reward=reward, name=name, rl_seed=seed, **LAST)


def python() -> str:
    word = one("real_run", mark="step", reward="python", name="python_share", **LAST)
    before = one("real_run", mark="null", name="python_share")
    return (
        f'after 12 batches every response says "python" ({with_interval(word)}; before {with_interval(before)}). Code, '
        f"strictly, is up by {with_interval(change('python', 'code_share'))}, entropy by "
        f"{with_interval(change('python', 'held_out_entropy'))} nats a token"
    )


def at_random() -> str:
    seeds = ("0", "1", "2")
    entropy, word, code = (
        ", ".join(with_interval(change("random", name, seed)) for seed in seeds)
        for name in ("held_out_entropy", "python_share", "code_share")
    )
    return f'entropy changes by {entropy} nats a token, "python" by {word}, strict code by {code}'


def nothing() -> str:
    rows = table("real_run", mark="random change, paired")
    most = {
        name: max((row for row in rows if row["name"] == name), key=lambda row: abs(float(row["value"])))
        for name in ("held_out_entropy", "python_share", "code_share")
    }
    assert all(float(row["lo"]) < 0 < float(row["hi"]) for row in most.values())
    n = len({(row["reward"], row["rl_seed"]) for row in rows})
    entropy, word, code = map(with_interval, most.values())
    return (
        f"A random change as large, matrix by matrix, beside each of the {n} runs, moves none of it: entropy by "
        f'{entropy} where it moves most, "python" by {word}, code by {code}'
    )


@pytest.mark.parametrize("text", [prompted, sampled, read, forks, steered, python, after_four, at_random, nothing])
def test_the_page_says_what_the_tables_hold(text: Callable[[], str]) -> None:
    told = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert text() in told, f"docs/real_lm.md should say:\n{text()}"


def test_no_response_is_right_anywhere() -> None:
    rows = [row for row in table("real_run", name="accuracy") if row["mark"] in ("null", "step", "random change")]
    assert len(rows) > 10 and {float(row["value"]) for row in rows} == {0.0}
    assert f"[.00, {said(max(float(row['hi']) for row in rows))}]" in PAGE.read_text(encoding="utf-8")
