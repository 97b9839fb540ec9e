"""How does a table of responses become an Inspect log? A `.eval` or `.json` file that `inspect view` opens.

    header.json, _journal/start.json    what was evaluated, by whom, with totals and their standard errors
    samples/ID_epoch_N.json             one member a response (`probe.rollouts.eval_sample`)
    summaries.json                      the same without texts, by which logs are listed

Totals are plain means over responses; errors are CR1, clustered by problem (`probe.stats.intervals`), which is what
Inspect's own `stderr(cluster=...)` takes. `.json` holds all of it in one object. Written without inspect_ai; equal
tables give equal bytes: the day is a fixed one. https://inspect.aisi.org.uk/eval-logs.html.
"""

import json
import math
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from probe.models.loading.card import PACKAGE, package_version
from probe.rollouts.eval_sample import PROBLEM, SCORER, eval_sample
from probe.stats.checks import cluster_codes, column
from probe.stats.intervals import clustered_mean, ratio_spread

STARTED = datetime(2000, 1, 1, tzinfo=UTC).isoformat()
VERSION = 2
STAMP = (2000, 1, 1, 0, 0, 0)
SHOWN = 200  # characters of an input in a summary
WHOLE = ".json"


@dataclass(frozen=True)
class LogOf:
    """What a log is of: the model's name, what it was asked and how (`about`, for its metadata)."""

    model: str
    task: str = "imported-rollouts"
    dataset: str = "imported"
    system: str | None = None  # prompt
    config: Mapping[str, Any] = field(default_factory=dict)  # temperature, max_tokens, seed
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class _Written:
    summaries: list[dict[str, Any]] = field(default_factory=list)
    ids: dict[str, None] = field(default_factory=dict)
    epochs: int = 0
    columns: dict[str, list[tuple[str, float]]] = field(default_factory=dict)


def write_log(rows: Iterable[Mapping[str, Any]], log: Path, of: LogOf, *, whole: bool = False) -> None:
    """Write rows of responses as a log; with `whole`, as one JSON object. The file's name may be any."""
    written = _Written()
    if whole:
        samples = []
        for row in rows:
            samples.append(eval_sample(row, of.model, of.system))
            _count(written, samples[-1])
        log.write_text(_json({**_header(of, written), "samples": samples}), encoding="utf-8")
        return
    with zipfile.ZipFile(log, "w", zipfile.ZIP_DEFLATED) as file:
        start = {"version": VERSION, "eval": _evaluated(of, _Written()), "plan": _plan(of)}
        _put(file, "_journal/start.json", start)
        for row in rows:
            sample = eval_sample(row, of.model, of.system)
            _count(written, sample)
            _put(file, f"samples/{sample['id']}_epoch_{sample['epoch']}.json", sample)
        _put(file, "summaries.json", written.summaries)
        _put(file, "header.json", _header(of, written))


def _put(file: zipfile.ZipFile, name: str, value: Any) -> None:
    info = zipfile.ZipInfo(name, STAMP)
    info.compress_type = zipfile.ZIP_DEFLATED
    file.writestr(info, _json(value))


def _json(value: Any) -> str:
    """ASCII, so that the halves of surrogate pairs that a text may hold can be written too."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def _count(written: _Written, sample: dict[str, Any]) -> None:
    kept = {key: sample[key] for key in ("id", "epoch", "target", "scores", "metadata")}
    shown = sample["messages"][-2]["content"][:SHOWN]
    written.summaries.append(kept | {"input": shown, "completed": True, "model_usage": sample["model_usage"]})
    written.ids[sample["id"]] = None
    written.epochs = max(written.epochs, sample["epoch"])
    for name, value in _measured(sample).items():
        written.columns.setdefault(name, []).append((sample["metadata"][PROBLEM], value))


def _measured(sample: dict[str, Any]) -> dict[str, float]:
    """What is averaged: each number where the sample has it."""
    about, found = sample["metadata"], {}
    if sample["scores"]:
        found["accuracy"] = float(sample["scores"][SCORER]["value"] == "C")
    if "outcome" in about:
        found["parse_rate"] = float(about["outcome"] != "unparsed")
    if "strategy" in about:
        found["code_share"] = float(about["strategy"] == "code")
    if "cut_off" in about:
        found["cut_off"] = float(about["cut_off"])
    return found


def _metrics(written: _Written) -> dict[str, Any]:
    """Of each number its mean, with its standard error, interval, n and problems; `stderr` is that of accuracy."""
    found: dict[str, Any] = {}
    for name, pairs in written.columns.items():
        problems, values = [problem for problem, _ in pairs], [value for _, value in pairs]
        mean = clustered_mean(values, problems, name=name)
        numer = column(values, "values")
        error = ratio_spread(numer, numer * 0 + 1, cluster_codes(problems, len(values))).se
        ends = {end: value for end, value in (("lo", mean.lo), ("hi", mean.hi)) if math.isfinite(value)}
        known = {"stderr": error} if math.isfinite(error) else {}
        about = {**known, **ends, "n": mean.n, "n_problems": mean.n_problems}
        found[name] = {"name": name, "value": mean.value, "metadata": about}
        if name == "accuracy":
            # Inspect has 0 for a single cluster
            found["stderr"] = {"name": "stderr", "value": known.get("stderr", 0.0), "params": {"cluster": PROBLEM}}
    return found


def _evaluated(of: LogOf, written: _Written) -> dict[str, Any]:
    """EvalSpec: what was evaluated."""
    name = blake2b(f"{of.model}\0{of.task}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    ids = list(written.ids)
    metrics = [{"name": "accuracy"}, {"name": "stderr", "options": {"cluster": PROBLEM}}]
    return {
        "created": STARTED,
        "task": of.task,
        "task_id": name,
        "run_id": name,
        "eval_id": name,
        "task_version": 0,
        "task_attribs": {},
        "task_args": {},
        "dataset": {"name": of.dataset, "samples": len(ids), "sample_ids": ids, "shuffled": False},
        "model": of.model,
        "model_args": {},
        "model_generate_config": dict(of.config),
        "config": {"epochs": max(written.epochs, 1)},
        "packages": {PACKAGE: package_version()},
        "metadata": dict(of.about),
        "scorers": [{"name": SCORER, "metrics": metrics}],
    }


def _plan(of: LogOf) -> dict[str, Any]:
    return {"name": "plan", "steps": [], "config": dict(of.config)}


def _header(of: LogOf, written: _Written) -> dict[str, Any]:
    n, scored = len(written.summaries), len(written.columns.get("accuracy", []))
    counted = {"scored_samples": scored, "unscored_samples": n - scored}
    scores = [{"name": SCORER, "scorer": SCORER, "params": {}, "metrics": _metrics(written), **counted}]
    return {
        "version": VERSION,
        "status": "success",
        "eval": _evaluated(of, written),
        "plan": _plan(of),
        "results": {"total_samples": n, "completed_samples": n, "scores": scores},
        "stats": {"started_at": STARTED, "completed_at": STARTED, "model_usage": {}},
    }
