"""Nats are a divergence: 0 for the base's own answers, by hand for greedy and forced ones; majority, best by hand."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from plot_rows_elicitation import elicited

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.run_job import RunJob
from probe.experiments.elicitation_scale import job as module
from probe.experiments.elicitation_scale.job import AS_ASKED, MAJORITY, ElicitationJob, best, majority
from probe.experiments.elicitation_scale.nats import NatsJob, nats
from probe.experiments.forced_prefix.job import ORGANISM_CODE
from probe.experiments.responses import SampleJob
from probe.experiments.result import run
from probe.models.loading.load import Loaded, save_folder
from probe.plots import figures
from probe.rewards import rewards
from probe.rl.labels import Gold
from probe.rl.train import GRPO
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.options import SAMPLED, SamplingOptions
from probe.rollouts.respond import respond
from probe.rollouts.samplers import organism_sampler
from probe.stats.accounting.arms import halves
from probe.store import Store
from probe.tokens.score import score

ORGANISM = OrganismJob("latent-code", "tiny", 0)
FEW = replace(CHAIN, problems=replace(CHAIN.problems, problems=CHAIN.problems.problems[:40]))
ONE = SamplingOptions(samples=1)


@pytest.fixture(scope="module")
def store(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    held.build(ORGANISM.recipe, lambda work: save_folder(organism, work))
    return held


def distance(organism: Loaded, asked: Elicitation, options: SamplingOptions) -> np.ndarray:
    """Nats of answers that the organism itself gives in some way."""
    found = respond(organism, asked, options, organism_sampler(organism))
    return np.array(nats(organism, found.rollouts("own").to_pylist(), asked))


def test_the_bases_own_answers_are_no_distance_away(organism: Loaded) -> None:
    np.testing.assert_allclose(distance(organism, FEW, ONE), 0, atol=1e-4)


def test_colder_answers_are_further_the_colder(organism: Loaded) -> None:
    """A divergence is positive in the mean; greedy costs what the base thought of the greedy text."""
    means = [distance(organism, FEW, replace(ONE, temperature=t)).mean() for t in (0.8, 0.5, 0.2)]
    assert 0 < means[0] < means[1] < means[2]
    found = respond(organism, FEW, ONE.greedy, organism_sampler(organism))
    rows = found.rollouts("greedy").to_pylist()
    scores = score(organism.model, [row["prompt_ids"] for row in rows], [row["completion_ids"] for row in rows])
    by_hand = -np.bincount(scores.row, weights=scores.logprob)
    np.testing.assert_allclose(nats(organism, rows, FEW), by_hand, atol=1e-5)
    assert by_hand.mean() > means[2]


def test_forced_words_cost_what_the_base_thought_of_them(organism: Loaded) -> None:
    forced = replace(FEW, prefix=ORGANISM_CODE)
    prompts, words = forced.prompts(organism.tokenizer, FEW.problems.problems)
    plain = [ids[: len(ids) - len(words)] for ids in prompts]
    scores = score(organism.model, plain, [list(words)] * len(plain))
    by_hand = -np.bincount(scores.row, weights=scores.logprob)
    np.testing.assert_allclose(distance(organism, forced, ONE), by_hand, atol=1e-4)


def test_majority_by_hand() -> None:
    boxes = ["1", "2", "2", None, "3", "4", None, None]
    table = pa.table({"problem": ["b"] * 4 + ["a"] * 2 + ["c"] * 2, "boxed": boxes})
    found = majority(table, {"a": "3", "b": "2", "c": "5"}, ["a", "b", "c"])
    assert found.tolist() == [1.0, 1.0, 0.0]  # a tie goes to what came first; nothing boxed is not right


def test_the_best_way_is_chosen_on_the_other_half() -> None:
    """A way that is right by chance on one half alone is chosen for the other, where it is not."""
    names = [str(i) for i in range(100)]
    half = halves(names)
    lucky = (half == 0).astype(float)
    steady = np.full(100, 0.4)
    assert best([steady, lucky], names)[half == 1].mean() == 0.0
    assert best([steady, lucky], names)[half == 0].mean() == pytest.approx(0.4)
    assert best([steady, np.ones(100)], names).tolist() == [1.0] * 100


def test_every_way_and_run_of_a_base(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "asked_of", lambda organism: (FEW, replace(SAMPLED, samples=4)))
    trained = RunJob("format", ORGANISM, GRPO(rewards.get("format")(), batches=2, save_every=1, seed=400), Gold())
    rows = run(ElicitationJob("test", ORGANISM, (trained,)), store, workers=1).rows
    parts = {row["part"] for row in rows}
    asked = {AS_ASKED, "T = 0.6", "T = 0.3", "greedy", "forced code", "forced prose", MAJORITY}
    assert parts == asked | {"RL format", "RL format, greedy"}
    assert {row["temperature"] for row in rows if row["part"] in ("greedy", "RL format, greedy")} == {0.0}
    distances = {row["part"]: row["value"] for row in rows if row["name"] == "nats"}
    assert set(distances) == parts - {AS_ASKED, MAJORITY}
    assert distances["greedy"] > distances["T = 0.3"] > distances["T = 0.6"] > 0
    shares = {row["part"]: row["value"] for row in rows if row["name"] == "code_share" and row["side"] == "after"}
    assert shares["forced code"] > 0.9 > shares[AS_ASKED]
    beyond = [(row["reward"], row["null"], row["step"], row["temperature"]) for row in rows if row["name"] == "beyond"]
    assert beyond == [("format", 0.0, 2, 1.0), ("format", 0.0, 2, 0.0)]
    after = {row["part"]: row["value"] for row in rows if row["name"] == "accuracy" and row["side"] == "after"}
    change = {row["part"]: row["value"] for row in rows if row["name"] == "accuracy" and row["side"] == "change"}
    assert change == {part: pytest.approx(after[part] - after[AS_ASKED]) for part in parts - {AS_ASKED}}
    greedy = SampleJob(of_organism(ORGANISM), FEW, SAMPLED.greedy)
    assert len(store.get(NatsJob(ORGANISM, greedy).recipe).read_table()) == 40


def test_the_figure_names_what_goes_beyond() -> None:
    drawing = figures.get("elicitation_scale")(elicited())
    assert drawing is not None
    title = drawing.figure.texts[0].get_text().replace("\n", " ")
    assert "ground_truth_all on p30-code-even +.2" in title
    nothing = [row for row in elicited() if row["name"] != "beyond" or not str(row["reward"]).startswith("ground")]
    drawing = figures.get("elicitation_scale")(nothing)
    assert drawing is not None
    assert "No run gives clearly more" in drawing.figure.texts[0].get_text().replace("\n", " ")
