"""What is learned of a dictionary, from the first draw to the finished `Dictionary`? Models laid flat: w = model x d.

    y = scale x,   z = y - b_dec                  [row w]
    W_enc, W_dec                                  [latent w], |W_dec[j]| = 1 over all models together
    log_threshold                                 [latent], jumprelu alone

At first W_dec holds addressed random directions, W_enc is the same, biases are 0 but for b_dec, the mean of the held
rows. Where latents belong to one model alone, the other's part of both is held at 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries.activation import Activation, JumpReLU, TopK
from probe.dictionaries.dictionary import Dictionary, Rows
from probe.dictionaries.fitting.options import Fit
from probe.errors import BadInput
from probe.models.hooks.sites import Site
from probe.rng import torch_rng

DTYPES = {"float32": torch.float32, "float64": torch.float64}
LEARNED = ("W_enc", "b_enc", "W_dec", "b_dec", "log_threshold")


@dataclass(frozen=True, eq=False)
class Parameters:
    """Leaves that Adam writes into, and what is fixed: `scale`, and `own`, 0 where a latent has no part in a model."""

    W_enc: Float[Tensor, "latent w"]
    b_enc: Float[Tensor, "latent"]
    W_dec: Float[Tensor, "latent w"]
    b_dec: Float[Tensor, "w"]
    log_threshold: Float[Tensor, "latent"]
    scale: Float[Tensor, "model"]
    own: Float[Tensor, "latent w"] | None

    def learned(self, fit: Fit) -> dict[str, Tensor]:
        """What Adam moves."""
        left = {fit.frozen} | ({"log_threshold"} if fit.activation != "jumprelu" else set())
        return {name: getattr(self, name) for name in LEARNED if name not in left}

    def flat(self, x: Rows) -> Float[Tensor, "row w"]:
        """y: rows brought to one size."""
        return (x.to(self.W_enc) * self.scale[:, None]).flatten(1)


def start(fit: Fit, held: Iterable[Rows], device: str = "cpu") -> Parameters:
    """Before the first update; mean and scale are those of `held`. BadInput where a model's rows are all alike."""
    mean, spread = _moments(held)
    m, d = mean.shape
    if not (spread > 0).all() or not spread.isfinite().all():
        raise BadInput(f"held rows spread by {spread.tolist()}", where="start", do="give finite rows that differ")
    if (fit.difference or fit.own) and m != 2:
        raise BadInput(f"a difference or a partition of {m} models", where="start", do="give before and after")
    own = _own(fit, d)
    drawn = torch.randn(fit.n_latents, m * d, generator=torch_rng("dictionary", *fit.seed, "directions"))
    drawn = drawn.double() if own is None else drawn.double() * own
    scale = fit.rms / spread

    def put(x: Tensor) -> Tensor:
        return x.to(device, DTYPES[fit.dtype])

    W, nothing = put(drawn / drawn.norm(dim=1, keepdim=True)), put(torch.zeros(fit.n_latents))
    tensors = (W.clone(), nothing.clone(), W.clone(), put((mean * scale[:, None]).flatten()).clone(), nothing.clone())
    for tensor in tensors:
        tensor.requires_grad_()
    return Parameters(*tensors, put(scale), None if own is None else put(own))


def to_dictionary(parameters: Parameters, fit: Fit, site: Site, models: tuple[str, ...]) -> Dictionary:
    """As it stands; thresholds of batchtopk and matryoshka are 0 until they are calibrated."""
    now = {name: getattr(parameters, name).detach().clone() for name in LEARNED}
    m, n = len(models), fit.n_latents
    threshold = now["log_threshold"].exp() if fit.activation == "jumprelu" else torch.zeros_like(now["b_enc"])
    activation: Activation = TopK(int(fit.k)) if fit.activation == "topk" else JumpReLU(threshold)
    return Dictionary(
        site,
        models,
        activation,
        W_enc=now["W_enc"].view(n, m, -1).permute(1, 2, 0).contiguous(),
        b_enc=now["b_enc"],
        W_dec=now["W_dec"].view(n, m, -1),
        b_dec=now["b_dec"].view(m, -1) / parameters.scale[:, None],
        scale=parameters.scale.clone(),
    )


def _moments(held: Iterable[Rows]) -> tuple[Float[Tensor, "model d"], Float[Tensor, "model"]]:
    """Mean, and root mean square about it, in double."""
    n, total, squares = 0, torch.zeros(()), torch.zeros(())
    for x in held:
        wide = x.detach().cpu().double()
        n, total, squares = n + len(wide), total + wide.sum(0), squares + wide.square().sum(0)
    mean = total / max(n, 1)
    return mean, (squares / max(n, 1) - mean.square()).clamp(min=0).mean(-1).sqrt()


def _own(fit: Fit, d: int) -> Float[Tensor, "latent w"] | None:
    if not fit.own:
        return None
    own = torch.ones(fit.n_latents, 2, d, dtype=torch.float64)
    before, _ = fit.partition
    own[:before, 1] = 0
    own[before : fit.own, 0] = 0
    return own.flatten(1)
