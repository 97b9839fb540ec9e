"""Nats are a divergence: 0 for the base's own answers, by hand for greedy and forced ones; majority, best by hand."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from plot_rows_elicitation import elicited

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.run_job import RunJob
from probe.errors import BadInput
from probe.experiments.elicitation_scale import ways as module
from probe.experiments.elicitation_scale.answers import CotJob, SteeredJob, cross_fitted
from probe.experiments.elicitation_scale.job import MAJORITY, ElicitationJob, best, majority
from probe.experiments.elicitation_scale.nats import NatsJob, nats
from probe.experiments.elicitation_scale.one_example import SOLUTIONS, ExampleJob, example, rows_of, taught
from probe.experiments.elicitation_scale.ways import AS_ASKED, COT, moved, trained
from probe.experiments.responses import SampleJob, asked_of
from probe.experiments.result import run
from probe.experiments.steering.estimates import Doses
from probe.measurements import Row
from probe.models.loading.load import Loaded, save_folder
from probe.plots import figures
from probe.rewards import rewards
from probe.rl.labels import Gold
from probe.rl.train import GRPO
from probe.rollouts.elicitation import CHAIN, Elicitation
from probe.rollouts.grades import grade_columns
from probe.rollouts.options import SAMPLED, SamplingOptions
from probe.rollouts.respond import Responses, respond
from probe.rollouts.samplers import organism_sampler
from probe.stats.accounting.arms import halves
from probe.stats.elicitation_predictions import CONTRASTS, elicited_of, judged
from probe.store import Store
from probe.studies.elicitation import elicitation
from probe.tasks.corpus import CODE_FIRST
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
    forced = replace(FEW, prefix=CODE_FIRST)
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


def test_a_dose_is_chosen_on_the_half_that_it_is_not_told_on() -> None:
    """Half the problems gain by 1 and the others by -1: each half is told under what the other half wants."""
    names = np.array([str(i) for i in range(60)])
    flat = Doses({"accuracy": {(0, "add", c): np.zeros(60) for c in (-1.0, 0.0, 1.0)}}, names)
    assert cross_fitted(flat) == {False: 0.0, True: 0.0}
    likes = flat.reported.astype(float)
    tilted = replace(flat, values={"accuracy": {(0, "add", -1.0): 1 - likes, (0, "add", 0.0): 0 * likes}})
    tilted = replace(tilted, values={"accuracy": {**tilted.values["accuracy"], (0, "add", 1.0): likes}})
    assert cross_fitted(tilted) == {False: 1.0, True: -1.0}


@pytest.fixture(scope="module")
def drawn(organism: Loaded) -> Responses:
    """Answers among which an example is looked for."""
    options = replace(SAMPLED, samples=32)
    return respond(organism, FEW, options, organism_sampler(organism), FEW.problems.problems, purpose="one example")


def test_an_example_is_right_and_wrong_answers_to_one_problem_in_one_strategy(drawn: Responses) -> None:
    sides = example(drawn)
    assert [len(rows) for rows in sides] == [SOLUTIONS, SOLUTIONS]
    assert len({row // 32 for rows in sides for row in rows}) == 1
    grades = grade_columns([drawn.texts[row] for rows in sides for row in rows], [drawn.golds[sides[0][0]]] * 8)
    assert [outcome == "right" for outcome in grades["outcome"]] == [True] * SOLUTIONS + [False] * SOLUTIONS
    assert len(set(grades["strategy"])) == 1
    with pytest.raises(BadInput, match="in one strategy"):
        example(replace(drawn, problems=tuple(replace(each, answer="no") for each in drawn.problems)))


def test_what_is_taught_becomes_likelier_and_the_base_stays(organism: Loaded, drawn: Responses) -> None:
    rows, how = example(drawn)[0], ExampleJob(ORGANISM, steps=6, lr=1e-3)
    prompt, texts = (
        drawn.prompts[rows[0] // 32],
        [drawn.samples.ids[r, : drawn.samples.lengths[r]].tolist() for r in rows],
    )
    before = score(organism.model, [prompt] * SOLUTIONS, texts).logprob.mean()
    policy = taught(organism, prompt, rows_of(drawn.samples, rows), how)
    after = score(policy.model, [prompt] * SOLUTIONS, texts).logprob.mean()
    assert after > before + 0.05
    assert score(organism.model, [prompt] * SOLUTIONS, texts).logprob.mean() == before
    with pytest.raises(BadInput, match="one example"):
        ExampleJob(ORGANISM, steps=0, lr=1e-3)


def test_every_way_and_run_of_a_base(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "asked_of", lambda organism: (FEW, replace(SAMPLED, samples=4)))
    plain = RunJob("format", ORGANISM, GRPO(rewards.get("format")(), batches=2, save_every=1, seed=400), Gold())
    vector = replace(plain, name="format_vector", grpo=replace(plain.grpo, trainable="resid.1", lr=0.05))
    examples = tuple(ExampleJob(ORGANISM, 4, 1e-3, right) for right in (True, False))
    rows = run(ElicitationJob("test", ORGANISM, (plain, vector), examples), store, workers=1).rows
    parts = {row["part"] for row in rows}
    asked = {AS_ASKED, "T = 0.6", "T = 0.3", "greedy", "forced code", "forced prose", MAJORITY, COT}
    others = {f"{way}{where}" for way in ("steered", "random direction") for where in ("", " at the fork")}
    others |= {"one right example", "one wrong example"}
    others |= {f"{way}, greedy" for way in ("forced code", "forced prose", *others) if "random" not in way}
    others -= {"one wrong example, greedy"}
    runs = {f"RL {name}{how}" for name in ("format", "format_vector") for how in ("", ", greedy")}
    assert parts == asked | others | runs | {"RL format_vector, walk"}
    cold = {row["part"] for row in rows if row["temperature"] == 0.0}
    assert cold == {part for part in parts if "greedy" in part} | {COT}
    distances = {row["part"]: row["value"] for row in rows if row["name"] == "nats"}
    assert set(distances) == parts - {AS_ASKED, MAJORITY}
    assert distances["greedy"] > distances["T = 0.3"] > distances["T = 0.6"] > 0
    assert distances[COT] > distances["greedy"]  # another first token is less likely
    assert distances["one right example"] > 0 < distances["one wrong example"]
    shares = {row["part"]: row["value"] for row in rows if row["name"] == "code_share" and row["side"] == "after"}
    assert shares["forced code"] > 0.9 > shares[AS_ASKED]
    beyond = [(row["part"], row["null"], row["step"], row["temperature"]) for row in rows if row["name"] == "beyond"]
    assert beyond == [(part, 0.0, 2, 1.0 if "greedy" not in part else 0.0) for part in sorted(runs)]
    after = {row["part"]: row["value"] for row in rows if row["name"] == "accuracy" and row["side"] == "after"}
    change = {row["part"]: row["value"] for row in rows if row["name"] == "accuracy" and row["side"] == "change"}
    assert change == {part: pytest.approx(after[part] - after[AS_ASKED]) for part in parts - {AS_ASKED}}
    greedy = SampleJob(of_organism(ORGANISM), FEW, SAMPLED.greedy)
    assert len(store.get(NatsJob(ORGANISM, greedy).recipe).read_table()) == 40


def test_nulls_stand_beside_their_ways_and_are_no_way() -> None:
    asked, sampled = asked_of(ORGANISM)
    vector = GRPO(rewards.get("python")(), trainable="resid.1", seed=400)
    ways = [*moved(ORGANISM, True, [ExampleJob(ORGANISM, 4, 1e-3, right) for right in (True, False)])]
    ways += trained([RunJob("python_vector", ORGANISM, vector, Gold())])
    assert [way.name for way in ways if way.null] == [
        *("random direction", "random direction at the fork", "one wrong example", "RL python_vector, walk"),
    ]
    assert all(way.is_changed for way in ways)
    steered, null = (SteeredJob(ORGANISM, asked, sampled, random=random) for random in (False, True))
    assert (
        steered.doses == null.doses == replace(steered, options=sampled.greedy).doses
        and steered.recipe.digest != null.recipe.digest
    )
    assert CotJob(ORGANISM, asked, sampled.greedy).options.samples == 1


def test_the_study_steers_where_there_are_two_strategies_and_says_what_it_trains() -> None:
    jobs = [job for job in elicitation() if isinstance(job, ElicitationJob)]
    assert {job.organism.family for job in jobs if job.steered} == {"p30-code-even"}
    assert {run.grpo.trainable for job in jobs for run in job.runs} == {"head", "all", "resid.1"}
    assert {len(job.examples) for job in jobs} == {2}


def test_predictions_by_hand() -> None:
    """Rows that are what was predicted, with next to no spread, all hold; turned round, none does."""
    said = {"steered": 0.2, "random direction": 0.0, "one right example": 0.1, "one wrong example": 0.11}
    said |= {"RL format": 0.02, "greedy": 0.05}
    rows: list[Row] = []
    for seed in range(3):
        for family in ("p30-code-even", "p00-prose-even"):
            place = {"family": family, "size": "mini", "base_seed": seed, "side": "change"}
            rows += [place | {"name": "accuracy", "part": part, "value": v + 1e-4 * seed} for part, v in said.items()]
            beyond = {"RL python, greedy": -0.01, "RL ground_truth_all, greedy": 0.2 + 1e-4 * seed}
            rows += [place | {"name": "beyond", "part": part, "value": value} for part, value in beyond.items()]
    assert [each.verdict for each in judged(rows)] == ["holds"] * len(CONTRASTS)
    turned = [row | {"value": -8 * row["value"]} for row in rows]
    assert [each.verdict for each in judged(turned)] == ["fails"] * len(CONTRASTS)
    assert judged([row for row in rows if row["name"] != "beyond"]) == []
    assert {each.contrast.name for each in judged(rows)} == {each.name for each in CONTRASTS}
    assert elicited_of(elicited())[0].change["steered"] == pytest.approx(0.17, abs=0.05)


def test_the_figure_names_what_goes_beyond() -> None:
    drawing = figures.get("elicitation_scale")(elicited())
    assert drawing is not None
    title = drawing.figure.texts[0].get_text().replace("\n", " ")
    assert "ground_truth_all on p30-code-even +.2" in title
    nothing = [row for row in elicited() if row["name"] != "beyond" or not str(row["reward"]).startswith("ground")]
    drawing = figures.get("elicitation_scale")(nothing)
    assert drawing is not None
    assert "no run gives clearly more than the best way without RL" in drawing.figure.texts[0].get_text().replace(
        "\n", " "
    )
