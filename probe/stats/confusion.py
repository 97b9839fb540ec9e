"""How often did a verdict find what was built in, and how often something else? Bases are the replicates.

    right   of a pair with one true explanation: that one is supported, and no other
            of a null pair: the state is "no change"

Reads the rows that `BuiltInJob`s leave, at one temperature. A pair whose model was destroyed, or whose accuracy did not
change beyond chance, has nothing supported and counts as not found. Shares have Wilson limits over bases.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from probe.data import Estimate
from probe.measurements import Row, Rows
from probe.stats.accounting.atoms import CLAIMANTS
from probe.stats.intervals import clustered_mean, wilson

STATES = {1.0: "changed", 0.0: "no change"}
PAIR = ("family", "reward", "kind", "size", "base_seed", "temperature")
Name = tuple[str, str, str, str]  # truth, kind, family before, family or reward after


@dataclass(frozen=True)
class Found:
    """What the verdict said of one pair: its state, and the explanations that it supported."""

    base: tuple[str, int]
    state: str
    supported: frozenset[str]


@dataclass(frozen=True)
class Line:
    """One known pair over its bases."""

    truth: str
    kind: str
    before: str
    after: str
    found: tuple[Found, ...]

    @property
    def expected(self) -> frozenset[str]:
        """What should have been supported."""
        return frozenset({self.truth} & set(CLAIMANTS))

    def is_right(self, one: Found) -> bool:
        """Whether a verdict names what was built in, and nothing else."""
        return one.supported == self.expected and (bool(self.expected) or one.state == "no change")

    @property
    def right(self) -> int:
        """In how many bases the verdict is right."""
        return sum(map(self.is_right, self.found))

    @property
    def limits(self) -> tuple[float, float]:
        """Of the share of bases whose verdict is right."""
        return wilson(self.right, len(self.found))

    def named(self, explanation: str) -> int:
        """In how many bases an explanation was supported."""
        return sum(explanation in one.supported for one in self.found)

    def in_state(self, state: str) -> int:
        """In how many bases the change was in this state."""
        return sum(one.state == state for one in self.found)


def confusion(rows: Rows, temperature: float = 1.0) -> list[Line]:
    """One line a known pair, in the order of the rows."""
    pairs: defaultdict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if str(row.get("name")).startswith("explained_") and row.get("temperature") == temperature:
            pairs[tuple(row.get(name) for name in PAIR)].append(row)
    lines: defaultdict[Name, list[Found]] = defaultdict(list)
    for mine in pairs.values():
        truths = [row for row in mine if row["name"] == "explained_truth"]
        if truths:
            about = truths[0]
            lines[about["part"], about["kind"], about["family"], about["reward"]].append(_found(mine))
    return [Line(*name, tuple(found)) for name, found in lines.items()]


def overall(lines: Sequence[Line]) -> Estimate:
    """Share of all pairs whose verdict is right, with whole bases as clusters. BadInput where there is none."""
    found = [(str(one.base), line.is_right(one)) for line in lines for one in line.found]
    bases, flags = [base for base, _ in found], [float(right) for _, right in found]
    return clustered_mean(flags, bases, name="right")


def _found(rows: Sequence[Row]) -> Found:
    first = rows[0]
    at = {(row["name"], row.get("part")): row for row in rows if row.get("side") != "null"}
    state = at["explained_state", None]["value"]
    standings = {name: at["explained_verdict", name]["value"] for name in CLAIMANTS}
    supported = frozenset(name for name, value in standings.items() if value == 1.0)
    return Found((first["size"], first["base_seed"]), STATES.get(state, "destroyed"), supported)
