"""What did the checkpoint write? RESPONSES -> tables [group sample], a group being the samples of one problem.

    accuracy    1 where the answer is right            parse_rate  1 where there is an answer in a box
    code_share  1 where it reasons in code             tokens      how long it is
    entropy     -log pi(y | x), nats of a response: its mean is the entropy of what is written to a problem, and its
                covariance with the advantage is the change of that mean, as E[d log pi] = 0 (2505.22617)

Groups may differ in size: what is missing is nan. A trait that no response has (tokens of published outputs) is absent.
Left out: the mean entropy of a token, whose own change the equation does not hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from probe.data import Outcome, Strategy, Unit
from probe.errors import BadInput

UNITS: Mapping[str, Unit] = {
    "accuracy": "fraction",
    "code_share": "fraction",
    "parse_rate": "fraction",
    "tokens": "tokens",
    "entropy": "nats",
}


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows `[row]` in the order of the table, and where each stands in the tables `[group sample]`."""

    problem: list[str]
    sample: list[int]
    texts: list[str]
    answers: list[str | None]  # in a box
    group: np.ndarray  # [row]
    place: np.ndarray  # [row]
    temperature: float
    traits: dict[str, Float[np.ndarray, "group sample"]]

    @property
    def problems(self) -> list[str]:
        """The problem of every group."""
        return list(dict.fromkeys(self.problem))

    @property
    def votes(self) -> dict[str, list[str | None]]:
        """The answers to each problem, as label sources read them."""
        found: dict[str, list[str | None]] = {name: [] for name in self.problems}
        for name, answer in zip(self.problem, self.answers, strict=True):
            found[name].append(answer)
        return found

    def table(self, values: Sequence[float | None]) -> Float[np.ndarray, "group sample"]:
        """One value a row, put into the groups; None becomes nan."""
        return _table(values, self.group, self.place)


def samples_of(responses: pa.Table, rollouts: pa.Table | None = None) -> Samples:
    """The groups of RESPONSES, with the log-probs of their ROLLOUTS (the same rows) where there are any.

    BadInput where no problem has two samples, or they were not all sampled at one temperature.
    """
    rows = responses.to_pydict()
    temperatures = sorted(set(rows["temperature"]))
    if len(temperatures) != 1:
        what = f"responses sampled at the temperatures {temperatures}"
        raise BadInput(what, where="forecast", do="give those of one: probe import-rollouts --where temperature=T")
    codes = {name: i for i, name in enumerate(dict.fromkeys(rows["problem"]))}
    group = np.array([codes[name] for name in rows["problem"]])
    place = _places(group)
    if place.max() < 1:
        do = "sample several: --samples 16; in a file, several rows with one `problem`"
        raise BadInput("no problem has two responses: nothing varies within a problem", where="forecast", do=do)
    columns = _traits(rows) | ({"entropy": _surprisals(rollouts)} if rollouts is not None else {})
    traits = {name: _table(columns[name], group, place) for name in UNITS if name in columns}
    told = {name: table for name, table in traits.items() if np.isfinite(table).any()}
    return Samples(rows["problem"], rows["sample"], rows["text"], rows["boxed"], group, place, temperatures[0], told)


def _places(group: np.ndarray) -> np.ndarray:
    """Which row of its group each row is, from 0."""
    order = np.argsort(group, kind="stable")
    starts = np.cumsum(np.bincount(group)) - np.bincount(group)
    place = np.empty_like(group)
    place[order] = np.arange(group.size) - starts[group[order]]
    return place


def _traits(rows: Mapping[str, list[Any]]) -> dict[str, list[float | None]]:
    outcomes = rows["outcome"]
    return {
        "accuracy": [None if outcome is None else float(outcome == Outcome.right) for outcome in outcomes],
        "code_share": [float(strategy == Strategy.code) for strategy in rows["strategy"]],
        "parse_rate": [float(answer is not None) for answer in rows["boxed"]],
        "tokens": rows["tokens"],
    }


def _surprisals(rollouts: pa.Table) -> list[float | None]:
    return [None if row is None else -float(np.sum(row)) for row in rollouts["logprob"].to_pylist()]


def _table(values: Sequence[float | None], group: np.ndarray, place: np.ndarray) -> Float[np.ndarray, "group sample"]:
    found = np.full((group.max() + 1, place.max() + 1), np.nan)
    found[group, place] = [np.nan if value is None else value for value in values]
    return found
