"""KL at forks: by hand, its parts sum to it, planted, and carried by no latent where none moved."""

import math

import numpy as np
import pytest
import torch
from planted_pairs import dictionary, features, sparse, written
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.fork_kl import Carried, carried, carriers, kl, line_gradient
from probe.errors import BadInput
from probe.rng import torch_rng


def forks(seed: int = 0, *, moved: float = 0.8) -> tuple[Dictionary, Tensor, Tensor]:
    """Latent 0 points elsewhere after; the head is linear and both models have it."""
    truth = features(7, 10, "forks", seed)
    W_dec = written(truth[:6], [[1] * 6, [1] * 6])
    W_dec[0, 1] += moved * truth[6]
    x = torch.einsum("rn,nmd->rmd", sparse(60, 6, "forks", seed, share=0.5), W_dec)
    return dictionary(W_dec), x, torch.randn(15, 10, generator=torch_rng("head", seed)).double()


def test_kl_by_hand_and_its_gradient() -> None:
    p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])
    assert float(kl(p.log(), q.log() + 3)) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    x = torch.tensor([[[0.0, 0], [1, 0]]])
    gradient = line_gradient(x[:, 0], lambda z: z, x, steps=400)  # dKL/dlogits = q - p
    expected = float((torch.linspace(0, 1, 2001).sigmoid() - 0.5).mean())
    assert gradient[0].tolist() == pytest.approx([expected, -expected], abs=1e-3)


def test_the_parts_sum_to_the_kl() -> None:
    found, x, head = forks()
    logits = x @ head.T
    gradient = line_gradient(logits[:, 0], lambda z: z @ head.T, x, steps=32)
    told = carried(found, x, gradient, logits[:, 0], logits[:, 1])
    torch.testing.assert_close(told.explained, told.kl, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(told.rest, torch.zeros(60).double(), atol=1e-9, rtol=0)
    assert told.parts[:, 1:].abs().max() < 1e-9  # the one whose direction moved carries all


def test_the_latent_that_moved_is_found() -> None:
    found, x, head = forks()
    x = x + 0.05 * torch.randn(x.shape, generator=torch_rng("noise")).double()
    logits = x @ head.T
    gradient = line_gradient(logits[:, 0], lambda z: z @ head.T, x)
    ordered = carriers(carried(found, x, gradient, logits[:, 0], logits[:, 1]), np.repeat(np.arange(20), 3))
    assert ordered[0].latent == 0 and ordered[0].holm < 0.01 and ordered[0].estimate.unit == "nats"


def test_no_latent_carries_what_noise_does() -> None:
    found, x, head = forks(moved=0.0)
    x = x + 0.2 * torch.randn(x.shape, generator=torch_rng("noise", 1)).double()
    logits = x @ head.T
    told = carried(found, x, line_gradient(logits[:, 0], lambda z: z @ head.T, x), logits[:, 0], logits[:, 1])
    assert told.parts.abs().max() < 1e-9 and told.kl.mean() > 0.01
    torch.testing.assert_close(told.rest, told.kl, atol=2e-3, rtol=0.02)
    assert carriers(told, np.arange(60))[0].holm == 1


def test_weights_above_the_site_are_no_latents_doing() -> None:
    found, x, head = forks(moved=0.0)
    other = head + 0.3 * torch.randn(head.shape, generator=torch_rng("above")).double()
    before, after = x[:, 0] @ head.T, x[:, 1] @ other.T
    told = carried(found, x, line_gradient(before, lambda z: z @ other.T, x), before, after)
    assert told.explained.abs().max() < 1e-9 and told.kl.mean() > 0.01


def test_bad_forks() -> None:
    found, x, head = forks()
    logits = x @ head.T
    with pytest.raises(BadInput, match="0 steps"):
        line_gradient(logits[:, 0], lambda z: z, x, steps=0)
    with pytest.raises(BadInput, match="shapes"):
        carried(found, x, torch.zeros(60, 9), logits[:, 0], logits[:, 1])
    with pytest.raises(BadInput, match="problems has 3 rows"):
        carriers(Carried(torch.zeros(60, 2), torch.zeros(60), torch.zeros(60)), ["a"] * 3)
