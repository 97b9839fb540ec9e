"""Tables from outside: every format gives the same rows, and every damage a clear error; nothing in a file acts."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from probe.errors import BadInput
from probe.tasks import row_limits, rows
from probe.tasks.rows import read_rows

ROWS = [
    {"text": 'He said "1,5\n+ 1 = 2"\x00', "answer": "=cmd|' /C calc'!A0"},
    {"text": "../../etc/passwd", "answer": "½ ✓ \u2028"},
]
Write = Callable[[Path], object]


def stream(path: Path, table: pa.Table, kind: str = "stream") -> None:
    new = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema) as writer:
        writer.write_table(table)


def csv(path: Path, mark: str = ",") -> None:
    lines = [list(ROWS[0]), *(list(row.values()) for row in ROWS)]
    cells = (mark.join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines)
    path.write_text("\n".join(cells) + "\n", newline="")


TABLE = pa.Table.from_pylist(ROWS)
WRITERS: dict[str, Write] = {
    "a.jsonl": lambda p: p.write_text("\n\n".join(json.dumps(row) for row in ROWS)),
    "bom.jsonl": lambda p: p.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(json.dumps(row) for row in ROWS).encode()),
    "list.json": lambda p: p.write_text(json.dumps(ROWS, indent=2)),
    "held.json": lambda p: p.write_text(json.dumps({"model": "x", "rows": ROWS}, indent=2)),
    "lines.json": lambda p: p.write_text("\n".join(json.dumps(row) for row in ROWS)),
    "a.csv": csv,
    "a.tsv": lambda p: csv(p, "\t"),
    "a.parquet": lambda p: pq.write_table(TABLE, p),
    "stream.arrow": lambda p: stream(p, TABLE),
    "file.arrow": lambda p: stream(p, TABLE, "file"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    found = list(read_rows(tmp_path / name))
    assert [row for _, row in found] == ROWS
    assert all(str(tmp_path / name) in where for where, _ in found)


def test_a_saved_dataset_is_read_shard_by_shard(tmp_path: Path) -> None:
    for shard in (0, 1):
        stream(tmp_path / f"data-0000{shard}-of-00002.arrow", TABLE)
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "../../secret.arrow"}]}))
    assert [row for _, row in read_rows(tmp_path)] == ROWS * 2  # no name in a file is a path
    (tmp_path / "dataset_info.json").write_text(json.dumps({"splits": {"test": {"num_examples": 5}}}))
    with pytest.raises(BadInput, match="4 rows, but dataset_info.json counts 5"):
        list(read_rows(tmp_path))
    (tmp_path / "dataset_info.json").write_text("[" * 100_000)
    with pytest.raises(BadInput, match="not a description of a dataset"):
        list(read_rows(tmp_path))


def test_the_splits_of_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "state.json").write_text("{}")
    with pytest.raises(BadInput, match=r"no data-\*.arrow.*\n?.*") as caught:
        list(read_rows(tmp_path))
    assert "give one of its splits: ['test']" in str(caught.value)


def test_only_the_columns_that_are_wanted(tmp_path: Path) -> None:
    wide = pa.table({"text": ["a"], "junk": pa.array(["x" * 100]).dictionary_encode()})
    pq.write_table(wide, tmp_path / "a.parquet")
    stream(tmp_path / "a.arrow", wide)
    for name in ("a.parquet", "a.arrow"):
        assert [row for _, row in read_rows(tmp_path / name, ["text", "absent"])] == [{"text": "a"}]


def test_nested_values_come_as_they_are(tmp_path: Path) -> None:
    held = [{"code": ["a", "b"], "graded": {"is_correct": True, "text": "x"}, "n": 1.5, "none": None}]
    pq.write_table(pa.Table.from_pylist(held), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text(json.dumps(held[0]))
    for name in ("a.parquet", "a.jsonl"):
        assert [row for _, row in read_rows(tmp_path / name)] == held


def text(content: str | bytes) -> Write:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def cut(path: Path) -> None:
    WRITERS[path.name](path)
    path.write_bytes(path.read_bytes()[:-30])


def cut_stream(path: Path) -> None:
    stream(path, TABLE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def broken_text(path: Path) -> None:
    bad = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe"))
    table = pa.table({"text": bad})
    stream(path, table) if path.suffix == ".arrow" else pq.write_table(table, path)


BAD: list[tuple[str, Write, str]] = [
    ("a.jsonl", text('{"text": "x"}\n{"te'), "not JSON lines: line 2"),
    ("a.jsonl", text('{"text": "x"}\n[1]\n'), "line 2 is no JSON object"),
    ("a.jsonl", text(b'{"text": "x\xff"}\n'), "not UTF-8 text"),
    ("a.jsonl", text(b'{"text": "\x00"}\n'), "not JSON lines"),
    ("a.jsonl", text('{"text": "\\ud800"}\n'), r"half a character \(U\+D800\)"),
    ("a.jsonl", text('{"text": ' + "[" * 100_000 + "\n"), "not JSON lines"),
    ("a.jsonl", text('{"text": ' + "[" * 100 + "]" * 100 + "}\n"), "nested more than 50 deep"),
    ("a.jsonl", text('{"text": ' + "9" * 5000 + "}\n"), "not JSON lines"),
    ("a.jsonl", text('{"text": "' + "x" * 50_000_000 + '"}\n'), "line 1 is longer than 16,777,216 bytes"),
    ("a.json", text("3"), "no list of objects"),
    ("a.json", text("[1, 2]"), "row 1 is no JSON object"),
    ("a.json", text("[" * 100_000), "not JSON lines"),
    ("a.csv", text("text,answer\n" + "x" * 50_000_000 + ",1\n"), "longer than 16,777,216"),
    ("a.csv", text('text,answer\n"' + "x\n" * 9_000_000 + '",1\n'), "not csv: field larger than"),
    ("a.csv", text('text,answer\n"x,1\n'), "not csv"),
    ("a.csv", text("text,answer\nx\n"), "row 1 has fewer fields"),
    ("a.csv", text("text,answer\nx,1,2\n"), "row 1 has more fields"),
    ("a.csv", text(b"text,answer\n\xff,1\n"), "not UTF-8 text"),
    ("a.parquet", text("PAR1"), "not a whole parquet file"),
    ("a.parquet", cut, "not a whole parquet file"),
    ("a.parquet", broken_text, "not UTF-8 text"),
    ("a.arrow", text("ARROW1"), "not a whole Arrow stream"),
    ("a.arrow", cut_stream, "not a whole Arrow stream"),
    ("a.arrow", broken_text, "not UTF-8 text"),
    ("a.pkl", lambda path: path.write_bytes(pickle.dumps(ROWS)), r"no reader for a file called \*.pkl"),
    ("a.jsonl.gz", text(b"\x1f\x8b"), r"no reader for a file called \*.gz"),
]


@pytest.mark.parametrize(("name", "write", "message"), BAD, ids=range(len(BAD)))
def test_damage_is_named(name: str, write: Write, message: str, tmp_path: Path) -> None:
    write(tmp_path / name)
    with pytest.raises(BadInput, match=message) as caught:
        list(read_rows(tmp_path / name))
    assert str(tmp_path / name) in caught.value.where
    assert caught.value.do


def test_what_is_absent(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        list(read_rows(tmp_path / "absent.jsonl"))


def test_a_file_that_pickles_code_is_not_loaded(tmp_path: Path) -> None:
    """A pickle under any name is text that cannot be read."""

    class Attack:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    for name in ("a.jsonl", "a.json", "a.csv", "a.parquet", "a.arrow", "a.pkl"):
        (tmp_path / name).write_bytes(pickle.dumps([Attack()]))
        with pytest.raises(BadInput):
            list(read_rows(tmp_path / name))
    assert not (tmp_path / "ran").exists()


def bomb(path: Path, length: int, n: int) -> None:
    """`n` rows of one text: parquet holds it once, in a dictionary."""
    word = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array(["x" * length]))
    pq.write_table(pa.table({"text": word}), path, compression="zstd", dictionary_pagesize_limit=1 << 30)


def test_a_small_file_does_not_unfold_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 TB of text in a file of some kilobytes: refused, or stopped while it is read."""
    bomb(tmp_path / "long.parquet", 20 << 20, 10)
    bomb(tmp_path / "many.parquet", 1 << 20, 200_000)
    assert (tmp_path / "long.parquet").stat().st_size < 100_000
    with pytest.raises(BadInput, match="a text is longer than 16,777,216 bytes"):
        next(read_rows(tmp_path / "long.parquet"))
    monkeypatch.setattr(row_limits, "FLOOR_BYTES", 50 << 20)
    with pytest.raises(BadInput, match="more than 52,428,800 bytes of values"):
        for _ in read_rows(tmp_path / "many.parquet"):
            pass


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("batches", [1, 40])
def test_what_unfolds_to_too_much_is_refused_before_the_first_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, batches: int
) -> None:
    """Grading a quarter of a gigabyte takes half a minute: the refusal must not stand behind it."""
    path, rows = tmp_path / f"many.{kind}", 4000 // batches
    word = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * (20 << 10)]))
    table = pa.table({"text": pa.chunked_array([word] * batches)})
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=rows)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    assert len(list(read_rows(path))) == 4000
    monkeypatch.setattr(row_limits, "FLOOR_BYTES", 70 << 20)
    monkeypatch.setattr(row_limits, "TIMES", 1)
    with pytest.raises(BadInput, match="more than 73,400,320 bytes of values"):
        next(read_rows(path))


def test_declared_sizes_are_held_against_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"n": pa.array([0] * 3_000_000, pa.int8())}), tmp_path / "rows.parquet")
    with pytest.raises(BadInput, match="3,000,000 rows, more than the 2,000,000"):
        next(read_rows(tmp_path / "rows.parquet"))
    lists = pa.array([[None] * 1_000_000] * 4, pa.list_(pa.int8()))
    pq.write_table(pa.table({"n": lists}), tmp_path / "lists.parquet")
    monkeypatch.setattr(row_limits, "FLOOR_VALUES", 1_000_000)
    with pytest.raises(BadInput, match="values, more than the 1,000,000"):
        next(read_rows(tmp_path / "lists.parquet"))
    pq.write_table(pa.table({"text": ["x" * 5000]}), tmp_path / "text.parquet")
    monkeypatch.setattr(row_limits, "MAX_BYTES", 1000)
    with pytest.raises(BadInput, match="bytes, decompressed, more than the 1,000"):
        next(read_rows(tmp_path / "text.parquet"))


def test_rows_and_whole_files_have_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS["a.jsonl"](tmp_path / "a.jsonl")
    monkeypatch.setattr(rows, "MAX_ROWS", 1)
    with pytest.raises(BadInput, match="more than 1 rows"):
        list(read_rows(tmp_path / "a.jsonl"))
    WRITERS["list.json"](tmp_path / "list.json")
    monkeypatch.setattr(rows, "MAX_JSON", 10)
    with pytest.raises(BadInput, match="larger than the 10 bytes"):
        list(read_rows(tmp_path / "list.json"))
    assert row_limits.MAX_JSON > 1 << 20
