"""Jobs, figures and commands inside the model: patching, layers and weights of a pair, end to end on tiny folders."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
from outside_checkpoints import byte_tokenizer, save_tiny
from typer.testing import CliRunner

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.cli import app
from probe.errors import BadInput
from probe.experiments.patching.fork import OUTSIDE, Openings, left_padded
from probe.experiments.patching.job import PatchJob
from probe.experiments.patching.layers import LayersJob
from probe.experiments.result import run as run_job
from probe.experiments.weight_difference.job import WeightsJob
from probe.interventions.steering import MEASURES, answer
from probe.interventions.transplant import part_modules
from probe.measurements import label
from probe.models.hooks.forward_hooks import run
from probe.models.loading.load import load_folder, save_folder
from probe.plots import figures
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import GREEDY, Compute, SamplingOptions
from probe.rollouts.respond import Request
from probe.store import Store

SHORT = replace(GREEDY, max_new=4)
N = 6
OPENINGS = Openings(("```python",), ("To",))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """after = before with the MLP of block 1 changed by rank one: at the fork it writes what opens in code."""
    root = tmp_path_factory.mktemp("pair")
    save_tiny("llama", root / "before")
    loaded = load_folder(root / "before")
    prompts = left_padded(loaded, CHAIN.problems.problems[:N], CHAIN)
    down, seen = part_modules(loaded.model)["mlp.1"].down_proj, []
    handle = down.register_forward_pre_hook(lambda _module, args: seen.append(args[0][:, -1]))
    with torch.no_grad():
        run(loaded.model, prompts.ids, mask=prompts.mask)
        handle.remove()
        code, prose = (byte_tokenizer()(text)["input_ids"][0] for text in ("```python", "To"))
        head = loaded.model.lm_head.weight
        towards = torch.nn.functional.normalize(head[code] - head[prose], dim=0)
        once = torch.linalg.pinv(seen[0]) @ torch.ones(N)  # reads 1 at the last token of every prompt
        down.weight.add_(3 * towards[:, None] * once)
    save_folder(loaded, root / "after")
    return Pair(*(Checkpoint(name, Folder(root / name)) for name in ("before", "after")))


def rows_of(job, store: Store) -> list[dict]:
    return list(run_job(job, store).rows)


@pytest.fixture(scope="module")
def patched(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    thrice = replace(pair, other=pair.after)
    job = PatchJob(thrice, n=N, positions=(-1, None), draws=3, openings=OPENINGS, compute=Compute(4))
    return rows_of(job, Store(tmp_path_factory.mktemp("store")))


def value(rows: list[dict], name: str, side: str, level: str) -> float:
    return next(row["value"] for row in rows if (row["name"], row["side"], label(row)) == (name, side, level))


def test_the_planted_layer_is_found(patched: list[dict]) -> None:
    for part, expected in (
        ("mlp.1", 1.0),
        ("block.1", 1.0),
        ("all", 1.0),
        ("mlp.0", 0.0),
        ("head", 0.0),
        ("embed", 0.0),
    ):
        assert value(patched, "transplant/recovery", "change", part) == pytest.approx(expected, abs=1e-9)
    for level, expected in (("mlp.1@-1", 1.0), ("resid.2@-1", 1.0), ("resid.1@all", 0.0), ("head.1.0@all", 0.0)):
        assert value(patched, "patch/recovery", "change", level) == expected
    assert value(patched, "path/recovery", "change", "mlp.1") == 1.0
    assert value(patched, "patch/other", "change", "mlp.1@-1") == 1.0
    assert value(patched, "transplant/other", "change", "mlp.1") == 1.0


def test_every_recovery_has_its_null_and_its_n(patched: list[dict]) -> None:
    found = {
        (row["side"], row["site"], row["position"])
        for row in patched
        if row["name"] == "patch/recovery" and not math.isnan(row["value"])
    }
    nulls = {(row["side"], row["site"], row["position"]): row for row in patched if row["name"] == "patch/null"}
    assert found == set(nulls)
    assert all(row["n"] == 3 and row["lo"] <= row["value"] <= row["hi"] for row in nulls.values())
    assert {row["n_problems"] for row in patched if row["name"] == "patch/recovery"} == {6}
    assert {row["study"] for row in patched} == {"inside"}
    assert any(row["name"] == "patch/null_weights" for row in patched)


def test_equal_checkpoints_say_why_nothing_is_recovered(pair: Pair, tmp_path: Path) -> None:
    job = PatchJob(Pair(pair.before, pair.before), n=4, kinds=("mlp",), positions=(-1,), draws=1)
    rows = rows_of(job, Store(tmp_path))
    change = [row for row in rows if row["side"] == "change"]
    assert all(math.isnan(row["value"]) for row in change if row["name"].endswith("/recovery"))
    assert all("agree" in row["reason"] for row in change if row["name"].endswith("/gap"))
    assert {row["kind"] for row in rows} == {"null"}


def test_one_layer_carries_the_answers(pair: Pair, tmp_path: Path) -> None:
    """Accuracy of such models is 0: nothing to recover, said so; the values are those of the whole checkpoints."""
    job = LayersJob(pair, options=SHORT, n=4, draws=1)
    rows = rows_of(job, Store(tmp_path))
    levels = {row["site"] for row in rows if row["name"] == "output_accuracy/value"}
    assert levels == {None, "attn.0", "attn.1", "mlp.0", "mlp.1"}
    gaps = [row for row in rows if row["name"].endswith("/gap")]
    assert len(gaps) == 4 and all(row["reason"] for row in gaps)


def test_sampled_answers_share_their_draws(pair: Pair) -> None:
    loaded = load_folder(pair.before.source.files())
    problems, options = tuple(CHAIN.problems.problems[:3]), SamplingOptions(samples=2, max_new=4)
    first, second = (answer(loaded, Request(problems, CHAIN, options, Compute(batch))) for batch in (2, 64))
    assert all((getattr(first, name) == getattr(second, name)).all() for name in MEASURES)
    assert first.accuracy.shape == (3, 2)


def test_weights(pair: Pair, tmp_path: Path) -> None:
    rows = rows_of(WeightsJob(replace(pair, other=pair.after)), Store(tmp_path))
    assert value(rows, "weight_change/relative", "change", "mlp.0.up_proj.weight") == 0
    down = "mlp.1.down_proj.weight"
    assert value(rows, "weight_change/stable_rank", "change", down) == pytest.approx(1, abs=1e-3)
    assert value(rows, "weight_change/cosine", "change", down) == pytest.approx(1)
    assert value(rows, "weight_change/stable_rank", "other", down) == pytest.approx(1, abs=1e-3)
    assert all(row["lo"] == row["value"] == row["hi"] for row in rows if math.isfinite(row["value"]))


def test_prompts_are_padded_on_the_left(pair: Pair) -> None:
    loaded, problems = load_folder(pair.before.source.files()), CHAIN.problems.problems[:8]
    plain, styled = left_padded(loaded, problems, CHAIN), left_padded(loaded, problems, CHAIN, "D")
    for i, problem in enumerate(problems):
        row = plain.ids[i] if plain.mask is None else plain.ids[i][plain.mask[i].bool()]
        assert loaded.tokenizer.decode(row) == problem.prompt
        row = styled.ids[i] if styled.mask is None else styled.ids[i][styled.mask[i].bool()]
        assert loaded.tokenizer.decode(row) == f"D{problem.prompt[1:]}"


def test_openings_that_begin_alike() -> None:
    with pytest.raises(BadInput, match="no fork"):
        Openings(("To do",), ("To",)).fork(byte_tokenizer())
    assert len(OUTSIDE.fork(byte_tokenizer()).code) >= 1


def test_what_changes_a_number_changes_the_identity(pair: Pair) -> None:
    job = PatchJob(pair)
    others = [
        replace(job, n=5),
        replace(job, draws=3),
        replace(job, openings=Openings(("x",), ("y",))),
        replace(job, pair=replace(pair, other=pair.before)),
    ]
    others += [replace(job, kinds=("mlp",)), replace(job, positions=(-1,))]
    assert len({each.recipe.digest for each in (job, *others)}) == 7
    assert replace(job, compute=Compute(3)).recipe.digest == job.recipe.digest
    layers = LayersJob(pair, options=SHORT)
    asked = [
        replace(SHORT, **changed) for changed in ({"temperature": 1.0}, {"samples": 2}, {"max_new": 5}, {"seed": 1})
    ]
    changed = [replace(layers, options=options) for options in asked]
    assert len({each.recipe.digest for each in (layers, *changed)}) == 5


# figures


def shown(drawing, tmp_path: Path) -> np.ndarray:
    drawing.figure.savefig(tmp_path / "figure.png")
    return matplotlib.image.imread(tmp_path / "figure.png")


def test_the_figure_shows_every_recovery_at_the_fork_and_everywhere(patched: list[dict], tmp_path: Path) -> None:
    drawing = figures.get("patching")(patched)
    assert drawing is not None
    shown_sites = {(row["side"], label(row)): row["value"] for row in drawing.table if row["mark"] == "patch"}
    finite = [row for row in patched if row["name"] == "patch/recovery" and math.isfinite(row["value"])]
    every = {(row["side"], label(row)): row["value"] for row in finite}
    assert shown_sites.items() <= every.items()
    assert {place.split("@")[0] for _, place in every.keys() - shown_sites.keys()} == {"head.1.2", "head.1.3"}
    assert "the largest 6 of 8 heads" in drawing.caption
    nulls = {(row["side"], label(row)): row["value"] for row in drawing.table if row["mark"] == "null"}
    assert nulls.keys() == shown_sites.keys()
    dots = [line for axes in drawing.figure.axes for line in axes.lines if line.get_marker() in ("o", "D")]
    assert len(dots) == len(shown_sites)
    assert "null: range of 3 random changes" in drawing.caption
    assert shown(drawing, tmp_path).std() > 0


def test_no_gap_is_drawn_as_no_gap(patched: list[dict]) -> None:
    gone = [
        row | {"value": math.nan, "lo": math.nan, "hi": math.nan} if "recovery" in row["name"] else row
        for row in patched
    ]
    drawing = figures.get("patching")([row for row in gone if not row["name"].endswith("/null")])
    assert drawing is not None
    assert drawing.table == []
    assert "no gap" in drawing.figure.texts[0].get_text()


def test_the_weight_figure(pair: Pair, tmp_path: Path) -> None:
    rows = rows_of(WeightsJob(pair), Store(tmp_path))
    drawing = figures.get("weight_change")(rows)
    assert drawing is not None
    names = {row["name"].removeprefix("weight_change/") for row in drawing.table}
    assert {"relative", "stable_rank"} <= names <= {"relative", "stable_rank", "sparsity"}
    moved = [row for row in drawing.table if row["mark"] == "kind" and row["value"] > 0 and "relative" in row["name"]]
    assert [row["matrix"] for row in moved] == ["down_proj"]  # all that `pair` changed
    assert "no null" in drawing.caption
    assert shown(drawing, tmp_path).std() > 0
    still = [copy.copy(row) | {"value": 0.0} for row in rows if row["name"] == "weight_change/relative"]
    assert "no weight changed" in figures.get("weight_change")(still).figure.texts[0].get_text()


@pytest.mark.parametrize("name", ["patching", "weight_change"])
def test_nothing_to_draw(name: str) -> None:
    assert figures.get(name)([]) is None


# commands


def told(*words: str) -> str:
    result = CliRunner().invoke(app, [*words])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands(pair: Pair, tmp_path: Path) -> None:
    names = [str(each.source.path) for each in pair.checkpoints]
    at = ["--store", str(tmp_path / "store"), "--figures", str(tmp_path / "figures")]
    out = told(
        "patch", *names, "--limit", str(N), "--draws", "2", "--no-heads", "--code", "```python", "--prose", "To", *at
    )
    assert "lens at the fork" in out and "weights transplanted" in out and "direct effects" in out
    assert (tmp_path / "figures" / "patching.png").exists()
    out = told(
        "patch", *names, "--layers-from-after", "accuracy", "--limit", "3", "--max-new", "3", "--draws", "1", *at
    )
    assert "gap" in out
    out = told("weights", *names, *at)
    assert "mlp.1.down_proj.weight" in out
    assert (tmp_path / "figures" / "weight_change.png").exists()
    found = json.loads(CliRunner().invoke(app, ["weights", *names, "--json", *at]).stdout)
    assert found["measurements"]
