"""One draw, one token: the inverse CDF in float64, whatever the size of the vocabulary."""

import math

import pytest
import torch

from probe.models.sampling.inverse_cdf import TILE, choose
from probe.rng import torch_rng, uniforms


def test_by_hand() -> None:
    p = torch.tensor([[0.5, 0.25, 0.25]]).expand(4, 3)
    token, logprob, entropy = choose(p.log(), torch.tensor([0.1, 0.5, 0.51, 0.99]))
    assert token.tolist() == [0, 0, 1, 2]
    torch.testing.assert_close(logprob.exp(), torch.tensor([0.5, 0.5, 0.25, 0.25]))
    torch.testing.assert_close(entropy, torch.full((4,), 1.5 * math.log(2)))


def test_greedy_takes_the_first_of_equals() -> None:
    token, logprob, _ = choose(torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], dtype=torch.bfloat16), None)
    assert token.tolist() == [1, 0]
    assert logprob.dtype == torch.float32


@pytest.mark.parametrize("d_vocab", [5, 3 * TILE])
@pytest.mark.parametrize("u", [torch.tensor([0.5, 0.5]), None])
def test_what_is_not_a_number_gives_a_log_prob_that_is_none(d_vocab: int, u: torch.Tensor | None) -> None:
    logits = torch.zeros(2, d_vocab)
    logits[0, 3] = float("nan")
    token, logprob, entropy = choose(logits, u)
    assert logprob.isnan().tolist() == entropy.isnan().tolist() == [True, False]
    assert (token < d_vocab).all()


@pytest.mark.parametrize("d_vocab", [TILE, TILE + 1, 3 * TILE, 3 * TILE + 5])
def test_a_large_vocabulary_is_drawn_from_as_a_small_one(d_vocab: int) -> None:
    """Tile by tile or in one sum: the same token for every draw, the most extreme ones too."""
    rng = torch_rng("choose", d_vocab)
    logits = 4 * torch.randn(40, d_vocab, generator=rng)
    logits[:5, : d_vocab // 2] = -200  # whole tiles of no mass at all
    logits[5:10, -TILE // 2 :] = -200
    u = torch.from_numpy(uniforms(40, "choose", d_vocab))
    u[[0, 5, 20]], u[[1, 6, 21]] = 2.0**-24, 1 - 2.0**-24
    token, logprob, entropy = choose(logits, u)
    logp = torch.log_softmax(logits.double(), -1)
    cdf = torch.log_softmax(logits, -1).exp().double().cumsum(-1)
    assert torch.equal(token, torch.searchsorted(cdf, u.double()[:, None] * cdf[:, -1:]).squeeze(-1))
    assert (logp.gather(-1, token[:, None]) > -100).all()
    torch.testing.assert_close(logprob.double(), logp.gather(-1, token[:, None]).squeeze(-1), atol=1e-5, rtol=0)
    torch.testing.assert_close(entropy.double(), -(logp.exp() * logp).sum(-1), atol=1e-4, rtol=0)
    assert torch.equal(choose(logits, None)[0], logits.argmax(-1))
