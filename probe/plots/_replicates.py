"""What do the runs say together? Mean over bases, RL seeds nested in them, with a t interval; how many were destroyed.

    mean +- t_{B-1} sd / sqrt(B)   over the means of B bases' runs, destroyed ones included

A run is one (study, kind, family, size, base seed, reward, clip, RL seed); its base is the size and base seed, so what
stems from one trunk is one replicate. Destroyed runs stay in the mean (leaving them out would choose runs by their
outcome) and are counted, marked, and never called "no clear change". Of one base alone the interval is over its runs;
of one run, or where all gave the same number, there is none. All of this is said in the caption.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from scipy import stats

from probe.errors import BadInput
from probe.measurements import Row, Rows
from probe.plots._style import FAMILIES, REWARDS, ordered
from probe.plots._words import NOT_CLEAR, direction, signed
from probe.stats import holm, seeds_mean

RUN = ("study", "kind", "family", "size", "base_seed", "reward", "clip", "rl_seed")
ORDERS = (("family", FAMILIES), ("reward", REWARDS))
SAME = 1e-12
LEVEL = 0.05


@dataclass(frozen=True)
class Mean:
    """A mean over bases. `key` holds the columns it was grouped by, `runs` one row of the measurement table per run."""

    key: dict[str, Any]
    value: float
    lo: float
    hi: float
    runs: tuple[Row, ...]
    holds: bool = True  # False: its direction is lost among the comparisons of its figure (`after_holm`)

    @property
    def estimate(self) -> tuple[float, float, float]:
        return self.value, self.lo, self.hi

    @property
    def replicates(self) -> list[float]:
        """One number a base; where there is one base, one a run."""
        return replicates_of(self.runs)

    @property
    def n_bases(self) -> int:
        """Bases behind it."""
        return len({(run.get("size"), run.get("base_seed")) for run in self.runs})

    @property
    def n_destroyed(self) -> int:
        return sum(bool(run.get("destroyed")) for run in self.runs)

    def verdict(self) -> str:
        """rises, falls, no clear change, no interval, unmoved (every run at 0), (partly) destroyed.

        A direction is said only where it `holds` and some run is intact, "no clear change" only where every run is.
        """
        if self.n_destroyed == len(self.runs):
            return "destroyed"
        shown = direction(self.lo, self.hi)
        if shown in ("rises", "falls") and self.holds:
            return shown
        if self.n_destroyed:
            return "partly destroyed"
        if shown in ("rises", "falls"):
            return NOT_CLEAR
        still = len(self.replicates) > 1 and all(abs(run["value"]) <= SAME for run in self.runs)
        return "unmoved" if still else shown

    @property
    def shown(self) -> str:
        """The verdict, with the size of a direction."""
        word = self.verdict()
        return f"{word} {signed(self.value)}" if word in ("rises", "falls") else word

    @property
    def is_null(self) -> bool:
        """Whether these runs had nothing to learn from (a constant reward): drawn, and not counted among rewards."""
        return all(run.get("kind") == "null" for run in self.runs)

    def rows(self, **more: Any) -> list[Row]:
        """What is drawn of it: the mean, then each run."""
        counts = {"n_runs": len(self.runs), "n_bases": self.n_bases, "n_destroyed": self.n_destroyed}
        mean = {**self.key, **more, "mark": "mean", "value": self.value, "lo": self.lo, "hi": self.hi, **counts}
        names = ("base_seed", "rl_seed", "destroyed", "value", "n", "n_problems")
        return [mean, *({**self.key, **more, "mark": "run", **{k: run.get(k) for k in names}} for run in self.runs)]


def pick(rows: Rows, **wanted: Any) -> list[Row]:
    """Rows with a finite value whose columns equal what is wanted, or lie in it where a tuple is wanted."""
    kept = list(rows)
    for name, want in wanted.items():
        kept = [row for row in kept if (row.get(name) in want if isinstance(want, tuple) else row.get(name) == want)]
    return [row for row in kept if isinstance(row.get("value"), Real) and math.isfinite(row["value"])]


def trained(rows: Rows, **wanted: Any) -> list[Row]:
    """`pick` among training runs, those with a constant reward (kind "null") included; null pairs have no reward."""
    return [row for row in pick(rows, **wanted, kind=("rl", "null")) if row.get("reward")]


def means_by(rows: Iterable[Row], by: Sequence[str]) -> list[Mean]:
    """One Mean per distinct value of the columns `by`; organisms and rewards in their fixed order.

    BadInput where a run has two different numbers in one group: some column that varies is not in `by`.
    """
    groups: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row.get(name) for name in by)].append(row)
    means = [mean_of(dict(zip(by, key, strict=True)), group) for key, group in groups.items()]
    families, rewards = (ordered((m.key.get(k) for m in means), known) for k, known in ORDERS)
    return sorted(means, key=lambda m: (families.index(m.key.get("family")), rewards.index(m.key.get("reward"))))


def mean_of(key: dict[str, Any], rows: Sequence[Row]) -> Mean:
    """The mean over the bases of `rows`, its limits inside [0, 1] for a fraction and [-1, 1] for a change of one."""
    runs: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        run = run_of(row)
        if run in runs and runs[run]["value"] != row["value"]:
            what = f"run {dict(zip(RUN, run, strict=True))} has two numbers, {runs[run]['value']} and {row['value']}"
            raise BadInput(what, where=f"{row.get('name')} grouped by {list(key)}", do="measure each run once")
        runs[run] = row
    kept = tuple(runs[run] for run in sorted(runs, key=repr))
    values = replicates_of(kept)
    over = seeds_mean(values, name=str(kept[0].get("name")), unit="none", bounds=_bounds(kept))
    alike = max(values) - min(values) <= SAME
    lo, hi = (math.nan, math.nan) if alike else (over.lo, over.hi)
    return Mean(key, over.value, lo, hi, kept)


def replicates_of(runs: Sequence[Row]) -> list[float]:
    """The mean of each base's runs; of one base, each of its runs (which says nothing about other bases)."""
    found: defaultdict[Any, list[float]] = defaultdict(list)
    for run in runs:
        found[run.get("size"), run.get("base_seed")].append(float(run["value"]))
    if len(found) == 1:
        return [float(run["value"]) for run in runs]
    return [statistics.fmean(values) for values in found.values()]


def changes(rows: Rows, by: Sequence[str], **wanted: Any) -> list[Mean]:
    """Means of each run's change from its own base: the paired estimate, or after - before where there is none."""
    paired = pick(rows, side="change", **wanted)
    return after_holm(means_by(paired or _differences(rows, by, **wanted), by))


def after_holm(means: Sequence[Mean]) -> list[Mean]:
    """The means with what `holds`: t tests of their replicates against 0, Holm over all of them but null rewards."""
    tested = [mean for mean in means if math.isfinite(mean.lo) and not mean.is_null]
    p = [float(stats.ttest_1samp(mean.replicates, 0.0).pvalue) for mean in tested]
    lost = {id(mean) for mean, q in zip(tested, holm(p).tolist() if p else [], strict=True) if q >= LEVEL}
    return [replace(mean, holds=id(mean) not in lost) for mean in means]


def each_base(rows: Rows) -> list[Row]:
    """The side "before" of the runs: each base once, at step 0, whichever runs it was measured for; never destroyed."""
    measured = sorted(pick(rows, side="before"), key=lambda row: row.get("n") or 0)
    before = {(row.get("size"), row.get("base_seed")): row for row in measured}  # the largest sample of each
    blank = {"rl_seed": None, "reward": None, "destroyed": False, "step": 0}
    return [{**row, **blank} for row in before.values()]


def base_mean(key: dict[str, Any], rows: Rows) -> Mean | None:
    """Mean over the bases, without an interval: they are too few, and every run of one shares it."""
    bases = each_base(rows)
    return replace(mean_of(key, bases), lo=math.nan, hi=math.nan) if bases else None


def limits(row: Row) -> tuple[float, float]:
    """The interval of one row, nan where it has none."""
    lo, hi = (math.nan if row.get(side) is None else float(row[side]) for side in ("lo", "hi"))
    return lo, hi


def estimate(row: Row) -> tuple[float, float, float]:
    """The value of one row and its interval."""
    return row["value"], *limits(row)


def columns_of(row: Row, names: Iterable[str], **more: Any) -> Row:
    """A row as it stands in a figure's table: the columns `names`, and what else is said of it."""
    return {**{name: row.get(name) for name in names}, **more}


def families_of(means: Iterable[Mean]) -> list[Any]:
    """The organisms of means, in their fixed order."""
    return ordered((mean.key["family"] for mean in means), FAMILIES)


def runs_of(means: Iterable[Mean]) -> list[Row]:
    """The rows that means are taken over."""
    return [run for mean in means for run in mean.runs]


def one_fate(rows: Iterable[Row]) -> list[Row]:
    """A run destroyed at one temperature is destroyed at every temperature of that step."""
    kept = list(rows)
    broken = {(run_of(row), row.get("step")) for row in kept if row.get("destroyed")}
    return [{**row, "destroyed": (run_of(row), row.get("step")) in broken} for row in kept]


def by_run(points: Sequence[Mean]) -> list[list[Row]]:
    """The same numbers the other way round: each run's rows, in the order of the means."""
    runs: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for mean in points:
        for row in mean.runs:
            runs[run_of(row)].append(row)
    return list(runs.values())


def run_of(row: Row) -> tuple[Any, ...]:
    """Which run a row is of."""
    return tuple(row.get(name) for name in RUN)


def last_step(rows: Iterable[Row], per: Sequence[str]) -> list[Row]:
    """The rows at the last step of their setting: the largest that any run of it (columns `per`) has reached."""
    kept = list(rows)
    last: dict[tuple[Any, ...], float] = {}
    for row in kept:
        key = tuple(row.get(name) for name in per)
        last[key] = max(last.get(key, -math.inf), float(row.get("step") or 0))
    return [row for row in kept if float(row.get("step") or 0) == last[tuple(row.get(name) for name in per)]]


def _differences(rows: Rows, by: Sequence[str], **wanted: Any) -> list[Row]:
    same = (*RUN, *by, "step")
    base = {tuple(row.get(k) for k in same): row["value"] for row in pick(rows, side="before", **wanted)}
    after = [(row, base.get(tuple(row.get(k) for k in same))) for row in pick(rows, side="after", **wanted)]
    return [{**row, "side": "change", "value": row["value"] - start} for row, start in after if start is not None]


def _bounds(rows: Sequence[Row]) -> tuple[float, float] | None:
    if {row.get("unit") for row in rows} != {"fraction"}:
        return None
    return (-1.0, 1.0) if any(row.get("side") == "change" for row in rows) else (0.0, 1.0)


def difference(first: Mean, second: Mean) -> tuple[float, float, float]:
    """first - second with Welch's 95 % t interval over replicates; nan where either has one, or neither varies."""
    value = first.value - second.value
    sizes = [len(mean.replicates) for mean in (first, second)]
    if min(sizes) < 2:
        return value, math.nan, math.nan
    spread = [statistics.variance(mean.replicates) for mean in (first, second)]
    parts = [v / n for v, n in zip(spread, sizes, strict=True)]
    if sum(parts) <= SAME**2:
        return value, math.nan, math.nan
    df = sum(parts) ** 2 / sum(part**2 / (n - 1) for part, n in zip(parts, sizes, strict=True))
    reach = math.sqrt(sum(parts)) * float(stats.t.isf(0.025, df))
    return value, value - reach, value + reach
