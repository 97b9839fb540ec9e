"""Files of rollouts, as `probe sample` writes them, spoilt and then scored: nulls, ids of no token, columns gone."""

import random
from pathlib import Path
from typing import Any

from torture.inputs import strange
from torture.scene import Scene, case

NEEDED = ("problem", "temperature", "checkpoint", "sample", "completion_ids", "prompt_ids")
HERE = ("--store", "store", "--manifest", "manifest.yaml", "--workers", 1)


@case("input", "rollouts", 4)
def rollouts(scene: Scene) -> None:
    """One thing wrong with the file that `probe score` reads."""
    rng = scene.rng
    scene.bring("responses.parquet", "store", "manifest.yaml")
    path = scene.folder / "responses.parquet"
    how = rng.choice((nulled, nulled, no_token, without, twice, empty, None))
    if how is None:
        path.write_bytes(strange.mutated(rng, path.read_bytes()))
    else:
        made = scene.call(lambda: _rewrite(how(rng, _read(path)), path), f"spoil the rollouts: {how.__name__}")
        assert made.code == 0, made.text
    scene.check("score", path.name, "--scorer", "raw", "--out", "out.parquet", *HERE, bad=True if how else None)


def nulled(rng: random.Random, table: Any) -> Any:
    """A null among the values of a column, or nothing but nulls."""
    import pyarrow as pa

    name = rng.choice(NEEDED)
    values = table[name].to_pylist()
    for at in rng.sample(range(len(values)), rng.choice((1, 2, len(values)))):
        values[at] = None
    return _with(table, name, pa.array(values, table.schema.field(name).type))


def no_token(rng: random.Random, table: Any) -> Any:
    """An id that is no token of the scorer."""
    import pyarrow as pa

    name = rng.choice(("completion_ids", "prompt_ids"))
    values = table[name].to_pylist()
    row = rng.choice([row for row in values if row])
    row[rng.randrange(len(row))] = rng.choice((-1, 999, 10**6, 2**31 - 1, -(2**31)))
    return _with(table, name, pa.array(values, table.schema.field(name).type))


def without(rng: random.Random, table: Any) -> Any:
    """A column gone, or under another name."""
    return table.drop_columns([rng.choice(NEEDED)])


def twice(rng: random.Random, table: Any) -> Any:
    """A column twice."""
    name = rng.choice(NEEDED)
    return table.append_column(name, table[name])


def empty(rng: random.Random, table: Any) -> Any:
    """No rows."""
    return table.slice(0, 0)


def _with(table: Any, name: str, values: Any) -> Any:
    return table.set_column(table.schema.get_field_index(name), name, values)


def _read(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(path, partitioning=None)


def _rewrite(table: Any, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path)
