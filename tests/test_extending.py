"""From outside the package, in one new file each: a reward, a measure, a figure, an organism family, a study.

Each is listed, runs (in worker processes too) and draws. Nothing in the package names any of them.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FILES = {
    "brief_reward": '''
"""Is the response brief?"""
from dataclasses import dataclass
from typing import ClassVar
from probe.rewards import rewards

@rewards.register("brief")
@dataclass(frozen=True)
class Brief:
    informative: ClassVar[bool] = False
    is_null: ClassVar[bool] = False
    most: int = 24

    def __call__(self, *, completions, **info):
        return [float(len(text) <= self.most) for text in completions]
''',
    "length_measure": '''
"""How long are responses?"""
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from probe.measures import measures
from probe.stats import clustered_mean

@measures.register("length")
@dataclass(frozen=True)
class Length:
    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data):
        sides = (("before", data.before), ("after", data.after))
        return [
            clustered_mean(
                [float(len(text)) for text in table["text"].to_pylist()], table["problem"].to_pylist(),
                name="length", unit="count", params={"side": side, "group": "all"},
            )
            for side, table in sides
        ]
''',
    "length_figure": '''
"""Does the length change?"""
from matplotlib.figure import Figure
from probe.plots import Drawing, figures

@figures.register("lengths")
def lengths(rows):
    mine = [row for row in rows if row["name"] == "length" and row["reward"]]
    if not mine:
        return None
    figure = Figure()
    figure.subplots().plot([row["value"] for row in mine])
    kept = ("family", "base_seed", "reward", "step", "temperature", "name", "side", "group", "value")
    return Drawing(figure, [{"mark": "run", **{name: row[name] for name in kept}} for row in mine], "Lengths.")
''',
    "half_family": '''
"""Code and prose in equal parts."""
from probe.families import Family, families

@families.register("half-code")
def half_code():
    return Family((0.5, 0.5, 0.5, 0.5), 1.0, 1.0, 1.0, 1.0, steps={"tiny": 60})
''',
    "mini_study": '''
"""Two organisms, two rewards, few batches."""
from probe.studies import studies

@studies.register("mini", order=5, in_all=False)
def mini():
    from probe.checkpoints.organism_job import OrganismJob
    from probe.checkpoints.run_job import RunJob
    from probe.experiments.rl_runs.job import MeasureBaseJob, MeasureRunJob
    from probe.rewards import rewards
    from probe.rl.labels import Gold
    from probe.rl.train import GRPO

    organisms = [OrganismJob("half-code", "tiny", seed) for seed in (0, 1)]
    small = {"batches": 2, "save_every": 2, "prompts": 8, "samples": 8, "updates": 2, "seed": 9}
    runs = [
        RunJob(name, organism, GRPO(rewards.get(name)(), **small), Gold())
        for name in ("ground_truth", "brief") for organism in organisms
    ]
    bases = [MeasureBaseJob("mini", organism) for organism in organisms]
    return [*bases, *(MeasureRunJob("mini", run) for run in runs)]
''',
}
FILES["drift_experiment"] = '''
"""How far did the weights go, in all?"""
from dataclasses import dataclass
from typing import ClassVar
from probe.checkpoints.pair import Pair
from probe.data import Estimate
from probe.experiments import experiments
from probe.experiments.experiment import WeightsExperiment
from probe.measurements import row_of
from probe.plots import Drawing, figures

@experiments.register("drift")
@dataclass(frozen=True)
class DriftJob(WeightsExperiment):
    """Measure how far the weights of two checkpoints are apart."""

    FIGURES: ClassVar = ("drifts",)
    pair: Pair

    @property
    def params(self):
        return {"study": "drift"} | self.pair.spec

    @property
    def label(self):
        return f"{self.pair.label} drift"

    def measure(self, store):
        before, after = self.pair.load(store)
        pairs = zip(before.model.parameters(), after.model.parameters(), strict=True)
        far = sum(float((a - b).double().square().sum()) for a, b in pairs) ** 0.5
        estimate = Estimate("drift", far, far, far, 1, 1, "none", 0.0, None, {"side": "change"})
        return [row_of(self.pair.key("drift", 0.0), estimate)]

@figures.register("drifts")
def drifts(rows):
    from matplotlib.figure import Figure
    mine = [row for row in rows if row["name"] == "drift"]
    return Drawing(Figure(), [{"mark": "pair", "value": row["value"]} for row in mine], "Drift.") if mine else None
'''
ROOT = Path(__file__).parents[1]
KINDS = {
    "rewards": "brief",
    "measures": "length",
    "figures": "lengths",
    "families": "half-code",
    "studies": "mini",
    "experiments": "drift",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files, which can be imported from it."""
    folder = tmp_path_factory.mktemp("outside")
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text.lstrip())
    return folder


def probe(place: Path, *words: object, plugins: str = ",".join(FILES)) -> subprocess.CompletedProcess[str]:
    here = {"PYTHONPATH": os.pathsep.join([str(place), str(ROOT)]), "PROBE_PLUGINS": plugins, "MPLBACKEND": "agg"}
    command = [sys.executable, "-c", "from probe.cli import main; main()", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=place, env=os.environ | here, check=False)


@pytest.fixture(scope="module")
def listed(place: Path) -> dict[str, list[dict[str, Any]]]:
    done = probe(place, "ls", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_listed_with_its_line(listed: dict[str, list[dict[str, Any]]], kind: str) -> None:
    """Beside those of the package, with the first line of its own file."""
    mine = next(row for row in listed[kind] if row["name"] == KINDS[kind])
    lines = {text.strip().splitlines()[0].strip('"') for text in FILES.values()}
    assert mine["about"] in lines
    assert len(listed[kind]) > 3


@pytest.fixture(scope="module")
def drawn(place: Path) -> Path:
    """The study made by two worker processes, and the folder of its figures."""
    done = probe(place, "run", "mini", "--workers", 2, "--store", place / "store", "--figures", place / "figures")
    assert done.returncode == 0, done.stderr
    return place / "figures"


def table(drawn: Path, name: str) -> list[dict[str, str]]:
    with (drawn / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


DRAWN = ("base_profile", "response_curves", "pass_at_k", "gain_parts", "strategy_switches")


@pytest.mark.parametrize("name", [*DRAWN, "entropy_at_forks", "clip_fraction", "lengths"])
def test_the_study_draws_every_figure_that_it_has_rows_for(drawn: Path, name: str) -> None:
    rows = table(drawn, name)
    assert rows
    assert (drawn / f"{name}.png").stat().st_size > 1000
    assert {row["family"] for row in rows if row.get("family")} <= {"half-code"}


def test_figures_of_another_design_are_not_drawn(drawn: Path) -> None:
    """No clip settings were compared, no outputs, nothing inside."""
    names = {file.stem for file in drawn.glob("*.csv")}
    assert not names & {"random_reward", "random_over_time", "real_outcomes", "steering", "contamination"}


def test_the_reward_is_among_the_spurious_ones_as_it_says_itself(drawn: Path) -> None:
    assert {row["reward"] for row in table(drawn, "response_curves") if row["reward"]} == {"ground_truth", "brief"}
    assert {row["reward"] for row in table(drawn, "pass_at_k")} == {"ground_truth", "brief"}  # one of each kind
    svg = (drawn / "response_curves.svg").read_text()
    assert "informative rewards" in svg and "spurious rewards" in svg


def test_the_measure_is_in_the_table_and_the_figure_has_it(drawn: Path) -> None:
    rows = table(drawn, "lengths")
    assert {(row["side"], row["level"]) for row in rows} == {("before", "all"), ("after", "all")}
    assert {row["base_seed"] for row in rows} == {"0", "1"}
    assert all(float(row["value"]) > 5 for row in rows)


def test_an_installed_package_names_its_modules_as_entry_points(place: Path) -> None:
    about = place / "outside-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[probe.plugins]\nanything = brief_reward\n")
    done = probe(place, "ls", "rewards", "--json", plugins="")
    assert done.returncode == 0, done.stderr
    assert "brief" in {row["name"] for row in json.loads(done.stdout)["rewards"]}


def test_a_plug_in_that_cannot_be_imported_is_named(place: Path) -> None:
    done = probe(place, "ls", "rewards", plugins="brief_reward,no_such_module")
    assert done.returncode == 1
    assert "no_such_module failed to import" in done.stderr


def test_a_reward_that_does_not_say_what_it_is_is_refused_before_anything_is_made(place: Path) -> None:
    text = FILES["brief_reward"].replace("    informative: ClassVar[bool] = False\n", "").replace('"brief"', '"mute"')
    (place / "mute_reward.py").write_text(text.lstrip())
    study = FILES["mini_study"].replace('"mini"', '"mute"').replace('"brief"', '"mute"')
    (place / "mute_study.py").write_text(study.lstrip())
    done = probe(place, "run", "mute", "--dry", plugins=",".join([*FILES, "mute_reward", "mute_study"]))
    assert done.returncode == 2
    assert "does not say whether it is informative" in done.stderr


def test_an_experiment_on_a_pair_is_a_command_that_runs_draws_and_announces(place: Path, drawn: Path) -> None:
    """One file outside: no option, no progress bar, no table and no resuming was written for it."""
    raw = "from probe.models.loading.organism import build_model, build_tokenizer\n"
    raw += "from probe.models.loading.load import save_folder\nfrom probe.models.loading.loaded import Loaded\n"
    raw += "from pathlib import Path\n"
    raw += "[save_folder(Loaded(build_model('tiny', i), build_tokenizer()), Path(n)) for i, n in enumerate('ab')]"
    subprocess.run([sys.executable, "-c", raw], cwd=place, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    options = ("--store", place / "store", "--figures", place / "figures")
    dry = probe(place, "drift", "./a", "./b", "--dry", *options)
    assert dry.returncode == 0 and "GB" in dry.stdout, dry.stderr
    same = probe(place, "drift", "./a", "./a", "--json", *options)
    assert [row["value"] for row in json.loads(same.stdout)["measurements"]] == [0.0]
    done = probe(place, "drift", "./a", "./b", "--json", *options)
    (row,) = json.loads(done.stdout)["measurements"]
    assert row["kind"] == "rl" and row["value"] > 1.0
    assert float(table(drawn, "drifts")[0]["value"]) == pytest.approx(row["value"], rel=1e-5)
