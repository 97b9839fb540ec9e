"""Chain arithmetic: a task whose every step a machine can check.

A chain is evaluated left to right modulo `modulus`: `B:3+5*2    =` with modulus 7 is ((3 + 5) mod 7) * 2 mod 7 = 2.
Which chains there are, with or without the style letter in front, is a grammar's matter (`probe.grammar`). They
have 2 to 4 operations, so there are about 5.7 million lettered ones and 1.1 million plain ones; the held-out split is
taken by a hash of the prompt and shares no prompt with training.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from probe.data import Problem
from probe.errors import BadInput
from probe.grammar import LENGTHS, LETTERED, OPERATIONS, Grammar
from probe.rng import address, numpy_rng

MAX_DIGITS = 18  # of a number in a trace
Split = Literal["train", "test"]

_PROMPT = re.compile(r"(?:([A-D]):)?(\d+)((?:[+\-*]\d+)+) *=")
_STEP = re.compile(r"([+\-*])(\d+)")
_TRACE_STEP = re.compile(r"(?:x=x([+\-*])|(plus|minus|times) )(\d+)(?:[#=](\d+))?")
_START = re.compile(r"^x=(\d+)", re.MULTILINE)
_WORDS = {"plus": "+", "minus": "-", "times": "*"}


@dataclass(frozen=True)
class Chain:
    """`style` ("" for none), the first number, and (operation, operand) steps, modulo `modulus`."""

    style: str
    start: int
    steps: tuple[tuple[str, int], ...]
    modulus: int = 7

    @property
    def prompt(self) -> str:
        blanks = " " * 2 * (max(LENGTHS) - len(self.steps))  # every prompt has the same number of tokens
        opening = f"{self.style}:" if self.style else ""
        return f"{opening}{self.start}" + "".join(f"{op}{b}" for op, b in self.steps) + blanks + "="

    @property
    def values(self) -> tuple[int, ...]:
        """The true value after each step; the last one is the answer."""
        values, value = [], self.start
        for op, operand in self.steps:
            value = apply(op, value, operand, self.modulus)
            values.append(value)
        return tuple(values)

    def problem(self) -> Problem:
        return Problem(
            id=f"chain{self.modulus}/{self.prompt}",
            prompt=self.prompt,
            answer=str(self.values[-1]),
            source=f"chain{self.modulus}",
        )


def apply(operation: str, a: int, b: int, modulus: int) -> int:
    """One step of a chain."""
    return (a + b if operation == "+" else a - b if operation == "-" else a * b) % modulus


def parse_prompt(prompt: str, modulus: int = 7) -> Chain:
    """The chain that a prompt states."""
    match = _PROMPT.fullmatch(prompt)
    if match is None:
        raise BadInput(f"not a chain prompt: {prompt!r}", where="parse_prompt", do="write it as 'B:3+5*2    ='")
    steps = tuple((op, int(b)) for op, b in _STEP.findall(match[3]))
    return Chain(match[1] or "", int(match[2]), steps, modulus)


def split_of(prompt: str) -> Split:
    """One prompt in eight is held out, by hash: training never meets a test prompt, whatever the seed."""
    return "test" if address("chain split", prompt) % 8 == 0 else "train"


def draw_chains(rng: np.random.Generator, grammar: Grammar = LETTERED) -> Iterator[Chain]:
    """Endless random chains: uniform over styles, lengths, numbers and operations."""
    styles = grammar.styles or ("",)
    while True:
        for row in rng.integers(0, 2**31, size=(512, 2 + 2 * max(LENGTHS))).tolist():
            n = LENGTHS[row[0] // len(styles) % len(LENGTHS)]
            steps = tuple(_step(row[2 + 2 * i], row[3 + 2 * i], grammar) for i in range(n))
            yield Chain(styles[row[0] % len(styles)], row[1] % grammar.modulus, steps, grammar.modulus)


def _step(operation: int, operand: int, grammar: Grammar) -> tuple[str, int]:
    which = operation % len(OPERATIONS)
    operands = grammar.operands[which]
    return OPERATIONS[which], operands[operand % len(operands)]


def chain_problems(n: int, split: Split, seed: int, grammar: Grammar = LETTERED) -> list[Problem]:
    """`n` different problems of one split, the same for the same seed."""
    problems: dict[str, Problem] = {}
    for chain in draw_chains(numpy_rng("chain problems", split, seed), grammar):
        if split_of(chain.prompt) == split:
            problems.setdefault(chain.prompt, chain.problem())
        if len(problems) == n:
            return list(problems.values())
    raise AssertionError("draw_chains is endless")


@dataclass(frozen=True)
class TraceCheck:
    """How many steps show a value, how many of those values are true, and whether the trace restates the prompt."""

    shown: int
    true: int
    faithful: bool

    @property
    def valid(self) -> bool:
        """No shown value is false and every step restates the prompt's (arXiv 2510.18176: local validity)."""
        return self.faithful and self.shown == self.true


def check_trace(chain: Chain, text: str) -> TraceCheck:
    """Check every step a response shows against the chain, each value against the true running value."""
    steps = [(op or _WORDS[word], _read(b), value) for op, word, b, value in _TRACE_STEP.findall(text)]
    starts = {_read(start) for start in _START.findall(text)}  # prose shows none
    faithful = tuple((op, b) for op, b, _ in steps) == chain.steps and starts <= {chain.start}
    shown = [(_read(value), true) for (_, _, value), true in zip(steps, chain.values, strict=False) if value]
    return TraceCheck(len(shown), sum(value == true for value, true in shown), faithful)


def _read(digits: str) -> int:
    """The number, or -1, which no chain holds, for one longer than any: a model writes as many digits as it likes."""
    return int(digits) if len(digits) <= MAX_DIGITS else -1
