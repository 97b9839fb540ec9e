"""Responses in a file: what `probe sample` writes is read back, and a value that is missing is never filled in."""

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from probe.data import ROLLOUTS
from probe.errors import BadInput
from probe.rollouts.files import NEEDED, read_rollouts

ROW = {"checkpoint": "c", "problem": "p", "sample": 0, "seed": 0, "temperature": 0.5, "prompt_ids": [1, 2]}
ROW |= {"completion_ids": [3], "stop": "eos", "logprob": [-0.5], "entropy": [0.25], "text": "a"}


def write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = ROLLOUTS) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows = [ROW, ROW | {"sample": 1, "logprob": None, "entropy": None, "stop": None, "prompt_ids": []}]
    assert read_rollouts(write(tmp_path / "a.parquet", rows)) == rows


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("every", [True, False])
def test_a_missing_value_is_named(name: str, every: bool, tmp_path: Path) -> None:
    """A null problem or temperature was taken without a word."""
    rows = [ROW | {name: None} if every or i == 1 else ROW | {"sample": i} for i in range(3)]
    with pytest.raises(BadInput, match=f"{name}.*(missing value|values of)|values of '{name}'"):
        read_rollouts(write(tmp_path / "a.parquet", rows))


@pytest.mark.parametrize("name", ["prompt_ids", "completion_ids"])
def test_a_token_is_missing(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"column '{name}', a list has a missing value"):
        read_rollouts(write(tmp_path / "a.parquet", [ROW | {name: [1, None]}]))


@pytest.mark.parametrize("temperature", [-1.0, math.nan, math.inf, 1e9])
def test_a_temperature_that_is_none(temperature: float, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'temperature' leaves"):
        read_rollouts(write(tmp_path / "a.parquet", [ROW | {"temperature": temperature}]))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([ROW | {"sample": 2**40}], "a column has the wrong type"),
        ([ROW | {"prompt_ids": ["a"]}], "a column has the wrong type"),
        ([{"checkpoint": "c"}], "table lacks the columns"),
        ([ROW, ROW | {"temperature": 1.0}], "2 values of 'temperature'"),
    ],
)
def test_what_is_no_such_table(rows: list[dict[str, Any]], says: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=says):
        read_rollouts(write(tmp_path / "a.parquet", rows, None))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a folder, no file"):
        read_rollouts(tmp_path)
    with pytest.raises(BadInput, match="no such file"):
        read_rollouts(tmp_path / "absent.parquet")
    with pytest.raises(BadInput, match="no rows"):
        read_rollouts(write(tmp_path / "a.parquet", []))
