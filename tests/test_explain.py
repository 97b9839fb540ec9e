"""probe explain: a planted cause is found in real organisms, a null pair has none, outputs say what they cannot."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.cli import app
from probe.experiments.built_in.job import BuiltInJob
from probe.experiments.explain.job import ExplainJob
from probe.experiments.result import run
from probe.models.loading.load import Loaded, save_folder
from probe.plots import figures
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SamplingOptions
from probe.stats.accounting.atoms import CLAIMANTS
from probe.stats.confusion import confusion
from probe.store import Store

CLEAN = Checkpoint("clean", OrganismJob("latent-code", "tiny", 0))
TWICE = SamplingOptions(samples=4)
FEW = replace(CHAIN, problems=replace(CHAIN.problems, problems=CHAIN.problems.problems[:160]))
T = 0.4
MANIFEST = """\
version: 1
templates: {none: {text: "{prompt}"}}
organisms: {clean: {family: latent-code, size: tiny, seed: 0}}
"""
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def store(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    assert isinstance(CLEAN.source, OrganismJob)
    held.build(CLEAN.source.recipe, lambda work: save_folder(organism, work))
    return held


@pytest.fixture(scope="module")
def colder(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The same organism with its logits divided by T: sharpening, and nothing else."""
    folder = tmp_path_factory.mktemp("colder")
    model = copy.deepcopy(organism.model)
    with torch.no_grad():
        model.model.norm.weight /= T  # embeddings are tied: the head is not scaled alone
    save_folder(replace(organism, model=model), folder)
    return Checkpoint("colder", Folder(folder))


def explained(store: Store, after: Checkpoint, asked: Elicitation = FEW) -> Rows:
    return list(run(ExplainJob(Pair(CLEAN, after), asked, TWICE), store, workers=1).rows)


def value(rows: Rows, name: str, part: str | None = None, temperature: float = 1.0, side: str = "change") -> float:
    key = {"name": f"explained_{name}", "part": part, "temperature": temperature, "side": side}
    (found,) = [row["value"] for row in rows if key.items() <= row.items()]
    return float("nan") if found is None else found


def test_sharper_logits_are_found_to_be_sharpening(store: Store, colder: Checkpoint) -> None:
    rows = explained(store, colder)
    change = value(rows, "change")
    assert change > 0.03
    assert value(rows, "total", "sharpening") == pytest.approx(change, abs=0.04)
    for name in set(CLAIMANTS) - {"sharpening"}:
        assert value(rows, "verdict", name, side="") != 1.0, name
    assert value(rows, "verdict", "sharpening", side="") != 0.0
    assert abs(value(rows, "change", temperature=0.0)) < 0.01  # greedy, it is the same model
    assert value(rows, "state", temperature=0.0, side="") == 0.0


def test_parts_sum_to_the_change_at_both_temperatures(store: Store, colder: Checkpoint) -> None:
    rows = explained(store, colder)
    for temperature in (0.0, 1.0):
        measured = {
            row["part"] for row in rows if row["name"] == "explained_share" and row["temperature"] == temperature
        }
        split = [value(rows, "share", name, temperature) for name in measured]
        assert sum(split) == pytest.approx(value(rows, "change", temperature=temperature), abs=1e-9)
        for name in measured:
            both = value(rows, "alone", name, temperature) + value(rows, "common", name, temperature)
            assert both == pytest.approx(value(rows, "total", name, temperature), abs=1e-9)
    assert all(row["lo"] <= row["value"] <= row["hi"] for row in rows if row["name"] == "explained_total")
    drawing = figures.get("verdict")(rows)
    assert drawing is not None


def test_the_same_weights_twice_have_nothing_to_explain(store: Store) -> None:
    rows = explained(store, CLEAN)
    assert value(rows, "state", side="") == 0.0
    assert {row["kind"] for row in rows} == {"null"}
    assert all(math.isnan(value(rows, "verdict", name, side="")) for name in CLAIMANTS)
    (null,) = [row for row in rows if row["side"] == "null"]
    assert null["lo"] <= 0 <= null["hi"]


def test_a_known_pair_leaves_its_verdict_and_its_truth(store: Store) -> None:
    """The rows of the verdict to the digit, under the study's name, and one row that says what was built in."""
    job = ExplainJob(Pair(CLEAN, CLEAN), FEW, TWICE)
    alone, known = run(job, store, workers=1).rows, run(BuiltInJob("known", "nothing", job), store, workers=1).rows
    truths = [row for row in known if row["name"] == "explained_truth"]
    assert {(row["part"], row["temperature"]) for row in truths} == {("nothing", 1.0), ("nothing", 0.0)}
    assert {(row["study"], row["kind"], row["reward"]) for row in known} == {("known", "null", "latent-code")}
    numbers = [[(row["name"], row["part"], row["value"]) for row in rows] for rows in (alone, known)]
    assert repr(numbers[0]) == repr(numbers[1][: len(alone)])
    (line,) = confusion(known)
    assert (line.truth, line.right) == ("nothing", 1)


def test_what_is_asked_is_the_identity() -> None:
    pair = Pair(CLEAN, CLEAN)
    jobs = [ExplainJob(pair), ExplainJob(pair, prompts=None), ExplainJob(pair, ladder=(0.5,)), ExplainJob(pair, FEW)]
    assert len({job.recipe.digest for job in jobs}) == len(jobs)
    temperatures = [job.options.temperature for job in jobs[0].asked.jobs]  # type: ignore[attr-defined]
    assert temperatures == [1.0, 1.0, 1.4, 1.2, 0.8, 0.6, 0.4, 0.0]
    fresh = jobs[0].unleaked
    assert fresh is not None
    assert not {p.prompt for p in fresh.problems} & {p.prompt for p in CHAIN.problems.problems}


@pytest.fixture
def place(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)

    def typed(*words: object, code: int = 0) -> Any:
        result = CliRunner().invoke(app, [str(word) for word in (*words, "--store", store.root)])
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return typed


def test_the_command_says_the_verdict_first(place: Any) -> None:
    asked = ("explain", "clean", "clean", "--limit", 24, "--samples", 2, "--manifest", "m.yaml", "--workers", 1)
    planned = json.loads(place(*asked, "--dry", "--json").stdout)
    assert {job["stage"] for job in planned["jobs"]} == {"responses", "measurements"}
    shown = place(*asked).stdout
    assert "did not change beyond chance" in shown.splitlines()[0]
    assert "what would decide it" in shown
    assert "null, the base against itself" in shown
    told = json.loads(place(*asked, "--json").stdout)["verdicts"]
    assert [each["temperature"] for each in told] == [1.0, 0.0]
    assert [line["explanation"][:2] for line in told[0]["explanations"]] == ["H1", "H2", "H3", "H4", "H5", "H6"]
    assert "no temperatures" in place(*asked, "--ladder", "cold", code=2).stderr


def test_two_files_of_which_one_is_readable(place: Any, tmp_path: Path) -> None:
    for name, share in (("base", 0.3), ("tuned", 0.9)):
        right = [i < 200 * share for i in range(200)]
        rows = [
            {"problem": i, "answer": "1", "text": r"\boxed{1}" if good else "no idea"} for i, good in enumerate(right)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = json.loads(place("explain-rollouts", "base.jsonl", "tuned.jsonl", "--json").stdout)
    (told,) = found["verdicts"]
    assert told["verdict"].startswith("accuracy rose (+.60")
    lines = {line["explanation"][:2]: line for line in told["explanations"]}
    assert lines["H4"]["total"] == pytest.approx(0.6)
    assert lines["H1"]["verdict"] == "excluded"
    assert lines["H2"]["total"] is None
    assert lines["H2"]["what would decide it"] == "the base sampled colder and hotter (its weights)"
    assert lines["H4"]["verdict"] == "undecided"


def test_the_published_set(place: Any, real_data: Path) -> None:
    found = json.loads(place("explain-rollouts", real_data / "rlcr_math500", "--json").stdout)
    said = [(each["reward"], each["verdict"]) for each in found["verdicts"]]
    assert said[0][0] == "RLVR"
    assert said[0][1].startswith("accuracy fell (-.08")
    assert "did not change beyond chance" in said[1][1]
    lines = {line["explanation"][:2]: line for line in found["verdicts"][0]["explanations"]}
    assert lines["H1"]["verdict"] == "excluded"  # 3.4 % of the base's answers are code
    assert {lines[h]["verdict"] for h in ("H2", "H3", "H5")} == {"undecided"}
