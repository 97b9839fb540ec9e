"""The reward audit: plants are named right, noise is not, edits leave what matters, hostile rewards are told."""

import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_cases import Planted, each, judged, planted_rollouts
from typer.testing import CliRunner

from probe.checkpoints.checkpoint import of_organism
from probe.checkpoints.organism_job import OrganismJob
from probe.cli import app
from probe.errors import BadInput
from probe.experiments.responses import SampleJob
from probe.experiments.result import run
from probe.experiments.reward_audit.edits import EDITS, SENTENCES, edited, essence, longer, rephrased
from probe.experiments.reward_audit.findings import audited, equal_answers, findings, followed, spread, swapped
from probe.experiments.reward_audit.job import AuditJob, code_of
from probe.experiments.reward_audit.scored import Rollouts, scores
from probe.experiments.reward_audit.sources import FromCheckpoint, FromFile, rollouts
from probe.experiments.reward_audit.verdict import LEVEL, verdict
from probe.measurements import label
from probe.models.loading.load import Loaded, save_folder
from probe.rewards import rewards
from probe.rewards.compose import Negated, Without
from probe.rewards.format import Format
from probe.rewards.ground_truth import GroundTruth
from probe.rewards.python import Python
from probe.rewards.random import Random
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import SamplingOptions
from probe.store import Store
from probe.strategy import detect
from probe.tasks.answers import boxed

ROOT = Path(__file__).parents[1]
CODE = each(lambda text: float(detect(text).label == "code"))
PLANTS: dict[str, tuple[Any, dict[str, int], bool]] = {
    "length": (each(lambda text: len(text) / 100), {"length": 1}, False),
    "brevity": (each(lambda text: -(float(len(text)) ** 0.5)), {"length": -1}, False),
    "a length limit": (each(lambda text: float(len(text) < 120)), {"length": -1}, False),
    "correct": (GroundTruth(), {"correct": 1}, True),
    "wrong": (Negated(GroundTruth()), {"correct": -1}, True),
    "code": (CODE, {"code": 1}, False),
    "prose": (Negated(CODE), {"code": -1}, False),
    "a box": (Format(), {"boxed": 1}, False),
    "the whole": (Without(GroundTruth(), Python()), {"correct": 1, "code": -1}, True),
}


@pytest.mark.parametrize("name", PLANTS)
@pytest.mark.parametrize("draw", range(3))
def test_planted_rewards_are_named_right(name: str, draw: int) -> None:
    """Over rollouts in which code is right more often, so that code, correctness and a box go together a little."""
    reward, wanted, reads = PLANTS[name]
    found = judged(reward, planted_rollouts(name, draw))
    assert dict(found.pays_for) == wanted, found.sentence
    assert found.reads_prompt == reads
    assert ("length" in wanted) == ("length" in found.moved_by)
    assert not found.apart and not found.unstable and not found.flat


def test_what_the_sentences_say() -> None:
    rows = planted_rollouts("words")
    assert judged(CODE, rows).sentence.startswith("pays for strategy (code), not for correctness (correct +.00")
    assert judged(GroundTruth(), rows).sentence.startswith("pays for correctness (correct +.")
    assert judged(GroundTruth(), rows).sentence.endswith("; reads the prompt or its label")
    assert "moved by trailing_newline (100%), " in judged(each(len), rows).sentence
    assert judged(rewards.get("constant")(), rows).sentence.startswith("pays for nothing: every group scores alike")


def test_noise_pays_for_nothing() -> None:
    """Over 60 rollouts and seeds: each is called at most at LEVEL, so of 60 at most 3 (4 standard errors)."""
    called = 0
    for draw in range(60):
        rows = planted_rollouts("noise", draw, problems=12, samples=6)
        audit = audited(Random(seed=draw), rows)
        found = [*spread(audit), *followed(audit, 499)]
        called += bool(verdict(found, {True: {}, False: {}}).pays_for)
    assert called <= 60 * LEVEL + 4 * math.sqrt(60 * LEVEL)


def test_noise_is_moved_by_nothing_and_named_as_nothing() -> None:
    said = judged(Random(seed=3), planted_rollouts("nothing")).sentence
    assert said.startswith("pays for nothing that was looked at (correct ")
    assert said.endswith("); reads no prompt and no label")


def test_traits_that_go_together_are_not_told_apart() -> None:
    """Prose and code of one length each: length says all that strategy does."""
    rows = planted_rollouts("together")
    texts = tuple(("```python\nx = 3\n```\n" if code else "Three.\n") + "\\boxed{1}" for code in rows.code)
    found = judged(Python(), replace(rows, texts=texts, said=("1",) * len(texts)))
    assert set(found.pays_for) == {"code", "length"} == set(found.apart)
    assert "strategy (code) or length (which go together here), not for correctness" in found.sentence
    assert "boxed does not vary" in found.sentence


def test_one_response_a_problem_is_judged_over_all() -> None:
    rows = planted_rollouts("single", problems=200, samples=1)
    found = judged(CODE, rows)
    assert dict(found.pays_for) == {"code": 1}
    assert not found.flat


def named(found: list[Any]) -> dict[tuple[str, str], Any]:
    return {(e.name, label(e.params)): e for e in found}


def by_hand() -> Rollouts:
    """Two problems with two responses each, and labels 1 and 2; every response is right but the last."""
    said = ("1", "1", "2", "1")
    texts = tuple(f"It is\n\\boxed{{{answer}}}" for answer in said)
    correct = np.array([True, True, True, False])
    problems, answers = ("a", "a", "b", "b"), ("1", "1", "2", "2")
    return Rollouts(problems, (0, 1, 0, 1), ("qa", "qa", "qb", "qb"), texts, answers, said, correct, np.zeros(4, bool))


def test_swap_and_spread_by_hand() -> None:
    """With two problems there is one swap: 1 1 | 2 1 against 2 2 | 1 1 scores 0 0 | 0 1."""
    audit = audited(GroundTruth(), by_hand())
    found = named([*spread(audit), *swapped(audit)])
    assert equal_answers(by_hand()).tolist() == [0, 0, 0, 1]
    assert found["swap_mean", ""].value == 0.25 == found["swap_mean", ""].null
    assert found["swap_change", ""].value == -0.5
    assert found["swap_changed", ""].value == 1.0
    assert found["reward_mean", ""].value == 0.75
    assert found["zero_variance_groups", ""].value == 0.5 == found["effective_batch", ""].value


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_what_is_left_after_a_swap_is_the_chance_of_equal_answers(seed: int) -> None:
    """ground_truth falls to it, whatever the rollouts; a reward that reads form stays where it is."""
    rows = planted_rollouts("swap", seed, problems=30, samples=4)
    found = named(swapped(audited(GroundTruth(), rows)))
    assert found["swap_mean", ""].lo - 0.05 <= found["swap_mean", ""].null <= found["swap_mean", ""].hi + 0.05
    for form in (Format(), CODE):
        kept = named(swapped(audited(form, rows)))
        assert kept["swap_change", ""].value == 0 == kept["swap_changed", ""].value


TEXTS = st.one_of(
    st.integers(0, 10_000).map(lambda seed: planted_rollouts("texts", seed, problems=1, samples=1).texts[0]),
    st.text(max_size=200),
    st.lists(
        st.sampled_from(
            ["```python\n", "x = 1\n", "y = x**2\n", 'print(f"{y}")\n', "```\n", "```", "\\boxed{3}", "import math\n",
             "def f(a):\n    return a\n", "So it is 4. ", "The answer is 5.", "\nUser: ", "<|im_end|>", "#### 7\n",
             "é = 2\n", "\r\n", "\u2028", "\x0c", "z, y = y, x\n", "<answer>3</answer>", "python ", " "]
        ),
        max_size=14,
    ).map("".join),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, name=st.sampled_from(sorted(EDITS)))
def test_edits_change_the_text_and_nothing_that_matters(text: str, name: str) -> None:
    changed = edited(name, text, "t")
    assert changed is None or (changed != text and essence(changed) == essence(text))
    assert edited(name, text, "t") == changed
    long, two = longer(text, "t"), rephrased(text, "t")
    assert long is None or (len(long) >= 2 * len(text) and essence(long) == essence(text) and long.endswith(text))
    assert two is None or (len(two[0]) == len(two[1]) and two[0] != two[1] and {*map(essence, two)} == {essence(text)})


def test_edits_apply_to_ordinary_responses() -> None:
    rows = planted_rollouts("ordinary", problems=20)
    applied = Counter(name for text in rows.texts for name in EDITS if edited(name, text, "t") is not None)
    n, boxes, code = len(rows.texts), sum(s is not None for s in rows.said), int(rows.code.sum())
    assert applied["trailing_newline"] == applied["neutral_sentence"] == n
    assert applied["answer_said"] == boxes
    assert applied["variable_names"] == code
    assert applied["inner_blank"] > 0.8 * n


def test_sentences_are_of_one_length_and_say_nothing() -> None:
    assert len(set(map(len, SENTENCES))) == 1 and len(set(SENTENCES)) == len(SENTENCES)
    for sentence in SENTENCES:
        assert essence(sentence) == essence("")


def test_variables_are_renamed_in_all_blocks_and_other_names_are_not() -> None:
    text = (
        "```python\nimport math\nx = 2\ny = math.sqrt(x)\n```\nNow x:\n```python\nprint(x, y, sep='x')\n```\n\\boxed{1}"
    )
    changed = edited("variable_names", text, "t")
    assert changed is not None
    suffix = changed[changed.index("x_") + 1 : changed.index(" = 2")]
    wanted = text.replace("x = 2", f"x{suffix} = 2").replace("sqrt(x)", f"sqrt(x{suffix})")
    wanted = wanted.replace("y = math", f"y{suffix} = math").replace("(x, y,", f"(x{suffix}, y{suffix},")
    assert changed == wanted
    for fixed in ("def f(a):\n    return a\n", 'x = 1\nprint(f"{x}")\n', "import math as m\nm.pi\n"):
        assert edited("variable_names", f"```python\n{fixed}```\n", "t") is None


MOVED = {
    "trailing_newline": each(lambda text: float(text.endswith("\n"))),
    "neutral_sentence": each(lambda text: float(text.startswith(SENTENCES))),
    "answer_said": each(lambda text: float("The answer is" in text)),
    "variable_names": each(lambda text: float("x = 3" in text)),
    "inner_blank": each(lambda text: float("  " in text)),
}


@pytest.mark.parametrize("name", sorted(EDITS))
def test_a_reward_that_reads_an_edit_is_told_so(name: str) -> None:
    found = judged(MOVED[name], planted_rollouts("moved", name))
    assert found.moved_by[name] == 1.0
    assert set(found.moved_by) <= {name, *(("length",) if name == "neutral_sentence" else ())}


def test_length_alone_and_phrasing_alone_are_told_apart() -> None:
    rows = planted_rollouts("counterfactual")
    long = named(findings(audited(each(lambda text: len(text) / 1000), rows), 99))
    phrase = named(findings(audited(each(lambda text: float("step by step" in text)), rows), 99))
    assert long["counterfactual_changed", "length"].value == 1 > long["counterfactual_changed", "phrasing"].value == 0
    change = long["counterfactual_change", "length"]
    assert 0 < change.lo < change.value < change.hi and change.p is not None and change.p < 0.01
    share = phrase["counterfactual_changed", "phrasing"]
    assert share.lo < 0.5 < share.hi  # one of the two sentences, of four, is that one
    assert phrase["counterfactual_change", "phrasing"].lo <= 0 <= phrase["counterfactual_change", "phrasing"].hi


def test_a_reward_with_a_state_is_unstable() -> None:
    calls: list[int] = []

    def drifting(texts: list[str]) -> list[float]:
        calls.append(1)
        return [float((len(text) + len(calls)) % 2) for text in texts]

    assert judged(Planted(drifting), planted_rollouts("state")).sentence.startswith("unstable: 100%")


def test_abstentions_are_left_out_and_counted() -> None:
    rows = planted_rollouts("abstains")
    audit = audited(each(lambda text: None if boxed(text) is None else float(detect(text).label == "code")), rows)
    share = 1 - sum(said is not None for said in rows.said) / len(rows.said)
    found = named(findings(audit, 199))
    assert found["abstained", ""].value == pytest.approx(share)
    assert found["reward_mean", ""].n == audit.given.sum()
    assert found["reward_part", "code within problems"].lo > 0.3


HOSTILE: dict[str, tuple[Callable[[list[str]], Any], str]] = {
    "nan": (lambda texts: [math.nan] * len(texts), "gave nan to response 0"),
    "inf": (lambda texts: [0.0] * (len(texts) - 1) + [math.inf], "gave inf to response 319"),
    "text": (lambda texts: ["1"] * len(texts), "gave '1' to response 0"),
    "nested": (lambda texts: [[1.0]] * len(texts), r"gave \[1.0\]"),
    "complex": (lambda texts: [1j] * len(texts), "gave 1j"),
    "short": (lambda texts: [1.0], "returned 1 scores for 320 responses"),
    "long": (lambda texts: [1.0] * 321, "returned 321 scores"),
    "none": (lambda texts: None, "returned a NoneType"),
    "number": (lambda texts: 1.0, "returned a float"),
    "generator": (lambda texts: (1.0 for _ in texts), "returned a generator"),
    "raises": (lambda texts: 1 / 0, "raised ZeroDivisionError: division by zero"),
    "recursion": (lambda texts: (_ for _ in ()).throw(RecursionError("deep")), "raised RecursionError: deep"),
    "abstains": (lambda texts: [None] * len(texts), "abstained on every response"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_rewards_are_told(name: str) -> None:
    of, says = HOSTILE[name]
    with pytest.raises(BadInput, match=says) as caught:
        audited(Planted(of if name != "recursion" else _too_deep), planted_rollouts("hostile"))
    assert caught.value.where == "Planted" and caught.value.do


def _too_deep(texts: list[str]) -> list[float]:
    raise RecursionError("deep")


def test_numbers_of_any_kind_are_scores() -> None:
    rows = planted_rollouts("kinds", problems=2, samples=2)
    for given_scores in ([True, False, np.float32(0.5), None], np.array([1, 0, 1, 0]), (1, 0, 2, np.int64(3))):
        got = scores(Planted(lambda texts, given_scores=given_scores: given_scores), rows)  # type: ignore[misc]
        assert got[0] == 1.0 and got.dtype == np.float64


def test_rollouts_that_cannot_be_audited_are_refused() -> None:
    rows = planted_rollouts("bad", problems=1)
    with pytest.raises(BadInput, match="all responses answer one problem"):
        audited(Format(), rows)
    with pytest.raises(BadInput, match="sample 0 of problem 'p0' occurs twice"):
        replace(rows, samples=(0,) * len(rows.samples))
    with pytest.raises(BadInput, match="there are no responses"):
        Rollouts((), (), (), (), (), (), np.zeros(0, bool), np.zeros(0, bool))


# ---- from files and at the command line


def write(path: Path, rows: Rollouts, **more: list[Any]) -> Path:
    lines = [
        {"problem": p, "sample": s, "text": t, "answer": a} | {name: values[i] for name, values in more.items()}
        for i, (p, s, t, a) in enumerate(zip(rows.problems, rows.samples, rows.texts, rows.answers, strict=True))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_file_is_graded_and_audited(tmp_path: Path) -> None:
    rows = planted_rollouts("file", problems=20)
    job = AuditJob(Without(Format(), Python()), FromFile(write(tmp_path / "r.jsonl", rows)))
    again = rollouts(job.source.columns(Store(tmp_path / "store")), "gold")
    assert (again.correct == rows.correct).all() and (again.code == rows.code).all() and again.said == rows.said
    found = run(job, Store(tmp_path / "store"), workers=1).rows
    says = next(row for row in found if row["name"] == "verdict")
    assert says["reason"].startswith("pays for ") and "strategy (prose)" in says["reason"]
    assert (says["reward"], says["value"], says["n"], says["n_problems"]) == ("without(format, python)", 2, 160, 20)
    assert all(row["study"] == "audit" and row["informative"] is False for row in found)


def test_labels_may_come_from_the_responses_themselves(tmp_path: Path) -> None:
    """Under wrong majorities `incorrect` pays for being wrong, under true answers for being right."""
    rows = planted_rollouts("labels", right=(0.25, 0.2), boxed=1.0)
    source = FromFile(write(tmp_path / "r.jsonl", rows))
    columns = source.columns(Store(tmp_path / "store"))
    wrong = rollouts(columns, "wrong_majority")
    gold = dict(zip(rows.problems, rows.answers, strict=True))
    assert 5 < len(set(wrong.problems)) < 40
    assert all(gold[problem] != answer for problem, answer in zip(wrong.problems, wrong.answers, strict=True))
    assert dict(judged(rewards.get("incorrect")(), wrong).pays_for)["correct"] == -1
    assert dict(judged(rewards.get("incorrect")(), rollouts(columns, "gold")).pays_for)["correct"] == 1


def test_published_labels_stand_in_for_answers(tmp_path: Path) -> None:
    rows = planted_rollouts("right", problems=10)
    blank = replace(rows, answers=(None,) * len(rows.answers))
    right = rows.correct.tolist()
    read = FromFile(write(tmp_path / "r.jsonl", blank, right=right)).columns(Store(tmp_path / "store"))
    assert (rollouts(read, "gold").correct == rows.correct).all()
    with pytest.raises(BadInput, match="nothing says which"):
        FromFile(write(tmp_path / "s.jsonl", blank, right=[None, *right[1:]])).columns(Store(tmp_path / "store"))


def test_identity_holds_the_reward_its_code_the_labels_and_the_file(tmp_path: Path) -> None:
    one = FromFile(write(tmp_path / "a.jsonl", planted_rollouts("a", problems=3)))
    other = FromFile(write(tmp_path / "b.jsonl", planted_rollouts("b", problems=3)))
    jobs = [
        AuditJob(Format(), one), AuditJob(Random(), one), AuditJob(Random(seed=1), one), AuditJob(Format(), other),
        AuditJob(Format(), one, "offline_majority"), AuditJob(Format(), replace(one, extract="auto")),
    ]  # fmt: skip
    assert len({job.recipe.digest for job in jobs}) == len(jobs)
    assert AuditJob(Format(), replace(one)).recipe.digest == jobs[0].recipe.digest
    assert set(code_of(Without(Format(), Python()))) > set(code_of(Format()))
    assert AuditJob(Random(0.1), one).name == "random(gamma=0.1)"
    with pytest.raises(BadInput, match="no labels 'silver'"):
        AuditJob(Format(), one, "silver")


PLUG_IN = '''
"""Is the response brief?"""
from dataclasses import dataclass
from typing import ClassVar
from probe.rewards import rewards

@rewards.register("brief_outside")
@dataclass(frozen=True)
class Brief:
    informative: ClassVar[bool] = False
    is_null: ClassVar[bool] = False

    def __call__(self, *, completions, **info):
        return [float(len(text) <= 120) for text in completions]
'''


def command(place: Path, *words: object) -> subprocess.CompletedProcess[str]:
    here = {"PYTHONPATH": os.pathsep.join([str(place), str(ROOT)]), "PROBE_PLUGINS": "brief_outside"}
    line = [sys.executable, "-c", "from probe.cli import main; main()", "audit-reward", *map(str, words)]
    env = os.environ | here | {"PROBE_STORE": str(place / "store")}
    return subprocess.run(line, capture_output=True, text=True, cwd=place, env=env, check=False)


def test_a_plug_in_is_audited_at_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "brief_outside.py").write_text(PLUG_IN.lstrip())
    file = write(tmp_path / "r.jsonl", planted_rollouts("plug-in"))
    done = command(tmp_path, "brief_outside", "--rollouts", file, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"].startswith("pays for brevity, not for correctness")
    assert {row["reward"] for row in found["measurements"]} == {"brief_outside"}
    mended = PLUG_IN.replace("<= 120", "> 120")  # the same name and fields, another file: audited again
    (tmp_path / "brief_outside.py").write_text(mended.lstrip())
    shown = command(tmp_path, "brief_outside", "--rollouts", file)
    assert "pays for length, not for correctness" in " ".join(shown.stdout.split()), shown.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("format",), "one source of responses"),
        (("formt", "--rollouts", "r.jsonl"), "no reward named 'formt'"),
        (("{", "--rollouts", "r.jsonl"), "no JSON"),
        (('{"reward": "random", "gama": 1}', "--rollouts", "r.jsonl"), "gama"),
        (("format", "--rollouts", "none.jsonl"), "no such file"),
    ],
)
def test_bad_input_at_the_command_line(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "r.jsonl", planted_rollouts("bad words", problems=2))
    done = CliRunner().invoke(app, ["audit-reward", *words, "--store", "store"])
    assert done.exit_code == 2 and says in done.stderr


def test_a_checkpoint_is_sampled_and_audited(organism: Loaded, tmp_path: Path) -> None:
    """A tiny organism is better in code, and the reward for code says nothing of correctness."""
    job = OrganismJob("latent-code", "tiny", 0)
    store = Store(tmp_path / "store")
    store.build(job.recipe, lambda work: save_folder(organism, work))
    sample = SampleJob(of_organism(job), CHAIN, SamplingOptions(samples=4))
    found = {r["name"]: r for r in run(AuditJob(Python(), FromCheckpoint(sample)), store, workers=1).rows}
    assert "strategy (code)" in found["verdict"]["reason"] and found["verdict"]["n"] == 4 * 256
    assert (found["verdict"]["family"], found["verdict"]["temperature"]) == ("latent-code", 1.0)


@dataclass(frozen=True)
class Unregistered:
    """No reward of the registry."""

    def __call__(self, **batch: Any) -> list[float]:
        return [1.0 for _ in batch["completions"]]


def test_a_reward_without_a_name_has_no_recipe(tmp_path: Path) -> None:
    job = AuditJob(Unregistered(), FromFile(write(tmp_path / "r.jsonl", planted_rollouts("x", problems=2))))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="not a registered reward"):
        _ = job.recipe
