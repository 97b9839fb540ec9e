"""What carries a change: planted kinds are told apart, the parts sum to the whole, and are those of a sum by hand."""

import numpy as np
import pytest
import torch
from planted_pairs import dictionary, features, sparse, written
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.change_parts import KINDS, PARTS, change_parts, kinds
from probe.dictionaries.diffing.latent_scaling import latent_scaling
from probe.errors import BadInput

D, ROWS = 24, 600
STRENGTH = ([1.0, 0.6, 1.0, 0.0, 0.8], [1.0, 1.2, 1.0, 1.0, 0.0])  # same, turned up, rotated, new, lost


def planted() -> tuple[Dictionary, Tensor]:
    """One latent of each kind; the third is written along another direction after RL."""
    truth = features(6, D, "parts")
    W_dec = written(truth[:5], STRENGTH)
    W_dec[2, 1] = truth[5]
    made = dictionary(W_dec, b_dec=torch.stack([torch.zeros(D), torch.full((D,), 0.1)]).double())
    f = sparse(ROWS, 5, "parts")
    return made, torch.einsum("rn,nmd->rmd", f, W_dec) + made.b_dec


def problems() -> np.ndarray:
    return np.array([f"p{i % 40}" for i in range(ROWS)])


def test_each_kind_is_told() -> None:
    made, x = planted()
    assert kinds(made, latent_scaling(made, [x])).tolist() == ["turned", "turned", "rotated", "new", "lost"]


def test_the_shares_are_those_of_sums_by_hand_and_sum_to_one() -> None:
    made, x = planted()
    found = change_parts(
        made, kinds(made, latent_scaling(made, [x])), [(x[:250], problems()[:250]), (x[250:], problems()[250:])]
    )
    change = x[:, 1] - x[:, 0]
    moved = made.encode(x)[..., None] * (made.W_dec[:, 1] - made.W_dec[:, 0])
    by_hand = torch.einsum("rnd,rd->n", moved, change) / change.square().sum()
    shares = {each.params["part"]: each for each in found.shares()}
    assert tuple(shares) == PARTS
    assert shares["turned"].value == pytest.approx(float(by_hand[0] + by_hand[1]), abs=1e-9)
    for place, kind in ((2, "rotated"), (3, "new"), (4, "lost")):
        assert shares[kind].value == pytest.approx(float(by_hand[place]), abs=1e-9)
        assert shares[kind].lo < shares[kind].value < shares[kind].hi
    assert shares["bias"].value == pytest.approx(
        float((change @ (made.b_dec[1] - made.b_dec[0])).sum() / change.square().sum())
    )
    assert sum(each.value for each in shares.values()) == pytest.approx(1.0, abs=1e-12)
    assert {(each.n, each.n_problems) for each in shares.values()} == {(ROWS, 40)}


def test_nothing_that_changed_has_no_share() -> None:
    made, x = planted()
    same = torch.stack([x[:, 0], x[:, 0]], 1)
    found = change_parts(made, np.array(["turned"] * 5), [(same, problems())]).shares()
    assert all(np.isnan(each.value) for each in found)
    assert len(found) == len(PARTS)


def test_a_shrunk_latent_whose_feature_is_there_is_unclear() -> None:
    """By norm it is after's alone; what it leaves out stands in before's activations."""
    truth = features(2, D, "shrunk")
    W_dec = written(truth, ([0.01, 1.0], [1.0, 1.0]))
    made = dictionary(W_dec)
    f = sparse(ROWS, 2, "shrunk")
    x = torch.einsum("rn,nmd->rmd", f, written(truth, ([1.0, 1.0], [1.0, 1.0])))
    assert kinds(made, latent_scaling(made, [x])).tolist() == ["unclear", "turned"]


@pytest.mark.parametrize("bad", [np.array(["turned"] * 4), np.array(["old"] * 5)])
def test_other_kinds_are_refused(bad: np.ndarray) -> None:
    made, x = planted()
    assert "old" not in KINDS
    with pytest.raises(BadInput, match="kinds of 5 latents"):
        change_parts(made, bad, [(x, problems())])


def test_no_rows_are_refused() -> None:
    made, _ = planted()
    with pytest.raises(BadInput, match="no rows"):
        change_parts(made, np.array(["turned"] * 5), [])
