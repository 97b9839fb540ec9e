"""The Python face: names become checkpoints, experiments become objects with a table, a figure and a summary."""

from pathlib import Path
from typing import Any

import pytest

import probe
from probe.api import asked
from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.pair import Pair
from probe.errors import BadInput
from probe.experiments.result import Result
from probe.models.loading.load import save_folder
from probe.models.loading.loaded import Loaded
from probe.models.loading.organism import build_model, build_tokenizer
from probe.plots import Drawing
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import SAMPLED
from probe.store import Store

FEW: dict[str, Any] = {"limit": 6, "samples": 2}


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A store that holds an organism that was never trained: quick, and good for nothing else."""
    store = Store(tmp_path_factory.mktemp("store"))
    raw = Loaded(build_model("tiny", 0), build_tokenizer())
    store.build(OrganismJob("latent-code", "tiny", 0).recipe, lambda work: save_folder(raw, work))
    return {"store": store, "workers": 1, "progress": False}


@pytest.fixture(scope="module")
def base() -> Checkpoint:
    return probe.load("latent-code-tiny-0")


def test_a_name_is_a_checkpoint_and_two_are_a_pair(base: Checkpoint) -> None:
    assert (base.family, base.is_outside, repr(base)) == (
        "latent-code",
        False,
        "Checkpoint(latent-code-tiny-0: latent-code, an organism)",
    )
    pair = probe.pair("latent-code-tiny-0", "latent-code-tiny-0-format-0")
    assert pair.before == base and pair.after is not None and pair.kind == "rl"
    assert probe.pair(base, base).is_null
    with pytest.raises(BadInput, match="latent-code-tiny-0"):
        probe.load("latent-cod-tiny-0")


def test_what_is_asked_is_filled_in_from_studies_and_manifest(base: Checkpoint) -> None:
    assert asked(base) == (CHAIN, SAMPLED)
    elicitation, options = asked(base, limit=3, temperature=0.5, seed=4, prefix="x")
    assert len(elicitation.problems.problems) == 3 and elicitation.prefix == "x"
    assert (options.temperature, options.seed, options.max_new) == (0.5, 4, SAMPLED.max_new)
    outside, far = asked(probe.load("qwen2.5-math-7b"), problems="random-calculation", limit=2)
    assert (outside.template, far.max_new) == ("qwen-math", 3072)


def test_a_comparison_is_a_table_and_a_summary(base: Checkpoint, where: dict[str, Any]) -> None:
    found = probe.compare(probe.pair(base, base), where=where, **FEW)  # type: ignore[arg-type]
    assert isinstance(found, Result)
    frame = found.table.to_pandas()
    assert {"name", "value", "lo", "hi", "n", "null", "p"} <= set(frame.columns)
    changes = found.changes("accuracy", temperature=0.0)
    assert changes["name"].tolist() == ["accuracy"] and changes["value"].tolist() == [0.0]
    assert "accuracy" in found._repr_html_() and "latent-code-tiny-0 -&gt; latent-code-tiny-0" in found._repr_html_()
    again = probe.compare(probe.pair(base, base), where=where, **FEW)  # type: ignore[arg-type]
    assert again.digest == found.digest and again.table == found.table


def test_a_run_has_its_pair_its_table_and_its_figure(base: Checkpoint, where: dict[str, Any]) -> None:
    run = probe.train(base, "format", batches=2, save_every=1, prompts=4, samples=4, updates=2, where=where)
    assert isinstance(run.pair, Pair) and run.pair.before == base
    assert run.checkpoint.step == 2 and run.checkpoint.run is not None
    assert set(run.table["step"].to_pylist()) == {1, 2}
    assert isinstance(run.figure(), Drawing)
    assert "measurements" in repr(run)
    with pytest.raises(BadInput, match="draw no such figure"):
        run.figure("steering")
    weights = probe.weights(run.pair, where=where)
    assert isinstance(probe.cross_sample(run.pair, where=where, **FEW).figure(), Drawing)
    with pytest.raises(BadInput, match="keeps 2 steps"):  # of a run of two batches
        probe.weight_path(run.checkpoint, where=where)
    with pytest.raises(BadInput, match="it is an organism"):
        probe.weight_path(base.name, where=where)
    moved = weights.changes("weight_change/relative", module="head")
    assert moved["value"].tolist() != [0.0]  # the head alone was trained
    assert isinstance(weights.figure(), Drawing)


def test_a_run_starts_from_an_organism(where: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no organism"):
        probe.train("qwen2.5-math-7b", "format", where=where)
    with pytest.raises(BadInput, match="reward"):
        probe.train("latent-code-tiny-0", "formt", where=where)


def test_a_verdict_is_a_sentence_and_a_table(base: Checkpoint, where: dict[str, Any]) -> None:
    found = probe.explain(probe.pair(base, base), where=where, limit=12, samples=2)  # type: ignore[arg-type]
    assert "nothing to explain" in found.verdict
    assert found.explanations.index.tolist()[0] == "H1 strategy mix"
    assert set(found.explanations["verdict"]) == {"undecided"}
    assert {"alone", "common", "total", "lo", "hi", "what would decide it"} <= set(found.explanations.columns)
    with pytest.raises(BadInput, match="greedy answers alone"):
        probe.explain(probe.pair(base, base), where=where, temperature=0.0)  # type: ignore[arg-type]
    outside = probe.load("qwen2.5-math-7b")
    with pytest.raises(BadInput, match=r"(?s)templ.*qwen-mth"):
        probe.explain(probe.pair(outside, outside), prompts=["qwen-mth"], where=where, limit=2)  # type: ignore[arg-type]


def test_a_forecast_says_whether_it_is_a_responder(base: Checkpoint, where: dict[str, Any]) -> None:
    found = probe.forecast(base, where=where, limit=12, samples=4)  # type: ignore[arg-type]
    assert found.verdict in [row["reason"] for row in found.rows if row["name"] == "forecast/responder"]
    assert isinstance(found.figure("forecast"), Drawing)
    assert probe.forecast("latent-code-tiny-0", where=where, limit=12, samples=4).digest == found.digest  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="two samples"):
        probe.forecast(base, where=where, limit=12, samples=1)  # type: ignore[arg-type]
