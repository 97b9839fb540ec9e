"""Dose-responses of a pair: shares of a gain are exact; killed, resumed and the same on every backend; the command."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from matplotlib.collections import PolyCollection
from typer.testing import CliRunner

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.cli import app
from probe.engine.listener import heard_by
from probe.errors import BadInput
from probe.experiments.result import run
from probe.experiments.steering.directions import FIT, FitJob, chosen, fitted_on
from probe.experiments.steering.estimates import Doses, rows_of
from probe.experiments.steering.job import DoseJob, SteerJob
from probe.interventions.steering import ABLATIONS, MEASURES, part_of
from probe.measurements import label
from probe.models.hooks.backends import MADE_IN
from probe.models.loading.load import Loaded, save_folder
from probe.plots import Drawing, figures
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.store import Store
from probe.tasks.benchmarks import ProblemSet
from probe.tasks.chain import chain_problems
from probe.tasks.corpus import CODE_OPEN

PROBLEMS = tuple(chain_problems(24, "test", 0))
COEFFICIENTS = (-4.0, 0.0, 4.0)


def table(answered: Any, randoms: int = 2, problems: int = 60) -> pa.Table:
    """Doses whose every answer is answered(direction, edit, coefficient, place of the problem): 0 or 1."""
    rows = []
    for direction in range(randoms + 1):
        edits = [("add", c) for c in COEFFICIENTS if c or not direction] + [(how, 0.0) for how in ABLATIONS]
        for edit, c in edits:
            for place in range(problems):
                value = bool(answered(direction, edit, c, place))
                about = {"direction": direction, "edit": edit, "coefficient": c, "problem": f"p{place}", "sample": 0}
                rows.append(about | dict.fromkeys(MEASURES, value))
    return pa.Table.from_pylist(rows)


def one_fit() -> pa.Table:
    row = {"site": "resid.2", "vector": [1.0, 0.0], "scale": 3.0, "intercept": 0.0, "fitted_on": ["q"]}
    return pa.Table.from_pylist([row | {"mean": [0.0, 0.0], "norm": 6.0, "spread": 2.0, "n_problems": 5}])


def found(before: pa.Table, after: pa.Table) -> dict[tuple[str, str], Any]:
    estimates = rows_of(Doses.read(before), Doses.read(after), one_fit(), "resid.2")
    return {(e.name, label(e.params)): e for e in estimates if e.params["side"] != "before"}


def a_fifth(direction: int, edit: str, c: float, place: int) -> bool:
    return place % 5 == 0


def test_all_and_nothing_of_a_gain() -> None:
    """Base: one in five in code, all of them at c = 4. After: all, at c = -4 a fifth, and without the direction too."""
    base = table(lambda d, edit, c, place: place % 5 == 0 or (d == 0 and edit == "add" and c > 0))
    trained = table(lambda d, edit, c, place: place % 5 == 0 or d > 0 or (edit == "add" and c >= 0))
    by_name = found(base, trained)
    for measure in ("code_share", "accuracy"):
        for share, level in (("recovered", "matched"), ("recovered", "best"), ("removed", "project out")):
            whole = by_name[f"{share}_{measure}", level]
            assert whole.value == pytest.approx(1.0)
            assert (whole.lo, whole.hi) == (pytest.approx(1.0), pytest.approx(1.0))
            assert whole.p == pytest.approx(1 / 3)
            assert by_name[f"{share}_{measure}_random", f"{level} random 1"].value == 0.0
        assert by_name[f"removed_{measure}", "back"].value == pytest.approx(1.0)
    assert [by_name["steer_dose", level].value for level in ("matched", "best", "back")] == [4.0, 4.0, -4.0]
    told = by_name["recovered_accuracy", "matched"]
    assert told.n_problems == sum(part_of(f"p{i}") == "report" for i in range(60))


def test_part_of_a_gain_has_an_interval_around_it() -> None:
    """Steering brings two of the four fifths that RL brings; ablation takes none of them."""
    base = table(lambda d, edit, c, place: place % 5 < 1 + 2 * (d == 0 and c > 0))
    by_name = found(base, table(lambda d, edit, c, place: True))
    half = by_name["recovered_accuracy", "matched"]
    places = [i for i in range(60) if part_of(f"p{i}") == "report"]
    expected = sum(1 <= i % 5 < 3 for i in places) / sum(i % 5 >= 1 for i in places)
    assert half.value == pytest.approx(expected)
    assert 0 < half.lo < half.value < half.hi < 1
    assert by_name["removed_accuracy", "clamp"].value == 0.0


def test_a_gain_that_may_be_none_has_no_shares() -> None:
    by_name = found(table(a_fifth), table(a_fifth))
    for key in (("recovered_accuracy", "best"), ("removed_code_share", "back")):
        assert math.isnan(by_name[key].value)
        assert "gap" in by_name[key].params["reason"]


def test_ranges_stand_against_random_directions() -> None:
    doses = Doses.read(table(lambda d, edit, c, place: place % 5 < 2 + (1 if d else 3) * np.sign(c), randoms=20))
    by_name = {(e.name, label(e.params)): e for e in rows_of(doses, None, one_fit(), "resid.2")}
    own = by_name["steer_range_code_share", "-4 to 4"]
    assert own.value == pytest.approx(1.0)
    assert own.p == pytest.approx(1 / 21)
    assert own.null == pytest.approx(by_name["steer_range_code_share_random", "random 7"].value)
    flat = by_name["steer_code_share", "project out"]
    assert flat.p == 1.0
    assert by_name["steer_distance_of_norm", "resid.2"].value == 0.5


def test_different_problems_are_no_pair() -> None:
    first, second = table(a_fifth), table(a_fifth, problems=30)
    with pytest.raises(BadInput, match="different problems"):
        rows_of(Doses.read(first), Doses.read(second), one_fit(), "resid.2")
    with pytest.raises(BadInput, match="different problems"):
        Doses.read(pa.concat_tables([first, second]))


def mini(problems: Any = PROBLEMS) -> Elicitation:
    return replace(CHAIN, problems=ProblemSet("mini", tuple(problems), "synthetic", "made up", f"mini:{len(problems)}"))


def moved(organism: Loaded, by: float) -> Loaded:
    """The organism with `by` added, on average, to the logit of the token that opens code."""
    model = copy.deepcopy(organism.model)
    model.config.tie_word_embeddings = False
    head = model.lm_head.weight.detach().clone()
    with torch.no_grad():
        ids = torch.tensor(CHAIN.prompts(organism.tokenizer, PROBLEMS)[0])
        hidden = model.model(input_ids=ids).last_hidden_state[:, -1].mean(0)
    code = organism.tokenizer(f"{CODE_OPEN}\nx=")["input_ids"][0]
    head[code] += by * hidden / hidden.square().sum()
    model.lm_head.weight = torch.nn.Parameter(head)
    return Loaded(model, organism.tokenizer)


@pytest.fixture(scope="module")
def pair(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """An organism, and the same with its head moved towards code, as folders."""
    folder = tmp_path_factory.mktemp("pair")
    save_folder(organism, folder / "base")
    save_folder(moved(organism, 4.0), folder / "after")
    return Pair(Checkpoint("base", Folder(folder / "base")), Checkpoint("after", Folder(folder / "after")))


OPTIONS: dict[str, Any] = {"coefficients": COEFFICIENTS, "randoms": 3, "site": "resid.2"}


@pytest.fixture(scope="module")
def measured(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    store = Store(tmp_path_factory.mktemp("store"))
    return list(run(SteerJob(pair, mini(), **OPTIONS), store).rows)


def test_a_pair_is_measured_and_every_number_has_its_n(measured: list[dict[str, Any]]) -> None:
    by_name = {(row["name"], row["side"], label(row)): row for row in measured}
    assert {row["study"] for row in measured} == {"inside"}
    assert all(row["n"] and row["n_problems"] for row in measured)
    low, high = (by_name["steer_code_share", "before", level]["value"] for level in ("-4", "4"))
    assert low < by_name["steer_code_share", "before", "0"]["value"] < high
    assert by_name["steer_gain_code_share", "change", ""]["value"] > 0
    held_out = len(PROBLEMS) - len(fitted_on(mini()))
    assert by_name["steer_accuracy", "after", "0"]["n_problems"] == held_out


def test_a_killed_job_goes_on_and_ends_the_same(pair: Pair, tmp_path: Path) -> None:
    base = pair.before
    fit, store = FitJob(base, mini()), Store(tmp_path)
    store.build(fit.recipe, lambda work: fit.make(store, work))
    whole = DoseJob(base, fit, **OPTIONS)
    done: list[int] = []

    def kill(made: int, of: int, unit: str) -> None:
        done.append(made)
        if len(done) == 2:
            raise KeyboardInterrupt

    (tmp_path / "work").mkdir()
    with pytest.raises(KeyboardInterrupt), heard_by(kill):
        whole.make(store, tmp_path / "work")
    parts = {file: file.stat().st_mtime_ns for file in (tmp_path / "work" / "scratch").glob("part-*")}
    whole.make(store, tmp_path / "work")
    assert len(parts) == 2
    assert all(file.stat().st_mtime_ns == then for file, then in parts.items())
    (tmp_path / "other").mkdir()
    whole.make(store, tmp_path / "other")
    first, second = ((tmp_path / name / "data.parquet").read_bytes() for name in ("work", "other"))
    assert first == second


def test_one_strategy_alone_has_no_direction(pair: Pair, tmp_path: Path) -> None:
    fit = FitJob(pair.before, mini(), replace(FIT, max_new=1))  # one token is no code yet
    with pytest.raises(BadInput, match="every sample goes on in prose"):
        fit.make(Store(tmp_path / "store"), tmp_path)


def test_the_command_says_it_in_json_and_in_tables(pair: Pair, tmp_path: Path) -> None:
    folders = [str(each.source.path) for each in pair.checkpoints]  # type: ignore[union-attr]
    small = ["--limit", "9", "--coefficients", "-4,0,4", "--randoms", "2", "--samples", "1"]
    at = ["--store", str(tmp_path / "store"), "--figures", str(tmp_path / "figures")]
    told = CliRunner().invoke(app, ["steer", *folders, *small, *at, "--json"])
    assert told.exit_code == 0, told.stderr
    assert {row["name"] for row in json.loads(told.stdout)["measurements"]} >= {"steer_accuracy", "recovered_accuracy"}
    assert (tmp_path / "figures" / "steering.png").exists()
    shown = CliRunner().invoke(app, ["steer", *folders, *small, *at])
    assert shown.exit_code == 0, shown.stderr
    assert "How much of RL's change" in shown.stdout
    for option, value in (("--coefficients", "-4,no"), ("--backend", "pyvene")):
        assert CliRunner().invoke(app, ["steer", folders[0], option, value, *at]).exit_code == 2


def test_the_dose_response_is_the_same_on_every_backend(pair: Pair, tmp_path: Path) -> None:
    small = ["--limit", "9", "--coefficients", "-4,0,4", "--randoms", "1", "--samples", "2", "--where", "new"]
    at = ["--store", str(tmp_path / "store"), "--figures", str(tmp_path / "figures"), "--json"]
    found, digests = {}, set()
    for name in MADE_IN:
        told = CliRunner().invoke(app, ["steer", str(pair.before.source.path), *small, *at, "--backend", name])  # type: ignore[union-attr]
        assert told.exit_code == 0, told.stderr
        said = json.loads(told.stdout)
        digests.add(said["digest"])
        found[name] = {(row["name"], label(row)): row["value"] for row in said["measurements"]}
    assert len(digests) == len(MADE_IN)  # another backend is another recipe
    responses = [key for key in found["hooks"] if key[0] in {f"steer_{each}" for each in MEASURES}]
    assert len({found["hooks"][key] for key in responses}) > 3
    for name in MADE_IN:
        assert found[name].keys() == found["hooks"].keys()
        assert all(found[name][key] == value for key, value in found["hooks"].items() if key in responses)
        assert all(found[name][key] == pytest.approx(value, rel=1e-4) for key, value in found["hooks"].items())


def test_an_unknown_backend_is_named_and_plain_hooks_are_no_part_of_a_recipe(
    pair: Pair,
) -> None:
    base = Pair(pair.before)
    with pytest.raises(BadInput, match=r"no backend is called 'pyvene'.*\n.*hooks, transformer-lens, nnsight"):
        SteerJob(base, mini(), backend="pyvene")
    plain, other = (SteerJob(base, mini(), backend=name, **OPTIONS) for name in ("hooks", "nnsight"))
    for job in (plain, *plain.doses, plain.fit):
        assert "backend" not in job.recipe.params
    assert other.fit.recipe.params["backend"] == "nnsight"
    assert plain.doses[0].recipe.digest != other.doses[0].recipe.digest
    assert plain.recipe.digest == SteerJob(base, mini(), **OPTIONS).recipe.digest != other.recipe.digest


@pytest.mark.parametrize("with_after", [True, False])
def test_the_figure_draws_what_its_table_has(measured: list[dict[str, Any]], with_after: bool) -> None:
    rows = measured if with_after else [row for row in measured if row["side"] == "before"]
    rows = rows if with_after else [{**row, "reward": ""} for row in rows]
    drawing = figures.get("steering")(rows)
    assert isinstance(drawing, Drawing)
    known = {
        round(float(row[key]), 9)
        for row in drawing.table
        for key in ("value", "lo", "hi")
        if isinstance(row.get(key), float) and math.isfinite(row[key])
    }
    for axes in drawing.figure.axes:
        for area in axes.collections:
            if isinstance(area, PolyCollection):
                drawn = {round(float(y), 9) for path in area.get_paths() for y in path.vertices[:, 1]}
                assert drawn <= known
        for line in axes.lines:
            columns = [{round(float(v), 9) for v in column} for column in (line.get_xdata(), line.get_ydata())]
            assert any(column <= known | {0.0} for column in columns) or columns[1] == {1.5}
    assert "95 %" in drawing.caption
    assert "problems" in drawing.caption
    assert figures.get("steering")([]) is None
    assert figures.get("steering")([{**row, "name": "something else"} for row in rows]) is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda base: DoseJob(base, FitJob(base), coefficients=(1.0, 2.0)), "give 0"),
        (lambda base: DoseJob(base, FitJob(base), coefficients=(0.0,)), "give 0"),
        (lambda base: DoseJob(base, FitJob(base), randoms=0), "no random"),
        (lambda base: SteerJob(Pair(base), coefficients=(1.0, 2.0)), "give 0"),
        (lambda base: SteerJob(Pair(base), randoms=0), "no random"),
        (lambda base: chosen(one_fit(), "resid.1"), "resid.1"),
        (lambda base: fitted_on(mini(chain_problems(3, "test", 0))), "too few"),
    ],
)
def test_bad_input_is_named(pair: Pair, wrong: Any, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        wrong(pair.before)
    assert words in f"{caught.value.what} {caught.value.do}"
