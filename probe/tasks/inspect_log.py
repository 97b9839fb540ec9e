"""What does an Inspect log hold? The rows of a `.eval` file: a zip of JSON, one member a sample and epoch.

    header.json            {eval: {model, task, model_generate_config: {temperature}}, ...}
    samples/ID_epoch_N.json  {id, epoch, input, target, output: {choices: [{message: {content}}]}, scores: {...}}

Each sample is a row, with the model and the temperature of the header beside it. Read without inspect_ai, one member at
a time; a member that unfolds to more than it says, or to more than MAX_ROW, is refused. Left out: events, attachments
other than in what is read (a text may stand there, and is put back).
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from probe.errors import BadInput
from probe.tasks.row_limits import MAX_ROW, MAX_ROWS, Row
from probe.tasks.strict_json import parsed_json

READ = ("id", "input", "target", "choices", "output", "scores", "metadata", "error")
ATTACHED = "attachment://"
OWN = "probe_problem"  # the id as it was, where we wrote the log (`probe.rollouts.eval_sample`)
ZSTD = 93  # compression method of a zip member
BROKEN = (
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)


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
    attached, about = sample.get("attachments"), sample.get("metadata")
    held = {name: sample[name] for name in READ if name in sample}
    if isinstance(about, dict) and isinstance(about.get(OWN), str):
        held["id"] = about[OWN]
    if isinstance(sample.get("epoch"), int):
        held["sample"] = sample["epoch"] - 1  # epochs count from 1
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
    info = log.getinfo(name)
    if info.compress_type == ZSTD:
        data = _unpacked(log, info)
    else:
        with log.open(info) as member:
            data = member.read(MAX_ROW + 1)
    if len(data) > MAX_ROW:
        raise BadInput(f"more than {MAX_ROW:,} bytes", where=where, do="drop or shorten that sample")
    return parsed_json(data, where)


def _unpacked(log: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member that is packed as Inspect packs it today; the zipfile of Python 3.11 does not read it."""
    assert log.fp is not None
    log.fp.seek(info.header_offset)
    head = log.fp.read(30)
    if head[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("a member is not where it should be")
    name, extra = struct.unpack("<HH", head[26:30])
    log.fp.seek(name + extra, 1)
    packed = log.fp.read(min(info.compress_size, MAX_ROW + 1))
    data: bytes = pa.CompressedInputStream(pa.BufferReader(packed), "zstd").read(MAX_ROW + 1)
    if len(data) <= MAX_ROW and zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile(f"the checksum of {info.filename[:80]} is wrong")
    return data


def _put_back(value: Any, attached: dict[str, Any]) -> Any:
    if isinstance(value, str) and value.startswith(ATTACHED):
        return attached.get(value.removeprefix(ATTACHED), value)
    if isinstance(value, dict):
        return {key: _put_back(item, attached) for key, item in value.items()}
    return [_put_back(item, attached) for item in value] if isinstance(value, list) else value
