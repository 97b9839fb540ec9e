"""The files for Neuronpedia pass the schema it declares and hold what the dictionary says; hostile text stays text."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_pages import HOSTILE
from neuronpedia_schema import Activation, Model, Neuron, Row, Source, SourceRelease, SourceSet, Vector
from pydantic import ValidationError
from test_features_job import FIT, OPTIONS, asked, outside
from typer.testing import CliRunner

from probe.activations.shards import Activations
from probe.checkpoints.pair import Pair
from probe.cli import app
from probe.dictionaries.exchange.neuronpedia import STRENGTH, Feature, Release, vector, write_source, write_vectors
from probe.dictionaries.pair import directions
from probe.engine.executor import make
from probe.errors import BadInput
from probe.experiments.dictionaries.comparisons import RL, Comparisons
from probe.experiments.dictionaries.dashboards import fired
from probe.experiments.dictionaries.exported import export_neuronpedia
from probe.experiments.dictionaries.fit_job import DictionaryJob, dictionary_of
from probe.models.loading.load import Loaded, save_folder
from probe.rollouts.options import Compute
from probe.store import Store

CREATED = "2026-01-02T03:04:05.678Z"
KINDS: dict[str, type[Row]] = {"release": SourceRelease, "model": Model, "sourceset": SourceSet, "source": Source}
KINDS |= {"features": Neuron, "activations": Activation}


def lines(file: Path) -> list[dict[str, Any]]:
    data = file.read_bytes()
    text = gzip.decompress(data) if file.suffix == ".gz" else data
    return [json.loads(line) for line in text.decode().splitlines()]


def checked(place: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of one source, each against the schema."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(path for path in place.rglob("*") if path.is_file()):
        kind = file.parent.name if file.suffix == ".gz" else file.stem
        found[kind] = lines(file)
        for row in found[kind]:
            KINDS[kind].model_validate(row)
    assert set(found) == set(KINDS)
    return found


RELEASE = Release("a-model", "probe-resid-8", "blocks.1.hook_resid_post", "made up", "chain", 3, CREATED, layers=4)


def feature(texts: tuple[str, ...]) -> Feature:
    tokens = [(text, float(i)) for i, text in enumerate(texts)]
    bars = ([1, 2], [0.25, 0.75])
    return Feature(
        7, [0.5, -0.25], 0.125, 2.0, tokens, tokens, bars, bars, [(texts, [float(i % 3) for i in range(len(texts))])]
    )


def test_hostile_text_stays_text_and_the_rows_pass(tmp_path: Path) -> None:
    texts = tuple(text.encode("utf-8", "replace").decode() for text in HOSTILE)
    found = checked(write_source(RELEASE, [feature((*texts, "x" * 1_000_000))], tmp_path))
    (row,), (one,) = found["features"], found["activations"]
    expected = [text.replace("\0", "\ufffd") for text in texts]
    assert one["tokens"][:-1] == row["pos_str"][:-1] == expected and len(one["tokens"][-1]) == 1_000_000
    assert (one["maxValue"], one["maxValueTokenIndex"], one["qualifyingTokenIndex"]) == (2.0, 2, 2)
    assert (row["frac_nonzero"], row["maxActApprox"], row["vector"]) == (0.125, 2.0, [0.5, -0.25])
    assert (row["layer"], row["hookName"]) == ("1-probe-resid-8", "blocks.1.hook_resid_post")
    sources = found["source"][0]["id"], found["sourceset"][0]["name"], found["release"][0]["name"]
    assert sources == (row["layer"], row["sourceSetName"], found["sourceset"][0]["releaseName"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"freq_hist_data_bar_values": [0.25]}, "freq_hist"),
        ({"index": 7}, "index"),
        ({"colour": "red"}, "colour"),
        ({"vector": [float("nan")]}, "vector"),
        ({"pos_str": ["a\0"]}, "pos_str"),
    ],
)
def test_the_schema_can_fail(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    (row,) = checked(write_source(RELEASE, [feature(("a", "b"))], tmp_path))["features"]
    with pytest.raises(ValidationError):
        Neuron.model_validate(row | change)


def test_vectors_by_hand(tmp_path: Path) -> None:
    one = vector(RELEASE, 2, [0.6, 0.8], 1234.5, "code minus prose")
    write_vectors([one], tmp_path / "vectors.jsonl")
    (row,) = lines(tmp_path / "vectors.jsonl")
    Vector.model_validate(row)
    assert (row["layerNumber"], row["vector"], row["vectorDefaultSteerStrength"]) == (2, [0.6, 0.8], STRENGTH)
    with pytest.raises(BadInput, match="24576"):
        vector(RELEASE, 2, [0.0] * 24_577, 1.0, "long")
    for bad in ("a/b", "", "x" * 129, "a b"):
        with pytest.raises(BadInput, match="no model id"):
            replace(RELEASE, model=bad)


@pytest.fixture(scope="module")
def job(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> DictionaryJob:
    place = tmp_path_factory.mktemp("pair")
    for name in ("before", "after"):
        save_folder(organism, place / name)
    pair = Pair(*map(outside, (place / "before", place / "after")))
    return Comparisons(pair, asked(), OPTIONS, "resid.2", FIT, Compute()).dictionaries[RL]


@pytest.fixture(scope="module")
def store(job: DictionaryJob, tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    make([job, *job.readings], held, workers=1)
    return held


def test_a_dictionary_of_the_store_is_exported(job: DictionaryJob, store: Store, tmp_path: Path) -> None:
    told = export_neuronpedia(job, store, ("one", "two"), tmp_path, CREATED)
    dictionary, source = dictionary_of(store, job), job.source(store)
    f = dictionary.encode(source.read(np.arange(len(source)))).numpy(force=True)
    contexts = 0
    for side, name in zip(dictionary.models, ("one", "two"), strict=True):
        rows = checked(tmp_path / name / f"1-probe-resid-{FIT.n_latents}")
        assert [row["index"] for row in rows["features"]] == [str(j) for j in range(FIT.n_latents)]
        towards = directions(dictionary, side).numpy(force=True)
        for j, row in enumerate(rows["features"]):
            assert np.allclose(row["vector"], towards[j], rtol=1e-4, atol=1e-6)
            assert row["frac_nonzero"] == pytest.approx((f[:, j] > 0).mean(), abs=1e-5)
            assert row["maxActApprox"] == pytest.approx(f[:, j].max(), rel=1e-5)
            assert sum(row["freq_hist_data_bar_heights"]) == (f[:, j] > 0).sum()
            assert row["pos_values"] == sorted(row["pos_values"], reverse=True)
            assert row["neg_values"] == sorted(row["neg_values"])
        first = {row["index"]: row["maxValue"] for row in reversed(rows["activations"])}
        assert all(first[index] == pytest.approx(f[:, int(index)].max(), rel=1e-4) for index in first)
        assert len({row["id"] for row in rows["activations"]}) == len(rows["activations"])
        contexts += len(rows["activations"])
    vectors = lines(tmp_path / "vectors.jsonl")
    for row in vectors:
        Vector.model_validate(row)
        assert np.linalg.norm(row["vector"]) == pytest.approx(1, abs=1e-4)
    assert (told["latents"], told["activations"], told["vectors"]) == (FIT.n_latents, contexts, len(vectors))


def test_what_fired_does_not_depend_on_the_batch(
    job: DictionaryJob, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    dictionary, source = dictionary_of(store, job), job.source(store)
    whole = fired(dictionary, source)
    monkeypatch.setattr("probe.experiments.dictionaries.dashboards.BATCH", 37)
    parts = fired(dictionary, source)
    assert np.allclose(whole.rate, parts.rate) and np.allclose(whole.values, parts.values, atol=1e-5)
    assert abs(whole.heights - parts.heights).sum() <= 4  # a value at the edge of a bin may be rounded either way
    rows = Activations(store.get(job.readings[0].recipe).path).rows()
    assert len(rows) == len(source) and torch.is_tensor(dictionary.W_dec)


def test_the_command_writes_and_refuses(job: DictionaryJob, store: Store, tmp_path: Path) -> None:
    names = [str(reading.checkpoint.source.path) for reading in job.readings]  # type: ignore[union-attr]
    asking = ["--limit", "40", "--samples", "2", "--store", str(store.root), "--site", "resid.2"]
    fitting = ["--latents", "24", "--k", "3", "--steps", "40", "--rows", "128", "--held", "256"]
    words = ["dictionary", "neuronpedia", *names, *asking, *fitting, "--out", str(tmp_path / "out")]
    one = CliRunner().invoke(app, [*words, "--model-id", "one"])
    assert one.exit_code == 2 and "once a model" in one.stderr
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["models"] == ["before", "after"] and told["latents"] == 24
    checked(tmp_path / "out" / "after" / "1-probe-resid-24")
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 2 and "in the way" in again.stderr
    assert CliRunner().invoke(app, [*words, "--dry"]).exit_code == 0
