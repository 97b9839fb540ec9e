"""In other words: by hand; a latent of the strategy stays, one of a word goes, and no difference keeps nothing."""

import numpy as np
import pytest

from probe.dictionaries.audits.paraphrase import Paraphrase, paraphrase
from probe.errors import BadInput
from probe.rng import numpy_rng

PROBLEMS = (np.repeat(np.arange(40), 2), np.repeat(np.arange(40), 3))


def told(yes: float, no: float, yes_again: float, no_again: float, spread: float = 0.2, seed: int = 0) -> Paraphrase:
    rng = numpy_rng("paraphrase", seed)
    means = ((yes, no), (yes_again, no_again))
    columns = [
        tuple(m + spread * rng.normal(size=len(p)) for m, p in zip(pair, PROBLEMS, strict=True)) for pair in means
    ]
    return paraphrase(columns[0], columns[1], PROBLEMS, ("test", seed))


def test_by_hand() -> None:
    found = paraphrase(([4.0, 2.0], [1.0]), ([2.0, 2.0], [0.5]), (["a", "b"], ["a"]), ("hand",))
    assert found.difference.value == 2
    assert found.kept.value == (2 - 0.5) / 2
    assert (found.kept.n, found.kept.n_problems, found.kept.null) == (3, 2, 0.0)


def test_a_latent_of_the_strategy_stays_and_one_of_a_word_goes() -> None:
    assert told(1.0, 0.0, 0.9, 0.0).verdict == "stays in other words"
    assert told(0.0, 1.0, 0.0, 0.9).verdict == "stays in other words"  # of prose
    assert told(1.0, 0.0, 0.1, 0.0).verdict == "goes with the words"
    assert told(1.0, 0.0, 0.9, 0.8).verdict == "goes with the words"  # on in both: it no longer tells the class
    assert told(1.0, 0.0, 0.5, 0.0, spread=0.5).verdict == "undecided"


def test_without_a_difference_nothing_is_kept() -> None:
    verdicts = [told(0.5, 0.5, 0.5, 0.5, seed=seed).verdict for seed in range(40)]
    assert verdicts.count("no class difference") >= 33


def test_the_interval_holds_the_truth() -> None:
    found = [told(1.0, 0.0, 0.7, 0.0, spread=0.4, seed=seed).kept for seed in range(60)]
    assert sum(each.lo <= 0.7 <= each.hi for each in found) >= 52


def test_unequal_columns_are_refused() -> None:
    with pytest.raises(BadInput, match="reworded has 1 rows"):
        paraphrase(([1.0, 2.0], [1.0]), ([1.0], [1.0]), (["a", "b"], ["a"]), ("bad",))
    with pytest.raises(BadInput, match="problems has 1 rows"):
        paraphrase(([1.0, 2.0], [1.0]), ([1.0, 2.0], [1.0]), (["a"], ["a"]), ("bad",))
