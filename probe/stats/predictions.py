"""What did the rival explanations predict of the factorial, before it was run, and what was found?

A contrast is one number a base, over the cells of the factorial; bases are the replicates. Its 95 % t interval over
bases is widened to hold for all contrasts at once (Bonferroni), and judged against the region that was written down:

    holds      the interval lies in the region
    fails      the interval and the region have no point in common
    undecided  anything else

CONTRASTS were written before the first run of the study `why`, PLANTED before that of `planted` (one of them later, as
it says); a contrast that changes afterwards gets another name.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from probe.measurements import Row, Rows
from probe.stats.response_law import law_slope

INF = math.inf
Verdict = Literal["holds", "fails", "undecided"]


@dataclass(frozen=True)
class Cell:
    """One run of one base: which organism, which reward, how sampled, and what came out."""

    family: str
    base: tuple[str, int]  # size, seed
    reward: str
    temperature: float
    realised: float
    predicted: float
    within: float  # part of the change that lies within strategies

    @property
    def better(self) -> str:
        """The strategy that is better in its family: code, prose or neither."""
        return self.family.split("-")[1]

    @property
    def boxes(self) -> str:
        """Whether both strategies box alike: even or uneven."""
        return self.family.split("-")[2]

    @property
    def single(self) -> bool:
        """Whether it has one strategy alone."""
        return self.family.startswith("p00")


Of = Callable[[list[Cell]], float]


@dataclass(frozen=True)
class Contrast:
    """One prediction: of which runs, which number of each base, and the region it was said to lie in."""

    name: str
    explanation: str
    says: str
    reward: str
    temperature: float
    chosen: Callable[[Cell], bool]
    of: Of
    low: float
    high: float
    unit: str = "change of accuracy"


def realised(cells: list[Cell]) -> float:
    """Mean realised change."""
    return float(np.mean([cell.realised for cell in cells]))


def beyond(cells: list[Cell]) -> float:
    """Mean realised change beyond the predicted one."""
    return float(np.mean([cell.realised - cell.predicted for cell in cells]))


def slope(cells: list[Cell]) -> float:
    """Of realised on predicted change."""
    return law_slope([cell.predicted for cell in cells], [cell.realised for cell in cells])


def within(cells: list[Cell]) -> float:
    """Mean part within strategies."""
    return float(np.mean([cell.within for cell in cells]))


def every(cell: Cell) -> bool:
    """All cells with two strategies."""
    return not cell.single


CONTRASTS = (
    Contrast("slope", "H1", "python, T = 1: realised on predicted has slope 1", "python", 1, every, slope, 0.8, 1.2),
    Contrast("intercept", "H1", "python, T = 1: nothing beyond the law", "python", 1, every, beyond, -0.05, 0.05),
    Contrast("slope greedy", "H1", "python, greedy: slope 1", "python", 0, every, slope, 0.8, 1.2),
    Contrast(
        "code better", "H1", "python, T = 1: accuracy rises where code is better", "python", 1,
        lambda cell: every(cell) and cell.better == "code", realised, 0.0, INF,
    ),
    Contrast(
        "prose better", "H1", "python, T = 1: it falls where prose is better", "python", 1,
        lambda cell: every(cell) and cell.better == "prose", realised, -INF, 0.0,
    ),
    Contrast(
        "neither", "H1", "python, T = 1: no change where neither is better", "python", 1,
        lambda cell: every(cell) and cell.better == "neither", realised, -0.05, 0.05,
    ),
    Contrast(
        "format", "H4", "format, T = 1: one strategy that boxes .6 of its answers gains", "format", 1,
        lambda cell: cell.single and cell.boxes == "uneven", realised, 0.03, INF,
    ),
    Contrast(
        "format greedy", "H4", "format, greedy: it does not, as greedy answers are boxed", "format", 0,
        lambda cell: cell.single and cell.boxes == "uneven", realised, -0.03, 0.03,
    ),
    Contrast(
        "compression", "H2", "format, T = 1: gain within strategies where neither is better", "format", 1,
        lambda cell: every(cell) and cell.better == "neither", within, 0.01, INF,
    ),
    Contrast(
        "labels", "H5", "incorrect, T = 1: truly wrong labels give nothing beyond the law", "incorrect", 1,
        every, beyond, -INF, 0.03,
    ),
    Contrast(
        "truth", "H6", "ground truth, T = 1: gain within strategies", "ground_truth", 1, every, within, 0.05, INF,
    ),
)  # fmt: skip


def of_dose(*families: str) -> Callable[[Cell], bool]:
    """Whether a cell is of one of these families."""
    return lambda cell: cell.family in families


def most_beyond_none(cells: list[Cell]) -> float:
    """Mean realised change at 10 % less that without any code."""
    at = {dose: [cell for cell in cells if cell.family == dose] for dose in ("planted00", "planted10")}
    return realised(at["planted10"]) - realised(at["planted00"]) if all(at.values()) else math.nan


PLANTED = (
    Contrast(
        "no code", "H1", "0 % code, python, T = 1: no response", "python", 1,
        of_dose("planted00"), realised, -0.02, 0.02,
    ),
    Contrast(
        "one in a hundred", "H1", "1 % code, python, T = 1: too poor a code to gain by", "python", 1,
        of_dose("planted01"), realised, -INF, 0.05,
    ),
    Contrast(
        "one in ten", "H1", "10 % code, python, T = 1: it gains", "python", 1,
        of_dose("planted10"), realised, 0.05, INF,
    ),
    Contrast(  # said after the doses up to 10 % had been run, and before this one
        "three in ten", "H1", "30 % code, python, T = 1: it gains", "python", 1,
        of_dose("planted30"), realised, 0.05, INF,
    ),
    Contrast(
        "law", "H1", "doses to 10 %, python, T = 1: nothing beyond the law", "python", 1,
        of_dose("planted00", "planted01", "planted03", "planted10"), beyond, -0.05, 0.05,
    ),
    Contrast(
        "truth", "H1", "ground truth, T = 1: it gains more with 10 % code than with none", "ground_truth", 1,
        of_dose("planted00", "planted10"), most_beyond_none, 0.0, INF,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """A contrast as found: mean over bases, simultaneous limits, the number of bases, and the verdict."""

    contrast: Contrast
    value: float
    lo: float
    hi: float
    bases: tuple[tuple[tuple[str, int], float], ...]
    verdict: Verdict

    @property
    def told(self) -> bool:
        """Whether any base has the number: rows of other studies may be about the same runs."""
        return any(math.isfinite(value) for _, value in self.bases)


def cells_of(rows: Rows) -> list[Cell]:
    """The runs behind the rows of `LawJob`s, after their last batch; one without all three numbers is left out."""
    found: defaultdict[tuple[str, str, int, str, float], dict[str, float]] = defaultdict(dict)
    held = [row for row in rows if _number(row) and None not in (row.get("value"), row.get("temperature"))]
    last = max((row["step"] for row in held if row["name"] == "predicted"), default=None)
    for row in held:
        what = _number(row)
        if what and row["step"] == last:
            at = (row["family"], row["size"], row["base_seed"], row["reward"], float(row["temperature"]))
            found[at][what] = row["value"]
    return [
        Cell(family, (size, seed), reward, temperature, **numbers)
        for (family, size, seed, reward, temperature), numbers in found.items()
        if len(numbers) == 3
    ]


def judge(cells: Iterable[Cell], contrasts: tuple[Contrast, ...] = CONTRASTS, level: float = 0.95) -> list[Judged]:
    """Each contrast over the bases that have it. Fewer than two bases: undecided, without limits."""
    known, found = list(cells), []
    for contrast in contrasts:
        groups: defaultdict[tuple[str, int], list[Cell]] = defaultdict(list)
        for cell in known:
            if (cell.reward, cell.temperature) == (contrast.reward, contrast.temperature) and contrast.chosen(cell):
                groups[cell.base].append(cell)
        bases = tuple((base, contrast.of(group)) for base, group in sorted(groups.items()))
        found.append(_judged(contrast, bases, 1 - (1 - level) / len(contrasts)))
    return found


def _judged(contrast: Contrast, bases: tuple[tuple[tuple[str, int], float], ...], level: float) -> Judged:
    values = np.array([value for _, value in bases if math.isfinite(value)])
    if values.size < 2:
        value = float(values[0]) if values.size else math.nan
        return Judged(contrast, value, math.nan, math.nan, bases, "undecided")
    half = stats.t.ppf((1 + level) / 2, values.size - 1) * values.std(ddof=1) / values.size**0.5
    lo, hi = float(values.mean() - half), float(values.mean() + half)
    inside, apart = contrast.low < lo and hi < contrast.high, hi < contrast.low or lo > contrast.high
    verdict: Verdict = "holds" if inside else "fails" if apart else "undecided"
    return Judged(contrast, float(values.mean()), lo, hi, bases, verdict)


def _number(row: Row) -> str | None:
    if row.get("side") != "change":
        return None
    if row.get("name") in ("predicted", "accuracy"):
        return "predicted" if row["name"] == "predicted" else "realised"
    return "within" if row.get("name") == "gain_parts" and row.get("part") == "within" else None
