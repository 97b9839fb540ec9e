"""What came of the cases: counts by class, faults by kind, and the failing cases, each of which can be run again."""

import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture.verdict import KINDS, Fault

LONGEST = 300  # characters of a command
COUNTED = ("kill", "damage", "input", "control")


@dataclass(frozen=True)
class Outcome:
    """One case, played."""

    name: str  # CLASS:SEED
    counts: dict[str, int]
    faults: list[Fault]
    words: list[str]
    seconds: float


@dataclass
class Report:
    """All of them."""

    seed: int
    minimum: dict[str, int]
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    def total(self, what: str) -> int:
        """How many kills, damages, bad inputs or right controls there were."""
        return sum(each.counts.get(what, 0) for each in self.outcomes)

    @property
    def short(self) -> dict[str, int]:
        """What there was too little of, and how much."""
        return {what: self.total(what) for what, least in self.minimum.items() if self.total(what) < least}

    @property
    def failing(self) -> list[Outcome]:
        """The cases with a fault."""
        return sorted((each for each in self.outcomes if each.faults), key=lambda each: each.name)

    @property
    def failed(self) -> bool:
        """Whether anything was wrong, or too little was tried."""
        return bool(self.failing or self.short)


def by_kind(outcomes: Iterable[Outcome]) -> Counter[str]:
    """Cases with at least one fault of a kind."""
    return Counter(kind for each in outcomes for kind in {fault.kind for fault in each.faults})


def by_class(report: Report) -> dict[str, dict[str, Any]]:
    """Of each class: its cases, what they count as, and its faults by kind."""
    found: dict[str, dict[str, Any]] = {}
    for name in sorted({each.name.partition(":")[0] for each in report.outcomes}):
        cases = [each for each in report.outcomes if each.name.partition(":")[0] == name]
        counts = Counter[str]()
        for each in cases:
            counts.update(each.counts)
        failing = sum(bool(each.faults) for each in cases)
        found[name] = {"cases": len(cases), **counts, "failing": failing, "faults": dict(by_kind(cases))}
    return found


def as_json(report: Report, machine: str) -> dict[str, Any]:
    """What is kept under benchmarks/."""
    kinds = by_kind(report.outcomes)
    return {
        "seed": report.seed,
        "minutes": round(report.seconds / 60, 1),
        "machine": machine,
        "counts": {what: report.total(what) for what in COUNTED},
        "too few": report.short,
        "cases by kind of fault": {kind: kinds[kind] for kind in KINDS},
        "classes": by_class(report),
        "failing": [
            {
                "case": each.name,
                "faults": [{"kind": fault.kind, "detail": nowhere(fault.detail)} for fault in each.faults],
                "commands": [nowhere(words)[:LONGEST] for words in each.words],
            }
            for each in report.failing
        ],
    }


def nowhere(text: str) -> str:
    """Without the paths of this machine: what is kept says the same anywhere."""
    for path, name in ((str(Path(__file__).parents[1]), "."), (sys.prefix, "PYTHON"), (sys.base_prefix, "PYTHON")):
        text = text.replace(path, name)
    return re.sub(rf"{re.escape(tempfile.gettempdir())}/torture-\w+(/cases/[\w-]+/here)?", "HERE", text)


def write(report: Report, machine: str, path: Path) -> None:
    """The report as a file."""
    path.write_text(json.dumps(as_json(report, machine), indent=1, ensure_ascii=True) + "\n")


def table(report: Report) -> str:
    """A line a class, then what there was, and what was wrong."""
    lines = [f"{'class':18} {'cases':>6} {'failing':>8}  faults"]
    for name, row in by_class(report).items():
        faults = ", ".join(f"{kind} {n}" for kind, n in sorted(row["faults"].items()))
        lines.append(f"{name:18} {row['cases']:6} {row['failing']:8}  {faults}".rstrip())
    names = {"kill": "kills", "damage": "damages", "input": "bad inputs", "control": "right inputs"}
    lines += ["", ", ".join(f"{report.total(what):,} {name}" for what, name in names.items())]
    kinds = by_kind(report.outcomes)
    lines.append(", ".join(f"{kinds[kind]} {kind}" for kind in KINDS))
    for what, n in report.short.items():
        lines.append(f"too few: {n} of {report.minimum[what]} {names[what]}; give it more --minutes")
    lines.append(f"{report.seconds / 60:.1f} minutes, seed {report.seed}")
    if report.failing:
        lines.append(f"{len(report.failing)} cases failed; again: python -m torture --case {report.failing[0].name}")
    return "\n".join(lines)
