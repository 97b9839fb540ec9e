"""What do the arms of a cross-sampling come to? Means by budget, and shares of RL's change, beside random places.

cross_<measure>      by side (who writes), `quantile` (1 - budget) and `edit` (divergence or random: how the places were
                     chosen); null: the random places, p: paired difference from them. quantile 1: the writer alone, 0:
                     the other alone
recovered_<...>      the base writes: of RL's change, what the swaps bring;  removed_<...>: RL writes, what they undo
cross_gain_<...>     after - before
cross_swapped        the realised share of swapped tokens; null: the budget
cross_unchanged      share of the writer's tokens with KL(own || other) < UNCHANGED nats; null (and `edit` "noise"): the
                     base beside a random change as large as RL's
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Shaped

from probe.data import Estimate, Outcome, Strategy
from probe.errors import BadInput
from probe.experiments.cross_sampling.crossing import BUDGETS, OTHER, Arm, Writer
from probe.interventions.recovery import Gap, recovery, share
from probe.stats import clustered_mean, clustered_ratio

MEASURES = ("accuracy", "code_share", "parse_rate")
GAINS = MEASURES[:2]
SHARES: Mapping[Writer, str] = {"before": "recovered", "after": "removed"}
Values = Float[np.ndarray, "row"]


@dataclass(frozen=True, eq=False)
class Arms:
    """The rows of every arm, in one order: what each response was graded, and its tokens."""

    problems: Shaped[np.ndarray, "row"]
    values: Mapping[Arm, Mapping[str, Values]]

    @classmethod
    def read(cls, table: pa.Table) -> "Arms":
        """From the artifact of a CrossJob. BadInput where arms did not answer the same samples."""
        told = zip(*(table[name].to_pylist() for name in ("writer", "chosen", "budget")), strict=True)
        which = [Arm(*each) for each in told]
        rows: dict[Arm, list[int]] = {}
        for row, arm in enumerate(which):
            rows.setdefault(arm, []).append(row)
        asked = [(table["problem"].take(at), table["sample"].take(at)) for at in rows.values()]
        if any(not mine.equals(its) for each in asked for mine, its in zip(each, asked[0], strict=True)):
            raise BadInput("arms were asked different problems", where="cross-sampling", do="cross them again")
        columns = {name: np.asarray(flags, dtype=float) for name, flags in _columns(table).items()}
        values = {arm: {name: column[at] for name, column in columns.items()} for arm, at in rows.items()}
        return cls(np.array(asked[0][0].to_pylist()), values)

    def of(self, measure: str, writer: Writer, chosen: Any = "own", budget: float = 0.0) -> Values:
        """One column of one arm."""
        return self.values[Arm(writer, chosen, budget)][measure]


def estimates(arms: Arms) -> list[Estimate]:
    """Shares in [0, 1], and ratios of RL's change; intervals clustered by problem."""
    found = list(_unchanged(arms))
    for writer in OTHER:
        for measure in MEASURES:
            found += _curve(arms, writer, measure)
        for measure in GAINS:
            found += _shares(arms, writer, measure)
        found += _swapped(arms, writer)
    for measure in GAINS:
        gain = arms.of(measure, "after") - arms.of(measure, "before")
        about: dict[str, Any] = {"null": 0.0, "bounds": (-1.0, 1.0), "params": {"side": "change"}}
        found.append(clustered_mean(gain, arms.problems, name=f"cross_gain_{measure}", **about))
    return found


def _curve(arms: Arms, writer: Writer, measure: str) -> Iterator[Estimate]:
    def mean(values: Values, budget: float, how: str | None) -> Estimate:
        params = _about(writer, budget, how)
        return clustered_mean(values, arms.problems, name=f"cross_{measure}", bounds=(0.0, 1.0), params=params)

    yield mean(arms.of(measure, writer), 0.0, None)
    for budget in BUDGETS:
        own, null = (arms.of(measure, writer, how, budget) for how in ("divergence", "random"))
        drawn = mean(null, budget, "random")
        yield replace(mean(own, budget, "divergence"), null=drawn.value, p=_p(own - null, arms))
        yield drawn
    yield mean(arms.of(measure, OTHER[writer]), 1.0, None)


def _shares(arms: Arms, writer: Writer, measure: str) -> Iterator[Estimate]:
    gap = Gap(arms.of(measure, writer), arms.of(measure, OTHER[writer]), arms.problems.tolist())
    name = f"{SHARES[writer]}_{measure}"
    for budget in BUDGETS:
        own, null = (arms.of(measure, writer, how, budget) for how in ("divergence", "random"))
        found = recovery(own, gap, name=name, params=_about(writer, budget, "divergence"))
        yield found if gap.undefined else replace(found, null=share(null, gap), p=_p(own - null, arms))
        yield recovery(null, gap, name=name, params=_about(writer, budget, "random"))


def _swapped(arms: Arms, writer: Writer) -> Iterator[Estimate]:
    for budget in BUDGETS:
        for how in ("divergence", "random"):
            top, bottom = (arms.of(name, writer, how, budget) for name in ("swapped", "written"))
            about = _about(writer, budget, how)
            yield _of_tokens("cross_swapped", top, bottom, arms, about, null=budget)


def _unchanged(arms: Arms) -> Iterator[Estimate]:
    def told(writer: Writer, chosen: str, **params: Any) -> Estimate:
        top, bottom = (arms.of(name, writer, chosen) for name in ("unchanged", "written"))
        return _of_tokens("cross_unchanged", top, bottom, arms, {"side": writer, **params})

    noise = told("before", "noise", edit="noise")
    yield noise
    for writer in OTHER:
        yield replace(told(writer, "own"), null=noise.value, p=None)


def _of_tokens(
    name: str, top: Values, bottom: Values, arms: Arms, params: dict[str, Any], null: float | None = None
) -> Estimate:
    """A share of tokens; n counts them."""
    found = clustered_ratio(top, bottom, arms.problems, name=name, null=null, bounds=(0.0, 1.0), params=params)
    return replace(found, n=int(bottom.sum()))


def _p(difference: Values, arms: Arms) -> float | None:
    return clustered_mean(difference, arms.problems, name="", null=0.0, bounds=(-1.0, 1.0)).p


def _about(writer: Writer, budget: float, how: str | None) -> dict[str, Any]:
    return {"side": writer, "quantile": round(1 - budget, 6)} | ({"edit": how} if how else {})


def _columns(table: pa.Table) -> dict[str, Any]:
    flags = {
        "accuracy": pc.equal(table["outcome"], str(Outcome.right)),
        "code_share": pc.equal(table["strategy"], str(Strategy.code)),
        "parse_rate": table["boxed"].is_valid(),
    }
    return flags | {name: table[name] for name in ("written", "swapped", "unchanged")}
