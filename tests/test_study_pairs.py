"""The index of a study: its pairs, each once, a page each; a failure is of its own pair, and nothing leaves OUT."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import study_of_pairs
from study_of_pairs import BROKEN, NAME, RAW, WHOLE, Of, run_of
from typer.testing import CliRunner

from probe.checkpoints.checkpoint import Checkpoint, of_organism, of_run
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.checkpoints.run_job import RunJob
from probe.cli import app
from probe.experiments.outside_runs.curve import OutsideCurveJob
from probe.experiments.outside_runs.job import OutsideRunJob
from probe.models.loading.manifest import load_manifest
from probe.pages import glance
from probe.pages.embed import PAGE, TWIN, Page, slug
from probe.pages.study_pairs import Measured, pairs_of
from probe.rewards import rewards
from probe.rl.labels import Gold
from probe.rl.lora import Lora
from probe.rl.train import GRPO
from probe.rollouts.elicitation import CHAIN
from probe.store import Store
from probe.studies import studies

MANIFEST = """\
version: 1
templates: {none: {text: "{prompt}"}}
organisms:
  raw: {family: latent-code, size: tiny, seed: 7}
runs:
  known: {base: raw, reward: format, batches: 2, seed: 3}
"""
HOSTILE = ("../../etc/passwd", "..", ".", "", "/", "a/b", "a-b", "a b", "A-b", "日本語", "x" * 5000, "y" * 5000 + "/..")
HOSTILE += ("-rf", ".hidden", "con", "\x00", "\u202egnp", "javascript:alert(1)", "a\nb", "%2e%2e%2f")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("manifest") / "manifest.yaml"
    file.write_text(MANIFEST)
    return file


@pytest.fixture
def _study(monkeypatch: pytest.MonkeyPatch) -> None:
    studies.names()
    monkeypatch.setitem(studies._found, NAME, study_of_pairs.few_pairs)
    monkeypatch.setitem(studies._about, NAME, {"in_all": False, "apart": True})


def named(name: str, other: str = "raw") -> Measured:
    return Measured(Pair(Checkpoint(other, RAW), Checkpoint(name, WHOLE, 1)))


# which pairs


def test_every_pair_is_found_once(tmp_path: Path, manifest: Path) -> None:
    before, after = of_organism(RAW), of_run(WHOLE)
    (tmp_path / "config.json").write_text("{}")
    base = Checkpoint("outside", Folder(tmp_path, "outside"))
    outside = OutsideRunJob("format", base, CHAIN, GRPO(rewards.get("format")(), batches=4), Gold(), Lora())
    jobs = [Of(WHOLE), Of(pair=Pair(before)), Of(pair=Pair(before, after, after)), OutsideCurveJob("s", outside, CHAIN)]
    found = pairs_of([*jobs, Of(pair=Pair(before, before))], load_manifest(manifest))
    labels = [each.pair.label for each in found]
    run = "latent-code-tiny-0 format seed 3@1"
    assert labels == [
        f"latent-code-tiny-0 -> {run}",
        "outside -> outside format seed 0@4",
        "latent-code-tiny-0 -> latent-code-tiny-0",
    ]
    assert all(each.pair.other is None for each in found)
    assert [each.reward for each in found] == ["format", "format", "none"]
    assert [each.typed for each in found] == [False, False, True]


def test_a_checkpoint_goes_by_the_name_of_the_manifest(manifest: Path) -> None:
    """Whatever its reward is called in figures: a command finds what was made of it under that name."""
    known = load_manifest(manifest)
    run = RunJob("otherwise", replace(RAW, seed=7), GRPO(rewards.get("format")(), batches=2, seed=3), Gold())
    (found,) = pairs_of([Of(run)], known)
    assert found.typed and found.pair.label == "latent-code-tiny-7 -> known"
    assert found.pair.trained.is_same(of_run(run))
    (other,) = pairs_of([Of(replace(run, grpo=replace(run.grpo, seed=4)))], known)
    assert not other.typed and other.pair.trained.name == "latent-code-tiny-7 otherwise seed 4@2"


def test_runs_of_one_name_are_told_apart(manifest: Path) -> None:
    found = pairs_of([Of(run_of()), Of(run_of(lr=0.1)), Of(run_of("python"))], load_manifest(manifest))
    assert [each.settings for each in found] == ["lr 0.003", "lr 0.1", ""]
    assert len({each.folder for each in found}) == 3 and len({each.pair.label for each in found}) == 2


def test_no_name_leads_out_of_the_folder_and_no_two_are_one(tmp_path: Path) -> None:
    found = [named(name, other) for name in HOSTILE for other in ("raw", "../raw")]
    folders = [each.folder for each in found]
    assert len({folder.lower() for folder in folders}) == len(found)
    for folder in folders:
        assert re.fullmatch(r"[A-Za-z0-9.@+_-]+", folder) and len(folder) < 200
        assert (tmp_path / folder).resolve().parent == tmp_path.resolve()
        (tmp_path / folder).mkdir()
    assert {slug([name]) for name in ("a/b", "a-b", "a b")} == {"a-b"}


# what the index tells of a page


def data(rows: list[dict[str, Any]], verdicts: list[dict[str, Any]]) -> dict[str, Any]:
    about = {"after": "after", "destroyed": True, "missing": [["tokens", "probe report"]]}
    return {"about": about, "measures": {"rows": rows}, "verdicts": verdicts}


def measured(name: str, temperature: float, value: float, **more: Any) -> dict[str, Any]:
    about = {"name": name, "varying": "", "reward": "after", "temperature": temperature, "value": value}
    return about | {"before": 0.5, "after": 0.5 + value, "lo": value - 0.1, "hi": None, "n": 8, "n_problems": 4} | more


def test_a_glance_is_of_the_highest_temperature() -> None:
    rows = [measured("accuracy", 0.0, 0.3), measured("accuracy", 1.0, 0.0), measured("accuracy", 1.0, 9.0, reward="x")]
    rows += [measured("accuracy", 1.0, 0.2, varying="prose"), measured("code_share", 1.0, float("nan"))]
    line = {"explanation": "H1 strategy mix", "verdict": "supported"}
    first = {"state": "changed", "sentence": "It rose.", "explanations": [line], "undecided": []}
    found = glance.glance_of(data(rows, [first]), "mark")
    assert found.accuracy is not None and found.code_share is None
    assert (found.accuracy.value, found.accuracy.lo, found.accuracy.hi, found.accuracy.n) == (0.0, -0.1, None, 8)
    assert (found.verdict, found.sentence, found.destroyed) == ("H1 strategy mix", "It rose.", True)
    assert found.missing == ["tokens"]
    for state, standing, undecided, words in (
        ("no change", "excluded", [], "no change"),
        ("changed", "undecided", ["H1"], "undecided"),
        ("changed", "excluded", [], "every explanation is excluded"),
    ):
        verdict = first | {"state": state, "explanations": [line | {"verdict": standing}], "undecided": undecided}
        assert glance.glance_of(data(rows, [verdict]), "").verdict == words
    assert glance.glance_of(data([], []), "").verdict is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"made_from": 1}', "null", "1" * 200, '{"made_from": "x"}', '{"verdict": NaN}']
)
def test_a_glance_that_is_none_is_no_page(tmp_path: Path, text: str) -> None:
    whole = glance.glance_of(data([measured("accuracy", 1.0, 0.1)], []), "mark")
    assert glance.read(tmp_path) is None
    Page("a", {}, {}).write(tmp_path)
    assert glance.read(tmp_path) is None  # killed before its glance was written
    glance.write(whole, tmp_path)
    assert glance.read(tmp_path) == whole
    (tmp_path / glance.FILE).write_text(text)
    assert glance.read(tmp_path) is None
    (tmp_path / PAGE).write_text("mine")
    (tmp_path / glance.FILE).write_text(whole.model_dump_json())
    assert glance.read(tmp_path) is None


# the command, for real


class Place:
    """A folder to work in, a store with the organism, and the command with what is asked."""

    def __init__(self, root: Path, manifest: Path) -> None:
        self.root, self.manifest = root, manifest
        self.store = study_of_pairs.with_organism(Store(root / "store"))

    def __call__(self, *words: object, code: int = 0) -> Any:
        where = ("--store", self.store.root, "--manifest", self.manifest, "--limit", 3, "--samples", 1, "--workers", 1)
        result = CliRunner().invoke(app, [str(word) for word in ("report", *words, *where)])
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        return result

    def lines(self, out: str = "out") -> list[dict[str, Any]]:
        told = json.loads((self.root / out / TWIN).read_text(encoding="utf-8"))
        return list(told["pairs"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, manifest: Path) -> Place:
    return Place(tmp_path_factory.mktemp("place"), manifest)


@pytest.fixture(scope="module")
def made(place: Place) -> Place:
    """The same, when `--each` has been run."""
    studies.names()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.root)
        patch.setitem(studies._found, NAME, study_of_pairs.few_pairs)
        patch.setitem(studies._about, NAME, {"in_all": False, "apart": True})
        before = {each.name for each in place.root.iterdir()}
        dry = place(NAME, "--each", "--out", "out", "--dry")
        assert "2 of 2 pages would be written" in dry.stderr and "paired-tokens" in dry.stdout
        assert {each.name for each in place.root.iterdir()} == before  # announced, not made
        told = json.loads(place(NAME, "--each", "--out", "out", "--json").stdout)
    assert (told["pairs"], told["pages"], len(told["failed"])) == (2, 1, 1)
    return place


@pytest.fixture
def _there(made: Place, monkeypatch: pytest.MonkeyPatch, _study: None) -> None:
    monkeypatch.chdir(made.root)


@pytest.mark.usefixtures("_there")
def test_a_pair_that_fails_is_told_and_the_others_have_their_page(made: Place) -> None:
    whole, broken = made.lines()
    assert broken["href"] is None and "no such problem" in broken["reason"] and broken["reward"] == "python"
    assert whole["reason"] == "" and whole["after"] == "latent-code-tiny-0 format seed 3@1"
    page = made.root / "out" / whole["href"]
    told = json.loads((page.parent / TWIN).read_text(encoding="utf-8"))
    assert told["about"]["study"] == NAME and (page.parent / "../../index.html").resolve().is_file()
    assert told["provenance"]["commands"] == [f"probe report {NAME} --each --limit 3 --samples 1"]
    rows = {(row["name"], row["temperature"]): row for row in told["measures"]["rows"] if row["varying"] == ""}
    for name in ("accuracy", "code_share"):
        assert whole["glance"][name] == {key: rows[name, 1.0][key] for key in glance.Change.model_fields}
    assert whole["glance"]["sentence"] == told["verdicts"][0]["sentence"]
    assert [each.name for each in (made.root / "out" / "pairs").iterdir()] == [page.parent.name]


@pytest.mark.usefixtures("_there")
def test_the_same_command_goes_on(made: Place, tmp_path: Path) -> None:
    """What is whole stays as it is; what a kill left half is written; a page that is not ours stays."""
    shutil.copytree(made.root / "out", tmp_path / "out")
    (whole, _), (folder,) = made.lines(), (tmp_path / "out" / "pairs").iterdir()
    written = {name: (folder / name).stat().st_mtime_ns for name in (PAGE, TWIN, glance.FILE)}
    made(NAME, "--each", "--out", tmp_path / "out")
    assert {name: (folder / name).stat().st_mtime_ns for name in written} == written
    (folder / glance.FILE).unlink()
    (folder / TWIN).unlink()
    made(NAME, "--each", "--out", tmp_path / "out")
    assert (folder / TWIN).read_bytes() == (made.root / "out" / "pairs" / folder.name / TWIN).read_bytes()
    (folder / PAGE).write_text("mine")
    assert "in the way" in made(NAME, "--each", "--out", tmp_path / "out").stderr
    assert (folder / PAGE).read_text() == "mine"
    assert "in the way" in json.loads((tmp_path / "out" / TWIN).read_text())["pairs"][0]["reason"]
    assert whole["href"] == f"pairs/{folder.name}/{PAGE}"


@pytest.mark.usefixtures("_there")
def test_a_link_in_the_folder_leads_nowhere_else(made: Place, tmp_path: Path) -> None:
    (folder,) = (made.root / "out" / "pairs").iterdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "pairs").mkdir(parents=True)
    os.symlink(tmp_path / "elsewhere", tmp_path / "out" / "pairs" / folder.name)
    assert "leads out of the folder" in made(NAME, "--each", "--out", tmp_path / "out").stderr
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.usefixtures("_there")
def test_without_each_nothing_is_made_and_pages_that_are_there_are_linked(made: Place, tmp_path: Path) -> None:
    from test_page_kinds import drawing

    from probe.plots.save import save

    save("mine", drawing(), tmp_path / "figures", {"inputs": [Of(WHOLE).recipe.digest]})
    shutil.copytree(made.root / "out" / "pairs", tmp_path / "out" / "pairs")
    held = {each.digest for each in made.store.artifacts()}
    for out, linked in ((tmp_path / "out", 1), (tmp_path / "other", 0)):
        made(NAME, "--out", out, "--figures", tmp_path / "figures")
        told = json.loads((out / TWIN).read_text(encoding="utf-8"))
        assert sum(line["href"] is not None for line in told["pairs"]) == linked
        assert told["each"] == f"probe report {NAME} --each" and len(told["figures"]) == 1
        assert not any(line["reason"] for line in told["pairs"])
    assert {each.digest for each in made.store.artifacts()} == held


@pytest.mark.usefixtures("_there")
def test_held_makes_nothing(made: Place, tmp_path: Path) -> None:
    """Of the store's parts there is a page; what is missing is named with its command, also of every pair."""
    held = {each.digest: each for each in made.store.artifacts()}
    shutil.copytree(made.root / "out", tmp_path / "whole")
    made(NAME, "--each", "--held", "--out", tmp_path / "whole")
    whole, broken = made.lines(str(tmp_path / "whole"))
    assert whole["glance"]["missing"] == [] and "no comparison" in broken["reason"] and "--each" in broken["reason"]
    explain = [each for each in held.values() if (each.spec["params"]).get("study") == "explain"]
    tokens = [each for each in held.values() if each.stage == "paired-tokens"]
    for each in (*explain, *tokens):
        each.path.rename(tmp_path / each.digest)
    try:
        made(NAME, "--each", "--held", "--out", tmp_path / "part")
        assert made.lines(str(tmp_path / "part"))[0]["glance"]["missing"] == ["the verdict", "tokens"]
        left = {each.digest for each in made.store.artifacts()}
        assert left == set(held) - {each.digest for each in (*explain, *tokens)}
    finally:
        for each in (*explain, *tokens):
            (tmp_path / each.digest).rename(each.path)


@pytest.mark.usefixtures("_there")
def test_a_pair_is_shown_as_far_as_it_is_held(made: Place, tmp_path: Path) -> None:
    pair, out = ("latent-code-tiny-0", "latent-code-tiny-0", "--held"), ("--out", tmp_path / "out")
    done = made(*pair, *out, code=2)
    command = "probe compare latent-code-tiny-0 latent-code-tiny-0 --limit 3 --samples 1"
    assert f"do: make it: {command}" in done.stderr and not (tmp_path / "out").exists()
    where = ("--store", made.store.root, "--manifest", made.manifest, "--workers", 1)
    again = CliRunner().invoke(app, [*command.split()[1:], *map(str, where)])  # what it says does it
    assert again.exit_code == 0, again.output
    told = json.loads(made(*pair, *out, "--cards", "--json").stdout)
    assert [each["part"] for each in told["missing"]] == ["the verdict", "tokens", "feature cards"]
    assert told["missing"][0]["command"] == command.replace("compare", "explain")
    assert told["missing"][2]["command"] == command.replace("compare", "report") + " --cards"
    numbers = json.loads((tmp_path / "out" / TWIN).read_text(encoding="utf-8"))
    assert numbers["verdicts"] == [] and numbers["tokens"] is None and len(numbers["responses"]["pairs"]) == 6
    for words, said in (((*pair, "--dry"), "--held makes nothing"), ((*pair, "--each"), "--each is of a study")):
        assert said in made(*words, code=2).stderr


@pytest.mark.usefixtures("_there")
def test_a_study_without_pairs_has_no_pages_of_them(
    made: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing: Callable[[], list[Any]] = lambda: [Of()]  # noqa: E731
    monkeypatch.setitem(studies._found, NAME, nothing)
    assert "measures no pair" in made(NAME, "--each", "--out", tmp_path / "out", code=2).stderr
    assert BROKEN.recipe.digest not in {each.digest for each in made.store.artifacts()}
