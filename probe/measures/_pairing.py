"""Which row of one side belongs to which of the other? Tables in, aligned numpy columns out.

`paired` sorts both RESPONSES tables by (problem, sample) and refuses what cannot be compared: other problems or
samples, repeated rows, another temperature, missing grades. `scored` reads two TOKENS tables that score the same text
row for row. Problems become codes 0..G-1. Nothing is dropped or filled; a
confidence that was not stated and an end that is not known are nan.
Left out: texts and token ids.
"""

import enum
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from probe.data import RESPONSES, TOKENS, Outcome, Strategy, check_schema
from probe.errors import BadInput
from probe.measures import PairData

KEY = ["problem", "sample"]
READ = [*KEY, "temperature", "boxed", "outcome", "strategy", "python", "confidence", "stop"]


@dataclass(frozen=True)
class Side:
    """One checkpoint's responses: right, with an answer, in code, with "python", confidence, cut off (1, 0 or nan)."""

    right: Bool[np.ndarray, "row"]
    boxed: Bool[np.ndarray, "row"]
    code: Bool[np.ndarray, "row"]
    python: Bool[np.ndarray, "row"]
    confidence: Float[np.ndarray, "row"]
    cut_off: Float[np.ndarray, "row"]


@dataclass(frozen=True)
class Paired:
    """Row i of both sides answers problem `problem[i]`, in order of problem and sample; never empty."""

    problem: Int[np.ndarray, "row"]
    n_problems: int
    before: Side
    after: Side


@dataclass(frozen=True)
class Scored:
    """Entropy in nats of every token of one text under both checkpoints; `problem` the code of its problem."""

    problem: Int[np.ndarray, "token"]
    n_problems: int
    before: Float[np.ndarray, "token"]
    after: Float[np.ndarray, "token"]


def paired(data: PairData) -> Paired:
    """Both sides' responses, aligned; BadInput where they do not answer the same problems with the same samples."""
    before, after = _rows(data.before, "before"), _rows(data.after, "after")
    for key in KEY:
        if not before[key].equals(after[key]):
            raise BadInput(_mismatch(before, after), do="give both sides the same problems and samples")
    temperatures = [table["temperature"].unique().to_pylist() for table in (before, after)]
    if temperatures[0] != temperatures[1] or len(temperatures[0]) != 1:
        raise BadInput(f"before and after are sampled at the temperatures {temperatures}", do="compare at one")
    problem = np.cumsum(np.append(False, _changes(before["problem"])))
    return Paired(problem, int(problem[-1]) + 1, _side(before, "before"), _side(after, "after"))


def scored(data: PairData) -> Scored:
    """Both scorers' entropies; BadInput where a table is absent, empty, or scores another text than the other."""
    before, after = _tokens(data.tokens_before, "tokens_before"), _tokens(data.tokens_after, "tokens_after")
    for key in ("problem", "sample", "pos", "token"):
        if not before[key].equals(after[key]):
            raise BadInput(
                f"the two scorers' tokens differ in {key!r}", do="score one text, row for row, under both checkpoints"
            )
    codes = before["problem"].dictionary_encode()
    return Scored(
        codes.indices.to_numpy().astype(np.int64),
        len(codes.dictionary),
        _entropy(before, "before"),
        _entropy(after, "after"),
    )


def divergence(data: PairData, tokens: Scored) -> Float[np.ndarray, "token"]:
    """KL(before || after) in nats of every token of `tokens`; BadInput where absent, ragged, negative or not finite."""
    if data.kl is None:
        raise BadInput("no KL was computed for this pair", do="score the after text under both checkpoints")
    kl = np.asarray(data.kl, dtype=np.float64)
    if kl.shape != tokens.before.shape:
        raise BadInput(f"{kl.size} values of KL for {tokens.before.size} tokens", do="give one per row of the tokens")
    if not (np.isfinite(kl) & (kl >= 0)).all():
        raise BadInput("KL is negative, missing or infinite for a token", do="score in fp32 and clamp at 0")
    return kl


def _rows(table: pa.Table, where: str) -> dict[str, pa.Array]:
    read = check_schema(table, RESPONSES, where=where).select(READ)
    _check_filled(read, [*KEY, "outcome", "strategy", "python"], where)
    order = pc.sort_indices(read, sort_keys=[(key, "ascending") for key in KEY])
    rows = {name: read[name].combine_chunks().take(order) for name in READ}
    repeated = ~(_changes(rows["problem"]) | _changes(rows["sample"]))
    if repeated.any():
        problem, sample = (rows[key][int(np.argmax(repeated))].as_py() for key in KEY)
        raise BadInput(f"sample {sample} of problem {problem!r} occurs twice", where=where, do="give one row for each")
    return rows


def _tokens(table: pa.Table | None, where: str) -> dict[str, pa.Array]:
    if table is None:
        raise BadInput("no tokens were scored for this pair", where=where, do="score the after text under both")
    read = check_schema(table, TOKENS, where=where)
    names = ["problem", "sample", "pos", "token", "entropy"]
    _check_filled(read, names, where)
    return {name: read[name].combine_chunks() for name in names}


def _check_filled(table: pa.Table, names: list[str], where: str) -> None:
    if table.num_rows == 0:
        raise BadInput("the table has no rows", where=where, do="sample, grade or score at least one response")
    missing = [name for name in names if table[name].null_count]
    if missing:
        raise BadInput(f"the columns {missing} have missing values", where=where, do="fill or drop those rows")


def _side(rows: dict[str, pa.Array], where: str) -> Side:
    return Side(
        right=_is(rows["outcome"], Outcome.right, where),
        boxed=_flags(rows["boxed"].is_valid()),
        code=_is(rows["strategy"], Strategy.code, where),
        python=_flags(rows["python"]),
        # float32 holds .7 as .69999999, which falls into another bin: the stated decimals are restored
        confidence=np.round(rows["confidence"].to_numpy(zero_copy_only=False).astype(np.float64), 6),
        cut_off=pc.equal(rows["stop"], "length").cast(pa.float64()).to_numpy(zero_copy_only=False),
    )


def _is(values: pa.Array, one: enum.StrEnum, where: str) -> Bool[np.ndarray, "row"]:
    known = [str(member) for member in type(one)]
    strange = set(values.unique().to_pylist()) - set(known)
    if strange:
        raise BadInput(f"{sorted(strange)} is no {type(one).__name__.lower()}", where=where, do=f"give one of {known}")
    return _flags(pc.equal(values, str(one)))


def _entropy(tokens: dict[str, pa.Array], where: str) -> Float[np.ndarray, "token"]:
    entropy = np.asarray(tokens["entropy"].to_numpy(), dtype=np.float64)
    if not np.isfinite(entropy).all():
        raise BadInput("an entropy is not finite", where=f"tokens_{where}", do="score in fp32")
    return entropy


def _changes(values: pa.Array) -> Bool[np.ndarray, "step"]:
    """Whether each value differs from the one before it."""
    return _flags(pc.not_equal(values[1:], values[:-1]))


def _flags(values: pa.Array) -> Bool[np.ndarray, "row"]:
    return np.asarray(values.to_numpy(zero_copy_only=False))


def _mismatch(before: dict[str, pa.Array], after: dict[str, pa.Array]) -> str:
    keys = [set(zip(rows["problem"].to_pylist(), rows["sample"].to_pylist(), strict=True)) for rows in (before, after)]
    only = [sorted(keys[0] - keys[1]), sorted(keys[1] - keys[0])]
    example = next(found[0] for found in only if found)
    return (
        f"{len(only[0])} rows only before, {len(only[1])} only after, e.g. problem {example[0]!r} sample {example[1]}"
    )
