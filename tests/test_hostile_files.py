"""Files that lie: about where their values stand, how much they unfold to, what they are called, and what they are.

Every file is read in a process of its own with a limit on its memory: a lie may kill the reader, or fill the machine.
"""

import json
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from probe.errors import BadInput
from probe.tasks import arrow_messages
from probe.tasks.parquet_pages import Chunk, Pages, longest_word, pages, read_footer
from probe.tasks.rows import READERS, read_rows
from probe.tasks.thrift import Unreadable

Write = Callable[[Path], object]
MOST_MB = 1500  # beside what the libraries take; the file of 9 GB stopped here, and so must what is not refused

READ = """
import resource, sys
import pyarrow.parquet
from probe.errors import BadInput
from probe.tasks.rows import read_rows
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (int(sys.argv[1]) << 20),) * 2)
for path in sys.argv[2:]:
    try:
        print("rows", sum(1 for _ in read_rows(path)), flush=True)
    except BadInput as err:
        print("refused", err.what.replace("\\n", " "), flush=True)
"""


def read_apart(*paths: Path, most_mb: int = MOST_MB) -> list[str]:
    """What reading each file says, in one child process; a child that dies is a failure."""
    child = [sys.executable, "-c", READ, str(most_mb), *map(str, paths)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(child, capture_output=True, text=True, timeout=300, env=env, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout[-500:], done.stderr[-2000:])
    return done.stdout.splitlines()


def stream(path: Path, table: pa.Table, codec: str | None = None) -> None:
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)


def ints(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


TEXTS = pa.array(["ab", "cdef"])
TRUE = ints(0, 2, 6)  # its offsets
FAR = ints(0, 2, (1 << 31) - 1)
WORDS = pa.DictionaryArray.from_arrays(pa.array([1, 1, 0], pa.int32()), TEXTS)
POINTS = ints(1, 1, 0)
LIES: dict[str, tuple[pa.Array, bytes, bytes]] = {
    "offset behind the end": (TEXTS, TRUE, ints(0, 2, 4096)),
    "offset far behind the end": (TEXTS, TRUE, FAR),
    "offset before the start": (TEXTS, TRUE, ints(-4096, 2, 6)),
    "offsets that go back": (TEXTS, TRUE, ints(0, 6, 2)),
    "index outside the dictionary": (WORDS, POINTS, ints(1, 1, 7)),
    "index far outside": (WORDS, POINTS, ints(1, 1, 1 << 28)),
    "negative index": (WORDS, POINTS, ints(1, 1, -5)),
    "list behind its values": (pa.array([[1, 2], [3, 4, 5, 6]]), TRUE, FAR),
    "text in a struct": (pa.StructArray.from_arrays([TEXTS], ["inner"]), TRUE, FAR),
    "text in a list": (pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), TEXTS), TRUE, FAR),
    "text in a dictionary": (WORDS, TRUE, FAR),
}


@pytest.mark.parametrize("lie", LIES)
def test_values_that_lead_out_of_the_file_are_refused(lie: str, tmp_path: Path) -> None:
    """Unchecked they give what stands in memory behind the file, or kill the reader."""
    column, true, false = LIES[lie]
    stream(tmp_path / "a.arrow", pa.table({"text": column}))
    whole = (tmp_path / "a.arrow").read_bytes()
    assert whole.count(true) == 1
    (tmp_path / "a.arrow").write_bytes(whole.replace(true, false))
    (said,) = read_apart(tmp_path / "a.arrow")
    assert said.startswith("refused a batch is damaged"), said


def repeated(length: int, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array(["x" * length]))


def in_lists(values: pa.Array, rows: int) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([i * (len(values) // rows) for i in range(rows + 1)], pa.int32()), values)


def parquet(table: pa.Table, **how: object) -> Write:
    how = {"compression": "zstd", "dictionary_pagesize_limit": 1 << 30} | how
    return lambda path: pq.write_table(table, path, **how)


def compressed(path: Path) -> None:
    stream(path, pa.table({"text": ["x" * (275 << 20)] * 4}), "zstd")


def blanks(path: Path) -> None:
    """Two thousand million blanks in eight bytes."""
    column = pa.Array.from_buffers(
        pa.list_(pa.null()), 1, [None, pa.py_buffer(ints(0, (1 << 31) - 1))], children=[pa.nulls((1 << 31) - 1)]
    )
    stream(path, pa.table({"text": column}))


BOMBS: dict[str, tuple[str, Write]] = {
    "texts of one dictionary": ("a.parquet", parquet(pa.table({"text": repeated(1 << 20, 100_000)}))),
    "texts in lists": ("a.parquet", parquet(pa.table({"text": in_lists(repeated(1 << 16, 200_000), 2)}))),
    "texts in a struct in lists": (
        "a.parquet",
        parquet(pa.table({"t": in_lists(pa.StructArray.from_arrays([repeated(1 << 16, 200_000)], ["x"]), 4)})),
    ),
    "blanks in lists": ("a.parquet", parquet(pa.table({"t": pa.array([[None] * 9_000_000] * 4, pa.list_(pa.int8()))}))),
    "texts that repeat the one before": (
        "a.parquet",
        parquet(
            pa.table({"text": ["x" * (1 << 20)] * 600}),
            use_dictionary=False,
            column_encoding={"text": "DELTA_BYTE_ARRAY"},
        ),
    ),
    "texts of one dictionary in Arrow": (
        "a.arrow",
        lambda p: stream(p, pa.table({"text": repeated(1 << 20, 100_000)})),
    ),
    "lists of them": ("a.arrow", lambda p: stream(p, pa.table({"t": in_lists(repeated(1 << 16, 200_000), 2)}))),
    "compressed buffers": ("a.arrow", compressed),
    "two thousand million blanks": ("a.arrow", blanks),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_file_does_not_fill_the_memory(bomb: str, tmp_path: Path) -> None:
    name, write = BOMBS[bomb]
    write(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 2_000_000
    (said,) = read_apart(tmp_path / name)
    assert said.startswith("refused") and ("bytes" in said or "values" in said), said


def test_a_page_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    """The footer says little, the header of the page says 2 GB: what is allocated is what the page says."""
    pq.write_table(pa.table({"n": list(range(1000))}), tmp_path / "a.parquet", use_dictionary=False, compression="none")
    whole = (tmp_path / "a.parquet").read_bytes()
    with (tmp_path / "a.parquet").open("rb") as file:
        (chunk,) = read_footer(file, len(whole)).leaves[0].chunks
        true = pages(file, chunk, len(whole))
    assert true == Pages(true.bytes, true.bytes, 1000) and true.bytes > 8000

    def zigzag(number: int) -> bytes:
        number, out = number << 1, b""
        while number > 127:
            out, number = out + bytes([number & 127 | 128]), number >> 7
        return out + bytes([number])

    place = whole.index(b"\x15" + zigzag(true.bytes), chunk.data)
    lie = whole[:place] + b"\x15" + zigzag((1 << 31) - 1) + whole[place + 1 + len(zigzag(true.bytes)) :]
    (tmp_path / "b.parquet").write_bytes(lie)
    (said,) = read_apart(tmp_path / "b.parquet")
    assert "bytes, decompressed, more than" in said


@pytest.mark.parametrize("seed", range(20))
def test_the_walk_over_pages_ends(seed: int, tmp_path: Path) -> None:
    """On noise the walk says Unreadable, or numbers: it never fails otherwise, and never runs on."""
    rng = random.Random(seed)
    (tmp_path / "a").write_bytes(bytes(rng.choice((0, 0x15, 0x19, 0x2C, rng.randrange(256))) for _ in range(5000)))

    chunk = Chunk(rng.choice((0, 3)), rng.randrange(100), 5000, 5000, rng.choice((0, 10, 1 << 40)), (), 0)
    with (tmp_path / "a").open("rb") as file:
        try:
            found = pages(file, chunk, 5000)
        except Unreadable:
            return
    assert found.bytes >= found.largest >= 0


def test_messages_are_measured_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"text": ["x" * 1000] * 1000, "n": list(range(1000))})
    for codec in (None, "zstd", "lz4"):
        stream(tmp_path / "a.arrow", table, codec)
        found = arrow_messages.check_messages(tmp_path / "a.arrow")
        assert (found.start, found.batches, found.ended) == (0, 1, True)
        monkeypatch.setattr(arrow_messages, "MAX_BATCH", 900_000)
        with pytest.raises(BadInput, match="batch 1 unfolds to 1,0"):
            arrow_messages.check_messages(tmp_path / "a.arrow")
        monkeypatch.undo()


def test_a_stream_without_an_end_is_refused_where_it_is_a_saved_dataset(tmp_path: Path) -> None:
    """Cut between two batches, nothing else tells: not even a row count, as `datasets` often saves none."""
    stream(tmp_path / "data-00000-of-00001.arrow", pa.table({"text": ["a"]}))
    file = tmp_path / "data-00000-of-00001.arrow"
    (tmp_path / "dataset_info.json").write_text("{}")
    assert [row for _, row in read_rows(tmp_path)] == [{"text": "a"}]
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(BadInput, match="it has no end"):
        list(read_rows(tmp_path))
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00001-of-00002.arrow"}]}))
    with pytest.raises(BadInput, match="'data-00001-of-00002.arrow' is missing"):
        list(read_rows(tmp_path))


def test_a_file_that_lost_a_batch_is_refused(tmp_path: Path) -> None:
    """The footer counts the batches."""
    table = pa.table({"text": ["a" * 100]})
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        for _ in range(3):
            writer.write_table(table)
    assert len(list(read_rows(tmp_path / "a.arrow"))) == 3
    whole = (tmp_path / "a.arrow").read_bytes()
    messages = [i for i in range(0, len(whole), 8) if whole[i : i + 4] == b"\xff" * 4]
    short = whole[: messages[3]] + b"\xff\xff\xff\xff\0\0\0\0" + whole[messages[3] + 8 :]  # the third batch as the end
    (tmp_path / "b.arrow").write_bytes(short)
    with pytest.raises(BadInput, match="it counts 3 batches, and holds 2"):
        list(read_rows(tmp_path / "b.arrow"))


def test_the_footer_is_read_as_pyarrow_reads_it(tmp_path: Path) -> None:
    """Nested columns, several row groups, names with dots, blocks of bytes: what is declared, and which columns."""
    held = {
        "a.b": ["x", "yy", None],
        "n": [1, 2, 3],
        "deep": [{"x": ["s", "t"], "y.z": 1.5}, None, {"x": [], "y.z": 2.0}],
    }
    table = pa.table(held).append_column("block", pa.array([b"abc"] * 3, pa.binary(3)))
    for codec in ("none", "snappy", "zstd", "gzip", "lz4", "brotli"):
        pq.write_table(table, tmp_path / "a.parquet", compression=codec, row_group_size=2)
        known = pq.ParquetFile(tmp_path / "a.parquet").metadata
        with (tmp_path / "a.parquet").open("rb") as file:
            found = read_footer(file, (tmp_path / "a.parquet").stat().st_size)
            words = [longest_word(file, chunk) for chunk in found.leaves[0].chunks]
        assert words == [2, 0]
        assert found.rows == known.num_rows
        assert [leaf.top for leaf in found.leaves] == ["a.b", "n", "deep", "deep", "block"]
        for i, leaf in enumerate(found.leaves):
            assert leaf.path == known.schema.column(i).path
            assert leaf.width == (3 if leaf.top == "block" else 0)
            for j, chunk in enumerate(leaf.chunks):
                column = known.row_group(j).column(i)
                assert (chunk.values, chunk.unpacked) == (column.num_values, column.total_uncompressed_size)
                assert (chunk.data, chunk.packed) == (column.data_page_offset, column.total_compressed_size)
        assert [row for _, row in read_rows(tmp_path / "a.parquet")] == table.to_pylist()
        assert [row for _, row in read_rows(tmp_path / "a.parquet", ["a.b"])] == table.select(["a.b"]).to_pylist()


TWICE: dict[str, Write] = {
    "a.jsonl": lambda p: p.write_text('{"text": "a", "text": "b"}'),
    "deep.jsonl": lambda p: p.write_text('{"text": [{"a": {"x": 1, "y": 2, "x": 3}}]}'),
    "a.json": lambda p: p.write_text('[{"text": "a", "text": "a"}]'),
    "a.csv": lambda p: p.write_text("text,answer,text\na,b,c\n"),
    "a.tsv": lambda p: p.write_text("text\ttext\na\tb\n"),
    "a.parquet": lambda p: pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), p),
    "a.arrow": lambda p: stream(p, pa.table([["a"], ["b"]], names=["text", "text"])),
}


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.parametrize("columns", [None, ["text"]])
def test_what_is_called_the_same_twice_is_refused(name: str, columns: list[str] | None, tmp_path: Path) -> None:
    TWICE[name](tmp_path / name)
    with pytest.raises(BadInput, match="twice|two columns are called"):
        list(read_rows(tmp_path / name, columns))


@pytest.mark.parametrize("digits", [1001, 4000, 5000])
@pytest.mark.parametrize("form", ["9{}", "-9{}", "0.{}", "1e{}", "[[9{}]]"])
def test_numbers_of_thousands_of_digits_are_refused(digits: int, form: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"answer": ' + form.format("9" * digits) + "}")
    with pytest.raises(BadInput, match="digits"):
        list(read_rows(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("what", ["pipe", "device", "endless", "folder"])
def test_what_does_not_end_is_not_opened(suffix: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if what == "device" else "/proc/self/pagemap")
    with pytest.raises(BadInput):
        list(read_rows(path))


def test_parts_of_a_saved_dataset_are_files_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data-00000-of-00001.arrow")
    with pytest.raises(BadInput, match="a pipe, no file"):
        list(read_rows(tmp_path))
    (tmp_path / "data-00000-of-00001.arrow").unlink()
    stream(tmp_path / "data-00000-of-00001.arrow", pa.table({"text": ["a"]}))
    os.mkfifo(tmp_path / "state.json")
    with pytest.raises(BadInput, match="a pipe, no file"):
        list(read_rows(tmp_path))


KINDS: dict[str, pa.Array] = {
    "union": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array(["x"])]),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array(["x"])),
    "views of lists": pa.array([["x"]], pa.list_view(pa.string())),
    "a map": pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string())),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_that_are_not_read_are_left_out_or_refused(kind: str, tmp_path: Path) -> None:
    stream(tmp_path / "a.arrow", pa.table({"text": ["a"], "odd": KINDS[kind]}))
    assert [row for _, row in read_rows(tmp_path / "a.arrow")] == [{"text": "a"}]
    assert [row for _, row in read_rows(tmp_path / "a.arrow", ["text"])] == [{"text": "a"}]
    with pytest.raises(BadInput, match="of a kind that is not read"):
        list(read_rows(tmp_path / "a.arrow", ["odd"]))


def test_kinds_that_are_read(tmp_path: Path) -> None:
    """What polars, pandas and datasets write: views and large texts, dictionaries, extensions as they are stored."""
    table = pa.table(
        {
            "view": pa.array(["short", "long enough to stand elsewhere" * 2, None], pa.string_view()),
            "large": pa.array(["a", None, "b"], pa.large_string()),
            "word": pa.array(["x", "y", None]).dictionary_encode(),
            "lists": pa.array([["a"], [], None], pa.large_list(pa.large_string())),
            "flag": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], pa.int8())),
        }
    )
    stream(tmp_path / "a.arrow", table)
    found = [row for _, row in read_rows(tmp_path / "a.arrow")]
    assert [row["view"] for row in found] == table["view"].to_pylist()
    assert [row["large"] for row in found] == ["a", None, "b"]
    assert [row["word"] for row in found] == ["x", "y", None]
    assert [row["lists"] for row in found] == [["a"], [], None]
    assert [row["flag"] for row in found] == [1, 0, None]
