"""How much of a change does a better prompt give, without any RL? (H4: 2507.10532; 2506.10947 Table 5)

Accuracy is a property of model and prompt together, so a base may only have been measured under a bad prompt. Rows,
greedy, all of kind "prompt" but the last:

    reward = a template's name     base under the study's prompt -> base under that template
    reward = "best prompt"         base under the study's prompt -> base under its best prompt
    kind "rl", level-free: reward = NAME over best prompt         base under its best prompt -> after, study's prompt

The best of several noisy accuracies looks better than it is, so the best prompt is cross-fitted: each half of the
problems is answered under the prompt that was best on the other half.
"""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from probe.data import Outcome
from probe.experiments.measuring import measure_pair
from probe.measurements import Row, RowKey
from probe.measures import PairData
from probe.rng import address

MEASURED = ("accuracy", "code_share", "parse_rate")
BEST = "best prompt"
OVER_BEST = "{} over best prompt"


def prompt_rows(key: RowKey, tried: dict[str, pa.Table], after: pa.Table) -> list[Row]:
    """Rows of the base under every template, and of `after` over the best of them.

    `tried`: RESPONSES by template, the study's own first. All tables answer the same problems once. Values are shares.
    """
    study, *others = tried
    best = best_prompt(tried)
    rows = []
    for name, table in [*((name, tried[name]) for name in others), (BEST, best)]:
        rows += _measured(replace(key, kind="prompt", reward=name), tried[study], table)
    return rows + _measured(replace(key, reward=OVER_BEST.format(key.reward)), best, after)


def best_prompt(tried: dict[str, pa.Table]) -> pa.Table:
    """The base's responses under its best prompt, cross-fitted over two halves of the problems; ties to the earlier."""
    halves = [{name: table.filter(_in_half(table, half)) for name, table in tried.items()} for half in (0, 1)]
    chosen = [max(other, key=lambda name: _accuracy(other[name])) for other in reversed(halves)]
    return pa.concat_tables([half[name] for half, name in zip(halves, chosen, strict=True)])


def _measured(key: RowKey, before: pa.Table, after: pa.Table) -> list[Row]:
    return measure_pair(key, PairData(before, after, address=key.address), MEASURED)


def _in_half(table: pa.Table, half: int) -> pa.Array:
    return pa.array([address("prompt half", problem) % 2 == half for problem in table["problem"].to_pylist()])


def _accuracy(table: pa.Table) -> float:
    return pc.mean(pc.equal(table["outcome"], str(Outcome.right)).cast(pa.float64())).as_py() or 0.0
