"""Figures: everything drawn is in the table, nothing is claimed that an interval does not show, files are stable."""

import hashlib
import json
import math
import random
import subprocess
import sys
import xml.etree.ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from plot_rows import AFTER, BASES, CHANCE, real, table, tiny
from plot_rows_adapter import CELLS as ADAPTED
from plot_rows_adapter import adapted
from plot_rows_antithetic import twins
from plot_rows_built_in import verdicts
from plot_rows_cues import given
from plot_rows_elicitation import elicited
from plot_rows_features import CELLS, featured
from plot_rows_fork_clips import watched
from plot_rows_inside import ALL, HEAD, NOISE, inside, patched, weights
from plot_rows_law import head_and_all, laws, planted
from plot_rows_layers import lent
from plot_rows_pair import compared
from plot_rows_paths import paths
from plot_rows_prompt_steering import between_prompts
from plot_rows_prompts import prompted
from plot_rows_real_run import trained_outside
from plot_rows_responders import rows_of
from plot_rows_variants import tried
from scipy import stats

from probe.errors import BadInput
from probe.measurements import COLUMNS, VARIES, label
from probe.plots import Drawing, figures
from probe.plots._captions import intervals
from probe.plots._pairs import over_seeds
from probe.plots._replicates import Mean, changes, difference, last_step, mean_of, means_by, one_fate, pick
from probe.plots._style import REWARDS, reward_look
from probe.plots._words import direction, interval, listing, number, plain, signed, span
from probe.plots.save import DPI, csv_bytes, save
from probe.stats import holm
from probe.studies import study

NAMES = figures.names()
COMMITTED = Path(__file__).parents[1] / "figures"
INSIDE = ("direction_shift", "patching", "probe_accuracy", "steering", "weight_change")
HOSTILE = ("$\\frac{1}{2", "<script>alert(1)</script>", "x" * 200, "a\nb\tc\x00", "日本語 ]]> --", "=1+1,\"'")


@pytest.fixture(scope="module")
def rows():
    return table()


class Drawings(dict):
    """By name; a figure of rows that are not made up here is skipped."""

    def __missing__(self, name):
        pytest.skip(f"plot_rows has no rows for {name}")


@pytest.fixture(scope="module")
def drawn(rows):
    made_up = {"why": laws(), "planted": planted(), "antithetic": twins(), "verdicts": verdicts()}
    made_up |= {"elicitation": elicited(), "law": laws(), "twins": twins(), "trainable": head_and_all()}
    made_up |= {"variants": tried(), "cues": given(), "fork_clips": watched(), "layers": lent()}
    made_up |= {"paths": paths(), "features": featured(), "adapters": adapted()}
    of = dict.fromkeys(NAMES, rows) | {"responders": rows_of([0.1, 0.2, -0.1, 0.0], [0.1, 0.2, -0.1, 0.01])}
    of["prompt_shares"], of["real_run"] = prompted(), trained_outside()
    of["prompt_steering"] = between_prompts()
    of["real_probes"] = of["real_steering"] = [row | {"size": "", "family": "smollm2"} for row in inside(1)]
    of["pair_changes"] = compared()
    for name, mine in made_up.items():
        of |= dict.fromkeys(study(name).figures, mine)
    return Drawings({name: found for name in NAMES if (found := figures.get(name)(of[name])) is not None})


def bare(**columns):
    told = {"name": "accuracy", "side": "after", "unit": "fraction", "destroyed": False, "base_seed": 0, "rl_seed": 0}
    return {**told, **columns}


def numbers_drawn(figure: Figure):
    """For every line and ribbon: the candidate columns of numbers, one of which must come from the table."""
    for axes in figure.axes:
        for line in axes.lines:
            yield [line.get_xdata(), line.get_ydata()]
        for area in axes.collections:
            if isinstance(area, PolyCollection):
                for path in area.get_paths():
                    yield [path.vertices[:, 1]]


def test_every_committed_figure_is_drawn(drawn):
    committed = {file.stem for file in COMMITTED.glob("*.csv")}
    assert len(committed) > 10
    assert committed <= set(drawn)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_drawn_stands_in_the_table(drawn, name):
    drawing = drawn[name]
    assert isinstance(drawing, Drawing)
    cells = [row.get(key) for row in drawing.table for key in ("value", "lo", "hi", "null")]
    known = {round(float(cell), 9) for cell in cells if _number(cell)}
    for columns in numbers_drawn(drawing.figure):
        held = [{round(float(v), 9) for v in column if math.isfinite(v)} <= known for column in columns]
        assert any(held), (name, columns)


def _number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@pytest.mark.parametrize("name", NAMES)
def test_no_text_is_cut_off_or_covered(drawn, name):
    figure = drawn[name].figure
    renderer = figure.canvas.get_renderer()
    figure.draw_without_rendering()  # as `save` does: ticks have their final width now
    whole = figure.bbox
    blocks = [text.get_window_extent(renderer) for text in figure.texts]
    blocks += [legend.get_window_extent(renderer) for legend in figure.legends]
    panels = [axes.get_tightbbox(renderer) for axes in figure.axes if axes.axison]
    for block in (*blocks, *panels):
        assert block.x0 >= -1
        assert block.y0 >= -1
        assert block.x1 <= whole.x1 + 1
        assert block.y1 <= whole.y1 + 1
    for i, block in enumerate(blocks):
        assert not any(block.overlaps(other) for other in (*blocks[i + 1 :], *panels)), name


@pytest.mark.parametrize("name", ["response_curves", "real_outcomes"])
def test_text_fits_at_the_resolution_it_is_saved_with(drawn, name):
    figure = drawn[name].figure
    before = figure.dpi
    figure.set_dpi(DPI)
    figure.draw_without_rendering()
    ends = [text.get_window_extent(figure.canvas.get_renderer()).x1 for text in figure.texts]
    assert max(ends) <= figure.bbox.x1
    figure.set_dpi(before)


@pytest.mark.parametrize("name", NAMES)
def test_text_is_legible_and_never_mathtext(drawn, name):
    figure = drawn[name].figure
    texts = figure.findobj(lambda artist: hasattr(artist, "get_fontsize") and hasattr(artist, "get_parse_math"))
    assert texts
    assert min(text.get_fontsize() for text in texts) >= 7
    assert not any(text.get_parse_math() for text in texts if text.get_text())
    assert figure.get_size_inches()[0] in (3.4, 7.0)


@pytest.mark.parametrize("name", NAMES)
def test_caption_is_one_short_sentence_with_n_interval_and_null(drawn, name):
    caption = drawn[name].caption
    assert len(caption.split()) <= 50, caption
    assert caption.endswith(".") and ". " not in caption.replace("Qwen2.5", "")
    assert any(counted in caption for counted in (" runs", " problems", " base seeds", " suspects"))
    assert "95 %" in caption or "no interval" in caption
    assert "null: " in caption or "no null" in caption


@pytest.mark.parametrize("name", NAMES)
def test_without_its_rows_a_figure_is_none(rows, name):
    draw = figures.get(name)
    assert draw([]) is None
    assert draw([{**row, "name": "something else"} for row in rows[:50]]) is None
    assert draw([{**row, "value": None} for row in rows]) is None


def test_every_run_of_a_mean_is_drawn_and_destroyed_ones_are_marked(drawn):
    table = drawn["random_reward"].table
    for mean in (row for row in table if row["mark"] == "mean"):
        keys = ("family", "clip", "temperature")
        same = [row for row in table if row["mark"] == "run" and all(row[key] == mean[key] for key in keys)]
        assert len(same) == mean["n_runs"]
        assert sum(run["destroyed"] for run in same) == mean["n_destroyed"]
        assert np.mean([run["value"] for run in same]) == pytest.approx(mean["value"])
    crosses = [line for axes in drawn["random_reward"].figure.axes for line in axes.lines if line.get_marker() == "x"]
    assert len(crosses) == sum(row["destroyed"] for row in table if row["mark"] == "run")
    assert "destroyed" in drawn["random_reward"].caption


def test_nulls_are_drawn(drawn):
    for name in set(drawn) - {"base_profile", "pass_at_k"}:  # no null; the null is the curve before
        assert any(row["mark"] == "null" for row in drawn[name].table), name


def test_the_first_inner_update_and_the_unreachable_edge(drawn):
    table = drawn["clip_fraction"].table
    first = [row["value"] for row in table if row.get("name") == "train/clip_ratio/region_mean/update_0"]
    assert first
    assert set(first) == {0.0}
    edges = {row["clip"]: row["value"] for row in table if row["mark"] == "edge"}
    assert edges == {"0.05": pytest.approx(1 / 1.05), "0.2": pytest.approx(1 / 1.2)}


def test_real_titles_say_what_the_intervals_show(drawn):
    head = drawn["real_outcomes"].figure.texts[0].get_text().replace("\n", " ")
    assert "RLVR: accuracy falls −.08 (33 gained, 74 lost)" in head
    assert "RLCR: accuracy no clear change" in head
    heads = [axes.get_title(loc="left") for axes in drawn["real_calibration"].figure.axes]
    assert heads[0].startswith("ECE .49 [.45, .53]")


def test_a_pair_with_the_numbers_of_another_is_drawn_once_but_for_its_confidence(drawn):
    for name in ("real_outcomes", "real_strategy"):
        assert "Answer-Prob as RLVR" in drawn[name].caption
        assert {row["reward"] for row in drawn[name].table} == {None, "RLVR", "RLCR"}
    shown = {row.get("reward") for row in drawn["real_calibration"].table}
    assert shown == {None, "RLVR", "RLCR", "Answer-Prob"}


# inside a model: base seeds are replicates, and ways of training stand beside each other


@pytest.fixture(scope="module")
def studied():
    return inside()


REWARDED = {"direction_shift": {ALL}, "patching": {ALL}, "weight_change": {ALL, NOISE}}
MARKS = {"steering": "mean", "probe_accuracy": "probe", "direction_shift": "cosine place"}
MARKS |= {"patching": "patch", "weight_change": "kind null"}


@pytest.mark.parametrize(("name", "marks"), MARKS.items())
def test_every_base_seed_is_drawn_with_their_mean_and_interval(drawn, name, marks):
    table = drawn[name].table
    means = [row for row in table if row["mark"] in marks.split() and "n_runs" in row]  # not where nothing is
    assert {row["reward"] for row in means} == REWARDED.get(name, {HEAD, ALL})
    for mean in means:
        same = ("reward", "name", "side", *VARIES)
        runs = [row for row in table if row["mark"] == "run" and all(row[key] == mean[key] for key in same)]
        values = [row["value"] for row in {row["base_seed"]: row for row in runs}.values()]
        assert len(values) == mean["n_runs"] == 4
        assert np.mean(values) == pytest.approx(mean["value"])
        reach = 3.182446 * np.std(values, ddof=1) / 2  # t of 3 degrees of freedom
        if mean["unit"] != "fraction" and reach > 1e-9:
            assert mean["hi"] - mean["value"] == pytest.approx(reach, rel=1e-5)
    assert "mean over 4 base seeds, 95 % t interval over base seeds" in drawn[name].caption
    assert drawn[name].figure.findobj(lambda artist: getattr(artist, "get_label", str)() == "one base seed")


@pytest.mark.parametrize("name", INSIDE)
def test_one_pair_has_no_seeds_and_the_intervals_of_its_rows(name):
    rows = [row | {"reward": "latent-code-tiny-0-mine"} for row in inside(bases=1, rewards=(ALL,))]
    drawing = figures.get(name)(rows)
    assert "mine" in drawing.figure.texts[0].get_text() + drawing.caption or name == "steering"
    assert "base seed" not in drawing.caption
    assert not any(row["mark"] == "run" for row in drawing.table)
    own = {(row["name"], row["side"], label(row)): (row["value"], row["lo"], row["hi"]) for row in rows}
    assert any(row["mark"] in ("mean", "probe", "cosine", "place", "patch", "layer") for row in drawing.table)
    for row in drawing.table:
        if row["mark"] in ("mean", "probe", "cosine", "place", "patch", "layer"):
            assert (row["value"], row["lo"], row["hi"]) == own[row["name"], row["side"], label(row)]


def test_a_random_direction_stands_for_one_of_each_base(studied):
    table = figures.get("steering")(studied).table
    known = {"reward": ALL, "name": "recovered_accuracy_random", "edit": "matched", "draw": 2}
    each = [row["value"] for row in studied if known.items() <= row.items()]
    assert len(each) == 4
    drawn = next(row for row in table if row["mark"] == "null" and known.items() <= row.items())
    assert drawn["value"] == pytest.approx(np.mean(each))


def title_of(drawing):
    return drawing.figure.texts[0].get_text().replace("\n", " ")


def test_where_no_residual_can_change_nothing_is_drawn_and_the_caption_says_so(studied):
    """By what was measured, not by name: the same rows under another reward's name are left out too."""
    drawing = figures.get("direction_shift")(studied)
    assert "left out: ground truth, head only (no residual can change)" in drawing.caption
    assert len(drawing.figure.axes) == 2
    renamed = [row | {"reward": "python"} if row["reward"] == HEAD else row for row in studied]
    assert "left out: python" in figures.get("direction_shift")(renamed).caption
    alone = figures.get("direction_shift")([row for row in studied if row["reward"] == HEAD])
    assert "does not rotate" in title_of(alone)
    assert "the residual did not change" in alone.caption


def recovered(rows, site, **wanted):
    known = {"side": "change", "name": "patch/recovery", "site": site} | wanted
    return {row["base_seed"]: row["value"] for row in rows if known.items() <= row.items()}


def test_the_best_site_is_chosen_on_half_of_the_bases_and_told_of_the_others(studied):
    """In the half that chooses attn.1 recovers most, in the other half it does not: that is what the title says."""
    planted = {"attn.1": {0: 0.9, 1: 0.1, 2: 0.9, 3: 0.2}}
    rows = [
        row | {"value": planted[row["site"]][row["base_seed"]]}
        if row["name"] == "patch/recovery" and row["site"] in planted
        else row
        for row in studied
    ]
    head = title_of(figures.get("patching")(rows))
    assert "attn.1 recovers .15 [−.49, .79] of RL's shift of the fork" in head
    assert "(chosen on 2 bases, told of 2 others)" in head
    mlp = recovered(studied, "mlp.1", position=-1)
    assert f"mlp.1 recovers {number((mlp[1] + mlp[3]) / 2)}" in title_of(figures.get("patching")(studied))


def test_one_pair_is_told_by_means_over_layers_not_by_its_best_site():
    drawing = figures.get("patching")(inside(bases=1, rewards=(ALL,)))
    by_kind = [row for row in drawing.table if row["mark"] == "patch" and row["side"] == "change"]
    mlp = [row["value"] for row in by_kind if row["component"] == "mlp" and row["position"] == -1]
    assert len(mlp) == 2
    assert "means over layers: residual" in title_of(drawing)
    assert f"MLP {number(np.mean(mlp))}" in title_of(drawing)
    assert "recovers" not in title_of(drawing)


def test_many_layers_are_lines_and_every_site_stands_in_the_table():
    place = {"base_seed": 0, "reward": "after", "family": "big", "size": ""}
    rows = patched(place, 28, 4)
    drawing = figures.get("patching")(rows)
    assert len(drawing.figure.axes) == 12
    here = [row for row in rows if row["name"] == "patch/recovery" and (row["everywhere"] or row["position"] == -1)]
    drawn_sites = {(row["side"], label(row)): row["value"] for row in drawing.table if row["mark"] == "patch"}
    assert drawn_sites == {(row["side"], label(row)): row["value"] for row in here}
    known = {round(float(v), 9) for row in drawing.table for k in ("value", "lo", "hi") if _number(v := row.get(k))}
    for columns in numbers_drawn(drawing.figure):
        assert any({round(float(v), 9) for v in column} <= known for column in columns)


def test_of_many_heads_the_largest_are_drawn_and_the_caption_says_so(studied):
    few = figures.get("patching")([row for row in studied if row["base_seed"] < 2])
    assert "heads" not in few.caption
    rows = [row for base in range(2) for row in patched({"base_seed": base, "reward": ALL}, 2, 4)]
    drawing = figures.get("patching")(rows)
    assert "the largest 6 of 8 heads" in drawing.caption
    shown = {row["site"] for row in drawing.table if row.get("component") == "head"}
    assert len(shown) == 6
    assert {"head.0.1", "head.1.1"} <= shown


def test_pairs_without_a_gap_are_counted_and_a_contrast_without_any_is_hatched(studied):
    def without(bases):
        gone = [row | {"value": math.nan, "reason": "no gap"} for row in studied]
        return [
            (new if "recovery" in row["name"] else row | {"reason": "no gap"})
            if row["side"] == "after" and str(row["name"]).startswith("patch") and row["base_seed"] in bases
            else row
            for row, new in zip(studied, gone, strict=True)
            if not (row["name"] == "patch/null" and row["side"] == "after" and row["base_seed"] in bases)
        ]

    some = figures.get("patching")(without((0, 3)))
    assert "no gap code ↔ prose, after RL in 2 of 4 pairs" in some.caption
    assert {row["n_runs"] for row in some.table if row["mark"] == "patch" and row["side"] == "after"} == {2}
    none = figures.get("patching")(without(range(4)))
    assert "in 4 of 4 pairs" in none.caption
    assert not any(row.get("side") == "after" for row in none.table)
    assert "no gap" in [text.get_text() for text in none.figure.legends[0].get_texts()]


def beside_random(rows):
    """By quantity, the kinds of matrix whose paired differences survive Holm over all of them."""
    held = {}
    for row in rows:
        if str(row["name"]).startswith("weight_change/") and row["side"] == "change":
            held.setdefault((row["name"][14:], row["matrix"]), {}).setdefault(row["reward"], {}).setdefault(
                row["base_seed"], []
            ).append(row["value"])
    names, p = [], []
    for key, runs in held.items():
        if key[0] in ("relative", "stable_rank", "cosine"):
            names.append(key)
            sides = [[np.mean(runs[reward][base]) for base in range(4)] for reward in (ALL, NOISE)]
            p.append(stats.ttest_rel(*sides).pvalue)
    kept = [key for key, q in zip(names, holm(p), strict=True) if q < 0.05]
    return {what: [kind for name, kind in kept if name == what] for what in ("relative", "stable_rank", "cosine")}


def test_weights_are_told_beside_the_random_reward_by_base(studied):
    """In the made-up rows its changes are smaller and unlike; made equal, nothing is said to differ."""
    drawing = figures.get("weight_change")(studied)
    head = title_of(drawing)
    assert "beside the random reward" in head
    clear = beside_random(studied)
    assert f"|ΔW|/|W| larger in {listing(kind.removesuffix('_proj') for kind in clear['relative'])}" in head
    assert not clear["stable_rank"]
    assert "stable rank not clearly different" in head
    assert len(clear["cosine"]) == 8
    assert "ΔW nearer to another seed's than to random's in all 8" in head
    assert "null: the same weights trained under the random reward" in drawing.caption
    assert {row["reward"] for row in drawing.table if row["mark"] == "null" and "reward" in row} == {NOISE}
    key = ("base_seed", "module", "name", "side")
    same = {tuple(row[k] for k in key): row["value"] for row in studied if row["reward"] == ALL}
    equal = [
        row | {"value": same[tuple(row[k] for k in key)] * (1 + 1e-3 * (-1) ** row["base_seed"])}
        if row["reward"] == NOISE
        else row
        for row in studied
    ]
    head = title_of(figures.get("weight_change")(equal))
    assert head.count("not clearly different") == 3


def test_layers_are_averaged_by_kind_of_matrix(studied):
    table = figures.get("weight_change")(studied).table
    wanted = {"reward": ALL, "name": "weight_change/relative", "side": "change", "matrix": "down_proj"}
    each = [row["value"] for row in studied if wanted.items() <= row.items()]
    assert len(each) == 8  # two layers of four bases
    (mean,) = (row for row in table if row["mark"] == "kind" and wanted.items() <= row.items())
    assert mean["value"] == pytest.approx(np.mean(each))
    assert mean["n_runs"] == 4


def test_a_real_pair_has_no_null_and_shows_its_layers():
    place = {"base_seed": 0, "reward": "after", "family": "big", "size": ""}
    rows = weights(place, 28)
    biases = [row | {"module": row["module"].replace("weight", "bias"), "value": 9.0} for row in rows]
    drawing = figures.get("weight_change")([*rows, *biases])
    assert "no null" in drawing.caption
    assert "one pair, exact, no interval" in drawing.caption
    layers = [row for row in drawing.table if row["mark"] == "layer" and row["name"] == "weight_change/relative"]
    assert len(layers) == 28 * 7
    assert max(row["value"] for row in drawing.table) < 9.0
    assert "sparsity" not in {row["name"].removeprefix("weight_change/") for row in drawing.table}
    half = [row | {"value": 0.5} if row["name"] == "weight_change/sparsity" else row for row in rows]
    assert "weight_change/sparsity" in {row["name"] for row in figures.get("weight_change")(half).table}


def test_runs_of_one_base_are_one_replicate(studied):
    again = [row | {"rl_seed": 301, "value": row["value"] - 0.01} for row in studied if row["base_seed"] == 0]
    rows = [row for row in [*studied, *again] if row["name"] == "probe_auroc" and row["reward"] == ALL]
    probe = {"side": "after", "target": "fork", "site": "resid.1", "probe": "logistic"}
    mean = over_seeds([row for row in rows if probe.items() <= row.items()])
    assert len(mean.runs) == 4
    assert figures.get("probe_accuracy")(rows) is not None


def test_what_the_base_writes_stands_in_where_some_run_left_too_little_prose(studied):
    one = [row for row in studied if row["base_seed"] == 0 and row["target"] == "base-strategy"]
    rows = [*studied, *(row | {"target": "strategy"} for row in one)]
    drawing = figures.get("probe_accuracy")([row for row in rows if row["reward"] == ALL])
    after = {row["target"] for row in drawing.table if row.get("side") == "after"}
    assert after >= {"base-strategy", "fork"}
    assert "strategy" not in after
    assert "what the base writes" in drawing.caption


@pytest.mark.parametrize("name", ["direction_shift", "probe_accuracy", "steering"])
def test_pairs_that_are_not_drawn_are_counted(studied, name):
    rows = [row for row in studied if row["base_seed"] == 0 and row["reward"] == ALL]
    assert "not drawn" not in figures.get(name)(rows).caption
    more = [row | {"reward": reward} for reward in ("format", "python", "random") for row in rows]
    other = [row | {"family": "no-code"} for row in rows]
    alone = [row | {"reward": "", "kind": "base", "step": 0} for row in rows if row["side"] == "before"]
    count = 3 if name == "steering" else 2  # four rewards and another family; two or three rewards are drawn
    drawing = figures.get(name)([*rows, *more, *other, *alone])
    assert f"measured and not drawn: {count} pairs more." in drawing.caption
    assert {row["family"] for row in drawing.table if "family" in row} == {"latent-code"}


def test_weights_that_changed_by_very_different_amounts_stand_on_a_log_scale(studied):
    wide = [row | {"value": 1e-5} if row["module"] == "embed.weight" else row for row in studied]
    axes = figures.get("weight_change")(wide).figure.axes[0]
    assert axes.get_xscale() == "log"
    assert not any("$" in label.get_text() for label in axes.get_xticklabels(which="both"))


GAINS = {  # mix, parse, within, of which the total is the sum
    "ground_truth": (0.1, 0.2, 0.3),
    "format": (0.1, 0.3, -0.2),
    "python": (0.3, 0.0, 0.1),
    "random": (0.2, 0.0, -0.4),
    "constant": (0.0, 0.0, 0.0),
}


def parts_of(family, gains):
    """Three runs a reward, .01 apart in every part that moved at all."""
    about = {"study": "tiny", "size": "tiny", "clip": "0.2", "temperature": 1.0, "step": 30, "family": family}
    return [
        bare(name="gain_parts", side="change", part=part, value=value + 0.01 * (seed - 1) * (value != 0))
        | about
        | {"kind": "null" if reward == "constant" else "rl", "reward": reward, "rl_seed": seed}
        for reward, parts in gains.items()
        for part, value in zip(("mix", "parse", "within", "total"), (*parts, sum(parts)), strict=True)
        for seed in range(3)
    ]


def test_the_title_of_the_parts_counts_every_part_and_every_reward():
    """Under each organism: of all rewards but the null one, those with a gain; of these, where each part goes."""
    losses = {reward: tuple(-part for part in GAINS[reward]) for reward in ("format", "python")}
    drawing = figures.get("gain_parts")([*parts_of("latent-code", GAINS), *parts_of("no-code", losses)])
    head = " ".join(drawing.figure.texts[0].get_text().split())
    assert head.endswith(": latent-code 3 of 4 (mix +3, parse +2, within +2 −1); no-code 0 of 2")
    titles = [axes.get_title(loc="left") for axes in drawing.figure.axes[:4]]
    assert titles == ["strategy mix", "parse rate", "within strategy", "total gain"]


def test_one_run_each_is_no_clear_gain():
    rows = [row for row in parts_of("latent-code", GAINS) if row["rl_seed"] == 0]
    head = " ".join(figures.get("gain_parts")(rows).figure.texts[0].get_text().split())
    assert head.endswith(": latent-code 0 of 4")


def test_what_needs_no_model_is_dotted_in_every_panel_of_accuracy(drawn):
    panels = drawn["response_curves"].figure.axes
    level = [[list(line.get_ydata()) for line in axes.lines].count([CHANCE] * 2) for axes in panels]
    assert level == [1] * 6 + [0] * 3
    told = [row for row in drawn["response_curves"].table if row["mark"] == "floor"]
    assert {(row["name"], row["value"], row["n"]) for row in told} == {("chance", CHANCE, 500)}


def test_code_share_stands_below_the_accuracy_of_the_same_runs(drawn):
    def here(row, name):
        return (row["mark"], row["name"]) == ("run", name)

    table = drawn["response_curves"].table
    runs = {
        name: {
            tuple(row[key] for key in ("family", "reward", "base_seed", "rl_seed")) for row in table if here(row, name)
        }
        for name in ("accuracy", "code_share")
    }
    assert runs["accuracy"] == runs["code_share"]
    labels = [axes.get_ylabel() for axes in drawn["response_curves"].figure.axes[::3]]
    assert labels == ["accuracy\n(informative rewards)", "accuracy\n(spurious rewards)", "code share\n(all rewards)"]
    title = drawn["response_curves"].figure.texts[0].get_text().replace("\n", " ")
    assert "Code share: latent-code" in title
    assert "no-code 6 unmoved" in title
    alone = figures.get("response_curves")([row for row in tiny() if row["name"] != "code_share"])
    assert len(alone.figure.axes) == 6
    assert "ode share" not in alone.figure.texts[0].get_text() + alone.caption


def test_what_titles_say_is_corrected_over_both_estimates_of_the_figure():
    """One cell of accuracy moves hardly beyond its interval: beside enough others that do not, it is not said to."""
    rows = [{**row, "base_seed": row["rl_seed"]} for row in tiny(rewards=("python",), bases=1, seeds=4)]
    apart = dict(zip(range(4), (0.05, 0.1, 0.16, 0.1), strict=True))
    weak = ("latent-code", "accuracy")
    moved = [
        row | {"value": apart[row["rl_seed"]] - 0.1 * ((row["family"], row["name"]) != weak)}
        if row["side"] == "change"
        else row
        for row in rows
    ]
    one = [row for row in moved if (row["family"], row["name"]) == weak]
    said = [figures.get("response_curves")(some).figure.texts[0].get_text() for some in (one, moved)]
    assert "latent-code 1 up" in said[0]
    assert "latent-code 1 no clear change" in said[1]


def test_chance_of_another_study_is_not_that_of_these_runs():
    rows = [{**row, "study": "other"} if row["name"] == "chance" else row for row in tiny()]
    drawing = figures.get("response_curves")(rows)
    assert not any(row["mark"] == "floor" for row in drawing.table)
    legend = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert "base" in legend and "one answer to all" not in legend


# edge cases


def test_hostile_names_are_drawn_as_they_are(tmp_path):
    names = dict(zip((*AFTER, "RLVR", *BASES), (*HOSTILE, *HOSTILE), strict=False)) | {"Qwen2.5-7B": HOSTILE[2]}
    rows = [row for row in [*tiny(bases=1, seeds=1), *real()] if row["step"] in (0, 30) or "train" in row["name"]]
    rows = [{**row, **{key: names.get(row[key], row[key]) for key in ("reward", "family")}} for row in rows]
    assert figures.get("response_curves")(rows) is not None
    assert figures.get("real_outcomes")(rows) is not None
    drawing = figures.get("gain_parts")(rows)
    said = {text.get_text() for text in drawing.figure.findobj(lambda artist: hasattr(artist, "get_text"))}
    assert {"$\\frac{1}{2", "a b c?"} <= said
    paths = save("hostile", drawing, tmp_path, {"rewards": list(names.values())})
    assert xml.etree.ElementTree.parse(paths[2]).getroot().tag.endswith("svg")
    assert '"=1+1,""\'"' in paths[0].read_text()


def test_all_destroyed_is_never_no_effect():
    rows = [{**row, "destroyed": row["kind"] == "rl"} for row in tiny(rewards=("random", "format"), bases=1, seeds=2)]
    for name in ("response_curves", "strategy_switches", "pass_at_k"):
        drawing = figures.get(name)(rows)
        texts = drawing.figure.findobj(lambda artist: hasattr(artist, "get_text"))
        caption = drawing.figure.texts[1]
        claims = " ".join(text.get_text() for text in texts if text is not caption)
        assert "destroyed" in claims
        assert not any(word in claims for word in ("no clear change", "rises", "falls", "unmoved", " up", " down"))


def test_one_run_each_has_no_ribbon_and_says_so():
    rows = tiny(rewards=("ground_truth", "random"), bases=1, seeds=1)
    drawing = figures.get("response_curves")(rows)
    assert "one run each: no interval" in drawing.caption
    assert not {"rises", "up"} & set(drawing.figure.texts[0].get_text().replace(",", " ").split())
    ribbons = [path for columns in numbers_drawn(drawing.figure) if len(columns) == 1 for path in columns]
    assert not any(np.isfinite(path).any() for path in ribbons)
    assert all(math.isnan(row["lo"]) for row in drawing.table if row["mark"] == "mean")


@pytest.mark.parametrize("nothing", [math.nan, None])
def test_rows_without_an_interval_are_drawn_without_bars(nothing):
    rows = [{**row, "lo": nothing, "hi": nothing} for row in [*real(), *tiny(rewards=())]]
    for name in ("base_profile", "real_calibration"):
        assert figures.get(name)(rows) is not None
    said = figures.get("real_outcomes")(rows).figure.texts[0].get_text()
    assert "no interval" in said
    assert "falls" not in said


def test_values_that_are_no_numbers_are_left_out():
    rows = [bare(value=value, rl_seed=i) for i, value in enumerate((math.nan, None, math.inf, 0.5))]
    assert [row["value"] for row in pick(rows, name="accuracy")] == [0.5]


# replicates


def test_mean_and_interval_by_hand():
    mean = mean_of({}, [bare(value=v, rl_seed=i, unit="nats") for i, v in enumerate((1.0, 2.0, 3.0))])
    assert mean.value == pytest.approx(2.0)
    assert mean.hi - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-5)


def test_seeds_are_nested_in_bases():
    """Three bases whose runs say 0.1, 0.3, 0.8 on average: more runs of a base are no more bases."""
    values = {0: (0.0, 0.2), 1: (0.3,), 2: (0.7, 0.8, 0.9)}
    runs = [
        bare(value=v, base_seed=b, rl_seed=i, unit="nats") for b, some in values.items() for i, v in enumerate(some)
    ]
    mean = mean_of({}, runs)
    assert mean.value == pytest.approx(0.4)
    assert mean.hi - 0.4 == pytest.approx(4.302653 * math.sqrt(0.13) / math.sqrt(3), rel=1e-5)
    assert (mean.n_bases, len(mean.runs)) == (3, 6)
    assert "over bases" in intervals([mean], "bars")
    of_one = mean_of({}, [bare(value=v, rl_seed=i) for i, v in enumerate((0.1, 0.3))])
    assert "over runs of one base" in intervals([of_one], "bars")


def test_what_titles_say_survives_holm():
    """Of five cells one moves hardly beyond its interval: alone it rises, among five it does not."""
    apart = (0.05, 0.1, 0.16, 0.1)
    cells = [
        bare(value=v if cell == 0 else v - 0.1, family=f"f{cell}", rl_seed=i, base_seed=i, side="change")
        for cell in range(5)
        for i, v in enumerate(apart)
    ]
    assert [mean.verdict() for mean in changes(cells[:4], ("family",))] == ["rises"]
    found = changes(cells, ("family",))
    assert (found[0].lo > 0, found[0].holds, found[0].verdict()) == (True, False, "no clear change")
    clear = [bare(value=v + 5, family=f"f{i}", base_seed=i, side="change", unit="nats") for i, v in enumerate(apart)]
    assert all(mean.holds for mean in changes([{**row, "family": "f"} for row in clear], ("family",)))


def test_limits_of_a_change_are_not_cut_at_zero():
    change = mean_of({}, [bare(value=v, rl_seed=i, side="change") for i, v in enumerate((0.01, 0.2, 0.03))])
    level = mean_of({}, [bare(value=v, rl_seed=i) for i, v in enumerate((0.01, 0.2, 0.03))])
    assert change.lo < 0
    assert level.lo == 0
    assert change.verdict() == "no clear change"


def test_destroyed_runs_stay_in_the_mean_and_change_what_is_said():
    runs = [bare(value=v, rl_seed=i, side="change", destroyed=v < -0.2) for i, v in enumerate((0.1, 0.12, 0.11, -0.4))]
    mean = mean_of({}, runs)
    assert mean.value == pytest.approx(-0.0175)
    assert mean.n_destroyed == 1
    assert mean.verdict() == "partly destroyed"
    assert mean_of({}, [{**run, "destroyed": True} for run in runs]).verdict() == "destroyed"
    assert mean_of({}, runs[:3]).verdict() == "rises"


def test_a_destroyed_run_is_said_where_a_direction_is_lost_to_holm():
    runs = [
        bare(value=v, rl_seed=i, base_seed=i, side="change", destroyed=i == 0) for i, v in enumerate((0.1, 0.2, 0.3))
    ]
    mean = mean_of({}, runs)
    assert replace(mean, lo=0.01, holds=True).verdict() == "rises"
    assert replace(mean, lo=0.01, holds=False).verdict() == "partly destroyed"


def test_runs_that_all_stay_put_are_unmoved_without_an_interval():
    still = mean_of({}, [bare(value=0.0, rl_seed=i, side="change") for i in range(3)])
    assert still.verdict() == "unmoved"
    assert math.isnan(still.lo)
    assert mean_of({}, [bare(value=0.0)]).verdict() == "no interval"
    assert "none where all agree" in intervals([still], "bars")


def test_a_run_measured_twice_is_refused():
    with pytest.raises(BadInput, match="two numbers"):
        means_by([bare(value=0.1), bare(value=0.2)], ("family",))
    assert len(means_by([bare(value=0.1), bare(value=0.1)], ("family",))[0].runs) == 1


def test_change_falls_back_to_after_minus_before():
    rows = [bare(value=0.4, side="before", step=5), bare(value=0.7, step=5), bare(value=0.9, step=6, rl_seed=1)]
    found = changes(rows, ("name",))
    assert [mean.value for mean in found] == [pytest.approx(0.3)]
    assert len(found[0].runs) == 1


def test_last_step_is_that_of_the_setting():
    rows = [bare(value=0.1, step=10), bare(value=0.2, step=20), bare(value=0.3, step=10, rl_seed=1)]
    assert [row["value"] for row in last_step(rows, ("family",))] == [0.2]


def test_one_fate_at_every_temperature():
    rows = [bare(value=0.1, step=s, temperature=t, destroyed=(s, t) == (9, 1.0)) for s in (5, 9) for t in (0.0, 1.0)]
    assert [row["destroyed"] for row in one_fate(rows)] == [False, False, True, True]


def test_constant_reward_is_drawn_and_not_counted(drawn):
    drawing = drawn["response_curves"]
    assert {row.get("reward") for row in drawing.table} > {"constant", "random"}
    assert drawing.figure.texts[0].get_text().startswith("Accuracy under 6 rewards")
    nulls = [
        row for row in drawn["entropy_at_forks"].table if row.get("reward") == "constant" and row["mark"] == "mean"
    ]
    assert {row["value"] for row in nulls if row["name"] == "fork_overlap"} == {1.0}


def test_difference_is_welchs():
    pairs = ((0.3, 0.5), (0.1, 0.1))
    first, second = (mean_of({}, [bare(value=v, rl_seed=i) for i, v in enumerate(values)]) for values in pairs)
    value, lo, hi = difference(first, second)
    assert value == pytest.approx(0.3)
    assert (hi - lo) / 2 == pytest.approx(12.706205 * 0.1, rel=1e-5)  # all spread in one group: 1 degree of freedom
    assert math.isnan(difference(first, Mean({}, 0.1, math.nan, math.nan, second.runs[:1]))[1])


# words and looks


def test_directions_and_numbers():
    assert [direction(*pair) for pair in ((0.1, 0.2), (-2, -1), (-1, 1), (0, 1), (math.nan, 1))] == [
        "rises",
        "falls",
        "no clear change",
        "no clear change",
        "no interval",
    ]
    assert [number(v) for v in (0.424, -0.081, 1.3, -0.001, math.nan)] == [".42", "-.08", "1.30", ".00", "?"]
    assert [signed(v) for v in (0.424, -0.081, 0.001)] == ["+.42", "−.08", ".00"]
    assert interval(-0.02, 0.114) == "[−.02, .11]"
    assert interval(math.nan, 1) == "(no interval)"
    assert listing([]) == "none"
    assert listing("ab") == "a and b"
    assert listing("abc") == "a, b and c"
    assert span([8, 10], "run") == "8–10 runs"
    assert span([1], "run") == "1 run"
    assert span([], "run") == "no runs"


def test_plain_text_is_one_short_drawable_line():
    for text in HOSTILE:
        assert len(plain(text)) <= 20
        assert plain(text).isprintable()
    assert plain("$\\frac") == "$\\frac"
    assert plain("") == "?"
    assert plain("日本") == "??"
    assert plain("x" * 200) != plain("x" * 199 + "y")


def test_every_reward_looks_its_own_way():
    looks = [look for name, look in REWARDS.items() if name != "majority_offline"]
    assert len({look.marker for look in looks}) == len({look.colour for look in looks}) == len(looks)
    assert reward_look("never seen") == reward_look("never seen")
    assert reward_look("never seen").label == "never seen"


# files


@pytest.fixture
def saved(drawn, tmp_path):
    def again(drawing=drawn["real_strategy"], **more):
        return save("real_strategy", drawing, tmp_path, {"inputs": ["a"], **more})

    return again


def test_files_do_not_change_when_nothing_did(saved):
    first = saved()
    marks = [(path.read_bytes(), path.stat().st_mtime_ns) for path in first]
    assert [path.suffix for path in first] == [".csv", ".png", ".svg", ".json"]
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in saved()] == marks
    assert not [path for path in first[0].parent.iterdir() if path not in first]


def test_rendering_again_gives_the_same_bytes(saved, rows):
    marks = [path.read_bytes() for path in saved()]
    saved()[3].unlink()
    again = figures.get("real_strategy")(rows)
    assert [path.read_bytes() for path in saved(again)] == marks


@pytest.mark.parametrize("place", range(4))
def test_a_damaged_file_is_written_anew(saved, place):
    paths = saved()
    good = paths[place].read_bytes()
    paths[place].write_bytes(good[:-7])
    assert saved()[place].read_bytes() == good


def test_provenance_names_caption_versions_and_digest(saved, drawn):
    paths = saved(commit="abc")
    record = json.loads(paths[3].read_text())
    assert record["caption"] == drawn["real_strategy"].caption
    assert record["provenance"] == {"inputs": ["a"], "commit": "abc"}
    assert "matplotlib" in record["versions"]
    assert record["sha256"]["csv"] == hashlib.sha256(paths[0].read_bytes()).hexdigest()
    assert b"<dc:date>" not in paths[2].read_bytes()


def test_csv_is_the_table_whatever_its_order(drawn):
    rows = list(drawn["response_curves"].table)
    text = csv_bytes(rows)
    random.Random(0).shuffle(rows)
    assert csv_bytes(rows) == csv_bytes([dict(reversed(row.items())) for row in rows]) == text
    assert len(text.decode().splitlines()) == len(rows) + 1


def test_csv_cells_by_hand():
    rows = [
        {"value": 0.1 + 0.2, "mark": "run", "zeta": "a,b", "step": 10, "destroyed": True, "lo": math.nan},
        {"value": -0.0, "mark": "mean", "step": 5, "alpha": None},
        {"value": np.float64(1 / 3), "mark": "run", "step": np.int64(9)},
    ]
    assert csv_bytes(rows).decode().splitlines() == [
        "mark,step,destroyed,value,lo,alpha,zeta",
        "mean,5,,0.0,,,",
        "run,9,,0.333333,,,",
        'run,10,True,0.3,,,"a,b"',
    ]


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "a b"])
def test_a_name_that_is_no_file_name_is_refused(drawn, tmp_path, name):
    with pytest.raises(BadInput, match="no name"):
        save(name, drawn["real_strategy"], tmp_path, {})


@pytest.mark.parametrize("bad", [{"x": math.nan}, {"x": Path("a")}])
def test_provenance_that_is_no_json_is_refused(drawn, tmp_path, bad):
    with pytest.raises(BadInput, match="JSON"):
        save("a", drawn["real_strategy"], tmp_path, bad)
    assert not list(tmp_path.iterdir())


def test_finding_the_figures_imports_neither_torch_nor_pyplot():
    code = """
import sys, probe.plots, probe.plots.save
assert len(probe.plots.figures.names()) >= 13
heavy = {"torch", "transformers", "matplotlib.pyplot", "probe.models", "probe.rl"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["path_predictions", "antithetic_predictions"])
def test_rows_about_the_same_runs_from_other_studies_draw_no_predictions(name: str) -> None:
    """Steering, too, says what is recovered of a run's gain: not at the budgets that were predicted."""
    about = {"study": "inside", "kind": "rl", "family": "latent-code", "size": "tiny", "base_seed": 0, "rl_seed": 300}
    row = dict.fromkeys(COLUMNS) | about | {"reward": "ground_truth", "temperature": 1.0, "side": "before"}
    row |= {"name": "recovered_accuracy", "edit": "matched", "value": 0.7, "lo": 0.6, "hi": 0.8, "destroyed": False}
    assert figures.get(name)([row, row | {"base_seed": 1}]) is None


# dictionaries: what a title may say


def test_new_latents_are_told_where_they_are_beyond_every_null(drawn):
    """In the made-up rows none are; planted beyond the largest null in every base, the title says where."""
    assert "beyond the largest null in none of 5 ways" in title_of(drawn["exclusive_latents"])
    head = title_of(figures.get("exclusive_latents")(featured(new=0.3)))
    assert head.startswith("Latents of one side alone are beyond every null: after alone +.2")
    assert "before alone" not in head
    excess = [row for row in drawn["exclusive_latents"].table if row["mark"] == "excess"]
    assert {(row["family"], row["reward"]) for row in excess} == {cell[:2] for cell in CELLS}
    assert all(row["value"] < 0 for row in excess)


def test_what_carries_a_change_is_told_beside_the_walk_and_nothing_where_nothing_changed(drawn):
    assert "New latents carry no clear share" in title_of(drawn["change_shares"])
    texts = [text.get_text() for axes in drawn["change_shares"].figure.axes for text in axes.texts]
    assert texts == ["no change"]
    planted = [
        row | {"value": row["value"] + 0.5, "lo": row["lo"] + 0.5, "hi": row["hi"] + 0.5}
        if (row["name"], row["part"], row["cell"]) == ("change_share", "rl", "new")
        else row
        for row in featured()
    ]
    assert "New latents carry .5" in title_of(figures.get("change_shares")(planted))


def test_doses_count_where_both_nulls_are_left_behind(drawn):
    assert "further than random sets in 3 of 3 ways" in title_of(drawn["latent_doses"])
    weak = [
        row | {"value": 0.3} if row["name"] == "latent_dose_p" and row["edit"] == "matched" else row
        for row in featured()
    ]
    assert "further than random sets in 0 of 3 ways" in title_of(figures.get("latent_doses")(weak))


def test_sets_that_were_not_found_are_counted(drawn):
    head = title_of(drawn["minimal_sets"])
    assert "bring .8 of it to the base in 9 of 9 pairs, 3 of them (median)" in head
    assert "undo it in 3 of 9 pairs" in head


def test_latents_that_fire_more_often_are_counted_after_holm(drawn):
    head = title_of(drawn["latent_frequency"])
    assert "36 of 90 latents that tell code fire more often after RL, 0 less often" in head


def test_adapters_are_drawn_where_they_are_active_and_what_lies_below_is_an_arrow(drawn):
    """At nine tenths of the budget; untrained ones lose three times what there was, and one accuracy has no share."""
    table, figure = drawn["adapter"].table, drawn["adapter"].figure
    own = [row for row in table if row.get("name") == "adapter_recovered" and row["part"] == "rl" and row["k"] == 16]
    assert len(own) == 2 * len(ADAPTED)
    assert all(row["mark"] == "share" and row["n_runs"] == 3 for row in own)
    places = {row["k"]: row["value"] for row in table if row["mark"] == "place" and row["part"] == "rl"}
    assert places == {k: pytest.approx(0.9 * k) for k in (0, 1, 4, 16, 64)}
    below = [row for row in table if row["mark"] == "below"]
    assert {(row["part"], row["k"]) for row in below} >= {("untrained", 16), ("untrained", 64)}
    assert "below the axis" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert [text.get_text() for text in figure.axes[-1].texts] == ["no change to share out"]
    head = title_of(drawn["adapter"])
    assert head.startswith("Share of RL's change that latents beside the MLPs of the base recover")


@pytest.mark.parametrize("name", [*study("features").figures, *study("adapters").figures])
def test_one_pair_from_outside_has_the_intervals_of_its_rows(name):
    """No walk, no other run, no other base: nothing is tested over bases, and its own interval stands."""
    where = {"family": "base", "size": "", "reward": "after", "rl_seed": 0, "step": 0}
    alone = [row for row in (*featured(1), *adapted(1)) if (row["family"], row["reward"]) == CELLS[0][:2]]
    rows = [row | where for row in alone if row["part"] not in ("walk", "other run")]
    drawing = figures.get(name)(rows)
    assert "base seeds" not in drawing.caption
    if name == "exclusive_latents":
        assert "none of 1 way of training" in title_of(drawing)
        new = [
            row | {"value": 0.5, "lo": 0.4, "hi": 0.6}
            if (row["name"], row["part"], row["side"]) == ("exclusive_latents", "rl", "after")
            else row
            for row in rows
        ]
        assert "beyond every null: after alone +.4" in title_of(figures.get(name)(new))
    flat = [row | {"value": 0.0, "lo": 0.0, "hi": 0.1} if row["name"] == "exclusive_latents" else row for row in rows]
    assert figures.get(name)(flat) is not None


# cards, KL and controls


def printed(drawing):
    return "\n".join(text.get_text() for axes in drawing.figure.axes for text in axes.texts)


def test_a_card_prints_what_its_latent_passed_and_failed(drawn):
    """In the made-up rows one latent is of the strategy, one of a token, one of nothing clear."""
    assert "latent 0 passes 5, latent 7 passes 1 and latent 14 passes 1" in title_of(drawn["feature_cards"])
    cards = [printed_on(axes) for axes in drawn["feature_cards"].figure.axes if not axes.axison]
    assert [card.count("✓") for card in cards] == [5, 1, 1]
    assert [card.count("✗") for card in cards] == [1, 5, 2]
    assert "code's first words in prose bring .1" in cards[0]


def test_an_audit_that_cannot_touch_a_latent_is_neither_passed_nor_failed(drawn):
    """A latent that fires before the answer is as it was whatever words come behind it."""
    point = {"value": 0.0, "lo": 0.0, "hi": 0.0}
    rows = [row | point if row["name"] == "latent_token_share" else row for row in featured()]
    card = next(axes for axes in figures.get("feature_cards")(rows).figure.axes if not axes.axison)
    assert "? code's first words in prose bring .00: it fires before the answer" in printed_on(card).replace("\n", " ")
    rows = [
        row | {"reason": "no class difference"} if row["name"] == "latent_token_share" else row for row in featured()
    ]
    card = next(axes for axes in figures.get("feature_cards")(rows).figure.axes if not axes.axison)
    assert "? code's first words in prose bring: no class difference" in printed_on(card).replace("\n", " ")


def printed_on(axes):
    return "\n".join(text.get_text() for text in axes.texts)


def test_a_models_text_is_data_on_a_card(drawn):
    text = printed(drawn["feature_cards"])
    assert "«=»```python↵x=3" in text
    assert "$\\frac{1}{2" in text and "«↵»</text> & so …" in text
    assert not any(sign in text.replace("\n", "") for sign in ("\x1b", "\t", "日"))
    table = csv_bytes(drawn["feature_cards"].table).decode()
    assert "\x1b" not in table and "«↵»" in table
    assert len(table.splitlines()) == len(drawn["feature_cards"].table) + 1


def test_kl_is_said_with_the_set_that_was_chosen_elsewhere(drawn):
    head = title_of(drawn["latent_kl"])
    assert "all latents carry .30, the best 10 .3" in head
    assert "more than random sets in 4 of 4 ways" in head
    weak = [row | {"p": 0.5} if row["edit"] == "redirected" else row for row in featured()]
    assert "more than random sets in 0 of 4 ways" in title_of(figures.get("latent_kl")(weak))
    assert "no latent changed" in printed(drawn["latent_kl"])
    flat = [row for row in featured() if row["reward"] == "python"]
    assert "latents carry none" in title_of(figures.get("latent_kl")(flat))


def test_controls_stand_beside_the_trained_dictionary_and_may_win(drawn):
    assert "AUROC .87" in title_of(drawn["dictionary_controls"])
    assert "of the best control (encoder frozen) .87" in title_of(drawn["dictionary_controls"])
    scores = [row for row in drawn["dictionary_controls"].table if row["mark"] == "score"]
    assert {row["part"] for row in scores} >= {"rl", "halves", "frozen decoder", "untrained"}
    assert all(row["value"] >= 0.5 for row in scores if row["name"] == "best_auroc")
    plain = [row for row in featured() if row["family"] == "no-code"]
    assert title_of(figures.get("dictionary_controls")(plain)).startswith("The trained dictionary leaves unsaid")
