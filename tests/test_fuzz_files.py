"""Bytes of good files, changed: every reader gives rows or a BadInput, never another exception, a crash or a hang.

Text formats are read here, one example at a time. Parquet and Arrow are read in a child process, many files at once, as
a lie in them may kill the reader; a child that dies names the file it died of.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probe.errors import BadInput
from probe.experiments.published_outputs.import_file import import_rollouts
from probe.tasks.rows import read_rows

CHILD = """
import resource, sys
from pathlib import Path
from probe.errors import BadInput
from probe.experiments.published_outputs.import_file import import_rollouts
from probe.tasks.rows import read_rows
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (3 << 30),) * 2)
for line in sys.stdin:
    path = Path(line.strip())
    print("file", path, flush=True)
    try:
        rows = list(read_rows(path))
        assert all(isinstance(row, dict) for _, row in rows)
        import_rollouts(path, path.with_name("out.parquet"), overwrite=True)
    except BadInput as err:
        assert err.what and err.where, err
print("done")
"""
ROWS: list[dict[str, Any]] = [
    {
        "problem": f"p{i % 3}",
        "text": f"step {i}: so \\boxed{{{i}}} ½ " * (1 + i % 4),
        "answer": str(i % 3),
        "right": [True, None, False][i % 3],
        "confidence": i / 10 if i % 4 else None,
        "temperature": 0.5,
        "runs": [{"id": i, "note": None if i % 2 else "n"}],
    }
    for i in range(9)
]
QUICK = settings(
    derandomize=True, deadline=None, max_examples=150, suppress_health_check=list(HealthCheck), database=None
)


def stream(path: Path, codec: str | None = None, file: bool = False) -> None:
    table = pa.Table.from_pylist(ROWS)
    table = table.append_column("word", table["problem"].dictionary_encode())
    options = pa.ipc.IpcWriteOptions(compression=codec)
    new = pa.ipc.new_file if file else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=4)


def parquet(path: Path, **how: Any) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), path, **how)


def flat(mark: str) -> bytes:
    names = ["problem", "text", "answer", "right", "confidence", "temperature"]
    said = [[row[name] if row[name] is not None else "" for name in names] for row in ROWS]
    cells = [['"' + str(value).replace('"', '""') + '"' for value in row] for row in said]
    return "\n".join(mark.join(line) for line in [names, *cells]).encode()


TEXT = {
    "a.jsonl": "\n".join(json.dumps(row) for row in ROWS).encode(),
    "a.json": json.dumps({"model": "m", "rows": ROWS}).encode(),
    "a.csv": flat(","),
    "a.tsv": flat("\t"),
}
BINARY: dict[str, Any] = {
    "plain.parquet": lambda p: parquet(p, compression="none", use_dictionary=False),
    "zstd.parquet": lambda p: parquet(p, compression="zstd"),
    "pages.parquet": lambda p: parquet(p, data_page_version="2.0", data_page_size=64, row_group_size=4),
    "stream.arrow": stream,
    "lz4.arrow": lambda p: stream(p, "lz4"),
    "file.arrow": lambda p: stream(p, file=True),
    "zstd.feather": lambda p: stream(p, "zstd", file=True),
}
PIECES = (b"\0", b"\xff", b"\x7f", b'"', b"\n", b",", b"{", b"[", b"\\ud800", b"9" * 5000, b"NaN", b"1e999", b"null")


def mutated(data: bytes, rng: random.Random, binary: bool) -> bytes:
    """A few changes: a bit, a byte, a number of four or eight bytes, a cut, a piece repeated, moved or put in."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(out)) if out else 0
        kind = rng.randrange(8)
        if kind == 0:
            out[at : at + 1] = bytes([out[at] ^ (1 << rng.randrange(8))]) if out else b""
        elif kind == 1:
            out[at : at + 1] = bytes([rng.randrange(256)])
        elif kind in (2, 3) and binary:
            width = rng.choice((4, 8))
            number = rng.choice((0, 1, -1, 1 << 20, (1 << 31) - 1, -(1 << 31), rng.randrange(1 << 31)))
            at -= at % 4
            out[at : at + width] = number.to_bytes(width, "little", signed=True)
        elif kind == 4:
            del out[at : at + rng.choice((1, 8, 100, len(out)))]
        elif kind == 5:
            out[at:at] = out[at : at + rng.choice((1, 8, 64, 300))]
        elif kind == 6:
            out[at:at] = rng.choice(PIECES)
        else:
            to = rng.randrange(len(out)) if out else 0
            out[to : to + 16] = out[at : at + 16]
    return bytes(out)


def read_all(path: Path) -> None:
    try:
        rows = list(read_rows(path))
        assert all(isinstance(row, dict) for _, row in rows)
        import_rollouts(path, path.with_name("out.parquet"), overwrite=True)
    except BadInput as err:
        assert err.what and err.where


@pytest.mark.parametrize("name", [*TEXT, *BINARY])
def test_the_files_are_good_before_they_are_changed(name: str, tmp_path: Path) -> None:
    if name in TEXT:
        (tmp_path / name).write_bytes(TEXT[name])
    else:
        BINARY[name](tmp_path / name)
    found = import_rollouts(tmp_path / name, tmp_path / "out.parquet")
    assert (found.rows, found.problems, found.paths["right"]) == (9, 3, "right")


@pytest.mark.parametrize("name", TEXT)
@QUICK
@given(seed=st.integers(0, 2**32))
def test_changed_text_is_rows_or_bad_input(name: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(mutated(TEXT[name], random.Random(seed), binary=False))
        read_all(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ("problem", "text", "answer", "right", "confidence", "temperature", "sample", "prompt", "score")
)


@QUICK
@given(rows=st.lists(st.dictionaries(FIELDS, VALUES, min_size=3), min_size=1, max_size=3))
def test_any_values_are_rows_or_bad_input(rows: list[dict[str, Any]]) -> None:
    """Every kind of value in every field; with texts where they are needed, so that the rest is looked at, too."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, put in (("a", {}), ("b", {"problem": "p", "text": "t", "answer": "1"})):
            path = Path(folder) / f"{kind}.jsonl"
            path.write_text("\n".join(json.dumps(put | {k: v for k, v in r.items() if k not in put}) for r in rows))
            read_all(path)


@pytest.mark.parametrize("name", BINARY)
def test_changed_arrow_and_parquet_are_rows_or_bad_input(name: str, tmp_path: Path) -> None:
    BINARY[name](tmp_path / name)
    whole, rng = (tmp_path / name).read_bytes(), random.Random(name)
    paths = []
    for i in range(150):
        path = tmp_path / f"{i}{Path(name).suffix}"
        path.write_bytes(mutated(whole, rng, binary=True))
        paths.append(path)
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        input="\n".join(map(str, [tmp_path / name, *paths])),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout.endswith("done\n"), (child.returncode, child.stdout[-200:], child.stderr[-2000:])
