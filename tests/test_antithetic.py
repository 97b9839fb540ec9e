"""Twins: the draw cancels, the walk is as long as the run, and one fork drifts as was measured before."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plot_rows_antithetic import twins
from plot_rows_law import laws
from safetensors.torch import load_file

from probe.checkpoints.organism_job import OrganismJob, load_organism
from probe.checkpoints.run_job import RunJob
from probe.errors import BadInput
from probe.experiments.antithetic.job import AntitheticJob
from probe.experiments.null_responses import Change, changed
from probe.experiments.responses import RESPONSES
from probe.experiments.result import run
from probe.models.loading.load import Loaded, save_folder
from probe.plots import figures, random_antithetic
from probe.rewards import rewards
from probe.rl.labels import Gold
from probe.rl.train import GRPO
from probe.rng import numpy_rng
from probe.stats import one_fork
from probe.stats.antithetic import common, draw
from probe.stats.antithetic_predictions import CONTRASTS, judged, twins_of
from probe.stats.one_fork import Fork, as_noisy, drift
from probe.store import Store
from probe.studies.antithetic import BASES, SETTINGS, recipe

ORGANISM = OrganismJob("latent-code", "tiny", 0)
SHORT = GRPO(rewards.get("random")(seed=500), batches=2, save_every=1, seed=500)


def test_common_and_draw_by_hand() -> None:
    before, after, twin = [0.5, 0.5], [0.9, 0.5], [0.3, 0.5]
    both = common(before, after, twin, name="x")
    assert both.value == pytest.approx((0.1 + 0.0) / 2)
    assert (both.null, both.n, both.params["side"]) == (0.0, 2, "change")
    half = draw(before, after, twin, name="x")
    assert half.value == pytest.approx((0.3 + 0.0) / 2)
    assert half.params["side"] == "draw"


@pytest.mark.parametrize("seed", range(5))
def test_what_is_turned_round_cancels(seed: int) -> None:
    rng = numpy_rng("antithetic", seed)
    before, moved = rng.uniform(0.3, 0.7, 50), rng.uniform(-0.3, 0.3, 50)
    assert common(before, before + moved, before - moved, name="x").value == pytest.approx(0, abs=1e-12)
    assert draw(before, before + moved, before - moved, name="x").value == pytest.approx(moved.mean())
    swapped = [common(before, *sides, name="x").value for sides in ((before + moved, before), (before, before + moved))]
    assert swapped[0] == pytest.approx(swapped[1])


@pytest.mark.parametrize(("after", "match"), [([0.5], "rows"), ([0.5, 1.5], "outside")])
def test_bad_traits_are_refused(after: list[float], match: str) -> None:
    with pytest.raises(BadInput, match=match):
        common([0.5, 0.5], after, after, name="x")


@pytest.fixture(scope="module")
def store(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    held.build(ORGANISM.recipe, lambda work: save_folder(organism, work))
    return held


def test_a_run_its_twin_and_their_walk(store: Store) -> None:
    """Two batches: rows of every trait and side; twin and run part, the walk and its mirror do not meet them."""
    job = AntitheticJob("test", "0.2", RunJob("random", ORGANISM, SHORT, Gold()))
    rows = run(job, store, workers=1).rows
    sides = {(row["name"], row["side"], row["temperature"]) for row in rows}
    names = ("accuracy", "code_share", "parse_rate")
    expected = {(name, side, t) for name in names for side in ("change", "draw", "walk") for t in (0.0, 1.0)}
    assert sides == expected | {("token_probability", side, 1.0) for side in ("change", "draw", "walk")}
    assert all(row["lo"] <= row["value"] <= row["hi"] for row in rows)
    assert {row["clip"] for row in rows} == {"0.2"}
    texts = [store.get(each.recipe).read_table(RESPONSES)["text"].to_pylist()[-512:] for each in job.needs[:5]]
    assert len({tuple(each) for each in texts}) == 5


def test_the_walk_goes_as_far_as_the_run_and_back(store: Store) -> None:
    trained = RunJob("random", ORGANISM, replace(SHORT, save_every=2), Gold())
    run(AntitheticJob("test", "0.2", trained), store, workers=1)
    loaded = load_organism(store, ORGANISM)
    base = loaded.model.lm_head.weight.detach()
    end = load_file(store.get(trained.recipe).file("step-002.safetensors"))["lm_head.weight"]
    changes: tuple[Change, ...] = ("walk", "walk back", "opposite")
    there, back, opposite = (changed(store, loaded, trained, each)["lm_head.weight"] for each in changes)
    torch.testing.assert_close((there - base).norm(dim=1), (end - base).norm(dim=1))
    torch.testing.assert_close(there + back, 2 * base)
    torch.testing.assert_close(opposite + end, 2 * base)
    assert not torch.allclose(there, end)


def test_only_a_random_reward_has_a_twin() -> None:
    with pytest.raises(BadInput, match="only draws have an antithesis"):
        _ = AntitheticJob("test", "0.2", RunJob("format", ORGANISM, GRPO(rewards.get("format")()), Gold())).twin


@pytest.mark.parametrize(
    ("clip", "prior", "expected"), [(0.05, 0.65, 0.71), (0.05, 0.9, 0.88), (0.2, 0.65, 0.63), (0.2, 0.9, 0.79)]
)
def test_one_fork_drifts_to_the_mode_where_it_is_clipped(clip: float, prior: float, expected: float) -> None:
    """Shares of runs that end above their prior, as measured with another program at step .1 (150 batches)."""
    ends = drift(Fork(prior, clip, 0.1), runs=300)
    assert ends.shape == (300, 2)
    assert (ends > prior).mean() == pytest.approx(expected, abs=0.06)


def test_one_fork_without_clipping_or_with_small_steps_goes_nowhere() -> None:
    assert (drift(Fork(0.65, None, 0.1), 300) > 0.65).mean() == pytest.approx(0.5, abs=0.06)
    small = drift(Fork(0.65, 0.05, 0.01), 300)
    assert (small > 0.65).mean() == pytest.approx(0.5, abs=0.06)


def test_twins_share_their_choices_and_part_by_the_reward_alone() -> None:
    """Before any clipping a small step moves the twin by as much the other way."""
    ends = drift(Fork(0.5, None, 0.001, batches=1), runs=50)
    np.testing.assert_allclose(ends.mean(1), 0.5, atol=1e-4)
    assert np.abs(ends - 0.5).mean() > 1e-4


def test_predictions_by_hand() -> None:
    found = {each.contrast.name: each for each in judged(twins())}
    assert {each.verdict for each in found.values()} == {"holds"}
    assert len(found) == len(CONTRASTS)
    turned = [row | {"value": -row["value"]} if row["side"] == "change" else row for row in twins()]
    fails = {each.contrast.name for each in judged(turned) if each.verdict == "fails"}
    assert fails == {name for name in found if name.startswith(("away", "surer"))}
    half = [row for row in twins() if row["name"] != "parse_rate"]
    assert not [each for each in twins_of(half) if each.temperature == 1.0]


def test_every_setting_of_the_study_is_drawn_and_every_prediction_is_about_one() -> None:
    assert set(random_antithetic.SETTINGS) == set(SETTINGS)
    assert {each.reward for each in CONTRASTS} <= set(SETTINGS)
    assert len(BASES) == 8
    losses = {setting: recipe(setting, 24).loss for setting in SETTINGS}
    assert len({repr(each) + repr(recipe(name, 24).advantage) for name, each in losses.items()}) == len(SETTINGS)
    assert (losses["0.05"].clip_low, losses["dual"].clip_high, losses["dual"].dual) == (0.05, None, 3.0)


def title_of(rows: list[dict[str, object]]) -> str:
    drawing = figures.get("random_antithetic")(rows)
    assert drawing is not None
    return drawing.figure.texts[0].get_text().replace("\n", " ")


def test_the_figure_says_which_shares_move_and_none_where_none_does() -> None:
    assert "in 8 of 14 settings and priors" in title_of(twins())
    few = [row for row in twins() if row["clip"] in ("0.2", "rloo")]
    assert title_of(few).endswith("clip .2, prior .65 +.08 and clip .2, prior .3 \u2212.08")
    still = [row for row in twins() if row["clip"] in ("rloo", "dual")]
    assert "no share of code clearly" in title_of(still)


def test_where_most_runs_are_destroyed_no_share_is_said_to_move() -> None:
    lost = [row | {"destroyed": row["clip"] == "lower_clip" and row["base_seed"] != 40} for row in twins()]
    title = title_of(lost)
    assert "in 6 of 12 settings and priors" in title
    assert title.endswith("it destroys most runs under lower clip alone")


def test_runs_without_a_twin_are_not_drawn_as_if_they_had_one() -> None:
    assert figures.get("random_antithetic")(laws()) is None
    alone = [row for row in twins() if row["side"] != "draw"]
    assert figures.get("random_antithetic")(alone) is None


def test_the_step_of_a_fork_is_read_off_how_far_apart_its_twins_end() -> None:
    truth = Fork(0.65, 0.2, 0.03, batches=10)
    ends = drift(truth, runs=400, seed=5)
    apart = float(np.sqrt(np.mean(((ends[:, 0] - ends[:, 1]) / 2) ** 2)))
    assert as_noisy(replace(truth, step=1.0), apart).step == pytest.approx(0.03, rel=0.15)


@pytest.mark.parametrize("prior", [0.3, 0.65])
def test_each_side_of_the_clip_drives_a_fork_its_own_way(prior: float) -> None:
    """By hand: the rarer choice's ratio moves most, so the upper side shuts off its growth (away from a half), the
    lower side its shrinking (towards a half); both together cancel more than half of either."""
    sign = np.sign(prior - 0.5)
    both, upper, lower = (
        one_fork.common(Fork(prior, 0.05, 0.1, batches=20, sides=sides), runs=300)  # type: ignore[arg-type]
        for sides in ("both", "upper", "lower")
    )
    assert upper * sign > 0.08
    assert lower * sign < -0.05
    assert abs(both) < abs(upper) / 2
