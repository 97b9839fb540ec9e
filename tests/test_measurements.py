"""The one table: every column is typed and told, what varies is never text to be read back, and a key is an address."""

from dataclasses import fields, replace

import pyarrow as pa
import pytest

from probe.data import Estimate
from probe.errors import BadInput
from probe.measurements import COLUMNS, SCHEMA, TABLE, VARIES, RowKey, label, row_of, to_table

KEY = RowKey("s", "rl", "f", "tiny", 0, "random", "0.2", 7, 5, 1.0, informative=False)

TEXTS = {
    "": {},
    "mlp.1@-1": {"site": "mlp.1", "component": "mlp", "layer": 1, "position": -1, "everywhere": False},
    "resid.0@all": {"site": "resid.0", "component": "resid", "layer": 0, "everywhere": True},
    "head.1.2": {"site": "head.1.2", "component": "head", "layer": 1, "head": 2},
    "mlp.1 leaked": {"module": "mlp.1", "component": "mlp", "layer": 1, "group": "leaked"},
    "attn.0.q_proj.weight": {"module": "attn.0.q_proj.weight", "layer": 0, "matrix": "q_proj"},
    "strategy resid.2 logistic": {"target": "strategy", "site": "resid.2", "layer": 2, "probe": "logistic"},
    "base resid.2 prose": {"labels": "base", "site": "resid.2", "layer": 2, "group": "prose"},
    "-4": {"coefficient": -4.0},
    "0": {"coefficient": 0.0},
    "1.5 random 2": {"coefficient": 1.5, "draw": 2},
    "-4 to 6": {"coefficient": -4.0, "coefficient_to": 6.0},
    "project out random 12": {"edit": "project out", "draw": 12},
    "suspect 60%": {"group": "suspect", "given": 60},
    "completion_exact 60%": {"sign": "completion_exact", "given": 60},
    "16": {"k": 16},
    "0.3": {"bin": 0.1 * 3},
    "top 20%": {"quantile": 0.8},
    "update_0": {"update": 0},
    "pi_old_0.5_0.8333": {"pi_low": 0.5, "pi_high": 0.8333},
    "only_before": {"cell": "only_before"},
    "parse_rate": {"part": "parse_rate"},
    "code": {"strategy": "code"},
}


@pytest.mark.parametrize("text", TEXTS)
def test_what_varies_reads_as_in_the_figures_tables(text: str) -> None:
    assert label(TEXTS[text]) == text
    row = row_of(KEY, Estimate("x", 0.1, 0.0, 0.2, 9, 3, params={"side": "change"} | TEXTS[text]))
    assert label(row) == label(to_table([row]).to_pylist()[0]) == text


def test_two_things_that_differ_have_two_labels() -> None:
    assert len({label(told) for told in TEXTS.values()}) == len(TEXTS)


def test_every_column_is_typed_and_told() -> None:
    assert SCHEMA.names == list(COLUMNS) == [column.name for column in TABLE]
    assert len(set(COLUMNS)) == len(COLUMNS)
    assert all(len(column.about) > 5 for column in TABLE)
    assert {SCHEMA.field(name).type for name in ("layer", "position", "k", "draw", "given")} == {pa.int32()}
    assert {SCHEMA.field(name).type for name in ("coefficient", "bin", "quantile")} == {pa.float64()}
    assert "level" not in COLUMNS


def test_columns_that_do_not_apply_are_null() -> None:
    row = row_of(KEY, Estimate("accuracy", 0.1, 0.0, 0.2, 9, 3), destroyed=True)
    assert {row[name] for name in (*VARIES, "reason")} == {None}
    assert (row["side"], row["destroyed"], row["informative"]) == ("", True, False)
    assert row_of(RowKey(), Estimate("accuracy", 0.1, 0.0, 0.2, 9, 3))["informative"] is None
    assert to_table([]).schema == SCHEMA


def test_what_is_no_column_is_refused_and_the_columns_are_named() -> None:
    with pytest.raises(BadInput, match="no column 'level'") as caught:
        row_of(KEY, Estimate("accuracy", 0.1, 0.0, 0.2, 9, 3, params={"side": "change", "level": "code"}))
    assert "strategy" in caught.value.do and "accuracy" in caught.value.where


def test_the_address_of_a_key_is_its_identity() -> None:
    """Bootstraps are drawn there: it must never move."""
    assert KEY.address == ("s", "rl", "f", "tiny", 0, "random", "0.2", 7, 5, "1.0")
    assert replace(KEY, informative=None).address == KEY.address
    others = {f.name: "other" if isinstance(getattr(KEY, f.name), str) else 3 for f in fields(KEY)[:-1]}
    addresses = {replace(KEY, **{name: value}).address for name, value in others.items()}
    assert len(addresses | {KEY.address}) == 11
