"""Responses in a file: ROLLOUTS with grades, as `probe sample` writes them and `probe score` reads them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from probe.data import ROLLOUTS, Problem, check_schema
from probe.errors import BadInput
from probe.experiments.rl_runs.job import token_table
from probe.models.loading.load import Loaded
from probe.tokens.score import score

GRADES = ("step", "tokens", "boxed", "outcome", "strategy", "python", "confidence")


def with_grades(rollouts: pa.Table, responses: pa.Table, problems: Iterable[Problem]) -> pa.Table:
    """ROLLOUTS beside the graded columns of RESPONSES and the gold answer: `probe compare-rollouts` reads it too."""
    gold = {problem.id: problem.answer for problem in problems}
    answers = pa.array([gold[name] for name in rollouts["problem"].to_pylist()])
    for name in GRADES:
        rollouts = rollouts.append_column(name, responses[name])
    return rollouts.append_column("answer", answers)


def read_rollouts(path: Path) -> list[dict[str, Any]]:
    """The rows of such a file, of one checkpoint and one temperature. BadInput for anything else."""
    try:
        table = check_schema(pq.read_table(path, partitioning=None), ROLLOUTS, where=str(path))
    except FileNotFoundError as err:
        raise BadInput(
            "no such file", where=str(path), do="write one with probe sample NAME --out FILE.parquet"
        ) from err
    except (pa.ArrowInvalid, OSError) as err:
        raise BadInput(f"not a whole parquet file: {err}", where=str(path), do="write it again") from err
    for column in ("checkpoint", "temperature"):
        if len(table[column].unique()) != 1:
            what = f"{len(table[column].unique())} values of {column!r} where one is needed"
            raise BadInput(what, where=str(path), do="give the responses of one checkpoint at one temperature")
    return table.to_pylist()


def score_rollouts(rows: list[dict[str, Any]], loaded: Loaded, scorer: str, where: str) -> pa.Table:
    """TOKENS of the rows under a checkpoint, at the temperature they were sampled at (greedy: 1)."""
    prompts, completions = [row["prompt_ids"] for row in rows], [row["completion_ids"] for row in rows]
    tokens = [token for ids in (*prompts, *completions) for token in ids or ()]
    size = loaded.model.get_input_embeddings().weight.shape[0]
    if not tokens or min(tokens) < 0 or max(tokens) >= size:
        do = "score with a checkpoint of the same vocabulary"
        raise BadInput(f"token ids outside the scorer's vocabulary of {size}", where=where, do=do)
    scores = score(loaded.model, prompts, completions, temperature=rows[0]["temperature"] or 1.0)
    return token_table(rows, scores, rows[0]["checkpoint"], scorer, loaded)
