"""What does an Inspect log hold? The rows of a `.eval` file: a zip of JSON, one member a sample and epoch.

    header.json            {eval: {model, task, model_generate_config: {temperature}}, ...}
    samples/ID_epoch_N.json  {id, epoch, input, target, output: {choices: [{message: {content}}]}, scores: {...}}

Each sample is a row, with the model and the temperature of the header beside it. Read without inspect_ai, one member at
a time; a member that unfolds to more than it says, or to more than MAX_ROW, is refused. Left out: events, attachments
other than in what is read (a text may stand there, and is put back), logs compressed with zstd.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probe.errors import BadInput
from probe.tasks.row_limits import MAX_ROW, MAX_ROWS, Row
from probe.tasks.strict_json import parsed_json

READ = ("id", "epoch", "input", "target", "choices", "output", "scores", "metadata", "error")
ATTACHED = "attachment://"
BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)


def inspect_rows(path: Path, most: int) -> Iterator[Row]:
    """The samples of a log, in the order of their names."""
    try:
        with zipfile.ZipFile(path) as log:
            names = sorted(name for name in log.namelist() if name.startswith("samples/") and name.endswith(".json"))
            if len(names) > MAX_ROWS or sum(log.getinfo(name).file_size for name in names) > most:
                raise BadInput("more samples than are taken", where=str(path), do="split the log")
            about = _about(log, path)
            for name in names:
                where = f"{path} {name}"
                yield where, about | sample_row(_member(log, name, where), where)
    except BROKEN as err:
        raise BadInput(f"not a whole Inspect log: {err}", where=str(path), do="copy the log again") from err


def sample_row(sample: Any, where: str) -> dict[str, Any]:
    """What is read of one sample, texts that are attached put back."""
    if not isinstance(sample, dict):
        raise BadInput("a sample is no JSON object", where=where, do="copy the log again")
    attached = sample.get("attachments")
    held = {name: sample[name] for name in READ if name in sample}
    return _put_back(held, attached) if isinstance(attached, dict) and attached else held


def log_about(header: Any) -> dict[str, Any]:
    """The model and the temperature that a log's header names."""
    evaluated = header.get("eval") if isinstance(header, dict) else None
    if not isinstance(evaluated, dict):
        return {}
    config = evaluated.get("model_generate_config")
    stated = config.get("temperature") if isinstance(config, dict) else None
    found = {"model": evaluated.get("model"), "task": evaluated.get("task"), "temperature": stated}
    return {name: value for name, value in found.items() if value is not None}


def _about(log: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    return log_about(_member(log, "header.json", f"{path} header.json")) if "header.json" in log.namelist() else {}


def _member(log: zipfile.ZipFile, name: str, where: str) -> Any:
    with log.open(name) as member:
        data = member.read(MAX_ROW + 1)
    if len(data) > MAX_ROW:
        raise BadInput(f"more than {MAX_ROW:,} bytes", where=where, do="drop or shorten that sample")
    return parsed_json(data, where)


def _put_back(value: Any, attached: dict[str, Any]) -> Any:
    if isinstance(value, str) and value.startswith(ATTACHED):
        return attached.get(value.removeprefix(ATTACHED), value)
    if isinstance(value, dict):
        return {key: _put_back(item, attached) for key, item in value.items()}
    return [_put_back(item, attached) for item in value] if isinstance(value, list) else value
