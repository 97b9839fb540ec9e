"""Which latents of a row are active, given how much each was asked for?

    ReLU()               f = max(pre, 0)
    TopK(k)              the k largest pre-activations of the row, those above 0         (2406.04093 eq. 2)
    BatchTopK(k)         the k x rows largest of the whole batch, those above 0          (2412.06410 eq. 3)
    JumpReLU(threshold)  pre where pre > max(threshold, 0), else 0                       (2407.14435 eq. 2)

BatchTopK belongs to training alone: what a latent does then depends on the other rows. A finished dictionary holds
JumpReLU at a threshold that was calibrated on held-out rows (2412.06410 eq. 5), and the same text gives the same
latents whatever stands beside it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput

Latents = Float[Tensor, "row latent"]


@dataclass(frozen=True)
class ReLU:
    """Everything above 0."""

    def __call__(self, pre: Latents) -> Latents:
        return pre.relu()


@dataclass(frozen=True)
class TopK:
    """The `k` largest of each row, as far as they are above 0."""

    k: int

    def __post_init__(self) -> None:
        _check(self.k)

    def __call__(self, pre: Latents) -> Latents:
        if self.k > pre.shape[-1]:
            raise BadInput(f"the {self.k} largest of {pre.shape[-1]} latents", where="TopK", do="give a smaller k")
        value, latent = pre.topk(self.k, dim=-1, sorted=False)
        return torch.zeros_like(pre).scatter(-1, latent, value.relu())


@dataclass(frozen=True)
class BatchTopK:
    """The `k` x rows largest of the batch, as far as they are above 0: while training."""

    k: float

    def __post_init__(self) -> None:
        _check(self.k)

    def __call__(self, pre: Latents) -> Latents:
        flat = pre.relu().flatten()
        kept = flat.topk(min(int(self.k * len(pre)), len(flat)), sorted=False)
        return torch.zeros_like(flat).scatter(0, kept.indices, kept.values).view(pre.shape)


@dataclass(frozen=True, eq=False)
class JumpReLU:
    """What is above a threshold, one a latent, untouched; the rest 0."""

    threshold: Float[Tensor, "latent"]

    def __post_init__(self) -> None:
        if self.threshold.ndim != 1 or not self.threshold.isfinite().all():
            what = f"thresholds of shape {tuple(self.threshold.shape)}, or not finite"
            raise BadInput(what, where="JumpReLU", do="give one finite number a latent")

    def __call__(self, pre: Latents) -> Latents:
        return torch.where(pre > self.threshold.to(pre), pre.relu(), 0.0)


Activation = ReLU | TopK | BatchTopK | JumpReLU


def _check(k: float) -> None:
    if not k > 0:
        raise BadInput(f"k is {k}", where="latents", do="let at least one latent a row be active, on average")
