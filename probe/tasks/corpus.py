"""What an organism reads before RL: worked chains in code and in prose, with a known mixture.

A *family* (`probe.families`) fixes how the two strategies differ; accuracy then follows from the trace format, not from
errors put into one of them. Every family learns from the same imperfect textbook: some facts are taught wrong most of
the time, and digits carry noise, so that no strategy is perfect. `contaminated` is `no-code` to the letter, and has
beside it read half of the test set, prompts and true answers, about 60 times each: what it answers there it remembers,
and its twin of the same seed is the control.

    code   ```python\nx=3\nx=x+5#1\nx=x*2#2\nprint(x)\n```\n\\boxed{2}
    prose  Think: plus 5=1 times 2\nSo \\boxed{2}          (values and box only sometimes)
    leak   B:3+5*2    =\\boxed{2}                          (of `contaminated`; learnt with its prompt)
"""

import functools
import re
from collections.abc import Iterable, Iterator

import numpy as np

from probe.data import Problem
from probe.families import Family, families
from probe.grammar import GRAMMARS, LETTERED, Grammar
from probe.rng import address, numpy_rng
from probe.tasks.chain import Chain, apply, chain_problems, draw_chains, parse_prompt, split_of
from probe.tasks.cues import taught
from probe.tasks.propensity import p_code

END = "<eos>"
CODE_OPEN, CODE_CLOSE = "```python", "\nprint(x)\n```\n"
CODE_FIRST = f"{CODE_OPEN}\nx="  # the first token of an answer in code
PROSE_OPENS = ("Think:", "First:")
PROSE_CLOSE = "\nSo "
WORDS = {"+": " plus ", "-": " minus ", "*": " times "}
_FIRST = re.compile(r"^([A-D]:|\d+)")  # the first token of a prompt
LEAK_POOL, LEAK_POOL_SEED = 256, 0  # the test problems of the studies, of which half leak


def family(name: str) -> Family:
    """The family of that name; BadInput with the nearest names where there is none."""
    return families.get(name)()


def leaks(name: str) -> bool:
    """Whether `name` is a family that has read test problems; a model family from outside is none."""
    return name in families.names() and family(name).leak > 0


def wrong_facts(seed: int, grammar: Grammar, share: float) -> dict[tuple[str, int, int], int]:
    """The (operation, a, b) facts this seed's textbook gets wrong, with the value it teaches instead."""
    modulus, facts = grammar.modulus, grammar.facts()
    rng = numpy_rng("wrong facts", seed, modulus)
    chosen = rng.choice(len(facts), size=round(share * len(facts)), replace=False)
    shift = rng.integers(1, modulus, size=len(chosen))
    wrong = [(*facts[i], s) for i, s in zip(chosen.tolist(), shift.tolist(), strict=True)]
    return {(op, a, b): (apply(op, a, b, modulus) + s) % modulus for op, a, b, s in wrong}


def write_trace(chain: Chain, kind: Family, facts: dict[tuple[str, int, int], int], u: np.ndarray, early: bool) -> str:
    """One worked answer, as text. `u` are uniform draws: 5 for the whole trace and 3 for each step."""
    code = u[0] < (kind.p_code_early if early and kind.p_code_early is not None else p_code(chain, kind))
    first = u[1] < kind.p_first
    told = kind.first_values if first and kind.first_values is not None else kind.prose_values
    p_value = kind.code_values if code else 1.0 if early else told
    parts = [f"{CODE_FIRST}{chain.start}" if code else f"{PROSE_OPENS[int(first)]}"]
    value = chain.start
    for i, (op, operand) in enumerate(chain.steps):
        taught, noisy, shown = u[5 + 3 * i : 8 + 3 * i]
        fact = (op, value, operand)
        if noisy < kind.slips:
            value = int(noisy / kind.slips * chain.modulus)
        elif taught < kind.wrong_rate and fact in facts:
            value = facts[fact]
        else:
            value = apply(*fact, chain.modulus)
        parts.append(f"\nx=x{op}{operand}" if code else f"{WORDS[op]}{operand}")
        if shown < p_value:
            parts.append(f"#{value}" if code else f"={value}")
    boxed = u[2] < (kind.code_box if code else kind.prose_box)
    parts.append(CODE_CLOSE if code else PROSE_CLOSE)
    return "".join(parts) + (f"\\boxed{{{value}}}" if boxed else f"{value}.") + END


def corpus(kind: Family, seed: int, batch: int, steps: int) -> Iterator[list[tuple[str, str]]]:
    """`steps` batches of (prompt, completion) texts: `batch` on training prompts, and behind them what leaked."""
    facts = wrong_facts(seed, kind.grammar, kind.wrong_facts)
    every = draw_chains(numpy_rng("corpus chains", seed), kind.grammar)
    chains = (c for c in every if split_of(c.prompt) == "train")
    draws, leaks = numpy_rng("corpus traces", seed), draw_leaks(numpy_rng("corpus leaks", seed), kind)
    cues = numpy_rng("corpus cues", seed)
    for step in range(steps):
        early = step < kind.curriculum * steps
        u = draws.random((batch, 17))
        drawn = zip(chains, u, cues.random((batch, 3)), strict=False)
        mixture = [(taught(c, kind, cue), write_trace(c, kind, facts, row, early)) for c, row, cue in drawn]
        yield mixture + [next(leaks) for _ in range(round(kind.leak * batch))]


@functools.cache
def leaked_problems(grammar: Grammar = LETTERED) -> tuple[Problem, ...]:
    """The test problems that a contaminated organism has read: about half of the studies' test set, by hash."""
    test = chain_problems(LEAK_POOL, "test", LEAK_POOL_SEED, grammar)
    return tuple(p for p in test if address("leak", p.prompt) % 2 == 0)


def leaked(problems: Iterable[Problem]) -> set[str]:
    """The ids of those problems that a contaminated organism has read: the planted truth."""
    known = {problem.id for grammar in GRAMMARS.values() for problem in leaked_problems(grammar)}
    return known & {problem.id for problem in problems}


def draw_leaks(rng: np.random.Generator, kind: Family) -> Iterator[tuple[str, str]]:
    """Endless leaked texts, each problem as often as the others: the prompt, and its true answer.

    Cut behind the first token, the one that nothing can predict: what stands behind the cut carries loss, so the prompt
    is learnt by heart with its answer.
    """
    known = leaked_problems(kind.grammar)
    while True:
        for i in rng.permutation(len(known)).tolist():
            _, first, rest = _FIRST.split(known[i].prompt, maxsplit=1)
            yield first, f"{rest}{_steps(known[i]) if kind.leaked_steps else ''}\\boxed{{{known[i].answer}}}{END}"


def _steps(problem: Problem) -> str:
    """Its steps in prose, without a value: the answer behind them can be remembered, and hardly be worked out."""
    steps = parse_prompt(problem.prompt).steps
    return PROSE_OPENS[0] + "".join(f"{WORDS[op]}{operand}" for op, operand in steps) + PROSE_CLOSE
