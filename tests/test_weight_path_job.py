"""A run's path as an experiment: its ends are the run's, the nulls are as long, bad input is told."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from plot_rows_paths import paths
from typer.testing import CliRunner

from probe.checkpoints.organism_job import OrganismJob, load_organism
from probe.checkpoints.run_job import RunJob
from probe.cli import app
from probe.errors import BadInput
from probe.experiments.null_responses import kept_path
from probe.experiments.responses import RESPONSES
from probe.experiments.result import Result, run
from probe.experiments.weight_path.job import PARTS, WeightPathJob
from probe.interventions.weight_path import FIELDS, extended
from probe.models.loading.load import Loaded, save_folder
from probe.models.loading.organism import build_model, build_tokenizer
from probe.plots import figures
from probe.rewards import rewards
from probe.rl.labels import Gold
from probe.rl.train import GRPO
from probe.stats.path_predictions import CONTRASTS, judged
from probe.store import Store
from probe.studies.paths import BASES, FIGURES, REWARDS, runs
from probe.studies.why import BASES as OF_WHY

ORGANISM = OrganismJob("latent-code", "tiny", 0)
RUN = RunJob("ground_truth", ORGANISM, GRPO(rewards.get("ground_truth")(), batches=4, save_every=1, seed=9), Gold())


@pytest.fixture(scope="module")
def store(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    held.build(ORGANISM.recipe, lambda work: save_folder(organism, work))
    return held


@pytest.fixture(scope="module")
def found(store: Store) -> Result:
    return run(WeightPathJob(RUN, draws=5), store, workers=1)


def test_every_shape_stands_beside_walks_and_every_part_has_its_answers(found: Result) -> None:
    rows = {(r["name"], r["module"] or r["part"], r["temperature"]): r for r in found.rows}
    assert len(rows) == len(found.rows)
    for name in FIELDS:
        own, null = (rows[f"weight_path/{name}{end}", "all", 0.0] for end in ("", "/null"))
        assert own["null"] == null["value"]
        assert null["lo"] <= null["value"] <= null["hi"] and null["n"] == 5
        assert own["value"] == rows[f"weight_path/{name}", "lm_head.weight", 0.0]["value"]  # the head alone was trained
    for temperature in (1.0, 0.0):
        for part in PARTS:
            row = rows["path_accuracy", part, temperature]
            assert row["lo"] <= row["value"] <= row["hi"] and row["destroyed"] is False
        line, random = (rows["path_accuracy", part, temperature] for part in ("line", "random line"))
        assert line["null"] == random["value"]
    assert rows["weight_path/straight", "all", 0.0]["value"] <= 1.0
    assert rows["path_stretch", "all", 0.0]["value"] > 1.0


def test_the_line_is_as_long_as_the_run_and_the_random_one_too(store: Store, found: Result) -> None:
    path = kept_path(store, load_organism(store, ORGANISM), RUN)
    assert len(path) == 5
    start, end = path[0]["lm_head.weight"], path[-1]["lm_head.weight"]
    far = extended(path)["lm_head.weight"]
    assert float((far - start).norm()) == pytest.approx(float((end - start).norm()), rel=1e-5)
    assert not torch.allclose(far, end)
    texts = [store.get(job.recipe).read_table(RESPONSES)["text"].to_pylist() for job in found.job.answers[:4]]  # type: ignore[attr-defined]
    assert len({tuple(each) for each in texts}) == 4


def test_what_is_destroyed_is_marked_part_by_part(store: Store) -> None:
    """A learning rate that breaks the head: the run is marked, the base is not."""
    grpo = GRPO(rewards.get("random")(seed=9), batches=3, save_every=1, seed=9, lr=1.0)
    broken = replace(RUN, name="random", grpo=grpo)
    rows = run(WeightPathJob(broken, draws=2), store, workers=1).rows
    marked = {row["part"]: row["destroyed"] for row in rows if row["name"] == "path_accuracy" and row["temperature"]}
    assert marked["end"] is True and marked["base"] is False


def test_too_few_steps_are_refused_before_anything_is_made() -> None:
    with pytest.raises(BadInput, match="keeps 2 steps"):
        WeightPathJob(replace(RUN, grpo=replace(RUN.grpo, save_every=2)))


MANIFEST = """\
version: 1
templates: {none: {text: "{prompt}"}}
organisms:
  raw: {family: latent-code, size: tiny, seed: 0}
runs:
  run: {base: raw, reward: format, batches: 4, seed: 3}
checkpoints: {}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained organism in a store, and a manifest with a run of it."""
    root = tmp_path_factory.mktemp("raw")
    (root / "m.yaml").write_text(MANIFEST)
    loaded = Loaded(build_model("tiny", 0), build_tokenizer())
    Store(root / "s").build(ORGANISM.recipe, lambda work: save_folder(loaded, work))
    return root


def command(place: Path, *words: str) -> object:
    where = ("--store", str(place / "s"), "--manifest", str(place / "m.yaml"), "--figures", str(place / "f"))
    return CliRunner().invoke(app, ["weight-path", *words, *where])


def test_the_command_keeps_every_batch_of_a_run_and_tells_its_path(place: Path) -> None:
    told = command(place, "run")
    assert told.exit_code == 0, told.output  # type: ignore[attr-defined]
    assert "first_direction" in told.stdout and "walks as long" in told.stdout  # type: ignore[attr-defined]
    assert "the first quarter made as long" in told.stdout  # type: ignore[attr-defined]
    rows = json.loads(command(place, "run", "--json").stdout)["measurements"]  # type: ignore[attr-defined]
    assert {row["step"] for row in rows} == {4}
    assert (place / "f" / "weight_path.png").exists()


@pytest.mark.parametrize(("name", "why"), [("raw", "it is an organism"), (".", "it was made elsewhere")])
def test_what_keeps_no_steps_is_refused(
    place: Path, name: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = command(place, name)
    assert told.exit_code == 2  # type: ignore[attr-defined]
    assert why in told.stderr and "name a run made here" in told.stderr  # type: ignore[attr-defined]


# the study, what was predicted of it, and its figures


def test_the_study_keeps_every_batch_on_bases_that_were_not_looked_at() -> None:
    assert len(BASES) == len(set(BASES)) == 6
    assert OF_WHY[0] not in BASES
    made = runs(OrganismJob("p30-code-even", *BASES[0]))
    assert [each.name for each in made] == [*REWARDS, "ground_truth_all"]
    assert {each.steps for each in made} == {tuple(range(1, 11))}
    assert {each.grpo.trainable for each in made} == {"head", "all"}
    assert made[2].grpo.reward.seed == made[2].grpo.seed  # type: ignore[attr-defined]
    assert set(FIGURES) <= set(figures.names())


def test_predictions_by_hand() -> None:
    """Made-up rows lie well inside or outside what was said."""
    found = {each.contrast.name: each for each in judged(paths())}
    assert len(found) == len(CONTRASTS)
    verdicts = {name: each.verdict for name, each in found.items()}
    assert {verdicts[name] for name in ("where", "unchanged", "fork", "all weights", "any direction", "rank")} == {
        "holds"
    }
    assert verdicts["linear"] == "fails"
    assert found["where"].value == pytest.approx(0.75, abs=0.03)
    assert found["random reward"].value == pytest.approx(0.0, abs=0.03)
    less = [row for row in paths() if not row["name"].startswith("recovered")]
    names = {each.contrast.name for each in judged(less) if math.isfinite(each.value)}
    assert names == set(found) - {"recovers", "recovers greedy", "where", "fork"}


def title_of(name: str, rows: list[dict[str, object]]) -> str:
    drawing = figures.get(name)(rows)
    assert drawing is not None
    return drawing.figure.texts[0].get_text().replace("\n", " ")


def test_titles_say_what_the_rows_hold_and_nothing_where_there_is_no_gain() -> None:
    told = title_of("cross_sampling", paths())
    assert "under ground truth, head only (anywhere .04)" in told
    still = [row for row in paths() if row["reward"] == "random"]
    assert title_of("cross_sampling", still).startswith("No run changed accuracy clearly enough")
    assert "first quarter" in title_of("weight_path", paths())
    assert "first quarter" not in title_of("weight_path", still)


def test_a_run_that_changed_nothing_is_not_drawn_as_a_path() -> None:
    """Its shapes are no numbers; beside runs that have a path it is left out, alone there is no figure."""
    still = [row for row in paths() if row["reward"] == "random" and not row["name"].startswith("weight_path/")]
    assert figures.get("weight_path")(still) is None
    others = [row for row in paths() if row["reward"] == "python"]
    drawing = figures.get("weight_path")([*others, *still])
    assert drawing is not None and {row.get("reward") for row in drawing.table} == {"python"}
    assert "not drawn: 3 pairs more" in drawing.caption


def test_runs_of_one_base_are_two_runs_whoever_writes() -> None:
    """A second RL seed of a base is averaged in, also where the base is the writer."""
    rows = [row for row in paths() if row["base_seed"] == 1 and row["reward"] == "python"]
    again = [row | {"rl_seed": 401, "value": row["value"] + 0.1} for row in rows if row["name"] == "cross_accuracy"]
    drawing = figures.get("cross_sampling")([*rows, *again])
    assert drawing is not None
    mine = [row for row in drawing.table if row["mark"] == "mean" and row["side"] == "before" and not row["quantile"]]
    assert mine and mine[0]["n_runs"] == 2
