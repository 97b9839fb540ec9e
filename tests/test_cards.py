"""Every folder of a checkpoint says what it is: the same weights the same words, without dates, places or surprises."""

import ast
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from probe.checkpoints.cards import card_of, organism_card, run_card
from probe.checkpoints.checkpoint import of_organism, of_run
from probe.checkpoints.export.folder import Export, write_export
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.run_job import RunJob
from probe.cli import app
from probe.models.loading.card import CARD, Card
from probe.models.loading.load import Loaded, save_folder
from probe.models.loading.organism import build_model, build_tokenizer
from probe.rewards import rewards
from probe.rl.labels import Gold
from probe.rl.train import GRPO
from probe.store import Store

ROOT = Path(__file__).parents[1]
ORGANISM = OrganismJob("latent-code", "tiny", 0)
RUN = RunJob("format", ORGANISM, GRPO(rewards.get("format")(), batches=2, save_every=1), Gold())
MANIFEST = (
    'version: 1\ntemplates: {none: {text: "{prompt}"}}\norganisms:\n  raw: {family: latent-code, size: tiny, seed: 0}\n'
)
HOSTILE = "x\x1b]0;t\x07\n# not a title\u202e\x7f"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    raw = Loaded(build_model("tiny", 0), build_tokenizer())
    held.build(ORGANISM.recipe, lambda work: save_folder(raw, work))
    return held


def head(text: str) -> dict[str, object]:
    """The block of metadata, as the hub reads it."""
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert found
    return yaml.safe_load(found[1])


def test_whatever_it_is_called_a_card_holds_one_title_and_one_block() -> None:
    text = Card(
        HOSTILE, "about", {"made from": HOSTILE}, {"base_model": HOSTILE, "license": "no"}, {"k": HOSTILE}
    ).text()
    assert head(text)["license"] == "no"  # and not false
    assert str(head(text)["base_model"]).startswith("x\x1b]0;t")
    body = text[: text.index("```json")]
    assert len(re.findall(r"^# ", body, re.MULTILINE)) == 1
    assert all(char.isprintable() or char == "\n" for char in body)
    assert json.loads(text.split("```")[1].removeprefix("json")) == {"k": HOSTILE}


def test_an_organism_and_a_run_say_what_they_are_a_function_of() -> None:
    base, run = organism_card(ORGANISM).text(), run_card(RUN, 2).text()
    assert base.count("\n# ") == 1 and "\n# latent-code-tiny-0\n" in base
    assert f"recipe {ORGANISM.recipe.digest}" in base and "not to be used" in base
    assert "\n# latent-code-tiny-0 after 2 batches of GRPO under the reward format\n" in run
    assert "* labels: gold\n" in run and "Trained: the output head" in run
    assert head(run) == {"base_model": "latent-code-tiny-0", "library_name": "transformers",
                         "tags": ["grpo", "model-organism", "rlvr", "rlvr-probe"]}  # fmt: skip
    told = json.loads(run.split("```")[1].removeprefix("json"))
    assert told == RUN.recipe.params
    for text in (base, run):
        assert not re.search(r"20\d\d-\d\d|/tmp|/home", text)
    assert run_card(RUN, 1).text() != run and run_card(replace(RUN), 2).text() == run
    assert card_of(of_organism(ORGANISM)).text() == base and card_of(of_run(RUN)).text() == run


def test_an_export_for_another_trainer_has_one_on_its_base(store: Store, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_export(RUN, Export("trl"), store, tmp_path / name)
    one, two = ((tmp_path / name / "model" / CARD).read_bytes() for name in ("one", "two"))
    assert one == two and b"untied from the embedding" in one


def test_an_exported_folder_has_one(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text(MANIFEST)
    words = ["train", "raw", "--out", "there", "--store", str(store.root), "--manifest", "m.yaml"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "there" / CARD).read_text() == organism_card(ORGANISM).text()


def test_no_part_of_the_program_writes_a_checkpoint_without_one() -> None:
    """Outside runs keep theirs file by file, digest by digest: `StepFolders`, whose tests read it."""
    without = []
    for path in (ROOT / "probe").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", ""))
            if called == "save_folder" and len(node.args) + len(node.keywords) < 3:
                without.append(path.name)
    assert without == ["step_folders.py"]
