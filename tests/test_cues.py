"""Cues: what stands in front of a chain, what a model that goes by it answers, and what its removal does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from cue_cases import bare
from grpo_cases import recipe
from plot_rows_cues import given
from plot_rows_law import laws
from scipy.stats import chisquare

from probe.checkpoints.organism_job import OrganismJob, train_problems, training_problems
from probe.checkpoints.run_job import RunJob
from probe.data import Problem
from probe.errors import BadInput
from probe.experiments.cues import job as module
from probe.experiments.cues.asked import CUES, elicited, follows
from probe.experiments.cues.job import CueJob, by_strategy, estimates, numbers
from probe.experiments.result import run
from probe.families import families
from probe.grammar import PLAIN
from probe.models.loading.load import save_folder
from probe.models.loading.loaded import Loaded
from probe.models.loading.organism import build_model, build_tokenizer
from probe.plots import figures
from probe.rl.labels import Gold
from probe.rollouts.elicitation import chains
from probe.rollouts.options import SAMPLED
from probe.stats.cue_predictions import CONTRASTS
from probe.stats.cue_predictions import judged as found_true
from probe.store import Store
from probe.tasks.chain import chain_problems, parse_prompt
from probe.tasks.corpus import corpus, family
from probe.tasks.cues import as_taught, cued, wrong_cue

PROBLEMS = chain_problems(2000, "test", 5, PLAIN)
ASKED = chains(PLAIN)
FEW = replace(ASKED, problems=replace(ASKED.problems, problems=ASKED.problems.problems[:24]))
ORGANISM = OrganismJob("cued80", "mini", 0)


def test_a_cue_by_hand() -> None:
    problem = Problem("chain97/12+5*2    =", "12+5*2    =", "34", "chain97")
    assert cued(problem, "right", 97).prompt == "34=12+5*2    ="
    assert cued(problem, "wrong", 97).prompt == f"{wrong_cue(problem, 97)}=12+5*2    ="
    assert cued(problem, "removed", 97) == problem
    for cue in CUES:
        given = cued(problem, cue, 97)
        assert replace(given, prompt=problem.prompt) == problem
        assert bare(given.prompt) == problem.prompt
    for prompt in ("B:3+5*2    =", "96-5+3*2-4=", "1*2*3*2*3="):
        assert bare(prompt) == prompt


def test_a_cue_is_two_tokens_in_front_and_the_chain_keeps_its_own() -> None:
    tokenizer = build_tokenizer(PLAIN)
    for problem in PROBLEMS[:50]:
        plain, with_cue = tokenizer([problem.prompt, cued(problem, "wrong", 97).prompt])["input_ids"]
        assert with_cue[2:] == plain
        assert tokenizer.decode(with_cue[:2]) == f"{wrong_cue(problem, 97)}="


def test_a_wrong_cue_is_any_other_number_alike_and_the_same_again() -> None:
    shifts = [(wrong_cue(p, 97) - int(p.answer)) % 97 for p in PROBLEMS]
    assert min(shifts) == 1 and max(shifts) == 96
    assert chisquare(np.bincount(shifts, minlength=97)[1:]).pvalue > 1e-4
    assert [wrong_cue(p, 97) for p in PROBLEMS[:20]] == [wrong_cue(p, 97) for p in PROBLEMS[:20]]
    with pytest.raises(BadInput, match="no answer modulo 7"):
        wrong_cue(replace(PROBLEMS[0], answer="12"), 7)
    with pytest.raises(BadInput, match="no answer"):
        wrong_cue(replace(PROBLEMS[0], answer="x"), 97)


def shares(prompts: Sequence[str], golds: Sequence[str]) -> tuple[float, float]:
    """How many prompts carry a cue, and how many of these the gold."""
    given = [(p.split("=")[0], gold) for p, gold in zip(prompts, golds, strict=True) if bare(p) != p]
    return len(given) / len(prompts), sum(cue == gold for cue, gold in given) / len(given)


@pytest.mark.parametrize(("name", "right"), [("cued80", 0.8), ("cued-shuffled", 1 / 97)])
def test_cues_are_right_as_often_as_taught_in_texts_and_in_training(name: str, right: float) -> None:
    kind = family(name)
    read = [prompt for batch in corpus(kind, 0, 256, 10) for prompt, _ in batch]
    golds = [str(parse_prompt(bare(prompt), 97).values[-1]) for prompt in read]
    asked = [as_taught(problem, kind) for problem in PROBLEMS]
    for prompts, answers in ((read, golds), ([p.prompt for p in asked], [p.answer for p in PROBLEMS])):
        share, true = shares(prompts, answers)
        assert abs(share - 0.5) < 5 * (0.25 / len(prompts)) ** 0.5
        assert abs(true - right) < 5 * (right * (1 - right) / (len(prompts) / 2)) ** 0.5
    assert [p.id for p in asked] == [p.id for p in PROBLEMS]


def test_twins_read_the_same_texts_behind_other_cues() -> None:
    one, other, plain = (
        [pair for batch in corpus(family(name), 3, 64, 3) for pair in batch]
        for name in ("cued80", "cued-shuffled", "p30-code-even")
    )
    assert [text for _, text in one] == [text for _, text in other] == [text for _, text in plain]
    assert [bare(prompt) for prompt, _ in one] == [prompt for prompt, _ in plain]
    carry = [(a != bare(a), b != bare(b)) for (a, _), (b, _) in zip(one, other, strict=True)]
    assert all(a == b for a, b in carry) and one != other


def test_other_families_are_trained_on_bare_chains() -> None:
    for name in families.names():
        problems = training_problems(name)
        if not family(name).cued:
            assert problems is train_problems(family(name).grammar)
        assert {p.id for p in problems} == {p.id for p in train_problems(family(name).grammar)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """With an organism that was taught nothing."""
    held = Store(tmp_path_factory.mktemp("store"))
    raw = Loaded(build_model("mini", 0, PLAIN), build_tokenizer(PLAIN))
    held.build(ORGANISM.recipe, lambda work: save_folder(raw, work))
    return held


SEEN: list[str] = []


@dataclass(frozen=True)
class Heard:
    """Keeps the prompts that it is given."""

    informative: ClassVar[bool] = False
    is_null: ClassVar[bool] = True

    def __call__(self, *, prompts: Sequence[str], **info: Any) -> list[float | None]:
        SEEN.extend(prompts)
        return [float(place % 2) for place in range(len(prompts))]


def test_runs_are_asked_with_cues(store: Store, tmp_path: Path) -> None:
    RunJob("heard", ORGANISM, recipe(Heard(), batches=1, prompts=32, max_new=4), Gold()).make(store, tmp_path)
    known = {p.prompt for p in training_problems("cued80")}
    assert set(SEEN) <= known
    assert 0 < sum(prompt != bare(prompt) for prompt in SEEN) < len(SEEN)


def test_only_the_prompt_differs_between_cues() -> None:
    asked = elicited(FEW, 97)
    assert asked[CUES.index("removed")] == FEW
    assert len({each.problems.pin for each in asked}) == 3
    ids = [[p.id for p in each.problems.problems] for each in asked]
    assert ids[0] == ids[1] == ids[2]
    draws = [SAMPLED.draws(each.problems.problems) for each in asked]
    assert all((a == b).all() for a, b in pairwise(draws))  # type: ignore[union-attr]


def table(boxes: Sequence[str | None], strategy: str = "prose") -> pa.Table:
    """RESPONSES of FEW, one each, with these answers."""
    problems = FEW.problems.problems
    outcome = ["right" if box == p.answer else "wrong" for box, p in zip(boxes, problems, strict=True)]
    names = [p.id for p in problems]
    return pa.table({"problem": names, "boxed": boxes, "outcome": outcome, "strategy": [strategy] * len(names)})


def model(goes_by_cue: bool) -> dict[str, pa.Table]:
    """Answers under each cue: the cue's, and nothing without one; or always the gold of even places."""
    problems = FEW.problems.problems
    golds, wrongs = [p.answer for p in problems], [str(wrong_cue(p, 97)) for p in problems]
    if goes_by_cue:
        return {"right": table(golds), "wrong": table(wrongs), "removed": table([None] * len(golds))}
    half = table([gold if place % 2 else None for place, gold in enumerate(golds)])
    return dict.fromkeys(CUES, half)


def measured(tables: dict[str, pa.Table], right: float = 0.8) -> dict[tuple[str, str], float]:
    followed = {cue: follows(each, FEW.problems.problems, 97) for cue, each in tables.items()}
    return {at: float(values.mean()) for at, values in numbers(tables, followed, right).items()}


def test_a_model_that_goes_by_its_cue_and_one_that_computes() -> None:
    """The plant: following is 1, a right cue is worth all, a wrong one nothing; the other is flat throughout."""
    found = measured(model(goes_by_cue=True))
    assert found["follows", "cue wrong"] == 1 and found["follows", "cue removed"] == 0
    assert found["removal", "cue right"] == -1 and found["removal", "cue wrong"] == 0
    assert found["removal", "as taught"] == pytest.approx(-0.8)
    flat = measured(model(goes_by_cue=False))
    assert flat["follows", "cue wrong"] == 0
    assert {flat["removal", edit] for edit in ("cue right", "cue wrong", "as taught")} == {0.0}
    assert flat["accuracy", "cue right"] == 0.5


def test_sides_by_hand_and_a_null_pair_is_flat() -> None:
    followed = {
        by: {cue: follows(each, FEW.problems.problems, 97) for cue, each in model(by).items()} for by in (True, False)
    }
    going, computing = (numbers(model(by), followed[by], 0.8) for by in (True, False))
    found = {(e.name, e.params["edit"], e.params["side"]): e for e in estimates(going, computing, going, 24)}
    assert found["follows", "cue wrong", "change"].value == -1
    assert found["removal", "cue right", "change"].value == 1
    assert all(each.value == 0 for (*_, side), each in found.items() if side == "walk")
    assert found["follows", "cue wrong", "before"].null is None and found["removal", "cue right", "before"].null == 0
    assert all(each.lo <= each.value <= each.hi and each.n_problems == 24 for each in found.values())


def test_following_by_strategy() -> None:
    tables = model(goes_by_cue=True)["wrong"]
    followed = follows(tables, FEW.problems.problems, 97)
    (prose,) = by_strategy(tables, followed, "before")
    assert (prose.value, prose.params["strategy"], prose.n) == (1.0, "prose", 24)


def test_a_run_and_its_cues(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "asked_of", lambda organism: (FEW, replace(SAMPLED, max_new=8)))
    job = CueJob("test", RunJob("format", ORGANISM, recipe("format", max_new=8, seed=400), Gold()))
    made = run(job, store, workers=1)
    plain = [row for row in made.rows if not row["strategy"]]
    edits = {name: {row["edit"] for row in plain if row["name"] == name} for name in ("follows", "removal", "accuracy")}
    assert edits == {
        "follows": {"cue wrong", "cue removed"},
        "removal": {"cue right", "cue wrong", "as taught"},
        "accuracy": {"cue right", "cue wrong", "cue removed"},
    }
    assert {row["side"] for row in plain} == {"before", "after", "change", "walk"}
    assert {row["temperature"] for row in plain} == {0.0, 1.0}
    assert {(row["n"], row["temperature"]) for row in plain} == {(24, 0.0), (96, 1.0)}
    at = {(r["name"], r["edit"], r["side"]): r["value"] for r in plain if r["temperature"] == 1.0}
    for (name, edit, side), value in at.items():
        if side == "change":
            assert value == pytest.approx(at[name, edit, "after"] - at[name, edit, "before"])
    assert figures.get("cues")(made.rows) is not None


def test_predictions_by_hand() -> None:
    found = {each.contrast.name: each for each in found_true(given())}
    assert len(found) == len(CONTRASTS)
    assert {name for name, each in found.items() if each.verdict != "holds"} == set()
    swapped = {"cued80": "cued-shuffled", "cued-shuffled": "cued80"}
    turned = [row | {"family": swapped[row["family"]]} for row in given()]
    fails = {each.contrast.name for each in found_true(turned) if each.verdict == "fails"}
    assert {"not followed"} <= fails and "walk" not in fails
    assert not found_true(laws())


def test_the_title_tells_what_removal_does_and_who_follows() -> None:
    drawing = figures.get("cues")(given())
    assert drawing is not None
    title = drawing.figure.texts[0].get_text().replace("\n", " ")
    assert "before RL" in title and "followed in .10, .02 and .03 of answers" in title
    assert figures.get("cues")(laws()) is None
    lost = [row | {"destroyed": row["reward"] == "python" and row["base_seed"] == 0} for row in given()]
    assert "destroyed run" in figures.get("cues")(lost).caption  # type: ignore[union-attr]
