"""What was predicted before a run and how did it fare, and where does the code hold what a paper says?"""

import csv
from pathlib import Path

from docs.making.gallery import FIGURES
from docs.making.names import Module, modules
from docs.making.texts import ARXIV, escaped, first_line


def predictions() -> str:
    """Every prediction of every committed table: what it says, what was found, the verdict."""
    lines = ["# Predictions, and how they fared", ""]
    lines += [
        "Each was written down before the run that could contradict it; where one came later, its module says so",
        "({py:mod}`probe.stats.predictions`, which has the rule of the verdicts, and those beside it). A number is a",
        "mean over bases; its interval holds for all predictions of its table at once.",
    ]
    for path in sorted(FIGURES.glob("*predictions.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["mark"] == "mean"]
        verdicts = [row["verdict"] for row in rows]
        holds, fails, undecided = (verdicts.count(word) for word in ("holds", "fails", "undecided"))
        counts = f"{holds} hold, {fails} fail, {undecided} undecided"
        figure = f"[figure](/figures.md#{path.stem})"
        lines += ["", f"## {escaped(path.stem)}", "", f"{len(rows)} predictions: {counts} ({figure}).", ""]
        lines += ["| prediction | region | found | n bases | verdict |", "|---|---|---|---|---|"]
        bases = _bases(path)
        for row in rows:
            found = f"{_number(row['value'])} [{_number(row['lo'])}, {_number(row['hi'])}]"
            n = bases[row["prediction"]]
            lines.append(f"| {escaped(row['says'])} | {_region(row)} | {found} | {n} | {row['verdict']} |")
    return "\n".join([*lines, ""])


def _bases(path: Path) -> dict[str, int]:
    """How many bases each prediction was asked of."""
    count: dict[str, int] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["mark"] == "base":
                count[row["prediction"]] = count.get(row["prediction"], 0) + 1
    return count


def _number(text: str) -> str:
    said = f"{float(text):.2f}".replace("-0.00", "0.00")
    return said.replace("-0.", "-.").removeprefix("0")


def _region(row: dict[str, str]) -> str:
    low, high = row["low"], row["high"]
    if low and high:
        return f"{_number(low)} to {_number(high)}"
    return f"at least {_number(low)}" if low else f"at most {_number(high)}"


def sources() -> str:
    """Which modules hold the equation, or ask the question, of which paper."""
    held: dict[str, list[Module]] = {}
    for module in modules():
        docs = " ".join([module.doc or "", *(each.doc or "" for each in module.names)])
        for arxiv in dict.fromkeys(ARXIV.findall(docs)):
            held.setdefault(arxiv, []).append(module)
    lines = ["# Papers, and the code that holds their equations", ""]
    lines += ["Every arXiv id that a docstring names, with the modules that name it; the formulas stand in them.", ""]
    for arxiv in sorted(held):
        lines += [f"## {arxiv}", "", f"[arXiv {arxiv}](https://arxiv.org/abs/{arxiv})", ""]
        lines += [f"* {{py:mod}}`{each.name}`: {escaped(first_line(each.doc))}" for each in held[arxiv]] + [""]
    return "\n".join(lines)


def write(out: Path) -> None:
    """Both pages."""
    (out / "predictions.md").write_text(predictions(), encoding="utf-8")
    (out / "sources.md").write_text(sources(), encoding="utf-8")
