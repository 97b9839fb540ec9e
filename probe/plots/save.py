"""How does a drawing become files that do not change unless the drawing does? <name>.csv, .png, .svg and .json.

    csv    exactly what is drawn: columns in a fixed order, rows sorted, floats to 6 significant digits; what varies
           within a measure as one text, `level`
    png    200 dpi          svg   ids from a fixed salt, no date
    json   caption, inputs, versions, digest of the drawing code, sha256 of the other three; written last

Each file is replaced whole or not at all, and only where its bytes differ. Where the JSON on disk names the same table,
caption, versions and code, and the three files have the digests it names, nothing is rendered again.
"""

import csv
import hashlib
import io
import json
import math
import platform
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import matplotlib

from probe.errors import BadInput
from probe.measurements import COLUMNS, VARIES, Row, label
from probe.plots import Drawing
from probe.plots._style import in_style
from probe.store.outputs import named_output

DPI = 200
BEHIND = COLUMNS.index(VARIES[0])  # what varies within a measure is written as one text there, `level`
ORDER = ("mark", *COLUMNS[:BEHIND], "level", *COLUMNS[BEHIND + len(VARIES) :], "n_runs", "n_destroyed")
METADATA: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
LIBRARIES = ("matplotlib", "numpy", "scipy")


def save(name: str, drawing: Drawing, folder: Path, provenance: Mapping[str, Any]) -> list[Path]:
    """Write the four files of a figure below `folder` (made where absent) and return their paths.

    `provenance` is plain JSON (inputs, commit, ...) and is kept as it is. BadInput on a name that is no plain file
    name or on provenance that is no JSON; DiskFull where there is no room (what was there before stays).
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise BadInput(f"{name!r} is no name for a figure's files", do="use letters, digits, _ . -")
    table = csv_bytes(drawing.table)
    record = _record(name, drawing, table, provenance)
    paths = {kind: folder / f"{name}.{kind}" for kind in ("csv", "png", "svg", "json")}
    folder.mkdir(parents=True, exist_ok=True)
    outputs = {kind: named_output(path, overwrite=True) for kind, path in paths.items()}
    if not _current(paths, record):
        content = {"csv": table, "png": _render(drawing, name, "png"), "svg": _render(drawing, name, "svg")}
        record["sha256"] = {kind: _sha256(data) for kind, data in content.items()}
        content["json"] = _json(record)
        for kind, data in content.items():
            if not (paths[kind].is_file() and paths[kind].read_bytes() == data):
                outputs[kind].write_bytes(data)
    return list(paths.values())


def csv_bytes(table: list[dict[str, Any]]) -> bytes:
    """The table as UTF-8 CSV: columns that occur, in ORDER and then by name; rows sorted."""
    levelled = [_levelled(row) for row in table]
    present = set().union(*levelled)
    columns = [*(name for name in ORDER if name in present), *sorted(present - set(ORDER))]
    rows = sorted(levelled, key=lambda row: [_order(row.get(name)) for name in columns])
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return out.getvalue().encode()


def _levelled(row: Row) -> Row:
    """What varies within a measure as one text, for a reader; a figure may have put it into its own words."""
    if not set(VARIES) & set(row):
        return row
    return {"level": label(row)} | {name: value for name, value in row.items() if name not in VARIES}


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, Real) and math.isnan(value)):
        return ""
    if isinstance(value, bool | Integral) or not isinstance(value, Real):
        return str(value)
    return repr(float(f"{float(value):.6g}") + 0.0)


def _order(value: Any) -> tuple[int, float, str]:
    """Empty cells first, then numbers by size (as printed), then text."""
    text = _cell(value)
    number = isinstance(value, Real) and text != ""
    return (0, 0.0, "") if text == "" else (1, float(value), text) if number else (2, 0.0, text)


def _record(name: str, drawing: Drawing, table: bytes, provenance: Mapping[str, Any]) -> dict[str, Any]:
    versions = {library: version(library) for library in LIBRARIES} | {"python": platform.python_version()}
    about = {"figure": name, "caption": drawing.caption, "versions": versions, "code": _code()}
    record = {**about, "provenance": dict(provenance), "table_sha256": _sha256(table)}
    return dict(json.loads(_json(record)))  # tuples as lists, as they will be read back


def _json(record: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as err:
        raise BadInput(f"provenance is no JSON: {err}", do="give strings, finite numbers, lists and dicts") from err
    return (text + "\n").encode()


def _current(paths: dict[str, Path], record: dict[str, Any]) -> bool:
    """Whether the files on disk are those of this record, and whole."""
    try:
        on_disk = json.loads(paths["json"].read_bytes())
        known = on_disk.pop("sha256")
        return on_disk == record and all(_sha256(paths[kind].read_bytes()) == known[kind] for kind in known)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _render(drawing: Drawing, name: str, kind: str) -> bytes:
    out = io.BytesIO()
    with in_style(), matplotlib.rc_context({"svg.hashsalt": f"probe/{name}"}):
        drawing.figure.savefig(out, format=kind, dpi=DPI, metadata=METADATA[kind])
    return out.getvalue()


@cache
def _code() -> str:
    """Digest of the drawing code: figures are drawn anew when it changes."""
    return _sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
