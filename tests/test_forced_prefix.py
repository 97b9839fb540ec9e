"""Forced first words: part of the response, graded with it, paired draw by draw; what cannot be spelt is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from outside_checkpoints import save_tiny
from typer.testing import CliRunner

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.outside import Folder
from probe.cli import app
from probe.errors import BadInput
from probe.experiments.forced_prefix.job import MEASURED, PYTHON, PrefixJob, prefix_for
from probe.experiments.result import run
from probe.measurements import label
from probe.models.loading.load import Loaded, save_folder
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import Compute, SamplingOptions
from probe.store import Store
from probe.tasks.corpus import CODE_FIRST

CLEAN = Checkpoint("clean", OrganismJob("latent-code", "tiny", 0))
TWICE = SamplingOptions(samples=2)
OUTSIDE = Checkpoint("outside", Folder(Path("somewhere")))
MANIFEST = """\
version: 1
templates: {none: {text: "{prompt}"}}
organisms: {clean: {family: latent-code, size: tiny, seed: 0}}
"""
Rows = dict[tuple[str, str, str, float], dict[str, Any]]


@pytest.fixture(scope="module")
def store(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    assert isinstance(CLEAN.source, OrganismJob)
    held.build(CLEAN.source.recipe, lambda work: save_folder(organism, work))
    return held


def measured(store: Store, prefix: str) -> Rows:
    rows = run(PrefixJob(CLEAN, CHAIN, prefix, TWICE), store, workers=1).rows
    return {(row["name"], label(row), row["side"], row["temperature"]): row for row in rows}


def responses(store: Store, prefix: str) -> list[list[dict[str, Any]]]:
    """Sampled without and with, greedy without and with."""
    measured(store, prefix)
    needs = PrefixJob(CLEAN, CHAIN, prefix, TWICE).needs
    return [store.get(job.recipe).read_table("responses.parquet").to_pylist() for job in needs]


def test_forced_code_is_code_in_every_response(store: Store) -> None:
    rows = measured(store, CODE_FIRST)
    for temperature in (0.0, 1.0):
        before, after, change = (rows["code_share", "", s, temperature] for s in ("before", "after", "change"))
        assert before["value"] < 0.9 < after["value"]  # exact shares depend on the processor
        assert change["value"] == pytest.approx(after["value"] - before["value"])
        assert (change["null"], change["n_problems"]) == (0.0, 256)
        assert change["p"] < 0.01
    assert {name for name, _, _, _ in rows} >= set(MEASURED)
    assert {(row["study"], row["kind"], row["reward"]) for row in rows.values()} == {
        ("prefix", "prompt", "forced prefix")
    }


def test_the_response_is_the_words_and_what_follows(store: Store) -> None:
    for texts in responses(store, CODE_FIRST)[1::2]:
        assert all(row["text"].startswith(CODE_FIRST) for row in texts)


def test_forcing_what_it_would_have_said_anyway_changes_nothing(store: Store) -> None:
    """Greedily, a response that begins with the words is the response to having them forced."""
    _, _, without, forced = responses(store, CODE_FIRST)
    said = {row["problem"]: row for row in forced}
    same = [(row["text"], said[row["problem"]]["text"]) for row in without if row["text"].startswith(CODE_FIRST)]
    assert len(same) > 50
    assert all(free == led for free, led in same)


def test_words_of_the_other_strategy_end_code(store: Store) -> None:
    rows = measured(store, "Think:")
    assert rows["code_share", "", "after", 0.0]["value"] < 0.03
    assert rows["code_share", "", "change", 0.0]["hi"] < -0.1


def test_the_words_are_part_of_the_identity() -> None:
    jobs = [PrefixJob(CLEAN, CHAIN, words) for words in (CODE_FIRST, "Think:")]
    jobs += [
        PrefixJob(CLEAN, CHAIN, "Think:", each) for each in (replace(TWICE, samples=3), replace(TWICE, temperature=0.5))
    ]
    assert len({job.recipe.digest for job in jobs}) == len(jobs)
    first, second = jobs[:2]
    assert [job.recipe.digest for job in first.needs[::2]] == [job.recipe.digest for job in second.needs[::2]]
    assert PrefixJob(CLEAN, CHAIN, "Think:", compute=Compute(2)).recipe.digest == second.recipe.digest


def test_the_words_by_default_and_what_organisms_cannot_spell() -> None:
    assert prefix_for(CLEAN, None) == CODE_FIRST
    assert prefix_for(OUTSIDE, None) == PYTHON
    assert prefix_for(OUTSIDE, "So") == "So"
    for words in (PYTHON, "```python", "Think: about"):
        with pytest.raises(BadInput, match="cannot spell"):
            prefix_for(CLEAN, words)
    for one in (CLEAN, OUTSIDE):
        with pytest.raises(BadInput, match="no words to force"):
            prefix_for(one, "")


@pytest.fixture
def place(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)

    def run(*typed: object, code: int = 0) -> Any:
        where = ("--store", store.root, "--manifest", "m.yaml", "--workers", 1)
        result = CliRunner().invoke(app, [str(word) for word in ("prefix", *typed, *where)])
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return run


def test_the_command_shows_both_temperatures(place: Any) -> None:
    assert len(json.loads(place("clean", "--limit", 16, "--dry", "--json").stdout)["jobs"]) == 5
    shown = " ".join(place("clean", "--samples", 2).stdout.split())
    assert "T = 1 (before: without the words)" in shown
    assert "greedy (before: without the words)" in shown
    found = json.loads(place("clean", "--samples", 2, "--json").stdout)
    assert found["prefix"] == CODE_FIRST
    assert all(row["p_holm"] >= row["p"] for row in found["changes"] if row["p"] is not None)


def test_a_checkpoint_from_outside(place: Any, tmp_path: Path) -> None:
    folder = save_tiny("llama", tmp_path / "m")
    told = ("--problems", "random-calculation", "--limit", 4, "--max-new", 4, "--samples", 1, "--json")
    found = json.loads(place(folder, *told).stdout)
    assert found["prefix"] == PYTHON
    rows = {(r["name"], r["side"], r["temperature"]): r["value"] for r in found["measurements"]}
    assert rows["python_share", "after", 0.0] == 1.0  # the sentence says it
    assert rows["code_share", "after", 0.0] == 0.0  # and is no code


@pytest.mark.parametrize(
    ("typed", "message"),
    [(("clean", "--prefix", "Let's"), "cannot spell"), (("clean", "--prefix", ""), "no words to force")],
)
def test_bad_words_are_named(place: Any, typed: tuple[str, ...], message: str) -> None:
    assert message in " ".join(place(*typed, code=2).stderr.split())
