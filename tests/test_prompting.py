"""A better prompt explains what it explains: planted gaps are found, the best of equal prompts is no better (nulls)."""

import numpy as np
import pyarrow as pa
import pytest
from tables import table

from probe.experiments.compare.prompts import BEST, best_prompt, prompt_rows
from probe.measurements import RowKey
from probe.rng import numpy_rng

CONTEXT = RowKey("compare", "rl", "qwen", "", 0, "after", "", 0, 0, 0.0)


def responses(right: np.ndarray) -> pa.Table:
    """One greedy response a problem, boxed, in prose."""
    return table(
        problem=[f"p{i}" for i in range(len(right))],
        boxed=["1"] * len(right),
        outcome=["right" if each else "wrong" for each in right],
        strategy=["prose"] * len(right),
        python=[False] * len(right),
        confidence=[None] * len(right),
    )


def draw(rate: float, n: int, *about: str | int) -> pa.Table:
    return responses(numpy_rng("prompting", *about).random(n) < rate)


def accuracy(table: pa.Table) -> float:
    return float(np.mean([outcome == "right" for outcome in table["outcome"].to_pylist()]))


def change(rows: list[dict], reward: str) -> dict:
    (found,) = [r for r in rows if (r["reward"], r["name"], r["side"]) == (reward, "accuracy", "change")]
    return found


def test_a_prompt_that_repairs_the_base_takes_over_the_gain() -> None:
    tried = {"study": draw(0.4, 400, "study"), "good": draw(0.7, 400, "good"), "bad": draw(0.2, 400, "bad")}
    rows = prompt_rows(CONTEXT, tried, draw(0.7, 400, "after"))
    assert change(rows, "good")["value"] == pytest.approx(0.3, abs=0.1)
    assert change(rows, BEST)["value"] == change(rows, "good")["value"]  # it is best in both halves
    over = change(rows, "after over best prompt")
    assert over["lo"] < 0 < over["hi"] and over["kind"] == "rl"
    assert {r["kind"] for r in rows if r["reward"] != "after over best prompt"} == {"prompt"}


def test_the_best_of_equal_prompts_is_no_better() -> None:
    """Taking the maximum of eight equal accuracies would look .03 better; cross-fitted it is 0 on average."""
    found, naive = [], []
    for draw_number in range(40):
        tried = {f"t{i}": draw(0.5, 200, draw_number, i) for i in range(8)}
        found.append(accuracy(best_prompt(tried)))
        naive.append(max(map(accuracy, tried.values())))
    standard_error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - 0.5) < 4 * standard_error
    assert np.mean(naive) - 0.5 > 0.03


def test_every_problem_is_answered_once_under_the_other_halfs_choice() -> None:
    tried = {"study": draw(0.0, 60, "none"), "all": responses(np.ones(60, bool))}
    best = best_prompt(tried)
    assert sorted(best["problem"].to_pylist()) == sorted(f"p{i}" for i in range(60))
    assert accuracy(best) == 1.0
    equal = {"first": draw(0.5, 60, "same"), "second": draw(0.5, 60, "same")}
    assert accuracy(best_prompt(equal)) == accuracy(equal["first"])
