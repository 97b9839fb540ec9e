"""Pairs between which nothing of note differs, drawn again and again: estimates lie on their null, p looks uniform.

A measure that ranks k draws gives p in steps of 1 / (k + 1): `uniform` takes an addressed part of a step off. Ties make
p larger, never smaller (`valid`). What is nothing differs: labels redrawn, activations redrawn, a Gaussian change of
the weights, a random direction in the place of the fitted one.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from outside_checkpoints import tiny
from scipy import stats
from torch import Tensor
from transformers import PreTrainedModel

from probe.activations.direction_shift import Sides, projection_change, rotation
from probe.activations.linear import KINDS, Examples, probe
from probe.data import Estimate
from probe.experiments.patching.job import recovered
from probe.experiments.probing.job import same_question
from probe.experiments.steering.estimates import Doses, ranges, responses, shares
from probe.interventions.patching import Fork, direct, measure, patch, random_source
from probe.interventions.recovery import Gap, recovery
from probe.interventions.steering import ABLATIONS, MEASURES
from probe.interventions.transplant import borrowing, perturbed
from probe.interventions.weight_difference import cosines, weight_changes
from probe.measurements import label
from probe.models.hooks.forward_hooks import read
from probe.models.hooks.sites import site
from probe.rng import numpy_rng, torch_rng
from probe.stats.ranking import clustered_auroc

DRAWS = 19  # of a null: steps of .05


def uniform(p: Sequence[float | None], steps: int = 0) -> None:
    """`steps` draws are ranked; 0: p is continuous."""
    values = np.array(p, float)
    assert len(values) >= 20
    spread = numpy_rng("steps", steps, len(values)).random(len(values)) / (steps + 1) if steps else 0.0
    assert stats.kstest(values - spread, "uniform").pvalue > 0.001, np.sort(values)
    assert abs(np.mean(values - spread) - 0.5) < 3.3 * np.sqrt(1 / 12 / len(values)), np.mean(values)


def valid(p: Sequence[float | None]) -> None:
    """Not small more often than it should be, by 3 standard errors."""
    values = np.array(p, float)
    for level in (0.05, 0.1, 0.25, 0.5):
        allowed = level + 3 * np.sqrt(level * (1 - level) / len(values))
        assert np.mean(values <= level + 1e-9) <= allowed, level


def around(values: Sequence[float], null: float) -> None:
    """The mean is within 3 of its standard errors."""
    assert len(values) >= 20
    assert abs(np.mean(values) - null) < 3 * np.std(values, ddof=1) / np.sqrt(len(values)), np.mean(values)


def covered(found: Sequence[Estimate], null: float) -> float:
    return float(np.mean([e.lo <= null <= e.hi for e in found]))


# probes


def alike(seed: int, *, problems: int = 40, each: int = 20) -> Examples:
    """Activations and labels that are alike within a problem, and know nothing of each other."""
    rng, n = numpy_rng("alike", seed), problems * each
    x = np.repeat(rng.normal(size=(problems, 6)), each, 0) + rng.normal(size=(n, 6))
    leaning = np.repeat(rng.normal(size=problems), each) + rng.normal(size=n)
    y = (leaning > np.quantile(leaning, 0.7)).astype(float)
    return Examples(x, y, np.repeat([f"p{i}" for i in range(problems)], each))


@pytest.mark.parametrize("shuffle", ["problems", "rows"])
def test_probes_select_nothing(shuffle: Any) -> None:
    """`rows` is how tokens are shuffled: that forks crowd in some answers must not pass for a signal."""
    found = [probe(alike(s), "difference", address=("n", s), draws=DRAWS, shuffle=shuffle) for s in range(60)]
    auroc, _, control, beyond = zip(*found, strict=True)
    uniform([e.p for e in auroc], DRAWS)
    assert [e.p for e in beyond] == [e.p for e in auroc]
    around([e.value for e in auroc], 0.5)
    around([e.value for e in beyond], 0)
    around([e.value for e in control], 0.5)
    assert covered(beyond, 0) >= 0.88
    assert covered(auroc, 0.5) >= 0.65  # takes the probes as given: the docstring says so


@pytest.mark.parametrize("kind", KINDS)
def test_accuracy_of_nothing_is_not_above_its_bar(kind: Any) -> None:
    found = [probe(alike(s), kind, address=("n", s), draws=0)[1] for s in range(20)]
    assert np.mean([e.value - e.null for e in found]) < 0.02  # the larger class: a bar, that nothing can be below
    assert all(e.p is None for e in found)


def test_auroc_of_scores_that_know_nothing() -> None:
    found = []
    for seed in range(200):
        rng = numpy_rng("auroc", seed)
        scores = np.repeat(rng.normal(size=50), 4) + rng.normal(size=200)
        labels = np.repeat(rng.normal(size=50), 4) + rng.normal(size=200) > 0
        found.append(clustered_auroc(scores, labels.astype(int), np.repeat(np.arange(50), 4), name="a"))
    uniform([e.p for e in found])
    around([e.value for e in found], 0.5)
    assert 0.91 <= covered(found, 0.5) <= 0.985


def test_other_answers_to_a_question_tell_nothing_where_there_is_nothing() -> None:
    keys = tuple((f"p{i}", s) for i in range(60) for s in range(8))
    told: Any = SimpleNamespace(keys=keys, problem=np.array([problem for problem, _ in keys]))
    draws = [numpy_rng("coins", seed).integers(0, 2, size=480).astype(float) for seed in range(150)]
    found = [same_question(labels, told, {}) for labels in draws]
    around([e.value for e in found], 0.5)
    assert 0.9 <= covered(found, 0.5) <= 0.99
    valid([e.p for e in found])


# directions


def redrawn(seed: int, d: int = 12, noise: float = 1.0) -> Sides:
    """States that differ in what is random alone; answers go with the states that they were written from."""
    rng = numpy_rng("redrawn", seed)
    u = rng.normal(size=d)
    u /= np.linalg.norm(u)
    own = rng.normal(size=(80, d))
    sides = []
    for _ in range(2):
        x = np.repeat(own + noise * rng.normal(size=(80, d)), 3, 0)
        y = (2 * x @ u + rng.normal(size=240) > 0).astype(float)
        sides.append(Examples(x, y, np.repeat([f"p{i}" for i in range(80)], 3)))
    return Sides(*sides)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_the_direction_of_two_draws_does_not_turn(noise: float) -> None:
    """Without noise the two are one model that answers twice: the null pair of the pipeline."""
    found = [
        {
            str(e.params["side"]): e
            for e in rotation(redrawn(s, noise=noise), "difference", address=(s,), swaps=39, halves=8)
        }
        for s in range(60)
    ]
    across = [each["across"] for each in found]
    uniform([e.p for e in across], 39)
    around([e.value - e.null for e in across], 0)
    around([each["freed"].value for each in found], 1)
    expected = float(np.mean([e.value for e in across]))
    assert covered(across, expected) >= 0.88
    assert np.mean([e.lo <= e.null <= e.hi for e in across]) >= 0.88


def test_a_direction_that_is_hardly_there_has_no_freed_cosine() -> None:
    rng = numpy_rng("hardly")
    x, y = rng.normal(size=(2, 240, 48)), rng.integers(0, 2, size=240).astype(float)
    sides = Sides(*(Examples(each, y, np.repeat(np.arange(80), 3)) for each in x))
    found = {e.params["side"]: e for e in rotation(sides, "difference", address=("h",), swaps=19)}
    assert np.isnan(found["freed"].value) and np.isnan(found["freed"].lo)
    assert found["across"].lo < 0 < found["across"].hi


def test_nobody_travels_between_two_draws() -> None:
    """All rows stay; those chosen by what was written before fall back, and are not tested."""
    found: dict[str, list[Estimate]] = {"all": [], "no": [], "yes": []}
    for seed in range(100):
        for e in projection_change(redrawn(seed), "difference", address=(seed,), classes=("no", "yes")):
            if e.params["side"] == "change":
                found[str(e.params["group"])].append(e)
    uniform([e.p for e in found["all"]])
    around([e.value for e in found["all"]], 0)
    assert 0.88 <= covered(found["all"], 0) <= 1
    assert all(e.p is None and e.null is None for name in ("no", "yes") for e in found[name])
    assert np.mean([e.value for e in found["yes"]]) < -0.05 < 0.05 < np.mean([e.value for e in found["no"]])


# recovery


def test_recovery_of_nothing_by_its_t_test() -> None:
    """Patched and target are two draws of the same runs, and both share their noise with the gap."""
    found = []
    for seed in range(250):
        rng = numpy_rng("nothing recovered", seed)
        problem = np.repeat(rng.normal(size=30), 2)
        target, patched, source = (problem + shift + rng.normal(size=60) for shift in (0.0, 0.0, 2.5))
        names = [f"p{i}" for i in np.repeat(np.arange(30), 2)]
        found.append(recovery(patched, Gap(target, source, names), name="r"))
    uniform([e.p for e in found])
    around([e.value for e in found], 0)
    assert 0.91 <= covered(found, 0) <= 0.985


VOCAB, FORK, ROWS = 40, Fork((3, 4), (5,)), 12
IDS = torch.randint(6, VOCAB, (ROWS, 7), generator=torch_rng("null prompts"))
NAMES = tuple(f"p{i}" for i in range(ROWS))


def fork(model: PreTrainedModel) -> np.ndarray:
    return measure(model, IDS, FORK).double().numpy()


def gap_of(model: PreTrainedModel) -> Gap:
    """A gap that the change to be tested has no part in: it may only be ranked."""
    start = fork(model)
    return Gap(start, start + 3 + 0.1 * np.arange(ROWS), NAMES)


def drift(part: str) -> PreTrainedModel:
    """Another checkpoint, by whose distance the null pairs are scaled."""
    other = tiny("llama", VOCAB)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch_rng("drift", part)), alpha=0.05)
    return other


@pytest.mark.parametrize(("how", "name"), [(patch, "mlp.0"), (direct, "attn.1")])
def test_patches_of_a_random_change_are_like_any_other(how: Callable, name: str) -> None:
    """after = before with one module moved at random: what it puts out, patched in whole or along its path alone."""
    model = tiny("llama", VOCAB)
    gap, other, where = gap_of(model), drift(name), site(name)
    base = read(model, IDS, [where])
    found = []
    for pair in range(24):
        with perturbed(model, other, "null pair", pair, parts=[name]):
            source = read(model, IDS, [where])
        runs = [source, *(random_source(source, base, "null draw", pair, draw) for draw in range(DRAWS))]
        own, *null = (next(how(model, IDS, run, FORK)).values.double().numpy() for run in runs)
        found.append(recovery(own, gap, name="r", draws=null))
    uniform([e.p for e in found], DRAWS)
    around([e.value - e.null for e in found], 0)


SPOT = (("site", "mlp.1"),)


@pytest.mark.parametrize("what", ["weights", "output"])
def test_layers_of_a_random_change_are_like_any_other(what: str) -> None:
    """after = before moved at random: the weights of one layer, or what it puts out where everything was moved."""
    model, blank = tiny("llama", VOCAB), tiny("llama", VOCAB)
    gap, other = gap_of(model), drift("all")

    def of_layer(*address: str | int) -> np.ndarray:
        if what == "weights":
            with perturbed(model, other, *address, parts=["mlp.1"]):
                return fork(model)
        with perturbed(blank, other, *address), borrowing(model, blank, [site("mlp.1")]):
            return fork(model)

    found = []
    for pair in range(20):
        whole = {(what, SPOT): of_layer("null pair", pair)}
        whole |= {(f"{what} null {draw}", SPOT): of_layer("draw", pair, draw) for draw in range(DRAWS)}
        found.append(next(recovered(what, SPOT, "change", gap, whole)))
    assert {e.name for e in found} == {f"{what}/recovery"}
    uniform([e.p for e in found], DRAWS)
    around([e.value - e.null for e in found], 0)


# steering

DOSES = (-4.0, 0.0, 4.0)


def doses(*address: int, base: float, effect: float, problems: int = 120) -> Doses:
    """Answers along 20 directions, the fitted one as random as the others: an edit shifts the rate by N(0, effect)."""
    rng = numpy_rng("doses", *address)
    edits = [("add", c) for c in DOSES if c] + [(how, 0.0) for how in ABLATIONS]
    keys = [(0, "add", 0.0), *((d, *edit) for d in range(DRAWS + 1) for edit in edits)]
    rates = {key: base + (effect * rng.normal() if key != keys[0] else 0.0) for key in keys}
    answers = {key: (rng.random(2 * problems) < rate).astype(float) for key, rate in rates.items()}
    return Doses(dict.fromkeys(MEASURES, answers), np.repeat([f"p{i}" for i in range(problems)], 2))


def steered(draws: int, effect: float, gain: float) -> dict[tuple[str, str], list[Estimate]]:
    """By name and what varies; of a range that is which doses did most, and left out."""
    found: dict[tuple[str, str], list[Estimate]] = {}
    for draw in range(draws):
        before, after = (doses(side, draw, base=0.4 + side * gain, effect=effect) for side in (0, 1))
        for e in (*responses(before), *ranges(before), *shares(before, after)):
            level = "" if e.name.startswith("steer_range") else label(e.params)
            if "random" not in e.name and e.name.endswith("code_share"):
                found.setdefault((e.name, level), []).append(e)
    return found


def defined(found: list[Estimate]) -> list[Estimate]:
    return [e for e in found if np.isfinite(e.value)]


def test_a_random_direction_steers_like_any_other() -> None:
    found = steered(30, 0.1, 0.4)
    for level in ("-4", "4", *ABLATIONS):
        uniform([e.p for e in found["steer_code_share", level]], DRAWS)
    uniform([e.p for e in found["steer_range_code_share", ""]], DRAWS)
    for name, level in (("recovered", "matched"), ("recovered", "best"), ("removed", "clamp"), ("removed", "back")):
        each = defined(found[f"{name}_code_share", level])
        around([e.value - e.null for e in each], 0)
        if level == "clamp":
            uniform([e.p for e in each], DRAWS)
        valid([e.p for e in each])  # directions whose best dose is 0 tie


def test_edits_that_do_nothing_move_recover_and_remove_nothing() -> None:
    found = steered(40, 0.0, 0.4)
    for name, level in (
        ("steer_range_code_share", ""),
        ("recovered_code_share", "matched"),
        ("recovered_code_share", "best"),
        ("removed_code_share", "project out"),
    ):
        each = defined(found[name, level])
        around([e.value for e in each], 0)
        assert covered(each, 0) >= 0.85, name
        valid([e.p for e in each])


def test_no_gain_is_flat_and_has_no_shares() -> None:
    found = steered(24, 0.0, 0.0)
    gain = found["steer_gain_code_share", ""]
    around([e.value for e in gain], 0)
    uniform([e.p for e in gain])
    assert covered(gain, 0) >= 0.85
    assert len(defined(found["recovered_code_share", "matched"])) <= 2  # a gap is 3 standard errors in 5 of 1,000


# weights


def noisy(model: PreTrainedModel, *address: str | int) -> PreTrainedModel:
    other = tiny("llama", VOCAB)
    with torch.no_grad():
        for name, weight in other.named_parameters():
            weight.add_(_normal(weight, *address, name), alpha=0.01)
    return other


def _normal(like: Tensor, *address: str | int) -> Tensor:
    return torch.randn(like.shape, generator=torch_rng("noise", *address))


def test_a_gaussian_change_has_the_shape_that_theory_gives_it() -> None:
    """s_1 is about sqrt(m) + sqrt(n), below it in small matrices; of n entries .8 % lie within .01 of their rms."""
    model = tiny("llama", VOCAB)
    changes = [each for pair in range(20) for each in weight_changes(model, noisy(model, pair))]
    ranks = [each.stable_rank for each in changes if each.name == "gate_proj.weight"]
    assert 1 < np.mean(ranks) / (64 * 32 / (np.sqrt(64) + np.sqrt(32)) ** 2) < 1.2
    entries = sum(each.entries for each in changes)
    within, expected = sum(each.sparsity * each.entries for each in changes), 2 * stats.norm.cdf(0.01) - 1
    assert abs(within / entries - expected) < 4 * np.sqrt(expected / entries)
    assert max(each.unchanged for each in changes) < 0.1  # of fp32 rounding alone


def test_changes_of_two_seeds_have_no_cosine() -> None:
    model = tiny("llama", VOCAB)
    entries = {each.module: each.entries for each in weight_changes(model, noisy(model, 0))}
    scaled = []
    for pair in range(20):
        found = cosines(model, noisy(model, "one", pair), noisy(model, "two", pair))
        scaled += [value * np.sqrt(entries[name]) for name, value in found.items()]
    assert stats.kstest(scaled, "norm").pvalue > 0.001
    around(scaled, 0)
