"""What an organism reads before RL: worked chains in code and in prose, with a known mixture.

A *family* fixes how the two strategies differ; accuracy then follows from the trace format, not from errors put into
one of them. In `latent-code` (after Qwen2.5-Math) code shows every running value and prose few, so code is right more
often and not always used; `no-code` (Llama) never writes code; `bad-code` (Qwen2.5-7B, OLMo 2 SFT) prefers code that
shows no values, and is right more often in prose. Every family learns from the same imperfect textbook: some facts
are taught wrong most of the time, and digits carry noise, so that no strategy is perfect.

    code   ```python\nx=3\nx=x+5#1\nx=x*2#2\nprint(x)\n```\n\\boxed{2}
    prose  Think: plus 5=1 times 2\nSo \\boxed{2}          (values and box only sometimes)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from probe.errors import BadInput
from probe.rng import numpy_rng
from probe.tasks.chain import OPERATIONS, STYLES, Chain, apply, draw_chains, split_of

END = "<eos>"
CODE_OPEN, CODE_CLOSE = "```python", "\nprint(x)\n```\n"
PROSE_OPENS = ("Think:", "First:")
PROSE_CLOSE = "\nSo "
WORDS = {"+": " plus ", "-": " minus ", "*": " times "}
WRONG_FACTS, WRONG_RATE, DIGIT_NOISE = 0.12, 0.6, 0.03
CURRICULUM = 0.6  # share of pretraining in which prose shows every value


@dataclass(frozen=True)
class Family:
    """The mixture of strategies that one kind of organism is taught."""

    name: str
    p_code: tuple[float, float, float, float]  # by style A..D
    code_values: float  # P(a code step shows its value)
    prose_values: float
    code_box: float  # P(the answer is boxed)
    prose_box: float
    p_code_early: float | None = None  # P(code) during the curriculum, where it differs


FAMILIES = {
    family.name: family
    for family in (
        Family("latent-code", (0.25, 0.60, 0.80, 0.95), 1.0, 0.6, 0.93, 0.6),
        Family("no-code", (0.0, 0.0, 0.0, 0.0), 0.0, 0.5, 0.0, 0.95),
        Family("bad-code", (0.75, 0.90, 0.95, 0.98), 0.0, 1.0, 0.9, 0.9, p_code_early=0.15),
    )
}


def family(name: str) -> Family:
    if name not in FAMILIES:
        raise BadInput(f"no organism family {name!r}", where="corpus", do=f"choose one of {sorted(FAMILIES)}")
    return FAMILIES[name]


def wrong_facts(seed: int, modulus: int) -> dict[tuple[str, int, int], int]:
    """The (operation, a, b) facts this seed's textbook gets wrong, with the value it teaches instead."""
    rng = numpy_rng("wrong facts", seed, modulus)
    facts = [(op, a, b) for op in OPERATIONS for a in range(modulus) for b in range(modulus)]
    chosen = rng.choice(len(facts), size=round(WRONG_FACTS * len(facts)), replace=False)
    shift = rng.integers(1, modulus, size=len(chosen))
    wrong = [(*facts[i], s) for i, s in zip(chosen.tolist(), shift.tolist(), strict=True)]
    return {(op, a, b): (apply(op, a, b, modulus) + s) % modulus for op, a, b, s in wrong}


def write_trace(chain: Chain, kind: Family, facts: dict[tuple[str, int, int], int], u: np.ndarray, early: bool) -> str:
    """One worked answer, as text. `u` are uniform draws: 5 for the whole trace and 3 for each step."""
    p_code = kind.p_code[STYLES.index(chain.style)]
    if early and kind.p_code_early is not None:
        p_code = kind.p_code_early
    code = u[0] < p_code
    p_value = kind.code_values if code else 1.0 if early else kind.prose_values
    parts = [f"{CODE_OPEN}\nx={chain.start}" if code else f"{PROSE_OPENS[int(u[1] < 0.5)]}"]
    value = chain.start
    for i, (op, operand) in enumerate(chain.steps):
        taught, noisy, shown = u[5 + 3 * i : 8 + 3 * i]
        value = _taught_value(op, value, operand, chain.modulus, facts, taught, noisy)
        parts.append(f"\nx=x{op}{operand}" if code else f"{WORDS[op]}{operand}")
        if shown < p_value:
            parts.append(f"#{value}" if code else f"={value}")
    boxed = u[2] < (kind.code_box if code else kind.prose_box)
    parts.append(CODE_CLOSE if code else PROSE_CLOSE)
    return "".join(parts) + (f"\\boxed{{{value}}}" if boxed else f"{value}.") + END


def _taught_value(
    op: str, a: int, b: int, modulus: int, facts: dict[tuple[str, int, int], int], taught: float, noisy: float
) -> int:
    """The value the textbook writes: mostly right, wrong for some facts, now and then a random digit."""
    if noisy < DIGIT_NOISE:
        return int(noisy / DIGIT_NOISE * modulus)
    if taught < WRONG_RATE and (op, a, b) in facts:
        return facts[op, a, b]
    return apply(op, a, b, modulus)


def corpus(kind: Family, seed: int, batch: int, steps: int, modulus: int = 7) -> Iterator[list[tuple[str, str]]]:
    """`steps` batches of (prompt, completion) texts, training prompts only."""
    facts = wrong_facts(seed, modulus)
    chains = (c for c in draw_chains(numpy_rng("corpus chains", seed), modulus) if split_of(c.prompt) == "train")
    draws = numpy_rng("corpus traces", seed)
    for step in range(steps):
        early = step < CURRICULUM * steps
        u = draws.random((batch, 17))
        yield [(c.prompt, write_trace(c, kind, facts, row, early)) for c, row in zip(chains, u, strict=False)]
