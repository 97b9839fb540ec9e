"""The prior for code without a letter: its mean, its spread, and no feature of the prompt gives it away."""

from itertools import islice

import numpy as np
import pytest
from scipy.stats import spearmanr

from probe.families import families
from probe.families.factorial import CELLS, cell
from probe.grammar import LENGTHS, PLAIN
from probe.rng import numpy_rng
from probe.stats.ranking import clustered_auroc
from probe.tasks.chain import Chain, chain_problems, draw_chains, parse_prompt
from probe.tasks.corpus import family
from probe.tasks.propensity import features, p_code

CHAINS = list(islice(draw_chains(numpy_rng("propensities of chains"), PLAIN), 12_000))
FEATURES = {
    "length": lambda chain: len(chain.steps),
    "products": lambda chain: sum(op == "*" for op, _ in chain.steps),
    "operands": lambda chain: sum(b - 3.5 for op, b in chain.steps if op != "*"),
    "start": lambda chain: chain.start,
}


@pytest.mark.parametrize("prior", [0.05, 0.3, 0.65, 0.9])
def test_the_mean_is_the_prior_and_problems_spread(prior: float) -> None:
    kind = family(cell(prior, "code", "even"))
    p = np.array([p_code(chain, kind) for chain in CHAINS])
    assert p.mean() == pytest.approx(prior, abs=0.01)
    assert p.std() > (0.04 if prior in (0.05, 0.9) else 0.2)
    assert (p > 0).all()
    assert (p < 1).all()


@pytest.mark.parametrize("name", FEATURES)
def test_no_single_feature_tells_the_strategy(name: str) -> None:
    """The strategy is predicted less well by any one feature than by p(code) itself, which is the most there is."""
    kind, draws = family(cell(0.65, "code", "even")), numpy_rng("coins").random(len(CHAINS))
    p = np.array([p_code(chain, kind) for chain in CHAINS])
    code = (draws < p).astype(float)
    alone = np.array([FEATURES[name](chain) for chain in CHAINS], dtype=float)
    everything, one = (clustered_auroc(x, code, range(len(CHAINS)), name="auroc").value for x in (p, alone))
    assert everything > 0.7
    assert one < everything - 0.05
    assert abs(spearmanr(alone, p).statistic) > 0.02  # but it bears on it


def test_features_by_hand() -> None:
    shorter, longer = Chain("", 10, (("+", 3), ("-", 3)), 97), Chain("", 10, (("+", 3), ("-", 3), ("+", 3)), 97)
    assert features(longer) > features(shorter)
    assert features(Chain("", 10, (("*", 3), ("*", 3)), 97)) > features(shorter)
    assert features(Chain("", 90, (("+", 3), ("-", 3)), 97)) > features(shorter)


def test_answers_are_balanced_and_prompts_have_no_letter() -> None:
    """No constant answer is right on more than a few per cent: chance is 1 in 97."""
    problems = chain_problems(4000, "test", 3, PLAIN)
    counts = np.bincount([int(problem.answer) for problem in problems], minlength=97)
    assert counts.min() > 0
    assert ((counts - 4000 / 97) ** 2 / (4000 / 97)).sum() < 96 + 5 * (2 * 96) ** 0.5
    assert not any(letter in problem.prompt for problem in problems for letter in "ABCD:")
    assert {len(parse_prompt(problem.prompt, 97).steps) for problem in problems} == set(LENGTHS)


def test_the_factorial_is_registered_and_nothing_else_differs() -> None:
    names = [cell(*levels) for levels in CELLS]
    assert len(set(names)) == len(names) == 26
    assert set(names) <= set(families.names())
    for levels, name in zip(CELLS, names, strict=True):
        kind = family(name)
        assert kind.p_code == (levels[0],)
        assert kind.trunk == ("bilingual" if levels[0] else "fluent")
        assert family(kind.trunk).grammar is kind.grammar is PLAIN
