"""Files of rows, in every format that is read: right ones spoilt in one to three ways, then imported or compared."""

import csv
import io
import json
import random
import shutil
from pathlib import Path
from typing import Any

from torture.inputs import strange
from torture.scene import Scene, case

WIDE = 7919  # bytes of a text whose offsets are found again in the file
Rows = list[dict[str, Any]]
NAMES = (("problem", "text", "answer"), ("question", "response", "gold"), ("unique_id", "completion", "solution"))


def rows_of(rng: random.Random) -> Rows:
    """Right rows, under ours or others' names."""
    problem, text, answer = rng.choice(NAMES[:2])
    extra = rng.random() < 0.5
    rows = []
    for i in range(rng.choice((1, 2, 7, 30))):
        row: dict[str, Any] = {problem: f"p{i}", text: f"so \\boxed{{{i % 3}}}", answer: str(i % 2)}
        rows.append(row | ({"temperature": 0.5, "sample": 0, "confidence": 0.25, "right": True} if extra else {}))
    return rows


def spoil(rng: random.Random, rows: Rows) -> None:
    """A strange value, a missing or an additional one, somewhere."""
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        row = rng.choice(rows)
        name = rng.choice(list(row) or ["x"])
        how = rng.random()
        if how < 0.7:
            row[name] = strange.value(rng)
        elif how < 0.85:
            row.pop(name, None)
        else:
            row[strange.text(rng, 30)] = strange.value(rng)


def use(scene: Scene, file: str, bad: bool | None) -> None:
    """Import it, grade it, or compare it with itself."""
    rng = scene.rng
    if rng.random() < 0.65:
        grade = ("--grade", rng.choice(("boxed", "answer_tag", "final_number"))) if rng.random() < 0.4 else ()
        scene.check("import-rollouts", file, "--out", "out.parquet", *grade, bad=bad)
    else:
        other = Path(file).with_name(f"other{Path(file).suffix}")  # the same again: problems are paired by name
        copy = shutil.copytree if (scene.folder / file).is_dir() else shutil.copyfile
        copy(scene.folder / file, scene.folder / other)
        scene.check("compare-rollouts", file, other, "--store", "store", "--figures", "figures", bad=bad)


@case("input", "rows-json", 3)
def rows_json(scene: Scene) -> None:
    """JSON lines and JSON: strange values, doubled keys, bombs, torn bytes."""
    rng, rows = scene.rng, rows_of(scene.rng)
    spoil(rng, rows)
    suffix = rng.choice((".jsonl", ".json", ".ndjson"))
    lines = [strange.json_text(row) for row in rows]
    bad: bool | None = None
    how = rng.randrange(6)
    if how == 0:  # the same key twice
        at = rng.randrange(len(lines))
        key = next(iter(rows[at]), "x")
        lines[at] = lines[at][:-1] + f', {json.dumps(key)}: "other"}}'
        bad = True if rows[at] else None
    if how == 1:
        lines[-1] = rng.choice(("[" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000, "[1]", "null", '"x', "{]"))
        bad = True
    if how == 2:
        lines.append("9" * rng.choice((5000, 400_000)))
        bad = True
    whole = f"[{','.join(lines)}]" if suffix == ".json" else "\n".join(lines) + "\n"
    data = whole.encode()
    if how == 3:
        data = strange.mutated(rng, data)
    (scene.folder / f"file{suffix}").write_bytes(data)
    use(scene, f"file{suffix}", bad)


@case("input", "rows-csv", 2)
def rows_csv(scene: Scene) -> None:
    """csv and tsv: headers given twice, quotes left open, NUL bytes, fields without end, other encodings."""
    rng, rows = scene.rng, rows_of(scene.rng)
    suffix, names = rng.choice((".csv", ".tsv")), list(rows[0])
    delimiter, bad = "\t" if suffix == ".tsv" else ",", None
    how = rng.randrange(7)
    if how == 0:
        names.append(rng.choice(names))
        bad = True
    written = io.StringIO()
    table = csv.writer(written, delimiter=delimiter)
    table.writerow(names)
    for row in rows:
        cells = [str(row.get(name, "")) for name in names]
        if rng.random() < 0.3:
            cells[rng.randrange(len(cells))] = strange.text(rng, 2000)
        table.writerow(cells + (["more"] if how == 1 and row is rows[-1] else []))
    bad = True if how == 1 else bad
    data = written.getvalue().encode("utf-8", "surrogatepass")
    if how == 2:
        data += rng.choice((b'"never closed', b'"' + b"x" * (17 << 20), b"\xff\xfe,\xff\n"))
        bad = True
    if how == 3:
        data = strange.mutated(rng, data)
    if how == 4:
        data, bad = written.getvalue().encode("utf-16"), True
    (scene.folder / f"file{suffix}").write_bytes(data)
    use(scene, f"file{suffix}", bad)


@case("input", "rows-parquet", 3)
def rows_parquet(scene: Scene) -> None:
    """parquet: torn bytes, columns given twice, texts that unfold, strange types."""
    path, rng = scene.folder / "file.parquet", scene.rng
    how = rng.randrange(6)
    bad = _made(scene, lambda: _parquet(rng, path, how), how in (0, 1))
    if how in (3, 4, 5):
        path.write_bytes(strange.mutated(rng, path.read_bytes()))
    use(scene, path.name, bad)


@case("input", "rows-arrow", 4)
def rows_arrow(scene: Scene) -> None:
    """Arrow files and streams: offsets out of range, columns given twice, torn bytes, folders of a saved dataset."""
    rng = scene.rng
    as_folder = rng.random() < 0.4
    path = scene.folder / ("saved/data-00000-of-00001.arrow" if as_folder else "file.arrow")
    path.parent.mkdir(exist_ok=True)
    how = rng.randrange(6)
    bad = _made(scene, lambda: _arrow(rng, path, how), how in (0, 1, 2))
    if how in (4, 5):
        path.write_bytes(strange.mutated(rng, path.read_bytes()))
    if as_folder and rng.random() < 0.4:
        info = {"splits": {"train": {"num_examples": strange.value(rng)}}}
        (path.parent / "dataset_info.json").write_text(strange.json_text(info))
    use(scene, "saved" if as_folder else path.name, bad)


def _made(scene: Scene, make: Any, bad: bool) -> bool | None:
    """Arrow starts threads, which must not be where we fork: the file is made in a child."""
    ran = scene.call(make, "make the file")
    assert ran.code == 0, ran.text
    return True if bad else None


def _columns(rng: random.Random) -> dict[str, Any]:
    rows = rows_of(rng)
    return {name: [row[name] for row in rows] for name in rows[0]}


def _parquet(rng: random.Random, path: Path, how: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = _columns(rng)
    arrays, names = [pa.array(values) for values in columns.values()], list(columns)
    if how == 0:
        at = rng.randrange(len(names))
        arrays.append(arrays[at])
        names.append(names[at])
    if how == 1:  # 100 to 400 kB a text, written once, in very many rows
        n = rng.choice((30_000, 60_000))
        big = pa.array(["x" * rng.choice((100_000, 400_000))])
        ids = pa.array([f"p{i}" for i in range(n)])
        code = pa.array([0] * n, pa.int32())
        names, arrays = ["problem", "text", "answer"], [ids, pa.DictionaryArray.from_arrays(code, big), ids]
    if how == 2:
        arrays[rng.randrange(len(arrays))] = _odd(rng, len(arrays[0]))
    pq.write_table(pa.Table.from_arrays(arrays, names), path, store_schema=rng.random() < 0.5)


def _odd(rng: random.Random, n: int) -> Any:
    """A column of a type that is no text and no number."""
    import pyarrow as pa

    odd = {
        pa.binary(): b"\xff\x00",
        pa.timestamp("ns"): 2**62,
        pa.decimal128(38, 2): 12,
        pa.struct([("a", pa.list_(pa.int8()))]): {"a": [1]},
        pa.list_(pa.string()): ["a", None],
        pa.duration("s"): 2**40,
        pa.null(): None,
        pa.uint64(): 2**64 - 1,
    }
    kind = rng.choice(list(odd))
    return pa.array([odd[kind]] * n, kind)


def _arrow(rng: random.Random, path: Path, how: int) -> None:
    import pyarrow as pa

    columns = _columns(rng)
    arrays, names = [pa.array(values) for values in columns.values()], list(columns)
    if how == 0:
        arrays.append(arrays[0])
        names.append(names[0])
    if how in (1, 2):
        arrays[rng.randrange(3)] = pa.array(["a" * WIDE] * len(arrays[0]))
    if how == 3:
        arrays[rng.randrange(len(arrays))] = _odd(rng, len(arrays[0]))
    batch = pa.RecordBatch.from_arrays(arrays, names)
    new = pa.ipc.new_file if path.name == "file.arrow" and rng.random() < 0.5 else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as sink, new(sink, batch.schema) as writer:
        writer.write_batch(batch)
    if how in (1, 2):  # texts that begin or end outside of their bytes
        _wild(rng, path, len(arrays[0]), how == 1)


def _wild(rng: random.Random, path: Path, n: int, beyond: bool) -> None:
    """Move offsets of the column whose texts are WIDE long; Arrow itself would not write them."""
    import numpy as np

    right = WIDE * np.arange(n + 1, dtype=np.int32)
    wrong, at = right.copy(), rng.randrange(1, n + 1)
    if beyond:
        wrong[at:] = rng.choice((10_000_000, 2**31 - 1))
    else:
        wrong[at] = -rng.choice((1, 1000, 2**31 - 1))
    data = path.read_bytes()
    assert right.tobytes() in data
    path.write_bytes(data.replace(right.tobytes(), wrong.tobytes()))
