"""Golden numbers on real outputs, our grader and detector against the authors' labels, and damaged files.

The published evals of `rlcr_math500` are an exact match after dropping punctuation (SQuAD's normalisation), so they
miss 14/3 for \\frac{14}{3} and accept 1 for -1. Our grader therefore agrees with them only in 87 to 90 % of the rows;
`test_every_disagreement_...` pins what each kind of disagreement is.
"""

import json
import re
import shutil
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from probe.data import Outcome, Strategy
from probe.errors import BadInput
from probe.strategy import detect, mentions_python
from probe.tasks.gold import gold_answer
from probe.tasks.grading import Grade, Grader
from probe.tasks.published_outputs import Outputs, Responses, read_gsm8k_graded, read_math500, read_rlcr, read_tora

EVALS = {"Base": 46.8, "RLVR": 38.6, "RLVR-Classifier": 38.6, "Answer-Prob": 38.6, "RLCR": 45.4}
GSM8K_SHARES = {"6b_finetuning": 21.7, "6b_verification": 39.0, "175b_finetuning": 34.7, "175b_verification": 56.3}
OURS = {"Base": 59.4, "RLVR": 50.2, "RLCR": 55.2}  # was 58.0: 2 choices, an interval, 4 fractions before a full stop


def golds(outputs: Outputs) -> list[str]:
    return [problem.answer for problem in outputs.problems]


def right(responses: Responses) -> tuple[bool, ...]:
    assert responses.right is not None
    return responses.right


@pytest.fixture(scope="module")
def rlcr(real_data: Path) -> Outputs:
    return read_rlcr(real_data / "rlcr_math500")


@pytest.fixture(scope="module")
def gsm8k(real_data: Path) -> Outputs:
    return read_gsm8k_graded(real_data / "gsm8k_graded")


@pytest.fixture(scope="module")
def tora(real_data: Path) -> Responses:
    (responses,) = read_tora(real_data / "tora_gsm8k").systems.values()
    return responses


@pytest.fixture(scope="module")
def graded(rlcr: Outputs) -> Iterator[dict[str, list[Grade]]]:
    with Grader(extract="answer_tag") as grader:
        yield {name: grader.grade_many(rlcr.systems[name].texts, golds(rlcr)) for name in OURS}


def test_math500(real_data: Path) -> None:
    problems = read_math500(real_data / "math500")
    assert len(problems) == len({p.id for p in problems}) == 500
    assert problems[0].id == "test/precalculus/807.json"
    assert problems[0].answer == r"\left( 3, \frac{\pi}{2} \right)"
    assert {(p.source, p.leak) for p in problems} == {("math500", "public")}
    assert read_math500(real_data / "math500" / "test.jsonl") == problems


def test_every_gold_answer_of_math500_is_readable_and_right(real_data: Path) -> None:
    with Grader() as grader:
        answers = [p.answer for p in read_math500(real_data / "math500")]
        grades = grader.grade_many([rf"\boxed{{{answer}}}" for answer in answers], answers)
        assert {grade.outcome for grade in grades} == {Outcome.right}
        assert not grader._verifier.child.running


def test_rlcr_accuracy_brier_and_python(rlcr: Outputs, real_data: Path) -> None:
    metrics = json.loads((real_data / "rlcr_math500" / "metrics.json").read_text())
    assert [p.id for p in rlcr.problems] == [p.id for p in read_math500(real_data / "math500")]
    for name, accuracy in EVALS.items():
        system = rlcr.systems[name]
        assert round(100 * sum(right(system)) / 500, 1) == accuracy
        assert system.confidence is not None
        brier = sum((c - r) ** 2 for c, r in zip(system.confidence, right(system), strict=True)) / 500
        assert brier == pytest.approx(metrics[name]["brier_score"], abs=1e-9)
        mentions = sum(mentions_python(text) for text in system.texts)
        assert mentions == (20 if name == "Base" else 0)


def test_rlcr_paired_cells(rlcr: Outputs) -> None:
    cells = Counter(zip(right(rlcr.systems["Base"]), right(rlcr.systems["RLVR"]), strict=True))
    assert cells == {(True, True): 160, (True, False): 74, (False, True): 33, (False, False): 233}


def test_rlcr_strict_code_share(rlcr: Outputs) -> None:
    """3.4 % of Base by the strict detector, 4.0 % by the substring: three answers only announce Python."""
    shares = {name: sum(detect(t).label == Strategy.code for t in s.texts) for name, s in rlcr.systems.items()}
    assert shares == {"Base": 17, "RLVR": 0, "RLVR-Classifier": 0, "Answer-Prob": 0, "RLCR": 0}
    base = [text for text in rlcr.systems["Base"].texts if mentions_python(text)]
    assert Counter(detect(text).grade for text in base) == {3: 17, 1: 3}
    assert not any("```" in text for text in base if detect(text).grade == 1)


def test_our_grades_of_rlcr(rlcr: Outputs, graded: dict[str, list[Grade]]) -> None:
    """All three systems are better than published, and RL on HotpotQA lowers MATH-500 all the same."""
    for name, grades in graded.items():
        assert 100 * sum(g.outcome == Outcome.right for g in grades) / 500 == pytest.approx(OURS[name], abs=0.41)
        agreed = [(g.outcome == Outcome.right) == r for g, r in zip(grades, right(rlcr.systems[name]), strict=True)]
        assert 0.86 < sum(agreed) / 500 < 0.91
        assert Outcome.timeout not in {g.outcome for g in grades}


def squad(answer: str) -> str:
    """SQuAD's normalisation: lower case, no punctuation, no articles."""
    kept = "".join(c for c in answer.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(?:a|an|the)\b", " ", kept).split())


def test_every_disagreement_with_the_published_evals_is_theirs(rlcr: Outputs, graded: dict[str, list[Grade]]) -> None:
    only_theirs = []
    for name, grades in graded.items():
        for gold, grade, theirs in zip(golds(rlcr), grades, right(rlcr.systems[name]), strict=True):
            if theirs and grade.outcome != Outcome.right:
                only_theirs.append((gold, grade.prediction))
    assert len(only_theirs) == 9
    for gold, prediction in only_theirs:  # a sign or a bracket is lost with the punctuation
        assert prediction is not None
        assert squad(gold) == squad(prediction)
        assert Counter(gold)["-"] != Counter(prediction)["-"] or gold[-1] + prediction.strip("$")[-1] == "])"


def test_the_published_evals_are_exact_matches_without_punctuation(rlcr: Outputs) -> None:
    for name, at_most in (("RLVR", 1), ("RLCR", 2), ("Base", 37)):
        tags = [re.findall("<answer>(.*?)</answer>", text, re.DOTALL) for text in rlcr.systems[name].texts]
        same = [bool(t) and squad(t[-1]) == squad(gold) for t, gold in zip(tags, golds(rlcr), strict=True)]
        differ = [theirs for s, theirs in zip(same, right(rlcr.systems[name]), strict=True) if s != theirs]
        assert len(differ) <= at_most
        assert all(differ)  # Base answers in sentences: something reads a number from those


def test_gsm8k_labels_are_reproduced(gsm8k: Outputs) -> None:
    assert len(gsm8k.problems) == 1319
    assert list(gsm8k.systems) == list(GSM8K_SHARES)
    with Grader(extract="final_number") as grader:
        for name, share in GSM8K_SHARES.items():
            system = gsm8k.systems[name]
            grades = grader.grade_many(system.texts, golds(gsm8k))
            assert round(100 * sum(right(system)) / 1319, 1) == share
            agreed = sum((g.outcome == Outcome.right) == r for g, r in zip(grades, right(system), strict=True))
            assert agreed == 1319  # the goal is 99 %; every label is met
        assert not grader._verifier.child.running


def test_gsm8k_has_no_code(gsm8k: Outputs) -> None:
    assert {detect(text).grade for system in gsm8k.systems.values() for text in system.texts} == {0}


def test_every_tora_output_is_python_but_one_that_does_not_parse(tora: Responses) -> None:
    assert tora.system == "tora-code-34b"
    assert len(tora.texts) == 1319
    assert all(mentions_python(text) for text in tora.texts)
    missed = [text for text in tora.texts if detect(text).label != Strategy.code]
    assert len(missed) == 1
    assert "blocks_1/4_500 = 1/4 * blocks_500" in missed[0]  # a SyntaxError: this program never ran
    assert detect(missed[0]).grade == 2


@pytest.mark.parametrize("reader", [read_math500, read_gsm8k_graded, read_tora, read_rlcr])
def test_what_is_missing_is_named(reader: object, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such f"):
        reader(tmp_path / "nowhere")  # type: ignore[operator]
    with pytest.raises(BadInput) as caught:
        reader(tmp_path)  # type: ignore[operator]
    assert str(tmp_path) in str(caught.value)


GOOD = {"problem": "1+1", "answer": "2", "unique_id": "a"}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"problem": "1+1", "answer": "2", "uni', "not JSON"),
        ("[1]", "object"),
        ('{"problem": "1+1", "answer": "2"}', "'unique_id' is missing"),
        ('{"problem": "1+1", "answer": 2, "unique_id": "a"}', "'answer' is int"),
    ],
)
def test_a_bad_line_is_named_with_its_number(line: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "test.jsonl"
    file.write_text(json.dumps(GOOD) + "\n\n" + line + "\n")
    with pytest.raises(BadInput, match=what) as caught:
        read_math500(file)
    assert f"{file}:3" in str(caught.value)


def test_bytes_that_are_no_text_are_bad_input(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="UTF-8"):
        read_math500(tmp_path)


def test_gsm8k_rows_without_a_gold_answer_or_a_label(tmp_path: Path) -> None:
    answered = {system: {"solution": "s", "is_correct": True} for system in GSM8K_SHARES}
    row = {"question": "q", "ground_truth": "no mark"} | answered
    file = tmp_path / "example_model_solutions.jsonl"
    file.write_text(json.dumps(row))
    with pytest.raises(BadInput, match="does not end"):
        read_gsm8k_graded(file)
    file.write_text(json.dumps(row | {"ground_truth": "so\nA: 3", "6b_verification": {"solution": "s"}}))
    with pytest.raises(BadInput, match="'is_correct' is missing"):
        read_gsm8k_graded(file)
    file.write_text(json.dumps(row | {"ground_truth": "so\n#### 1,003"}))
    assert golds(read_gsm8k_graded(tmp_path)) == ["1,003"]


@pytest.mark.parametrize(
    "text", ["so\nA: 18", "so\n#### 18", "so #### 18", "\n\n#### 18\n", "A:\t18 ", "so\n A: 1\n#### 18"]
)
def test_every_reader_takes_the_same_answer_of_a_solution(text: str, tmp_path: Path) -> None:
    row = {"question": "q", "ground_truth": text}
    row |= {system: {"solution": "s", "is_correct": True} for system in GSM8K_SHARES}
    (tmp_path / "example_model_solutions.jsonl").write_text(json.dumps(row))
    assert golds(read_gsm8k_graded(tmp_path)) == [gold_answer(text)] == ["18"]


def test_tora_rows_hold_one_response(tmp_path: Path) -> None:
    file = tmp_path / "tora-code-34b.jsonl"
    file.write_text(json.dumps({"idx": 0, "question": "q", "gt": "1", "code": ["a", "b"]}))
    with pytest.raises(BadInput, match="one response"):
        read_tora(file)


def write_arrow(file: Path, columns: dict[str, list[object]], batches: int = 1) -> None:
    batch = pa.RecordBatch.from_pydict(columns)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, batch.schema) as writer:
        for _ in range(batches):
            writer.write_batch(batch)


ROW: dict[str, list[object]] = {
    "problem": ["1+1"],
    "answer": ["2"],
    "unique_id": ["a"],
    "Base-output_0": ["<answer>2</answer>"],
    "Base-evals": [[1]],
    "Base-confidence_levels": [[0.5]],
}


def test_a_small_saved_dataset_is_read(tmp_path: Path) -> None:
    write_arrow(tmp_path / "data-00000-of-00002.arrow", ROW)
    write_arrow(tmp_path / "data-00001-of-00002.arrow", ROW | {"unique_id": ["b"], "Base-evals": [[0]]})
    outputs = read_rlcr(tmp_path)
    assert [p.id for p in outputs.problems] == ["a", "b"]
    assert outputs.systems == {"Base": Responses("Base", ("<answer>2</answer>",) * 2, (True, False), (0.5, 0.5))}


def test_confidence_may_be_absent(tmp_path: Path) -> None:
    write_arrow(tmp_path / "data-0.arrow", {k: v for k, v in ROW.items() if "confidence" not in k})
    assert read_rlcr(tmp_path).systems["Base"].confidence is None


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"answer": None}, "no column 'answer'"),
        ({"Base-output_0": None}, "no system"),
        ({"Base-evals": None}, "no column 'Base-evals'"),
        ({"answer": [2]}, "'answer' must hold str"),
        ({"Base-output_0": [None]}, "'Base-output_0' must hold str"),
        ({"Base-evals": [[]]}, "one value a row"),
        ({"Base-evals": [[1, 0]]}, "one value a row"),
        ({"Base-confidence_levels": [[None]]}, "one value a row"),
    ],
)
def test_wrong_columns_are_named(change: dict[str, list[object] | None], what: str, tmp_path: Path) -> None:
    columns = {k: v for k, v in (ROW | change).items() if v is not None}
    write_arrow(tmp_path / "data-0.arrow", columns)
    with pytest.raises(BadInput, match=what) as caught:
        read_rlcr(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_truncated_arrow_stream_is_refused(rlcr: Outputs, real_data: Path, tmp_path: Path) -> None:
    source = real_data / "rlcr_math500" / "data-00000-of-00001.arrow"
    for kept in (0, 100, source.stat().st_size // 2, source.stat().st_size - 5000):
        (tmp_path / source.name).write_bytes(source.read_bytes()[:kept])
        with pytest.raises(BadInput, match="not a whole Arrow stream") as caught:
            read_rlcr(tmp_path)
        assert source.name in str(caught.value)
    assert len(rlcr.problems) == 500


def test_a_stream_cut_between_batches_is_held_against_the_row_count(real_data: Path, tmp_path: Path) -> None:
    write_arrow(tmp_path / "data-0.arrow", ROW, batches=3)
    shutil.copyfile(real_data / "rlcr_math500" / "dataset_info.json", tmp_path / "dataset_info.json")
    with pytest.raises(BadInput, match="3 rows, but dataset_info.json counts 500"):
        read_rlcr(tmp_path)
