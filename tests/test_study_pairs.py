"""Which pairs does a study measure, in which folders, and what does its index tell of their pages?"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from study_of_pairs import RAW, WHOLE, Of, run_of

from probe.checkpoints.checkpoint import Checkpoint, of_organism, of_run
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.checkpoints.run_job import RunJob
from probe.experiments.outside_runs.curve import OutsideCurveJob
from probe.experiments.outside_runs.job import OutsideRunJob
from probe.models.loading.manifest import load_manifest
from probe.pages import glance
from probe.pages.embed import PAGE, Page, slug
from probe.pages.study_pairs import Measured, pairs_of
from probe.rewards import rewards
from probe.rl.labels import Gold
from probe.rl.lora import Lora
from probe.rl.train import GRPO
from probe.rollouts.elicitation import CHAIN

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
