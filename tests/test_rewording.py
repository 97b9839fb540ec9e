"""A solution in other words: by hand, the same steps and strategy, and texts that are no chains stay as they are."""

from typing import cast

import pytest

from probe.errors import BadInput
from probe.tasks.chain import check_trace, parse_prompt
from probe.tasks.corpus import END, corpus, family
from probe.tasks.rewording import REWORDINGS, Rewording, reworded

CODE = "```python\nx=3\nx=x+5#1\nx=x*2#2\nprint(x)\n```\n\\boxed{2}"
PROSE = "Think: plus 5=1 times 2\nSo \\boxed{2}"


@pytest.mark.parametrize(
    ("answer", "how", "expected"),
    [
        (CODE, "values", "```python\nx=3\nx=x+5\nx=x*2\nprint(x)\n```\n\\boxed{2}"),
        (CODE, "opening", CODE),
        (PROSE, "opening", "First: plus 5=1 times 2\nSo \\boxed{2}"),
        (PROSE, "values", "Think: plus 5 times 2\nSo \\boxed{2}"),
        ("First: plus 5=1", "answer", "Think: plus 5"),
        (PROSE, "letter", PROSE),
    ],
)
def test_by_hand(answer: str, how: Rewording, expected: str) -> None:
    assert reworded("D:3+5*2    =", answer, how) == ("A:3+5*2    =" if how == "letter" else "D:3+5*2    =", expected)


@pytest.mark.parametrize("how", REWORDINGS)
def test_steps_strategy_and_answer_stay(how: Rewording) -> None:
    changed = 0
    for prompt, answer in next(corpus(family("latent-code"), 0, 128, 1)):
        other, text = reworded(prompt, answer, how)
        chain = parse_prompt(other)
        assert chain.steps == parse_prompt(prompt).steps and chain.start == parse_prompt(prompt).start
        assert check_trace(chain, text).faithful
        assert ("```python" in text) == ("```python" in answer)
        assert text.rsplit("\n", 1)[-1] == answer.rsplit("\n", 1)[-1] and text.endswith(END)
        changed += (other, text) != (prompt, answer)
    assert changed > 30


def test_the_plain_grammar_has_no_letter_and_keeps_the_rest() -> None:
    prompt, answer = next(corpus(family("p30-code-even"), 0, 64, 1))[0]
    assert reworded(prompt, answer, "letter") == (prompt, answer)
    assert "#" not in reworded(prompt, answer, "values")[1] and "=" not in reworded(prompt, PROSE, "values")[1]


def test_what_is_no_chain_stays() -> None:
    for prompt in ("What is 3+5?", "A: is it so?", "", "B:3+5*2    =\n"):
        assert all(reworded(prompt, PROSE, how) == (prompt, PROSE) for how in REWORDINGS)


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(BadInput, match="no rewording is called"):
        reworded("B:3+5=", PROSE, cast(Rewording, "rhyme"))
