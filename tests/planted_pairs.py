"""Dictionaries whose truth is known: orthonormal features, written into two models by hand."""

from collections.abc import Sequence

import torch
from torch import Tensor

from probe.dictionaries.activation import Activation, ReLU
from probe.dictionaries.dictionary import Dictionary
from probe.models.hooks.sites import site
from probe.rng import torch_rng

SITE = site("resid.1")
BOTH = ("before", "after")


def features(n: int, d: int, *address: str | int) -> Tensor:
    """n orthonormal directions in d dimensions."""
    return torch.linalg.qr(torch.randn(d, n, generator=torch_rng("truth", *address), dtype=torch.float64)).Q.T


def sparse(rows: int, n: int, *address: str | int, share: float = 0.2) -> Tensor:
    """Activations: most are 0, the rest between .5 and 1.5."""
    drawn = torch.rand(2, rows, n, generator=torch_rng("rows", *address), dtype=torch.float64)
    return torch.where(drawn[0] < share, drawn[1] + 0.5, 0.0)


def written(truth: Tensor, strength: Sequence[Sequence[float]]) -> Tensor:
    """W_dec [latent model d]: feature j with strength[m][j] in model m."""
    return truth[:, None] * torch.tensor(strength, dtype=truth.dtype).T[..., None]


def reading(W_dec: Tensor) -> Tensor:
    """The encoder [model d latent] that reads orthogonal latents off exactly, over all models."""
    size = W_dec.square().sum((1, 2))
    return (W_dec / size.clamp(min=1e-30)[:, None, None]).permute(1, 2, 0)


def dictionary(
    W_dec: Tensor,
    *,
    W_enc: Tensor | None = None,
    models: tuple[str, ...] = BOTH,
    activation: Activation | None = None,
    scale: Sequence[float] | None = None,
    b_dec: Tensor | None = None,
    **more: object,
) -> Dictionary:
    n, m, d = W_dec.shape
    return Dictionary(
        SITE,
        models,
        activation or ReLU(),
        reading(W_dec) if W_enc is None else W_enc,
        torch.zeros(n, dtype=W_dec.dtype),
        W_dec,
        torch.zeros(m, d, dtype=W_dec.dtype) if b_dec is None else b_dec,
        torch.tensor(scale or [1.0] * m, dtype=W_dec.dtype),
        **more,  # type: ignore[arg-type]
    )
