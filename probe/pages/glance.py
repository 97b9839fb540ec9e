"""What does the index of a study tell of one pair's page, and is that page still what would be written now?

It lies beside the page (glance.json) and is written last: where it is whole, so is the page. Its numbers are the page's
own, at the highest temperature.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from probe import __version__
from probe.engine.job import Job
from probe.errors import BadInput
from probe.models.loading.strict_json import read_json
from probe.pages.embed import PAGE, ours
from probe.store.outputs import named_output

FILE = "glance.json"
LIMIT = 1_000_000  # bytes
STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Change(BaseModel):
    """A share before and after in [0, 1], and what changed with its 95 % interval, clustered by problem; null 0."""

    model_config = STRICT
    before: float | None
    after: float | None
    value: float
    lo: float | None
    hi: float | None
    n: int | None
    n_problems: int | None


class Glance(BaseModel):
    """One line of the index; `made_from` is `mark` of what the page was made from."""

    model_config = STRICT
    made_from: str
    temperature: float | None
    accuracy: Change | None
    code_share: Change | None
    verdict: str | None
    sentence: str | None
    destroyed: bool
    missing: list[str]


def glance_of(data: Mapping[str, Any], made_from: str) -> Glance:
    """Of a pair's page, from its data."""
    about = data["about"]
    rows = [
        row for row in data["measures"]["rows"] if row["reward"] == about["after"] and row["varying"] in ("", "all")
    ]
    warm = max((row["temperature"] for row in rows), default=None)
    at = {row["name"]: row for row in rows if row["temperature"] == warm}
    first = next(iter(data["verdicts"]), None)
    return Glance(
        made_from=made_from,
        temperature=warm,
        accuracy=_change(at.get("accuracy")),
        code_share=_change(at.get("code_share")),
        verdict=_words(first) if first else None,
        sentence=first["sentence"] if first else None,
        destroyed=about["destroyed"],
        missing=[part for part, _ in about["missing"]],
    )


def mark(jobs: Sequence[Job], *more: object) -> str:
    """What a page is made from, as a digest: artifacts, this version of the code that writes it, and `more`."""
    told = [__version__, _writer(), [job.recipe.digest for job in jobs], more]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def read(folder: Path) -> Glance | None:
    """Of the page in that folder; None where there is no whole page of ours."""
    try:
        return Glance.model_validate(read_json(folder / FILE, LIMIT)) if ours(folder) else None
    except (BadInput, ValidationError, OSError):
        return None


def write(glance: Glance, folder: Path) -> None:
    """Beside the page."""
    output = named_output(folder / FILE, overwrite=ours(folder))
    output.write_bytes(json.dumps(glance.model_dump(), allow_nan=False).encode("utf-8"))


def link(name: str) -> str:
    """From the index to the page in that folder of `pairs`."""
    return f"pairs/{name}/{PAGE}"


def _change(row: Mapping[str, Any] | None) -> Change | None:
    if row is None or _finite(row["value"]) is None:
        return None
    limits = {name: _finite(row[name]) for name in ("before", "after", "lo", "hi")}
    return Change(value=float(row["value"]), n=row["n"], n_problems=row["n_problems"], **limits)


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _words(verdict: Mapping[str, Any]) -> str:
    """The verdict in a few words, the same for like verdicts."""
    if verdict["state"] != "changed":
        return str(verdict["state"])
    supported = [line["explanation"] for line in verdict["explanations"] if line["verdict"] == "supported"]
    if supported:
        return ", ".join(supported)
    return "undecided" if verdict["undecided"] else "every explanation is excluded"


@cache
def _writer() -> str:
    """The code and the template that write pages, as a digest."""
    files = [each for each in resources.files("probe.pages").iterdir() if each.is_file()]
    return hashlib.sha256(
        b"\0".join(each.read_bytes() for each in sorted(files, key=lambda each: each.name))
    ).hexdigest()
