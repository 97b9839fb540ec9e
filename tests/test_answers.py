r"""Answer extraction: by hand, hostile text, and the properties that tie the box to the format reward."""

import pytest

from probe.data import Outcome, Strategy
from probe.strategy import detect
from probe.tasks.answers import STOPS, answer_tag, boxed, final_number, has_box, minerva, own_turn
from probe.tasks.extractors import extract
from probe.tasks.grading import Grader


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{5}", "5"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\fbox{7}", "7"),
        (r"\boxed{1} and \fbox{2}", "2"),
        (r"\boxed 5", "5"),
        (r"$\boxed 5$.", "5"),
        (r"\boxed x", "x"),
        (r"\boxed {5}", "5"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{x \mid x > 1\right.}", r"\left\{x \mid x > 1\right."),
        (r"\boxed{  a b  }", "a b"),
        ("\\boxed{\n3\n}", "3"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{\text{(C)}} is it", r"\text{(C)}"),
        (r"\\boxed{5}", "5"),
        (r"\boxed{\begin{pmatrix} 1 \\ 2 \end{pmatrix}}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ],
)
def test_boxed_reads_the_last_box(text: str, answer: str) -> None:
    assert boxed(text) == answer
    assert has_box(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the answer is 5",
        r"\boxed{}",
        r"\boxed{ }",
        r"\boxed{$$}",
        r"\boxed{{}}",
        r"\boxed{\boxed{}}",
        r"\boxed{5",
        r"\boxed{5\}",
        r"\boxed",
        r"the \boxed notation",
        r"\boxedx{5}",
        r"boxed{5}",
        r"<answer> 5 </answer>",
    ],
)
def test_no_box_is_no_answer_and_no_format_reward(text: str) -> None:
    assert boxed(text) is None
    assert not has_box(text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{5} and then \boxed{}", "5"),
        (r"\boxed{5} and then \boxed{6", "5"),
        (r"\boxed{4} \boxed{5} and then \boxed{\frac{6}{", "5"),
        (r"\boxed{5} $\boxed", "5"),
        (r"\boxed{5} in the \boxed notation", "5"),
        (r"\boxed{5} \boxed{\boxed{}}", "5"),
        (r"\boxed{1 \boxed{2}", "2"),
        (r"\boxed 3 and then \boxed{$$}", "3"),
    ],
)
def test_a_box_that_is_cut_off_or_empty_hides_none_before_it(text: str, answer: str) -> None:
    assert boxed(text) == answer
    assert has_box(text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("A: 18", "18"),
        ("#### 18", "18"),
        ("#### 1,234", "1234"),
        ("A: 2,125,000.50", "2125000.50"),
        ("so 9 * 2 = $<<9*2=18>>18", "18"),
        ("A: 5*3=15", "15"),
        ("16 - 3 = 13.", "13"),
        ("it is -5", "-5"),
        ("it is \u22125", "-5"),
        ("-$5", "-5"),
        ("= -5", "-5"),
        ("x-5", "5"),
        ("7 - 5", "5"),
        ("from 10-12", "12"),
        ("(3) -5", "5"),
        ("0.5", "0.5"),
        ("about .25", ".25"),
        ("a 3/4 share", "3/4"),
        ("3 1/2 cups", "3 1/2"),
        (r"\frac{3}{4}", r"\frac{3}{4}"),
        (r"-\frac{3}{4}", r"-\frac{3}{4}"),
        ("50%", "50"),
        ("1e-05", "1e-05"),
        ("1,2,3", "3"),
        ("12,34", "34"),
        ("18 dollars", "18"),
        ("Think: 3 plus 5 is 1", "1"),
        ("It is 8/3.", "8/3"),
        ("It is 3 1/2.", "3 1/2"),
        ("It is 8/3.5", "3.5"),
        ("about 12 345 people", "12345"),
        (r"about 12\,345 people", "12345"),
        ("about 1{,}234", "1234"),
        ("12\u202f345.5", "12345.5"),
    ],
)
def test_final_number_reads_the_last_number(text: str, answer: str) -> None:
    assert final_number(text) == answer


@pytest.mark.parametrize("text", ["", "no number", "\u0663\u0664", "..."])
def test_final_number_without_a_number(text: str) -> None:
    assert final_number(text) is None


@pytest.mark.parametrize("padding", [0, 1, 4090, 4096, 8192, 50_000])
def test_final_number_does_not_depend_on_what_stands_before_or_behind(padding: int) -> None:
    assert final_number("1 " + "x" * padding + " 123456789" + " y" * padding) == "123456789"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer> 5 </answer>", "5"),
        ("<answer>1</answer> no: <answer>2</answer>", "2"),
        ("<answer> 120 </think><answer> 120 </answer></answer>", "120"),
        (r"<answer> \boxed{7}. I am sure </answer>", "7"),
        ("<answer> (3, π/2) </answer>", "(3, π/2)"),
        (r"<answer> (3, $\frac{\pi}{2}$) </answer>", r"(3, $\frac{\pi}{2}$)"),
        ("<answer> Chris is currently 10 years old. </answer>", "10"),
        (r"<answer> The value of $a$ is $-256$. </answer>", "-256"),
        (r"<answer> The value of \(x\) is 4. </answer>", "4"),
        (r"<answer> The area is $3\pi$ square feet. </answer>", r"3\pi"),
        (r"<answer> It lies in the range \((-\infty, 0]\). </answer>", r"(-\infty, 0]"),
        ("<answer> 16/27 gallons </answer>", "16/27"),
        ("<answer> 3 sqrt(2) or 2 pi </answer>", "3 sqrt(2) or 2 pi"),
        ("<answer> Evelyn </answer>", "Evelyn"),
        ("<answer> There is no such value </answer>", "There is no such value"),
    ],
)
def test_answer_tag(text: str, answer: str) -> None:
    assert answer_tag(text) == answer


@pytest.mark.parametrize(
    "text", ["", "5", "<answer> 5", "5 </answer>", "<answer> </answer>", r"<answer>\boxed{}</answer>"]
)
def test_answer_tag_without_an_answer(text: str) -> None:
    assert answer_tag(text) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So. Final Answer: The final answer is $18$. I hope it is correct.", "18"),
        (r"The final answer is $\frac{1}{2}$. I hope it is correct.", r"\frac{1}{2}"),
        ("The final answer is 1. No: the final answer is $2$", "2"),
        ("The final answer is: 3.5.\nDone", "3.5"),
        ("the final answer is (1,2). I hope it is correct.\n\nQ", "(1,2)"),
        ("The final answer is", None),
        ("The answer is 5", None),
    ],
)
def test_minerva(text: str, answer: str | None) -> None:
    assert minerva(text) == answer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"<answer>4</answer> #### 3 \boxed{5}", ("5", "boxed")),
        (r"<answer>4</answer> \boxed{", ("4", "answer_tag")),
        ("#### 3\nThe final answer is $2$. I hope it is correct.", ("2", "minerva")),
        ("so\n#### 3", ("3", "marked")),
        ("It is 5", (None, "")),
    ],
)
def test_auto_says_which_rule_it_took(text: str, found: tuple[str | None, str]) -> None:
    assert extract(text, "auto") == found
    with Grader(extract="auto") as grader:
        assert grader.grade(text, "5").extractor == found[1]


@pytest.mark.parametrize(
    "turn", ["\nHuman: and 6?", "\n\nQuestion: 6", "<|im_start|>user", "<|start_header_id|>user", "[INST] 6"]
)
def test_grader_and_detector_read_the_same_turn(turn: str) -> None:
    text = f"It is \\boxed{{5}}.{turn}\n```python\nprint(6)\n```\n\\boxed{{6}}"
    with Grader() as grader:
        assert grader.grade(text, "5").outcome == Outcome.right
    assert detect(text.replace("\\boxed{5}", "5")).label == Strategy.prose
    assert own_turn(text) == "It is \\boxed{5}."


def test_own_turn_takes_the_first_marker() -> None:
    assert own_turn(r"\boxed{1}<|im_end|>x<|endoftext|>\boxed{2}") == r"\boxed{1}"
    assert own_turn("no marker") == "no marker"
    assert own_turn("a</s>b<eos>c") == "a"


@pytest.mark.parametrize("marker", STOPS)
def test_grader_and_strategy_detector_read_to_the_same_marker(marker: str) -> None:
    text = f"It is \\boxed{{5}}.{marker}"
    with Grader() as grader:
        assert grader.grade(text + "\\boxed{6}", "5").outcome == Outcome.right
    assert detect(f"It is 5.{marker}\n```python\nprint(5)\n```").label == Strategy.prose


@pytest.mark.parametrize("marker", ["<|eot_id|>", "<|im_start|>"])
def test_chat_markers_end_an_answer(marker: str) -> None:
    assert own_turn(f"It is 5.{marker}user\nAnd 6?") == "It is 5."


HOSTILE = {
    "open braces": "\\boxed{" * 150_000,
    "nested boxes": "\\boxed{" * 100_000 + "}" * 100_000,
    "braces": "{" * 1_000_000,
    "a box of braces": "\\boxed{" + "{" * 500_000 + "}" * 499_999,
    "a box and spaces": "\\boxed" + " " * 1_000_000,
    "one long word": "a" * 1_000_000,
    "digits": "1" * 1_000_000,
    "thousands": "1" + ",000" * 250_000 + "0",
    "minus signs": "-" * 1_000_000,
    "slashes": "1/" * 500_000,
    "fractions": "\\frac{1" * 150_000,
    "dollars": "<answer>" + "$" * 1_000_000 + "</answer>",
    "parentheses": "<answer> a b c " + "\\(" * 300_000 + "</answer>",
    "tags": "<answer>" * 120_000,
    "closing tags": "</answer>" * 120_000,
    "newlines": "\n" * 1_000_000,
    "words": "<answer>" + "ab " * 300_000 + "</answer>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_read_in_linear_time(name: str) -> None:
    """Quadratic work on a million characters would take hours: these finish or the suite hangs."""
    text = HOSTILE[name]
    assert boxed(text) is None
    assert has_box(text) is False
    assert final_number(text) is None or any(c.isdigit() for c in text)
    assert answer_tag(text) is None or text.startswith("<answer>")


def test_a_long_tail_of_a_right_answer_is_still_read() -> None:
    text = r"\boxed{5}" + "{ a \\{ " * 150_000
    assert boxed(text) == "5"
    assert has_box(text)
