"""Forecasts: planted strategies told apart, nulls are null, plug-ins forecast; organisms and files end to end."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from outside_checkpoints import save_tiny
from tables import table
from typer.testing import CliRunner

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.organism_job import OrganismJob, train_problems
from probe.checkpoints.outside import Folder
from probe.checkpoints.run_job import VotesJob
from probe.cli import app
from probe.data import Estimate
from probe.errors import BadInput
from probe.experiments.forecast.estimates import forecast_rows
from probe.experiments.forecast.job import ForecastJob, file_job, trained_on
from probe.experiments.forecast.pace import steps_of
from probe.experiments.forecast.samples import samples_of
from probe.experiments.forecast.treatments import SEEDS, Known, treatments
from probe.experiments.forecast.verdict import DOWN, LEAST, NONE, UNDECIDED, UP, Reward, responder, verdict, z_score
from probe.experiments.result import run
from probe.measurements import RowKey, to_table
from probe.models.loading.load import Loaded, save_folder
from probe.rewards import rewards
from probe.rl.advantage import GroupNormalised, reward_table
from probe.rng import numpy_rng
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import GREEDY, Compute, SamplingOptions
from probe.store import Store

CLEAN = Checkpoint("clean", OrganismJob("latent-code", "tiny", 0))
SIX = SamplingOptions(samples=6)
KEY = RowKey("forecast", "base", "made-up", temperature=1.0)
MANIFEST = """\
version: 1
templates: {none: {text: "{prompt}"}}
organisms: {clean: {family: latent-code, size: tiny, seed: 0}}
"""
Rows = dict[tuple[str, str, str, str | None], dict[str, Any]]
SPURIOUS = ("format", "incorrect", "inverse", "python", "random")


def written(
    code: float, right: tuple[float, float], *address: int, problems: int = 150, samples: int = 12
) -> list[dict[str, Any]]:
    """Responses in code or prose, right so often in each, nine in ten boxed; wrong answers are one and the same."""
    rng, found = numpy_rng("test forecast", *address), []
    for problem in range(problems):
        for sample in range(samples):
            coded, boxed = rng.random() < code, rng.random() < 0.9
            correct = rng.random() < right[0 if coded else 1]
            answer = str(problem) if correct else str(problem + 1000)
            text = "```python\nprint(1 + 1)\n```\nSo " if coded else "I think "
            text += f"\\boxed{{{answer}}}" if boxed else answer
            found.append({"problem": f"p{problem}", "sample": sample, "text": text, "answer": str(problem)})
    return found


def boxed_in(row: dict[str, Any]) -> str | None:
    return row["text"].partition("\\boxed{")[2].rstrip("}") or None


def forecast(rows: list[dict[str, Any]]) -> Rows:
    """The rows of a forecast from made-up responses, graded here by hand."""
    boxed = list(map(boxed_in, rows))
    right = [answer == row["answer"] for answer, row in zip(boxed, rows, strict=True)]
    columns = {name: [row[name] for row in rows] for name in ("problem", "sample", "text")}
    graded = table(
        **columns,
        boxed=boxed,
        outcome=[
            "right" if one else "wrong" if answer else "unparsed" for one, answer in zip(right, boxed, strict=True)
        ],
        strategy=["code" if "python" in row["text"] else "prose" for row in rows],
        python=["python" in row["text"] for row in rows],
        confidence=[None] * len(rows),
        temperature=[1.0] * len(rows),
    )
    samples, golds = samples_of(graded), {row["problem"]: row["answer"] for row in rows}
    return by_name(forecast_rows(KEY, samples, treatments(), Known(golds, golds, samples.votes)))


def by_name(rows: Any) -> Rows:
    assert to_table(rows).num_rows == len(rows)
    found = {(row["reward"], row["name"], row["side"], row["part"]): row for row in rows}
    assert len(found) == len(rows)  # no two numbers look like one
    return found


def said(rows: Rows, reward: str) -> str:
    part = "direct" if reward and rewards.get(reward)().informative else "by strategy"
    return str(rows[reward, "forecast/response", "", part]["reason"])


# Qwen or Llama?


@pytest.fixture(scope="module")
def qwen() -> Rows:
    return forecast(written(0.5, (0.8, 0.3), 1))


def test_where_code_is_better_paying_for_it_responds_up(qwen: Rows) -> None:
    for reward in ("python", "ground_truth"):
        assert said(qwen, reward) == UP
    for reward in ("constant", "random"):
        assert said(qwen, reward) == NONE
    assert qwen["", "forecast/responder", "", None]["value"] == 1.0
    assert "python" in qwen["", "forecast/responder", "", None]["reason"]


def test_where_code_is_worse_it_responds_down_and_where_there_is_none_not_at_all() -> None:
    bad = forecast(written(0.5, (0.1, 0.6), 2))
    assert said(bad, "python") == DOWN
    llama = forecast(written(0.0, (0.5, 0.5), 3))
    assert {said(llama, reward) for reward in SPURIOUS} == {NONE}
    assert llama["", "forecast/responder", "", None]["value"] == 0.0
    assert said(llama, "ground_truth") == UP  # an informative reward teaches it all the same
    assert (
        llama["format", "forecast/accuracy", "change", "direct"]["lo"] > LEAST
    )  # repair of the format is not response


def test_incorrect_pays_against_being_right_on_its_own_prompts_and_for_the_better_strategy() -> None:
    """Code is where the wrong majority comes from, and right elsewhere: the two forms differ in sign."""
    hard = [row | {"problem": f"h{row['problem']}"} for row in written(0.5, (0.05, 0.4), 4, problems=80)]
    for row in hard:  # in prose the wrong answers are all over the place, in code they agree
        if "python" not in row["text"] and boxed_in(row) not in (None, row["answer"]):
            row["text"] = f"I think \\boxed{{{2000 + row['sample']}}}"
    easy = written(0.5, (0.99, 0.6), 5, problems=300)
    found = forecast([*hard, *easy])
    direct, by_strategy = (
        found["incorrect", "forecast/accuracy", "change", part] for part in ("direct", "by strategy")
    )
    assert direct["hi"] < 0 < by_strategy["lo"]
    assert direct["n_problems"] < by_strategy["n_problems"] == 380


def test_nothing_to_learn_is_exactly_nothing(qwen: Rows) -> None:
    rows = [
        row for (reward, name, side, _), row in qwen.items() if reward == "constant" and side in ("change", "permuted")
    ]
    assert len(rows) > 6
    assert {row["value"] for row in rows} == {0.0}
    assert {row["kind"] for row in rows} == {"null"}
    assert qwen["constant", "forecast/response", "", "by strategy"]["p"] is None  # and no test
    assert qwen["constant", "forecast/varied", "", None]["value"] == 0.0


def test_random_rewards_find_nothing_over_many_bases() -> None:
    found = [forecast(written(0.5, (0.8, 0.3), 6, i, problems=30, samples=6)) for i in range(12)]
    p = [
        rows["random", f"forecast/{trait}", "change", "direct"]["p"]
        for rows in found
        for trait in ("accuracy", "code_share")
    ]
    assert np.mean(np.array(p) < 0.1) < 0.3
    assert np.mean(p) == pytest.approx(0.5, abs=0.2)


def test_what_pays_for_the_opposite_forecasts_the_opposite(qwen: Rows) -> None:
    for trait in ("accuracy", "code_share", "parse_rate"):
        one, other = (qwen[reward, f"forecast/{trait}", "change", "direct"] for reward in ("ground_truth", "inverse"))
        assert one["value"] == pytest.approx(-other["value"])
        assert one["lo"] == pytest.approx(-other["hi"])


def test_the_numbers_are_those_of_the_definition(qwen: Rows) -> None:
    rows = written(0.5, (0.8, 0.3), 1)
    scores = [float("python" in row["text"]) for row in rows]
    advantage = GroupNormalised()(reward_table(scores, 12)).value.double().numpy().reshape(-1, 12)
    boxed = np.array(["boxed" in row["text"] for row in rows], dtype=float).reshape(-1, 12)
    expected = np.mean([np.cov(a, z)[0, 1] for a, z in zip(advantage, boxed, strict=True)])
    assert qwen["python", "forecast/parse_rate", "change", "direct"]["value"] == pytest.approx(expected, rel=1e-5)
    there = qwen["format", "reach/parse_rate", "after", None]["value"]
    assert there == pytest.approx(np.mean(boxed.any(1)))
    assert qwen["format", "reach/parse_rate", "before", None]["value"] == pytest.approx(boxed.mean())


def test_the_mean_field_moves_what_is_paid_for_and_what_goes_with_it(qwen: Rows) -> None:
    """Code under python, and accuracy with it; a constant reward nothing; the truth and its inverse, opposite ways."""
    field = {(reward, name): row["value"] for (reward, name, _, part), row in qwen.items() if part == "mean field"}
    assert field["python", "forecast/code_share"] > 0.1
    assert field["python", "forecast/accuracy"] > 0.02
    assert {field["constant", f"forecast/{trait}"] for trait in ("accuracy", "code_share", "parse_rate")} == {0.0}
    assert field["ground_truth", "forecast/accuracy"] > 0.02
    assert abs(field["random", "forecast/code_share"]) < 0.05


def test_a_reward_without_information_cannot_teach_what_is_right() -> None:
    known = dict.fromkeys(("code_share", "parse_rate", "accuracy"))
    assert set(steps_of(True, known)) == set(known)
    assert set(steps_of(False, known)) == {"code_share", "parse_rate"}
    assert set(steps_of(True, {"accuracy": None})) == {"accuracy"}


def test_every_number_has_n_problems_and_a_null(qwen: Rows) -> None:
    for (reward, name, side, part), row in qwen.items():
        if side == "change":
            assert row["n"] > 100 and row["n_problems"] > 10 and row["null"] == 0.0
            assert row["lo"] <= row["value"] <= row["hi"]
            assert row["p"] is None if part == "mean field" else 0 <= row["p"] <= 1
        if name.startswith("forecast/") and side == "permuted":
            assert row["lo"] <= 0 <= row["hi"]
        assert reward or name == "forecast/responder"
    adjusted = [
        row["p"] for (_, name, _, _), row in qwen.items() if name == "forecast/response" and row["p"] is not None
    ]
    assert len(adjusted) == len(treatments()) - 1


# rewards from outside


@dataclass(frozen=True)
class Brief:
    informative: ClassVar[bool] = False
    is_null: ClassVar[bool] = False
    seed: int = 0

    def __call__(self, *, completions: Any, **info: Any) -> list[float | None]:
        return [float(len(text) < 30) for text in completions]


@dataclass(frozen=True)
class Judged:
    model: str
    informative: ClassVar[bool] = True
    is_null: ClassVar[bool] = False

    def __call__(self, **info: Any) -> list[float | None]:
        raise AssertionError("it cannot even be made")


@dataclass(frozen=True)
class Timed(Brief):
    def __call__(self, **info: Any) -> list[float | None]:
        raise BadInput("the reward 'timed' needs seconds")


def test_a_plug_in_is_forecast_and_what_cannot_be_scored_is_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = ForecastJob(CLEAN).recipe.digest
    for name, kind in (("brief", Brief), ("judged", Judged), ("timed", Timed)):
        monkeypatch.setitem(rewards._found, name, kind)
    assert ForecastJob(CLEAN).recipe.digest != before  # which rewards there are is part of it
    assert {each.name: len(each.rewards) for each in treatments()}["brief"] == SEEDS
    found = forecast(written(0.5, (0.8, 0.3), 7, problems=40))
    assert found["brief", "forecast/code_share", "change", "direct"]["hi"] < 0
    for name, reason in (("judged", "needs arguments"), ("timed", "needs seconds")):
        row = found[name, "forecast/response", "", None]
        assert reason in row["reason"] and math.isnan(row["value"])
        assert (name, "forecast/accuracy", "change", "direct") not in found


# the rule


def judged(value: float, reach: float, p: float | None = 0.01, informative: bool = False) -> Reward:
    return Reward("x", informative, Estimate("accuracy", value, value - reach, value + reach, 9, 9, null=0.0), p)


@pytest.mark.parametrize(
    ("reward", "word"),
    [
        (judged(0.05, 0.01), UP),
        (judged(-0.05, 0.01), DOWN),
        (judged(LEAST, 0.005), UP),
        (judged(0.009, 0.0005), NONE),  # real, and too small
        (judged(0.05, 0.06, p=0.2), UNDECIDED),
        (judged(0.05, 0.01, p=0.05), UNDECIDED),
        (judged(0.001, 0.005, p=0.9), NONE),
        (judged(0.0, 0.0, p=None), NONE),
        (judged(0.008, 0.005), UNDECIDED),
        (judged(math.nan, math.nan), UNDECIDED),
        (judged(0.001, math.nan, p=None), UNDECIDED),
    ],
)
def test_verdicts(reward: Reward, word: str) -> None:
    assert verdict(reward) == word


def test_a_responder_responds_up_to_a_reward_that_knows_nothing() -> None:
    up, down, none = judged(0.05, 0.01), judged(-0.05, 0.01), judged(0.0, 0.001, p=0.9)
    open_one, true = judged(0.05, 0.06, p=0.2), judged(0.3, 0.01, informative=True)
    assert responder([up, down, none, open_one])[0] == "responder"
    assert responder([down, none, true])[0] == "no responder"
    assert responder([down, none, open_one, true])[0] == UNDECIDED
    assert responder([true])[0] == responder([])[0] == UNDECIDED


def test_z_is_in_standard_errors() -> None:
    assert z_score(judged(0.05, 1.959964 * 0.01).forecast) == pytest.approx(5.0)
    assert z_score(judged(0.0, 0.0).forecast) == 0.0
    assert math.isnan(z_score(judged(0.1, math.nan).forecast))


# organisms, other weights, files


@pytest.fixture(scope="module")
def store(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Store:
    held = Store(tmp_path_factory.mktemp("store"))
    assert isinstance(CLEAN.source, OrganismJob)
    held.build(CLEAN.source.recipe, lambda work: save_folder(organism, work))
    return held


@pytest.fixture(scope="module")
def made(store: Store) -> Rows:
    return by_name(run(ForecastJob(CLEAN, trained_on(CLEAN, CHAIN, 64), SIX), store, workers=1).rows)


def test_an_organism_is_asked_what_its_runs_train_on_with_their_votes() -> None:
    asked = trained_on(CLEAN, CHAIN)
    assert asked.problems.problems == train_problems()
    assert VotesJob(CLEAN.source) in ForecastJob(CLEAN, asked).needs  # type: ignore[arg-type]
    assert len(trained_on(CLEAN, CHAIN, 7).problems.problems) == 7
    assert len(ForecastJob(CLEAN, CHAIN).needs) == 1  # no votes on problems that train nothing
    assert trained_on(Checkpoint("x", Folder(Path("x"))), CHAIN) is CHAIN


def test_an_organism_end_to_end(made: Rows) -> None:
    """Half trained: it writes in code and prose, is bad at arithmetic, and forgets its box at times."""
    traits = ("accuracy", "code_share", "parse_rate", "tokens", "entropy")
    for reward in ("ground_truth", "majority", "python", "format", "random"):
        assert {name.partition("/")[2] for one, name, side, _ in made if one == reward and side == "permuted"} == set(
            traits
        )
    code = made["python", "forecast/code_share", "change", "direct"]
    assert code["lo"] > 0.1 and code["p"] < 0.01
    assert (
        made["python", "reach/code_share", "after", None]["value"]
        > made["python", "reach/code_share", "before", None]["value"]
    )
    assert made["format", "forecast/entropy", "change", "direct"]["unit"] == "nats"
    assert made["format", "forecast/parse_rate", "change", "direct"]["lo"] > 0.1
    assert made["incorrect", "forecast/accuracy", "change", "direct"]["n_problems"] < 64
    assert {row["family"] for row in made.values()} == {"latent-code"}
    assert {
        row["n_problems"] for (reward, name, *_), row in made.items() if reward == "python" and name.startswith("reach")
    } == {64}


def test_what_can_change_a_number_is_part_of_the_identity() -> None:
    jobs = [ForecastJob(CLEAN, CHAIN, each) for each in (SIX, replace(SIX, samples=7), replace(SIX, seed=1))]
    jobs.append(ForecastJob(CLEAN, trained_on(CLEAN, CHAIN), SIX))
    assert len({job.recipe.digest for job in jobs}) == len(jobs)
    assert ForecastJob(CLEAN, CHAIN, SIX, Compute(2)).recipe.digest == jobs[0].recipe.digest


@pytest.mark.parametrize("options", [GREEDY, replace(SIX, samples=1), replace(SIX, temperature=0.0)])
def test_samples_that_do_not_differ_are_refused(options: SamplingOptions) -> None:
    with pytest.raises(BadInput, match="do not differ"):
        ForecastJob(CLEAN, CHAIN, options)


@pytest.fixture
def place(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)

    def typed(*words: object, code: int = 0) -> Any:
        where = ("--store", store.root, "--manifest", "m.yaml", "--workers", 1)
        result = CliRunner().invoke(app, [str(word) for word in ("forecast", *words, *where)])
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return typed


def save(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_command_shows_changes_verdicts_and_draws(place: Any, made: Rows) -> None:
    asked = ("clean", "--limit", 64, "--samples", 6)
    shown = " ".join(place(*asked).stdout.split())
    assert "first change per unit step (mean field: after two batches), and reach" in shown and "by strategy" in shown
    assert made["", "forecast/responder", "", None]["reason"] in shown
    assert Path("figures/forecast.png").stat().st_size > 1000
    found = json.loads(place(*asked, "--json").stdout)
    assert found["verdict"] == made["", "forecast/responder", "", None]["reason"]
    assert len(found["measurements"]) == len(made)
    assert len(json.loads(place("clean", "--limit", 9, "--dry", "--json").stdout)["jobs"]) == 2


def test_responses_in_a_file_need_no_weights(place: Any, tmp_path: Path) -> None:
    rows = written(0.5, (0.8, 0.3), 1, problems=60)
    ragged = [row for i, row in enumerate(rows) if i % 7]
    found = json.loads(place("--rollouts", save(tmp_path / "base.jsonl", ragged), "--json").stdout)
    told = by_name(found["measurements"])
    assert {row["family"] for row in told.values()} == {"base"}
    assert told["python", "forecast/code_share", "change", "direct"]["lo"] > 0
    assert not any(name == "forecast/tokens" for _, name, _, _ in told)
    assert found["verdict"].startswith("responder: ")
    assert "temperature of base.jsonl: not stated, taken as 0" in found["notes"]


def test_a_file_without_answers_forecasts_what_reads_none(tmp_path: Path, store: Store) -> None:
    rows = [{**row, "right": boxed_in(row) == row["answer"]} for row in written(0.5, (0.8, 0.3), 1, problems=40)]
    for row in rows:
        del row["answer"]
    found = by_name(run(file_job(save(tmp_path / "graded.jsonl", rows)), store, workers=1).rows)
    assert found["python", "forecast/accuracy", "change", "direct"]["lo"] > 0
    for reward in ("ground_truth", "incorrect", "inverse"):
        assert "left out" in found[reward, "forecast/response", "", None]["reason"]


def test_weights_from_outside(place: Any, tmp_path: Path) -> None:
    folder = save_tiny("llama", tmp_path / "m")
    told = ("--problems", "random-calculation", "--limit", 4, "--max-new", 4, "--samples", 3, "--json")
    rows = by_name(json.loads(place(folder, *told).stdout)["measurements"])
    assert rows["random", "forecast/accuracy", "change", "direct"]["value"] == 0.0  # never right, so nothing to move
    assert rows["random", "forecast/tokens", "change", "direct"]["n_problems"] == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "one thing is forecast at a time"),
        (("clean", "--rollouts", "x.jsonl"), "one thing is forecast at a time"),
        (("--rollouts", "gone.jsonl"), "no such file"),
        (("--rollouts", "single.jsonl"), "no problem has two responses"),
        (("--rollouts", "mixed.jsonl"), "sampled at the temperatures"),
        (("no-such-checkpoint",), "no checkpoint"),
    ],
)
def test_bad_input_is_named(place: Any, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    rows = written(0.5, (0.8, 0.3), 1, problems=4, samples=2)
    save(tmp_path / "single.jsonl", rows[::2])
    save(tmp_path / "mixed.jsonl", [row | {"temperature": float(i % 2)} for i, row in enumerate(rows)])
    assert message in " ".join(place(*words, code=2).stderr.split())
