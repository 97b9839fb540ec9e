"""A dose-response that can be moved through by hand: texts and numbers at every dose, as a page tells them.

    doses    by coefficient, of the fitted direction and of a random one of its length: share in code, accuracy, answers
             that parse, each with its interval; `reach`: the least and the most of all random directions there
    texts    what was written at that dose, of a few problems (`SteeredTextsJob`)

Numbers are those of `SteerJob` over all of its problems; the texts are a few of the answers that it counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from probe.engine.job import Job
from probe.experiments.steering.job import SteerJob
from probe.experiments.steering.texts import SteeredTextsJob
from probe.interventions.steering import MEASURES
from probe.measurements import Row, Rows
from probe.pages.pack import Texts
from probe.plots._replicates import pick
from probe.store import Store

KEPT = ("value", "lo", "hi", "n", "n_problems", "null", "p")
SHOWN_DRAW = 1  # the random direction whose texts are shown
TEXT = ("problem", "direction", "coefficient", "text", "outcome", "strategy", "boxed", "stop", "tokens")


@dataclass(frozen=True)
class Steered:
    """The jobs of one slider: numbers of the pair, texts of its base."""

    job: SteerJob

    @property
    def texts(self) -> SteeredTextsJob:
        """Of the base."""
        return SteeredTextsJob(self.job.doses[0])

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Both."""
        return self.job, self.texts


def told(steered: Steered, store: Store) -> dict[str, Any]:
    """Everything the slider shows."""
    rows = store.get(steered.job.recipe).read_table().to_pylist()
    written = store.get(steered.texts.recipe).read_table().to_pylist()
    (place,) = pick(rows, name="steer_distance")
    (length,) = pick(rows, name="steer_distance_of_norm")
    before, after = (pick(rows, side=side) for side in ("before", "after"))
    asked = {problem.id: problem for problem in steered.job.elicitation.problems.problems}
    return {
        "site": place["site"],
        "distance": place["value"],
        "of_norm": length["value"],
        "randoms": steered.job.randoms,
        "where": steered.job.where,
        "temperature": steered.job.options.temperature,
        "doses": [_dose(before, c) for c in sorted(steered.job.coefficients)],
        "after": {name: _estimate(_plain(after, name)[0]) for name in MEASURES if _plain(after, name)},
        "problems": Texts([_problem(asked, name) for name in dict.fromkeys(row["problem"] for row in written)]),
        "texts": Texts([{name: row[name] for name in TEXT} for row in written]),
    }


def _dose(rows: Rows, coefficient: float) -> dict[str, Any]:
    found: dict[str, Any] = {"coefficient": coefficient, "fitted": {}, "random": {}, "reach": {}}
    for measure in MEASURES:
        (own,) = pick(rows, name=f"steer_{measure}", coefficient=coefficient)
        draws = pick(rows, name=f"steer_{measure}_random", coefficient=coefficient)
        shown = [row for row in draws if row["draw"] == SHOWN_DRAW] or [own]  # at 0 nothing is added
        found["fitted"][measure], found["random"][measure] = _estimate(own), _estimate(shown[0])
        values = [row["value"] for row in draws]
        found["reach"][measure] = [min(values), max(values)] if values else None
    return found


def _plain(rows: Rows, measure: str) -> list[Row]:
    """What is answered unsteered."""
    return pick(rows, name=f"steer_{measure}", coefficient=0.0)


def _problem(asked: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {"id": name, "prompt": asked[name].prompt, "answer": asked[name].answer}


def _estimate(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in KEPT}
