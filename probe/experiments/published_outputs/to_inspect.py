"""How does a graded table become an Inspect log? A `.eval` file that `inspect view` opens, written without inspect_ai.

    header.json, _journal/start.json    what was evaluated, with counts and the accuracy
    samples/ID_epoch_N.json             one member a response: input, target, output, score
    summaries.json                      the same without texts, by which logs are listed

The score is the authors' label where the table has one, else our grade; a response with neither has none. Rows pass one
at a time. https://inspect.aisi.org.uk/eval-logs.html. Left out: reductions over epochs, events, usage.
"""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

STARTED = datetime(2000, 1, 1, tzinfo=UTC).isoformat()  # not known: a fixed day, so that equal tables give equal logs
VERSION = 2
SCORER = "probe"
STAMP = (2000, 1, 1, 0, 0, 0)


@dataclass
class _Written:
    summaries: list[dict[str, Any]] = field(default_factory=list)
    ids: dict[str, None] = field(default_factory=dict)
    epochs: int = 0
    right: int = 0
    scored: int = 0


def write_inspect(table: Path, log: Path, name: str) -> None:
    """Write a table of `probe import-rollouts` as a log of a model called `name`."""
    written = _Written()
    with zipfile.ZipFile(log, "w", zipfile.ZIP_DEFLATED) as file:
        _put(file, "_journal/start.json", {"version": VERSION, "eval": _evaluated(name, _Written()), "plan": _plan()})
        for row in _rows(table):
            sample = _sample(row, name)
            _count(written, sample)
            member = "".join(char if char.isalnum() or char in "._-" else "_" for char in sample["id"])[:80]
            digest = blake2b(sample["id"].encode(), digest_size=6).hexdigest()
            unsafe = member != sample["id"]
            _put(file, f"samples/{member}{'-' + digest if unsafe else ''}_epoch_{sample['epoch']}.json", sample)
        _put(file, "summaries.json", written.summaries)
        _put(file, "header.json", _header(name, written))


def _rows(table: Path) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(table).iter_batches(256):
        yield from batch.to_pylist()


def _put(file: zipfile.ZipFile, name: str, value: Any) -> None:
    info = zipfile.ZipInfo(name, STAMP)
    info.compress_type = zipfile.ZIP_DEFLATED
    file.writestr(info, json.dumps(value, ensure_ascii=False, allow_nan=False))


def _sample(row: dict[str, Any], name: str) -> dict[str, Any]:
    """One response as EvalSample."""
    asked = row.get("prompt") or row["problem"]
    said = {"role": "assistant", "content": row["text"], "source": "generate"}
    choice = {"message": said, "stop_reason": "stop"}
    right = row["right"] if row.get("right") is not None else _graded(row)
    score = {} if right is None else {SCORER: {"value": "C" if right else "I", "answer": row.get("boxed")}}
    kept = ("strategy", "python", "outcome", "confidence", "temperature")
    return {
        "id": row["problem"],
        "epoch": row["sample"] + 1,
        "input": asked,
        "target": row["answer"] or "",
        "messages": [{"role": "user", "content": asked, "source": "input"}, said],
        "output": {"model": name, "choices": [choice], "completion": row["text"]},
        "scores": score,
        "metadata": {key: row[key] for key in kept if row.get(key) is not None},
        "store": {},
        "events": [],
        "model_usage": {},
        "attachments": {},
    }


def _graded(row: dict[str, Any]) -> bool | None:
    return row["outcome"] == "right" if row.get("outcome") else None


def _count(written: _Written, sample: dict[str, Any]) -> None:
    kept = {key: sample[key] for key in ("id", "epoch", "target", "scores", "metadata")}
    written.summaries.append(kept | {"input": sample["input"][:200], "completed": True, "model_usage": {}})
    written.ids[sample["id"]] = None
    written.epochs = max(written.epochs, sample["epoch"])
    if sample["scores"]:
        written.scored += 1
        written.right += sample["scores"][SCORER]["value"] == "C"


def _evaluated(name: str, written: _Written) -> dict[str, Any]:
    """EvalSpec: what was evaluated."""
    return {
        "created": STARTED,
        "task": "imported-rollouts",
        "task_id": blake2b(name.encode(), digest_size=8).hexdigest(),
        "run_id": blake2b(name.encode(), digest_size=8).hexdigest(),
        "task_version": 0,
        "task_attribs": {},
        "task_args": {},
        "dataset": {
            "name": "imported",
            "samples": len(written.ids),
            "sample_ids": list(written.ids),
            "shuffled": False,
        },
        "model": name,
        "model_args": {},
        "model_generate_config": {},
        "config": {"epochs": max(written.epochs, 1)},
        "packages": {},
        "scorers": [{"name": SCORER, "metrics": [{"name": "accuracy"}]}],
    }


def _plan() -> dict[str, Any]:
    return {"name": "plan", "steps": [], "config": {}}


def _header(name: str, written: _Written) -> dict[str, Any]:
    n = len(written.summaries)
    metrics = {"accuracy": {"name": "accuracy", "value": written.right / written.scored}} if written.scored else {}
    scores = [{"name": SCORER, "scorer": SCORER, "params": {}, "metrics": metrics}]
    return {
        "version": VERSION,
        "status": "success",
        "eval": _evaluated(name, written),
        "plan": _plan(),
        "results": {"total_samples": n, "completed_samples": n, "scores": scores},
        "stats": {"started_at": STARTED, "completed_at": STARTED, "model_usage": {}},
    }
