"""The page of a study: the figures that were drawn of it, their tables, and an index of its pairs and measurements.

A figure is of a study that names it, or where it was drawn from one of the study's measurements (the digests beside it
say so). One that was drawn from measurements of other versions of the code says that. Numbers of measurements are read
where the store holds them; nothing is made. Lines of pairs come from `probe.pages.each`.
"""

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from probe import __version__
from probe.engine.job import Job
from probe.errors import BadInput
from probe.experiments.changes import changes
from probe.measurements import Rows
from probe.pages.embed import Page
from probe.pages.svg import sanitised
from probe.store import Store
from probe.studies import Study

SHOWN = ("accuracy", "code_share")


@dataclass(frozen=True)
class StudyPage:
    """A study, and the folder of its figures."""

    study: Study
    figures: Path

    @property
    def names(self) -> list[str]:
        """Of its folder."""
        return [self.study.name]

    def page(self, store: Store, jobs: Sequence[Job] | None = None, *, must: bool = True) -> Page:
        """The page, of these jobs [the study's]. BadInput where no figure of it was drawn, if there must be one."""
        jobs = self.study.jobs(store.root) if jobs is None else jobs
        records = self._records({job.recipe.digest for job in jobs})
        if not records and must:
            do = f"draw them: probe run {self.study.name}"
            raise BadInput(f"no figure of the study {self.study.name} was drawn here", where=str(self.figures), do=do)
        about = (inspect.getdoc(inspect.getmodule(self.study.make)) or "").partition("\n\n")[0]
        data = {
            "kind": "study",
            "about": {"study": self.study.name, "question": " ".join(about.replace("`", "").split()), "warnings": []},
            "figures": [self._figure(record) for record in records],
            "pairs": [],
            "runs": [_run(job, store) for job in jobs],
            "provenance": {
                "probe": __version__,
                "commands": [f"probe run {self.study.name}", f"probe report {self.study.name}"],
                "artifacts": [_artifact(record) for record in records],
            },
        }
        markup = {name: sanitised((self.figures / f"{name}.svg").read_bytes(), name) for name in map(_name, records)}
        return Page(f"study {self.study.name}", data, markup)

    def _records(self, digests: set[str]) -> list[dict[str, Any]]:
        """The JSON beside each figure of the study; the study's own figures first."""
        found = []
        for path in sorted(self.figures.glob("*.json")):
            try:
                record = json.loads(path.read_bytes())
                current = bool(digests & set(record["provenance"]["inputs"]))
            except (OSError, ValueError, KeyError, TypeError) as err:
                do = "draw it again: probe figure NAME"
                raise BadInput("this is no record of a figure", where=str(path), do=do) from err
            mine = current or path.stem in self.study.figures
            if mine and all(path.with_suffix(end).is_file() for end in (".svg", ".csv")):
                found.append(record | {"figure": path.stem, "current": current})
        return sorted(found, key=lambda record: (_name(record) not in self.study.figures, _name(record)))

    def _figure(self, record: dict[str, Any]) -> dict[str, Any]:
        csv = (self.figures / f"{_name(record)}.csv").read_text(encoding="utf-8")
        return {"name": _name(record), "title": _name(record), "caption": str(record.get("caption", "")), "csv": csv}


def with_pairs(page: Page, lines: Sequence[dict[str, Any]], command: str) -> Page:
    """The page with these lines of pairs, whose pages `command` makes."""
    return replace(page, data={**page.data, "pairs": list(lines), "each": command})


def _name(record: dict[str, Any]) -> str:
    return str(record["figure"])


def _artifact(record: dict[str, Any]) -> dict[str, Any]:
    """A figure as the table of provenance tells it."""
    age = "" if record["current"] else ", made by another version of the code"
    return {
        "stage": "figure",
        "label": f"{_name(record)}, of {len(record['provenance']['inputs'])} measurements{age}",
        "digest": str(record.get("table_sha256", "")),
        "versions": record.get("versions"),
    }


def _run(job: Job, store: Store) -> dict[str, Any]:
    """What is measured, and where the store holds it what changed: warmest, at the last step."""
    told: dict[str, Any] = {"label": job.label, "digest": job.recipe.digest, "held": store.holds(job.recipe)}
    rows = store.get(job.recipe).read_table().to_pylist() if told["held"] else []
    return told | {name: _change(rows, name) for name in SHOWN}


def _change(rows: Rows, name: str) -> dict[str, Any] | None:
    mine: Sequence[dict[str, Any]] = [row for row in rows if row["name"] == name and row["kind"] == "rl"]
    if not mine:
        return None
    last = max((row["step"] or 0, row["temperature"] or 0.0) for row in mine)
    found = changes([row for row in mine if ((row["step"] or 0), (row["temperature"] or 0.0)) == last])
    return {key: found[0][key] for key in ("before", "after", "value", "lo", "hi", "n")} if found else None
