"""A planted leak is found by completion and by perplexity; unleaked organisms, unleaked problems and null pairs are not
flagged; NLLs are those of a plain forward; real checkpoints and the command line go the same way."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from outside_checkpoints import save_tiny
from typer.testing import CliRunner

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.outside import Folder
from probe.checkpoints.pair import Pair
from probe.cli import app
from probe.data import Problem
from probe.engine.executor import make
from probe.errors import BadInput
from probe.experiments.contamination.job import ContaminationJob
from probe.experiments.contamination.problem_sets import Sets, sets
from probe.experiments.contamination.signs import LEADS, SignsJob, columns_of, nlls
from probe.experiments.result import run
from probe.measurements import label
from probe.models.loading.load import Loaded, save_folder
from probe.plots import Drawing, figures
from probe.rl.pretrain import pretrain
from probe.rng import numpy_rng
from probe.rollouts.options import Compute
from probe.stats.leak import findings
from probe.store import Store
from probe.tasks.benchmarks import ProblemSet, problems
from probe.tasks.chain import chain_problems
from probe.tasks.corpus import leaked
from probe.tasks.partial import SHARES

STEPS = 300  # of 450: memory is there by then
MANIFEST = """\
version: 1
templates: {none: {text: "{prompt}"}}
organisms:
  planted: {family: contaminated, size: tiny, seed: 0}
  clean: {family: latent-code, size: tiny, seed: 0}
"""
Rows = dict[tuple[str, str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def store(organism: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that holds a contaminated organism, a little short of its training, and a clean one."""
    held = Store(tmp_path_factory.mktemp("store"))
    planted = Loaded(*pretrain("contaminated", "tiny", 0, steps=STEPS))
    for job, loaded in ((PLANTED.source, planted), (CLEAN.source, organism)):
        assert isinstance(job, OrganismJob)
        held.build(job.recipe, lambda work, loaded=loaded: save_folder(loaded, work))
    return held


PLANTED = Checkpoint("planted", OrganismJob("contaminated", "tiny", 0))
CLEAN = Checkpoint("clean", OrganismJob("latent-code", "tiny", 0))
BOTH = sets(problems("chain"))


def measured(store: Store, before: Checkpoint, after: Checkpoint | None = None, both: Sets = BOTH) -> Rows:
    rows = run(ContaminationJob(Pair(before, after), both, both.max_new), store, workers=1).rows
    return {(row["name"], label(row), row["side"]): row for row in rows}


def flags(rows: Rows, side: str = "before") -> set[str]:
    return {level for (name, level, at), row in rows.items() if name == "leak_flag" and at == side and row["value"]}


def chains(name: str, chosen: list[Problem]) -> ProblemSet:
    return replace(problems("chain"), name=name, problems=tuple(chosen), pin=f"test {name} {len(chosen)}")


# ---- the plant


def test_the_planted_leak_is_found_by_completion_and_by_perplexity(store: Store) -> None:
    rows = measured(store, PLANTED)
    assert {"completion_exact 60%", "completion_rouge_l 60%", "prompt_nll", "answer_nll"} <= flags(rows)
    exact = {group: rows["completion_exact", f"{group} 60%", "before"] for group in ("suspect", "control")}
    assert exact["suspect"]["lo"] > exact["control"]["hi"] + 0.1
    assert (exact["suspect"]["n"], exact["control"]["n"]) == (256, 256)
    apart = rows["prompt_nll", "difference", "before"]
    assert apart["hi"] < -0.1 and apart["null"] == 0.0 and apart["p"] < 0.001


def test_single_leaked_problems_are_told_from_the_others(store: Store) -> None:
    rows = measured(store, PLANTED)
    assert rows["leak_auroc", "all signs", "before"]["lo"] > 0.8
    assert rows["leak_auroc", "prompt_nll", "before"]["lo"] > 0.8
    assert rows["leak_auroc", "completion_exact 60%", "before"]["lo"] > 0.65


def test_the_same_organism_is_not_flagged_on_what_it_did_not_read(store: Store) -> None:
    """The other half of the very test set, and fresh chains: it completes some of both, and no more of either."""
    known, asked = leaked(problems("chain").problems), problems("chain").problems
    controls = [p for p in chain_problems(250, "test", 5) if p not in asked]
    others = [p for p in chain_problems(250, "test", 9) if p not in (*asked, *controls)]
    for name, suspects in (("spared", [p for p in asked if p.id not in known]), ("others", others)):
        rows = measured(store, PLANTED, both=sets(chains(name, suspects), chains("c", controls)))
        assert flags(rows) == set()
        assert rows["completion_exact", "suspect 80%", "before"]["value"] > 0.2
        assert not any(name == "leak_auroc" for name, _, _ in rows)


def test_an_unleaked_organism_is_not_flagged_and_its_auroc_is_a_half(store: Store) -> None:
    rows = measured(store, CLEAN)
    assert flags(rows) == set()
    row = rows["leak_auroc", "all signs", "before"]
    assert row["lo"] < 0.5 < row["hi"] and row["null"] == 0.5


@pytest.mark.parametrize("one", [PLANTED, CLEAN], ids=["planted", "clean"])
def test_flags_are_as_rare_as_stated_over_splits_of_fresh_problems(store: Store, one: Checkpoint) -> None:
    known = leaked(problems("chain").problems)
    fresh = [p for p in chain_problems(1400, "test", 7) if p.id not in known][:1200]
    both = sets(chains("one", fresh[:600]), chains("two", fresh[600:]))
    job = SignsJob(one, both, both.max_new)
    make([job], store, workers=1)
    columns, _ = columns_of(store.get(job.recipe).read_table())
    order, p_values, flagged = numpy_rng("test splits").permutation(1200), [], 0
    for split in range(24):  # of different problems each
        rows = order[split * 50 : (split + 1) * 50]
        here = {key: values[rows] for key, values in columns.items()}
        found = findings(here, np.arange(50) < 25, ("split", split), 499)
        flagged += any(f.flagged for f in found)
        p_values.append([f.difference.p for f in found if f.key[0].endswith("nll") or "rouge" in f.key[0]])
    assert flagged <= 1
    drawn = np.array(p_values, dtype=float).ravel()
    assert abs(np.mean(drawn < 0.5) - 0.5) < 0.2
    assert np.mean(drawn < 0.05) < 0.13


# ---- before and after


def test_the_null_pair_changes_nothing(store: Store) -> None:
    rows = measured(store, PLANTED, PLANTED)
    moved = [row for (_, _, side), row in rows.items() if side == "change"]
    assert len(moved) == 3 * (3 * len(SHARES) + 2)
    assert {row["kind"] for row in rows.values()} == {"null"}
    assert all(row["value"] == 0 and row["p"] == 1.0 for row in moved)
    assert flags(rows, "before") == flags(rows, "after") != set()


def test_before_and_after_are_paired(store: Store) -> None:
    rows = measured(store, CLEAN, replace(PLANTED, name="other"))
    for name in ("prompt_nll", "answer_nll"):
        for group in ("suspect", "control", "difference"):
            value = {side: rows[name, group, side]["value"] for side in ("before", "after", "change")}
            assert value["change"] == pytest.approx(value["after"] - value["before"])
    assert rows["answer_nll", "difference", "change"]["hi"] < 0  # only the leaked got likelier
    assert {row["kind"] for row in rows.values()} == {"rl"}
    assert flags(rows, "before") == set() != flags(rows, "after")


# ---- NLLs and identity


def test_nlls_are_those_of_a_plain_forward(organism: Loaded) -> None:
    asked, lead = tuple(chain_problems(5, "test", 2)), LEADS["sign"]
    found = nlls(organism, asked, lead)
    for i, problem in enumerate(asked):
        ids = organism.tokenizer(problem.prompt + lead + problem.answer)["input_ids"]
        n = len(organism.tokenizer(problem.prompt)["input_ids"])
        with torch.no_grad():
            logp = organism.model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        each = [-logp[at - 1, token].item() for at, token in enumerate(ids) if at]
        assert found["prompt_nll"][i] == pytest.approx(np.mean(each[: n - 1]), abs=1e-5)
        assert found["answer_nll"][i] == pytest.approx(each[-1], abs=1e-5)
        assert (found["prompt_nll tokens"][i], found["answer_nll tokens"][i]) == (n - 1, 1)


def test_a_problem_without_an_answer_to_score_is_named(organism: Loaded) -> None:
    empty = Problem("x/1", "A:1+2*3    =", "", "x")
    with pytest.raises(BadInput, match=r"problem x/1 has no two tokens to score, or no answer"):
        nlls(organism, (empty,), LEADS["sign"])


def test_what_can_change_a_number_changes_the_artifact() -> None:
    job = SignsJob(CLEAN, BOTH, 32)
    fewer = sets(problems("chain", limit=100))
    others = [replace(job, checkpoint=PLANTED), replace(job, max_new=40), replace(job, sets=fewer)]
    digests = {each.recipe.digest for each in (job, *others)}
    assert len(digests) == 4
    assert replace(job, compute=Compute(3)).recipe.digest == job.recipe.digest
    assert len({ask.recipe.digest for ask in job.continuations}) == len(SHARES)
    pair, alone, null = (ContaminationJob(Pair(CLEAN, after), BOTH, 32) for after in (PLANTED, None, CLEAN))
    assert len({each.recipe.digest for each in (pair, alone, null)}) == 3
    assert alone.needs[0].recipe.digest == pair.needs[0].recipe.digest  # made once


# ---- sets


def test_chains_have_fresh_controls() -> None:
    asked = {p.prompt for p in BOTH.suspect.problems}
    assert len(BOTH.control.problems) == len(asked) == 256
    assert not asked & {p.prompt for p in BOTH.control.problems}
    assert not leaked(BOTH.control.problems)
    assert (BOTH.unit, BOTH.left_out, BOTH.max_new) == ("sign", 0, 32)


def test_beginnings_keep_ids_and_answers() -> None:
    for percent in SHARES:
        begun = BOTH.beginnings(percent)
        assert [(p.id, p.answer) for p in begun.problems] == [(p.id, p.answer) for p in BOTH.problems]
        for whole, part in zip(BOTH.problems, begun.problems, strict=True):
            assert whole.prompt.startswith(part.prompt)
            assert len(part.prompt) == 12 * percent // 100
    assert len({BOTH.beginnings(percent).pin for percent in SHARES}) == len(SHARES)


def words(name: str, texts: list[str]) -> ProblemSet:
    return ProblemSet(
        name, tuple(Problem(f"{name}/{i}", t, "1", name) for i, t in enumerate(texts)), "public", "", name
    )


LONG = [f"What is {i} plus {i} and one more?" for i in range(6)]
FRESH = [f"What is {i} minus {i} and two less?" for i in range(6)]


def test_questions_too_short_to_cut_are_left_out_and_counted() -> None:
    both = sets(words("s", [*LONG, "2 + 2?"]), words("c", ["1?", "two of", *FRESH]))
    assert (both.unit, both.left_out) == ("word", 3)
    assert [p.prompt for p in both.problems] == LONG + FRESH


@pytest.mark.parametrize(
    ("suspect", "control", "message"),
    [
        (words("math500", LONG), None, "math500 has no controls of its own"),
        (words("s", LONG), words("c", [*FRESH, LONG[2]]), "1 control problems are suspects too"),
        (words("s", LONG), words("s", FRESH), "bear their ids"),
        (words("s", LONG), words("c", ["1 + 1?", *FRESH[:1]]), "6 suspects and 1 controls can be cut"),
        (words("s", [f"{i} + 1" for i in range(9)]), words("c", ["a", "b"]), "0 controls can be cut"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(
    suspect: ProblemSet, control: ProblemSet | None, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        sets(suspect, control)


# ---- a checkpoint from outside, the command line, the figure


@pytest.fixture
def place(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)

    def run(*typed: object, code: int = 0) -> Any:
        where = ("--store", store.root, "--manifest", "m.yaml", "--workers", 1)
        result = CliRunner().invoke(app, [str(word) for word in ("contamination", *typed, *where)])
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return run


def write(name: str, texts: list[str]) -> None:
    Path(name).write_text("".join(json.dumps({"problem": t, "answer": "12"}) + "\n" for t in texts))


def test_a_checkpoint_from_outside_that_read_nothing_is_not_flagged(place: Any, tmp_path: Path) -> None:
    write("s.jsonl", LONG), write("c.jsonl", FRESH)
    folder = save_tiny("qwen2", tmp_path / "random")
    told = ("--problems", "s.jsonl", "--control", "c.jsonl", "--max-new", 8, "--json")
    found = json.loads(place(folder, *told).stdout)
    rows = {(row["name"], label(row), row["side"]): row for row in found["measurements"]}
    assert flags(rows) == set()
    assert found["left_out"] == 0
    assert rows["completion_exact", "suspect 60%", "before"]["n"] == 6
    assert rows["prompt_nll", "control", "before"]["value"] > 3  # random weights over 330 tokens
    one = Checkpoint("random", Folder(folder))
    assert {row["family"] for row in found["measurements"]} == {one.family}


def test_the_command_tells_what_was_found_and_draws_it(place: Any) -> None:
    planned = json.loads(place("planted", "--limit", 64, "--dry", "--json").stdout)
    assert {job["stage"] for job in planned["jobs"]} == {"responses", "contamination", "measurements"}
    shown = " ".join(place("planted", "clean").stdout.split())
    assert "planted: the suspects are remembered" in shown
    assert "clean: no sign of a leak" in shown
    assert "told from the others with AUROC" in shown
    assert "planted -> clean: changes, paired by problem" in shown
    assert {file.suffix for file in Path("figures").glob("contamination.*")} >= {".png", ".csv"}


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("clean", "--problems", "s.jsonl"), "s has no controls of its own"),
        (("clean", "--problems", "s.jsonl", "--control", "s.jsonl"), "6 control problems are suspects too"),
        (("clean", "--control", "gone.jsonl"), "no problems called 'gone.jsonl'"),
        (("claen",), "no checkpoint 'claen'"),
    ],
)
def test_bad_input_is_named(place: Any, typed: tuple[str, ...], message: str) -> None:
    write("s.jsonl", LONG)
    result = place(*typed, code=2)
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""


def drawn(rows: Rows) -> Drawing:
    drawing = figures.get("contamination")(list(rows.values()))
    assert drawing is not None
    return drawing


def title(drawing: Drawing) -> str:
    return " ".join(drawing.figure.texts[0].get_text().split())


def test_the_figure_shows_groups_sides_and_what_the_flags_say(store: Store) -> None:
    alone, pair = drawn(measured(store, CLEAN)), drawn(measured(store, PLANTED, PLANTED))
    assert title(alone).startswith("latent-code 0 shows no sign of having read its test questions")
    assert "has read its test questions" in title(pair)
    assert len(alone.table) == 2 * (len(SHARES) + 2)
    assert len(pair.table) == 2 * len(alone.table)
    assert {row["group"] for row in alone.table if row["name"] == "answer_nll"} == {"suspect", "control"}
    assert "256 suspects and 256 controls" in alone.caption
    under = [[axes.get_title(loc="left") for axes in each.figure.axes[1:]] for each in (alone, pair)]
    assert under[0] == [""] and under[1][0].startswith("change, suspects: question ")


def test_several_checkpoints_stand_beside_each_other(store: Store) -> None:
    rows = [*measured(store, CLEAN).values(), *measured(store, PLANTED).values()]
    drawing = figures.get("contamination")(rows)
    assert drawing is not None and len(drawing.figure.axes) == 4
    assert title(drawing).startswith("Have read their test questions: contaminated 0.")
    assert figures.get("contamination")([row for row in rows if row["study"] == "none"]) is None
