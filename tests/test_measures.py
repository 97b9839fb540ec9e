"""Every measure: finite, deterministic, flat on null pairs, true to a plant, golden on real outputs; bad input."""

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tables import FORK, PLAIN, Rates, expected, pair, rates, responses, scored_pair, table, tokens

import probe.measures as package
from probe.data import Estimate
from probe.errors import BadInput
from probe.measurements import VARIES, label
from probe.measures import PairData, measures
from probe.rng import numpy_rng
from probe.strategy import detect, mentions_python
from probe.tasks.answers import answer_tag
from probe.tasks.published_outputs import Outputs, read_rlcr

NAMES = measures.names()
RESPONSE_MEASURES = [name for name in NAMES if "responses" in measures.get(name).needs]
TOKEN_MEASURES = [name for name in NAMES if "tokens" in measures.get(name).needs]
BASE = rates(0.4, (0.7, 0.4), 0.8)
PLANTED = rates(0.4, (0.7, 0.4), 0.8, confidence=0.9), rates(0.7, (0.8, 0.4), 0.95)
DRAWS = 40


def key(found: Estimate) -> tuple[str, str, str]:
    return found.name, found.params["side"], label(found.params)


def by_key(found: list[Estimate]) -> dict[tuple[str, str, str], Estimate]:
    assert len({key(estimate) for estimate in found}) == len(found)
    return {key(estimate): estimate for estimate in found}


def run(name: str, data: PairData) -> dict[tuple[str, str, str], Estimate]:
    return by_key(measures.get(name)()(data))


@pytest.fixture(scope="module")
def planted() -> PairData:
    return pair(*PLANTED, "plant", moved=0.4, swapped=0.3)


@pytest.fixture(scope="module")
def null_pairs() -> list[PairData]:
    return [pair(BASE, BASE, "null", index) for index in range(DRAWS)]


def test_every_file_holds_a_measure() -> None:
    folder = Path(package.__file__).parent
    files = {f"probe.measures.{file.stem}" for file in folder.glob("[a-z]*.py")}
    assert {measures.get(name).__module__ for name in NAMES} == files
    assert len(files) > 10


@pytest.mark.parametrize("name", NAMES)
def test_a_measure(name: str, planted: PairData, null_pairs: list[PairData]) -> None:
    """It runs, is finite, names its null, is deterministic, and is flat where nothing happened."""
    measure = measures.get(name)()
    assert measure.needs <= {"responses", "tokens", "kl", "confidence"}
    found = measure(planted)
    for estimate in found:
        assert all(math.isfinite(x) for x in (estimate.value, estimate.lo, estimate.hi))
        assert estimate.lo <= estimate.value <= estimate.hi
        assert estimate.params["side"] in {"before", "after", "change", ""}
        assert set(estimate.params) <= {"side", "reason", *VARIES}
        assert estimate.n >= 1
        assert estimate.n_problems <= 60
        assert estimate.null is not None or estimate.params["side"] != "change"
        assert json.dumps(estimate.row())  # plain numbers: what a table and a JSON writer accept
    assert any(estimate.null is not None for estimate in found)
    assert measure(planted) == found

    rejected = Counter(
        key(estimate)
        for data in null_pairs
        for estimate in measure(data)
        if estimate.p is not None and estimate.p < 0.05 and says_what_changed(estimate)
    )
    assert max(rejected.values(), default=0) <= 7, rejected  # P(Binomial(40, .05) > 7) = .0007


def says_what_changed(found: Estimate) -> bool:
    return found.params["side"] == "change" or found.name in {"collapse_ratio", "outcome_share"}


@pytest.mark.parametrize("name", RESPONSE_MEASURES)
def test_the_order_of_rows_is_nothing(name: str, planted: PairData) -> None:
    order = numpy_rng("test", "order").permutation(planted.before.num_rows)
    turned = replace(planted, before=planted.before.take(order), after=planted.after.take(order[::-1]))
    assert run(name, turned) == run(name, planted)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_table_twice_has_not_changed(name: str, planted: PairData) -> None:
    kl = pa.array(np.zeros(planted.tokens_before.num_rows))
    same = replace(planted, after=planted.before, tokens_after=planted.tokens_before, kl=kl)
    for (what, side, _), found in run(name, same).items():
        assert what != "switch_contribution"  # there is no gain to share out
        if side == "change":
            assert (found.value, found.p) == (0.0, 1.0)
            assert found.lo <= 0 <= found.hi


def test_intervals_cover_what_was_planted() -> None:
    """Every number that can be worked out from the probabilities lies in its interval as often as that says.

    Conservative at worst: intervals are over problems, and these problems stay the same from draw to draw.
    """
    truth = expected(*PLANTED)
    missed: Counter[tuple[str, str, str]] = Counter(dict.fromkeys(truth, 0))
    for index in range(DRAWS):
        data = pair(*PLANTED, "coverage", index)
        found = {where: estimate for name in RESPONSE_MEASURES for where, estimate in run(name, data).items()}
        missed.update(where for where in truth if not found[where].lo <= truth[where] <= found[where].hi)
    assert max(missed.values()) <= 7, missed  # P(Binomial(40, .05) > 7) = .0007


def test_the_plant_is_told_apart(planted: PairData) -> None:
    """Confidence became calibrated, forks were lowered and 3 in 10 of them moved, code became the rule."""
    calibration = run("calibration", planted)
    assert calibration["auroc", "before", ""].value == 0.5
    assert calibration["ece", "before", ""].value == pytest.approx(
        0.9 - run("accuracy", planted)["accuracy", "before", ""].value
    )
    assert calibration["ece", "change", ""].hi < -0.2
    assert calibration["brier", "change", ""].hi < 0
    bar = calibration["reliability", "before", "0.9"]
    assert (bar.null, bar.n, bar.n_problems) == (pytest.approx(0.9), 240, 60)
    assert bar.hi < 0.9
    parts = run("gain_parts", planted)
    assert all(parts["gain_parts", "change", part].lo > 0 for part in ("mix", "parse"))
    kept = run("fork_overlap", planted)["fork_overlap", "", "top 20%"]
    assert (kept.value, kept.null, kept.n) == (pytest.approx(0.7), 0.2, 240)
    assert kept.lo > 0.2
    kl = run("kl_on_forks", planted)
    assert kl["kl_per_token", "", ""].value == pytest.approx(0.14)
    assert kl["kl_on_forks", "", ""].value == pytest.approx(0.1 / 0.14)
    assert kl["kl_on_forks", "", ""].lo > 0.2


def test_parts_and_cells_add_up(planted: PairData) -> None:
    gain = run("accuracy", planted)["accuracy", "change", ""].value
    parts = {level: found.value for (_, _, level), found in run("gain_parts", planted).items()}
    assert parts["mix"] + parts["parse"] + parts["within"] == pytest.approx(gain, abs=1e-12) == parts["total"]
    cells = run("outcome_cells", planted)
    assert sum(found.value for (name, *_), found in cells.items() if name == "outcome_share") == pytest.approx(1)
    assert sum(found.value for (name, *_), found in cells.items() if name == "outcome_count") == pytest.approx(240)
    switch = run("strategy_switch", planted)
    for name, total in (("switch_share", 1), ("switch_contribution", 1), ("switch_gain", 200 * gain)):
        assert sum(found.value for (what, *_), found in switch.items() if what == name) == pytest.approx(total)


def test_entropy_at_forks_is_judged_against_regression_to_the_mean() -> None:
    """Two exchangeable scorers: at the first one's forks the second is lower. The null says so, and p is uniform."""
    shifts, p_values = [], []
    for index in range(DRAWS):
        rng = numpy_rng("test", "exchangeable", index)
        base = rng.gamma(1.0, 0.5, size=1200)
        before, after = base + rng.uniform(0, 0.5, size=(2, 1200))
        data = PairData(pa.table({}), pa.table({}), tokens(before), tokens(after))
        forks = run("entropy_shift", data)["entropy_shift", "change", "forks"]
        shifts.append((forks.value, forks.null))
        p_values.append(forks.p)
    value, null = np.mean(shifts, axis=0)
    assert value == pytest.approx(null, abs=0.01)
    assert value < -0.03
    assert np.count_nonzero(np.array(p_values) < 0.05) <= 7


def test_entropy_planted_at_forks_only() -> None:
    data = PairData(pa.table({}), pa.table({}), **scored_pair(60, "forks", moved=0.4))
    found = {where[1:]: estimate for where, estimate in run("entropy_shift", data).items()}
    assert found["before", "forks"].value == pytest.approx(FORK + 0.05, abs=0.01)
    assert found["before", "elsewhere"].value == pytest.approx(PLAIN + 0.05, abs=0.01)
    assert found["change", "forks"].lo <= -0.4 <= found["change", "forks"].hi
    assert found["change", "forks"].p < 1e-9
    assert found["change", "elsewhere"].lo <= 0 <= found["change", "elsewhere"].hi
    assert found["change", "all"].lo <= -0.08 <= found["change", "all"].hi
    assert [found["change", level].n for level in ("all", "forks", "elsewhere")] == [1200, 240, 960]


def from_counts(n: list[int], before: list[int], after: list[int]) -> PairData:
    """One response per problem and side with exactly these counts in CC, CL, LC, LL."""
    cell = np.repeat(["CC", "CL", "LC", "LL"], n)
    sides = []
    for place, right in enumerate((before, after)):
        hit = np.concatenate([np.arange(size) < k for size, k in zip(n, right, strict=True)])
        code = np.array([name[place] == "C" for name in cell])
        sides.append(one_each(hit, code))
    return PairData(*sides)


def one_each(right: np.ndarray, code: np.ndarray, boxed: np.ndarray | None = None) -> pa.Table:
    """RESPONSES, one a problem, that state no confidence."""
    n = len(right)
    return table(
        problem=[f"p{i}" for i in range(n)],
        boxed=["7"] * n if boxed is None else np.where(boxed, "7", None),
        outcome=np.where(right, "right", "wrong"),
        strategy=np.where(code, "code", "prose"),
        python=code,
        confidence=[None] * n,
    )


def test_golden_switches_of_the_random_reward() -> None:
    """science.md 2.1: Qwen2.5-Math-7B under the random reward, N = 500 (2506.10947)."""
    found = run("strategy_switch", from_counts([268, 57, 142, 33], [164, 34, 34, 15], [155, 41, 98, 31]))
    shares = [found["switch_contribution", "", cell].value for cell in ("CC", "CL", "LC", "LL")]
    assert [round(100 * share, 1) for share in shares] == [-11.5, 9.0, 82.1, 20.5]
    assert found["switch_share", "", "LC"].value == 142 / 500
    total, moved = found["switch_gain", "change", "total"], found["switch_gain", "change", "LC"]
    assert (total.value, moved.value, moved.unit) == (pytest.approx(15.6), pytest.approx(12.8), "points")


def test_switching_at_random_is_not_a_gain_by_switching(null_pairs: list[PairData]) -> None:
    """Code is 30 points better: on a null pair LC gains and CL loses, each as its null says."""
    found = [run("strategy_switch", data) for data in null_pairs]
    gain = {cell: np.mean([one["switch_gain", "change", cell].value for one in found]) for cell in ("CL", "LC")}
    null = {cell: np.mean([one["switch_gain", "change", cell].null for one in found]) for cell in ("CL", "LC")}
    assert gain["LC"] > 3
    assert gain["CL"] < -3
    assert gain == pytest.approx(null, abs=1)


def test_a_gain_that_may_be_nothing_is_not_divided_by() -> None:
    found = run("strategy_switch", from_counts([100, 20, 20, 100], [50, 10, 5, 40], [50, 10, 7, 40]))
    assert {name for name, *_ in found} == {"switch_share", "switch_gain"}
    assert found["switch_gain", "change", "total"].value == pytest.approx(100 * 2 / 240)


def verdict(before: Rates, after: Rates) -> tuple[float, float, float]:
    found = run("collapse", pair(before, after, "collapse"))["destroyed", "", ""]
    return found.value, found.lo, found.hi


def test_what_counts_as_destruction() -> None:
    fine, undecided, destroyed = (0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0)
    base = rates(0.5, (0.8, 0.4), 0.9)
    assert verdict(base, base) == fine
    assert verdict(base, rates(0.5, (0.8, 0.4), 0.1)) == destroyed  # nothing parses any more
    assert verdict(base, rates(0.5, (0.1, 0.4), 0.9)) == destroyed  # code is still written, and wrong
    assert verdict(base, replace(base, code=np.zeros(60))) == fine  # code merely disappeared
    assert verdict(base, rates(0.5, (0.4, 0.4), 0.9)) == undecided
    assert verdict(replace(base, boxed=np.zeros(60)), base) == undecided  # there was nothing to destroy


def test_destruction_names_its_evidence() -> None:
    found = run("collapse", pair(rates(0.5, (0.8, 0.4), 0.9), rates(0.5, (0.8, 0.4), 0.0), "gone"))
    ratio = found["collapse_ratio", "", "parse_rate"]
    assert (ratio.value, ratio.lo, ratio.null, ratio.unit) == (0.0, 0.0, 1.0, "ratio")
    assert 0 < ratio.hi < 0.1
    assert found["destroyed", "", ""].params["reason"].startswith("parse_rate x 0.00 [0.00, 0.0")


def test_rare_strategies_are_reported_without_a_change() -> None:
    right, few = np.arange(200) % 2 == 0, np.arange(200) < 6
    found = run("within_strategy", PairData(one_each(right, few), one_each(right, ~few)))
    assert ("within_strategy", "before", "code") in found
    assert ("within_strategy", "change", "code") not in found
    none = run("within_strategy", PairData(one_each(right, few), one_each(right, ~few & few)))
    assert ("within_strategy", "after", "code") not in none
    assert ("within_strategy", "change", "prose") in none


def test_pass_at_k_goes_up_to_the_samples_of_every_problem() -> None:
    data = pair(BASE, BASE, "k", samples=7)
    found = run("pass_at_k", data)
    assert {level for *_, level in found} == {"1", "2", "4"}
    assert found["pass_at_k", "before", "1"].value == pytest.approx(
        run("accuracy", data)["accuracy", "before", ""].value
    )
    assert (found["pass_at_k", "change", "4"].n, found["pass_at_k", "change", "4"].n_problems) == (420, 60)


def test_a_confidence_stated_on_one_side_only() -> None:
    data = pair(BASE, BASE, "one side")
    silent = data.before.set_column(12, "confidence", pa.nulls(240, pa.float32()))
    assert {side for _, side, _ in run("calibration", replace(data, before=silent))} == {"after"}


@pytest.fixture(scope="module")
def rlcr(real_data: Path) -> Outputs:
    return read_rlcr(real_data / "rlcr_math500")


def real_pair(outputs: Outputs, before: str, after: str) -> PairData:
    return PairData(*(real_side(outputs, system) for system in (before, after)))


def real_side(outputs: Outputs, system: str) -> pa.Table:
    got = outputs.systems[system]
    return table(
        problem=[problem.id for problem in outputs.problems],
        text=got.texts,
        boxed=[answer_tag(text) for text in got.texts],
        outcome=["right" if right else "wrong" for right in got.right or ()],
        strategy=[str(detect(text).label) for text in got.texts],
        python=[mentions_python(text) for text in got.texts],
        confidence=got.confidence,
    )


def test_golden_real_pair(rlcr: Outputs, real_data: Path) -> None:
    """Qwen2.5-7B before and after RLVR on MATH-500: the authors' own metrics, and the paired cells of science.md 8."""
    data = real_pair(rlcr, "Base", "RLVR")
    published = json.loads((real_data / "rlcr_math500" / "metrics.json").read_text())
    accuracy, calibration = run("accuracy", data), run("calibration", data)
    for side, system in (("before", "Base"), ("after", "RLVR")):
        assert accuracy["accuracy", side, ""].value == pytest.approx(published[system]["accuracy"])
        for name, theirs in (("brier", "brier_score"), ("ece", "ece"), ("auroc", "auroc")):
            assert calibration[name, side, ""].value == pytest.approx(published[system][theirs], abs=1e-6)
    change = accuracy["accuracy", "change", ""]
    assert change.value == pytest.approx(-0.082)
    assert change.hi < 0
    assert change.p < 0.001
    cells = run("outcome_cells", data)
    counts = [cells["outcome_count", "", level].value for level in ("both", "only_before", "only_after", "neither")]
    assert counts == pytest.approx([160, 74, 33, 233])
    share = run("code_share", data)
    assert [share["python_share", side, ""].value for side in ("before", "after")] == [0.04, 0.0]
    assert share["python_share", "change", ""].hi < 0
    assert run("collapse", data)["destroyed", "", ""].value == 0.0


def test_golden_calibration_reward(rlcr: Outputs, real_data: Path) -> None:
    theirs = json.loads((real_data / "rlcr_math500" / "metrics.json").read_text())["RLCR"]
    found = run("calibration", real_pair(rlcr, "Base", "RLCR"))
    values = [found[name, "after", ""].value for name in ("brier", "ece", "auroc")]
    assert values == pytest.approx([theirs["brier_score"], theirs["ece"], theirs["auroc"]], abs=1e-6)
    assert found["ece", "change", ""].hi < 0
    assert found["auroc", "change", ""].lo > 0


def without(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.drop_columns(column)


def holding(column: str, value: Any) -> Callable[[pa.Table], pa.Table]:
    """The first row's value replaced."""

    def changed(rows: pa.Table) -> pa.Table:
        place, values = rows.column_names.index(column), rows[column].to_pylist()
        return rows.set_column(place, rows.field(column), pa.array([value, *values[1:]], rows.field(column).type))

    return changed


@pytest.mark.parametrize("name", RESPONSE_MEASURES)
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (without("outcome"), "lacks the columns"),
        (lambda rows: rows.slice(0, 0), "no rows"),
        (lambda rows: rows.slice(4), "only before, [04] only after"),
        (holding("problem", "elsewhere"), "1 rows only"),
        (holding("sample", 9), "1 rows only"),
        (holding("sample", 1), "occurs twice"),
        (holding("temperature", 0.0), "temperatures"),
        (holding("outcome", "perhaps"), "is no outcome"),
        (holding("outcome", None), "missing values"),
        (holding("strategy", "python"), "is no strategy"),
    ],
)
@pytest.mark.parametrize("side", ["before", "after"])
def test_bad_responses(
    name: str, spoil: Callable[[pa.Table], pa.Table], says: str, side: str, planted: PairData
) -> None:
    with pytest.raises(BadInput, match=says):
        run(name, replace(planted, **{side: spoil(getattr(planted, side))}))


@pytest.mark.parametrize("name", TOKEN_MEASURES)
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda rows: None, "no tokens were scored"),
        (without("entropy"), "lacks the columns"),
        (lambda rows: rows.slice(0, 0), "no rows"),
        (lambda rows: rows.slice(1), "differ in"),
        (holding("token", 6), "differ in 'token'"),
        (holding("problem", "elsewhere"), "differ in 'problem'"),
        (holding("entropy", math.nan), "not finite"),
        (holding("entropy", None), "missing values"),
    ],
)
@pytest.mark.parametrize("side", ["tokens_before", "tokens_after"])
def test_bad_tokens(name: str, spoil: Callable[[pa.Table], Any], says: str, side: str, planted: PairData) -> None:
    with pytest.raises(BadInput, match=says):
        run(name, replace(planted, **{side: spoil(getattr(planted, side))}))


@pytest.mark.parametrize("kl", [None, pa.array([0.1]), pa.array([-0.1] * 1200), pa.array([math.nan] * 1200)])
def test_bad_kl(kl: pa.Array | None, planted: PairData) -> None:
    with pytest.raises(BadInput, match="KL"):
        run("kl_on_forks", replace(planted, kl=kl))


def test_no_confidence_at_all() -> None:
    silent = one_each(np.arange(9) < 4, np.arange(9) < 2)
    with pytest.raises(BadInput, match="no response states a confidence"):
        run("calibration", PairData(silent, silent))


@pytest.mark.parametrize("name", RESPONSE_MEASURES)
def test_one_problem_has_no_interval(name: str) -> None:
    """A measure of one problem says nothing about others, and does not fall over."""
    one = responses(Rates(*np.full((4, 1), 0.5)), "one", samples=4)
    for found in run(name, PairData(one, one)).values():
        assert math.isnan(found.hi) or found.name == "destroyed"


def test_measures_are_frozen_and_their_fields_have_defaults() -> None:
    for name in NAMES:
        measure = measures.get(name)()
        assert all(isinstance(getattr(measure, field.name), int | float) for field in fields(measure))
        with pytest.raises(AttributeError):
            measure.needs = frozenset()
