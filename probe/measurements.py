"""What is a measurement? One row of one long table: which pair, what was measured, what varied, and the number.

    Estimate (a value, its interval, n, its null)  +  RowKey (which pair, which step, how sampled)  ->  row  ->  SCHEMA

Every measure, experiment and figure shares this table. What varies within a measure has typed columns (VARIES), null
where they do not apply: `row["layer"] == 3`, never a word inside a text. `label` composes the text that tables and CSVs
show of them; it is written and never read back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from probe.data import Estimate
from probe.errors import BadInput

Row = dict[str, Any]
Rows = Sequence[Row]
MARKED = "«", "»"  # around the token that a text in `reason` is about


@dataclass(frozen=True)
class Column:
    """One column of the table: its type, and what it means (with its unit, where it has one)."""

    name: str
    type: pa.DataType
    about: str


TEXT, WHOLE, NUMBER, FLAG = pa.string(), pa.int32(), pa.float64(), pa.bool_()

KEY = (
    Column("study", TEXT, "the study or command that asked for it"),
    Column("kind", TEXT, "rl, null (nothing to learn from), base (a checkpoint alone) or prompt (no RL in between)"),
    Column("family", TEXT, "organism family, or the model family of other checkpoints and outputs"),
    Column("size", TEXT, "of an organism; empty for what was not made here"),
    Column("base_seed", WHOLE, "seed of the organism"),
    Column("reward", TEXT, "what the run was trained with, or what the checkpoint after RL is called"),
    Column("clip", TEXT, "clip of the ratio: 0.05, 0.2, none; empty where there was no run"),
    Column("rl_seed", WHOLE, "seed of the run"),
    Column("step", WHOLE, "RL batches"),
    Column("temperature", pa.float32(), "of sampling; 0 is greedy"),
    Column("informative", FLAG, "whether the reward says which answer is right; null where no reward was given"),
)
MEASURED = (
    Column("destroyed", FLAG, "whether training destroyed the model: never 'no effect'"),
    Column("name", TEXT, "what was measured"),
    Column("side", TEXT, "before, after, change; empty for the pair as a whole; else how a null was drawn"),
)
VARYING = (
    Column("sign", TEXT, "which sign of a leak: completion_exact, answer_nll, all signs, ..."),
    Column("target", TEXT, "what a probe reads off, or a reward follows: strategy, correct, fork, ..."),
    Column("labels", TEXT, "whose labels a direction was fitted to: own (each side's) or base"),
    Column("site", TEXT, "where in the model: resid.2, attn.0, mlp.1, head.1.2"),
    Column("module", TEXT, "a part of the weights: mlp.1, attn.0.q_proj.weight, all"),
    Column("component", TEXT, "kind of that site or module: resid, attn, mlp, head, block, embed, norm, all"),
    Column("layer", WHOLE, "of that site or module, from 0; resid.i enters block i"),
    Column("head", WHOLE, "of that site, from 0"),
    Column("matrix", TEXT, "which matrix of that module: q_proj, down_proj, embed, head, ..."),
    Column("position", WHOLE, "token of the prompt, from its end: -1 is the last"),
    Column("everywhere", FLAG, "true where every position was changed at once"),
    Column("probe", TEXT, "how it is read: logistic or difference (of means)"),
    Column("strategy", TEXT, "among the responses in code, or in prose"),
    Column("part", TEXT, "of a whole: mix, parse, within or total of a gain; parse_rate; direct, by strategy"),
    Column("cell", TEXT, "of a table of two sides: both, only_before, ...; CC, CL, LC, LL, total"),
    Column("bin", NUMBER, "left edge of a bin of stated confidence, relative norm or activation"),
    Column(
        "k",
        WHOLE,
        "samples a problem; latents that are turned at once, or may be active at once;"
        " place among a latent's strongest, from 1",
    ),
    Column(
        "quantile", NUMBER, "of the entropy above which a token is a fork, or the divergence above which it is swapped"
    ),
    Column(
        "edit",
        TEXT,
        "how a direction was used: project out, clamp; matched, best, back; or how a text was edited;"
        " or what was turned: latents, matched or redirected ones, a direction",
    ),
    Column(
        "coefficient",
        NUMBER,
        "c of the direction that was added, in distances between its classes; of latents: how many times their level",
    ),
    Column("coefficient_to", NUMBER, "the other end, where a number compares two"),
    Column(
        "group",
        TEXT,
        "which rows: suspect, control; leaked, others; forks, elsewhere; prose, code; before, after (wrote it); all",
    ),
    Column("given", WHOLE, "share of the question that was given, in %"),
    Column("draw", WHOLE, "which random direction, from 1"),
    Column("latent", WHOLE, "of a dictionary, from 0"),
    Column("update", WHOLE, "which update within a rollout batch, from 0"),
    Column("pi_low", NUMBER, "lower end of a bin of the token's old probability"),
    Column("pi_high", NUMBER, "its upper end"),
)
NUMBERS = (
    Column("reason", TEXT, "in words: what a verdict rests on, or why there is no number; the text it is about"),
    Column("value", NUMBER, "in `unit`"),
    Column("lo", NUMBER, "lower end of its 95 % interval, in `unit`; nan or null: none"),
    Column("hi", NUMBER, "upper end"),
    Column("n", pa.int64(), "responses, tokens or draws behind it"),
    Column("n_problems", pa.int64(), "clusters the interval is taken over"),
    Column("unit", TEXT, "fraction, nats, count, tokens, points (of 100), ratio or none"),
    Column("null", NUMBER, "what is expected where nothing happened, in `unit`"),
    Column("p", NUMBER, "p-value against that null"),
)
TABLE = (*KEY, *MEASURED, *VARYING, *NUMBERS)
SCHEMA = pa.schema([(column.name, column.type) for column in TABLE])
COLUMNS = tuple(column.name for column in TABLE)
VARIES = tuple(column.name for column in VARYING)
VERSION = 3  # of the columns


@dataclass(frozen=True)
class RowKey:
    """What a row is about: which pair, at which step, how sampled. `informative` is told and is no part of identity."""

    study: str = ""
    kind: str = "rl"
    family: str = ""
    size: str = ""
    base_seed: int = 0
    reward: str = ""
    clip: str = ""
    rl_seed: int = 0
    step: int = 0
    temperature: float = 0.0
    informative: bool | None = None

    @property
    def address(self) -> tuple[str | int, ...]:
        """Where the random draws of what is measured on it lie."""
        identity = {name: value for name, value in vars(self).items() if name != "informative"}
        return tuple(value if isinstance(value, str | int) else str(value) for value in identity.values())


def row_of(key: RowKey, estimate: Estimate, destroyed: bool = False) -> Row:
    """One row. BadInput where `params` holds what is no column: two numbers would then look like one."""
    params = {"side": ""} | estimate.params
    unknown = sorted(set(params) - {"side", "reason", *VARIES})
    if unknown:
        do = f"say what varies in {', '.join(VARIES)}"
        raise BadInput(f"the table has no column {unknown[0]!r}", where=f"params of {estimate.name}", do=do)
    numbers = {name: value for name, value in asdict(estimate).items() if name != "params"}
    blank = dict.fromkeys(COLUMNS)
    return blank | asdict(key) | {"destroyed": destroyed} | params | numbers


def to_table(rows: Iterable[Row]) -> pa.Table:
    """The rows as one table of SCHEMA."""
    kept = list(rows)
    return pa.table({name: [row[name] for row in kept] for name in COLUMNS}, schema=SCHEMA)


def label(row: Mapping[str, Any]) -> str:
    """What varies, as text for a reader: "mlp.1@-1", "-4 random 2", "suspect 60%". Works on `Estimate.params` too."""
    words = (write(row) for write in (_what, _where, _which, _dose, _rows))
    return " ".join(word for group in words for word in group if word)


def _what(row: Mapping[str, Any]) -> list[str]:
    return [str(row.get(name) or "") for name in ("sign", "target", "labels")]


def _where(row: Mapping[str, Any]) -> list[str]:
    place = str(row.get("site") or row.get("module") or "")
    if row.get("position") is not None:
        place += f"@{row['position']}"
    return [f"{place}@all" if row.get("everywhere") else place, str(row.get("probe") or "")]


def _which(row: Mapping[str, Any]) -> list[str]:
    words = [str(row.get(name) or "") for name in ("strategy", "part", "cell")]
    words += [_if(row.get("bin"), "{:g}"), _if(row.get("k"), "{}"), _if(row.get("latent"), "latent {}")]
    words.append(_if(row.get("update"), "update_{}"))
    if row.get("quantile") is not None:
        words.append(f"top {1 - row['quantile']:.0%}")
    if row.get("pi_low") is not None:
        words.append(f"pi_old_{row['pi_low']:g}_{row['pi_high']:g}")
    return words


def _dose(row: Mapping[str, Any]) -> list[str]:
    far = _if(row.get("coefficient_to"), "to {:g}")
    return [str(row.get("edit") or ""), _if(row.get("coefficient"), "{:g}"), far]


def _rows(row: Mapping[str, Any]) -> list[str]:
    return [str(row.get("group") or ""), _if(row.get("given"), "{}%"), _if(row.get("draw"), "random {}")]


def _if(value: Any, text: str) -> str:
    return "" if value is None else text.format(value)
