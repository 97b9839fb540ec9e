"""How many rows a second does `probe import-rollouts` read, and does its memory grow with the file?

    python benchmarks/import_rows.py [--rows 1000000]        writes benchmarks/import_rows.json

JSON lines and parquet of 8,000 problems with texts of 400 to 1,200 characters, at a tenth of the rows and at all of
them; each import in a process of its own, whose peak resident memory is taken. Flat: the ratio of the two peaks.
"""

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PROBLEMS, PART = 8_000, 20_000
OUT = Path(__file__).with_suffix(".json")


def rows_of(first: int, n: int, rng: random.Random) -> list[dict[str, object]]:
    """Responses to the problems in turn, half of them right, some without a label."""
    words = ["so", "we", "add", "the", "two", "numbers", "and", "divide", "by", "three", "which", "gives"]
    made = []
    for i in range(first, first + n):
        text = " ".join(rng.choices(words, k=rng.randrange(80, 240))) + f" \\boxed{{{i % 97}}}"
        right = None if i % 50 == 0 else i % 2 == 0
        made.append({"problem": f"p{i % PROBLEMS}", "text": text, "answer": str(i % PROBLEMS), "right": right})
    return made


def write(path: Path, n: int) -> None:
    """A file of n rows, a part at a time."""
    rng = random.Random(0)
    if path.suffix == ".jsonl":
        with path.open("w") as file:
            for first in range(0, n, PART):
                file.writelines(json.dumps(row) + "\n" for row in rows_of(first, min(PART, n - first), rng))
        return
    kinds = {"problem": pa.string(), "text": pa.string(), "answer": pa.string(), "right": pa.bool_()}
    schema = pa.schema(list(kinds.items()))
    with pq.ParquetWriter(path, schema) as file:
        for first in range(0, n, PART):
            file.write_table(pa.Table.from_pylist(rows_of(first, min(PART, n - first), rng), schema=schema))


def import_one(path: Path) -> dict[str, float]:
    """In this process: seconds, rows, and the peak in MB beside what was there before."""
    from probe.experiments.published_outputs.import_file import import_rollouts

    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = import_rollouts(path, path.with_name("out.parquet"), overwrite=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = time.perf_counter() - start
    return {"rows": found.rows, "seconds": seconds, "peak_mb": peak / 1024, "above_mb": (peak - before) / 1024}


def measured(path: Path) -> dict[str, float]:
    """The same in a process of its own."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--one", str(path)], capture_output=True, text=True, env=env, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found | {"rows_per_second": round(found["rows"] / found["seconds"]), "file_mb": path.stat().st_size / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--one", type=Path)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(import_one(args.one)))
        return
    found: dict[str, dict[str, object]] = {}
    for kind in (".jsonl", ".parquet"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"rows{kind}"
            sizes = []
            for n in (args.rows // 10, args.rows):
                write(path, n)
                sizes.append(measured(path))
                print(kind, sizes[-1], flush=True)
            found[kind] = {"tenth": sizes[0], "all": sizes[1], "peak_ratio": sizes[1]["peak_mb"] / sizes[0]["peak_mb"]}
    machine = {"python": platform.python_version(), "pyarrow": pa.__version__, "cores": os.cpu_count()}
    OUT.write_text(json.dumps({"machine": machine, "problems": PROBLEMS, "imports": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
