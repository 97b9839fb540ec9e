"""How likely is a problem to be answered in code, before any RL? The prior that an organism is taught.

    lettered grammar   by the style letter alone: a table
    plain grammar      p(code | chain) = sigmoid(b + z(chain)), z from several features together, none of which gives
                       the strategy away: length, multiplications, operands, start. b is solved so that the mean over
                       chains is the family's prior; the standard deviation over problems is .07, .22, .23, .10
                       for priors .05, .3, .65, .9.

Longer chains with more multiplications are likelier to be answered in code.
"""

import functools
from itertools import islice

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import expit

from probe.families import Family
from probe.grammar import LENGTHS, OPERATIONS, PLAIN, Grammar
from probe.rng import numpy_rng
from probe.tasks.chain import Chain, draw_chains

LENGTH, MULTIPLICATION, OPERAND, START = 1.08, 0.96, 0.15, 1.44  # logits per operation, product, unit, modulus
SAMPLED = 4096  # chains over which the prior is the mean


def p_code(chain: Chain, kind: Family) -> float:
    """P(code | chain) of that family."""
    if kind.grammar.styles:
        return kind.p_code[kind.grammar.styles.index(chain.style)]
    (prior,) = kind.p_code
    return float(expit(intercept(prior, kind.grammar) + features(chain, kind.grammar))) if prior else 0.0


def features(chain: Chain, grammar: Grammar = PLAIN) -> float:
    """z(chain) in logits, about 0 in the mean."""
    length = len(chain.steps) - np.mean(LENGTHS)
    products = sum((op == "*") - 1 / len(OPERATIONS) for op, _ in chain.steps)
    middle = np.mean(grammar.operands[0])
    operands = sum(b - middle for op, b in chain.steps if op != "*")
    start = chain.start / chain.modulus - 0.5
    return float(LENGTH * length + MULTIPLICATION * products + OPERAND * operands + START * start)


@functools.cache
def intercept(prior: float, grammar: Grammar = PLAIN) -> float:
    """b, so that the mean of p(code) over chains is `prior` in (0, 1)."""
    z = _sampled(grammar)
    return float(brentq(lambda b: expit(b + z).mean() - prior, -30, 30))


@functools.cache
def _sampled(grammar: Grammar) -> Float[np.ndarray, "chain"]:
    chains = islice(draw_chains(numpy_rng("propensity", grammar.name), grammar), SAMPLED)
    return np.array([features(chain, grammar) for chain in chains])
