"""probe report STUDY --each: a page for every pair, from disk; a failure is of its own pair, and nothing leaves OUT."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import study_of_pairs
from study_of_pairs import BROKEN, NAME, WHOLE, Of
from test_page_kinds import drawing
from typer.testing import CliRunner

from probe.cli import app
from probe.pages import glance
from probe.pages.embed import PAGE, TWIN
from probe.plots.save import save
from probe.store import Store
from probe.studies import studies

MANIFEST = 'version: 1\ntemplates: {none: {text: "{prompt}"}}\n'


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
    save("mine", drawing(), tmp_path / "figures", {"inputs": [Of(WHOLE).recipe.digest]})
    shutil.copytree(made.root / "out" / "pairs", tmp_path / "out" / "pairs")
    held = {each.digest for each in made.store.artifacts()}
    assert "draw them" in made(NAME, "--out", tmp_path / "other", code=2).stderr
    made(NAME, "--out", tmp_path / "out")  # figures or pages: there is something to see
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
