"""What is to be added to an MLP of `before` so that the model behaves like `after`, in few latents at a time?

    mlp_i(z)  ->  mlp_i(z) + f W_dec + b_dec,     f = activation(z W_enc + b_enc)        (2602.20904)
    z [row d] is what the MLP of block i reads; f [row latent]; an adapter a block, as many blocks as are chosen

A transcoder, not an SAE: it reads what the MLP reads, behind any norm before it, and adds to what the MLP puts out,
before any norm behind it. With W_dec and b_dec at 0 the model is `before`, to the bit. In a model it is an edit
(`hooks.edits.Beside`): teacher-forced, in cached generation (`rollouts.samplers.edited_sampler`) and under gradients,
on plain hooks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries.activation import Activation, BatchTopK, JumpReLU, TopK
from probe.dictionaries.audits.controls import random_directions
from probe.dictionaries.dictionary import Dictionary
from probe.errors import BadInput
from probe.models.hooks.edits import Beside, Edit, Positions
from probe.models.hooks.sites import Site

WEIGHTS = ("W_enc", "b_enc", "W_dec", "b_dec")


@dataclass(frozen=True, eq=False)
class Adapter:
    """Latents beside one MLP. BadInput for another site, shapes that do not fit, or numbers that are not finite."""

    site: Site
    activation: Activation
    W_enc: Float[Tensor, "d latent"]
    b_enc: Float[Tensor, "latent"]
    W_dec: Float[Tensor, "latent d"]
    b_dec: Float[Tensor, "d"]

    def __post_init__(self) -> None:
        if self.site.kind != "mlp":
            raise BadInput(f"an adapter at {self.site}", where="Adapter", do="put it beside an MLP: mlp.i")
        d, n = self.W_enc.shape if self.W_enc.ndim == 2 else (0, 0)
        wanted = {"W_enc": (d, n), "b_enc": (n,), "W_dec": (n, d), "b_dec": (d,)}
        for name, shape in wanted.items():
            tensor: Tensor = getattr(self, name)
            if tuple(tensor.shape) != shape or not tensor.numel():
                what = f"{name} has shape {tuple(tensor.shape)}, not {shape} [W_enc is d, latent]"
                raise BadInput(what, where=self.where, do="give tensors of one adapter")
            if not tensor.isfinite().all():
                raise BadInput(f"{name} is not finite", where=self.where, do="train it again, at a lower rate")
        given = {JumpReLU: lambda a: len(a.threshold) == n, TopK: lambda a: a.k <= n}.get(type(self.activation))
        if given is not None and not given(self.activation):
            raise BadInput(f"{self.activation} for {n} latents", where=self.where, do="fit it to the latents")

    @property
    def where(self) -> str:
        """For messages."""
        return f"an adapter at {self.site}"

    @property
    def n_latents(self) -> int:
        return self.W_dec.shape[0]

    @property
    def d(self) -> int:
        return self.W_dec.shape[1]

    def encode(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch latent"]:
        """How active each latent is where the MLP reads `z`. BadInput for another width."""
        if z.shape[-1] != self.d:
            what = f"an adapter of width {self.d} where the MLP reads {z.shape[-1]} numbers"
            raise BadInput(what, where=self.where, do="take an adapter of this model")
        pre = z.to(self.W_enc).reshape(-1, self.d) @ self.W_enc + self.b_enc
        return self.activation(pre).view(*z.shape[:-1], self.n_latents)

    def decode(self, f: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch d"]:
        """What is added to what the MLP puts out."""
        return f @ self.W_dec + self.b_dec

    def __call__(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """decode(encode(z)), in the dtype of `z`."""
        return self.decode(self.encode(z)).to(z)


def adapter_edits(adapters: Sequence[Adapter], where: Positions = "all") -> list[Edit]:
    """The model with its adapters, for everything that takes edits: `run`, `editing`, `edited_sampler`.

    BadInput for none, two at one site, and BatchTopK, which reads a position by those beside it.
    """
    check_sites(adapters)
    for each in adapters:
        if isinstance(each.activation, BatchTopK):
            do = "calibrate it first: adapter_training.calibrated"
            raise BadInput("BatchTopK reads a position by those beside it", where=each.where, do=do)
    return [Edit(each.site, Beside(each), where) for each in adapters]


def check_sites(adapters: Sequence[Adapter]) -> None:
    """BadInput for no adapter, and for two at one site."""
    if not adapters or len({each.site for each in adapters}) < len(adapters):
        where = ", ".join(str(each.site) for each in adapters)
        raise BadInput("no adapter, or two adapters at one site", where=where, do="give one a block")


def new_adapters(
    layers: Sequence[int], d: int, n_latents: int, activation: Activation, *address: str | int
) -> tuple[Adapter, ...]:
    """One a layer, as training starts: encoder directions at random, of length 1, everything else 0."""
    zeros = {"b_enc": torch.zeros(n_latents), "W_dec": torch.zeros(n_latents, d), "b_dec": torch.zeros(d)}
    return tuple(
        Adapter(
            Site("mlp", layer), activation, random_directions(n_latents, d, (*address, "adapter", layer)).T, **zeros
        )
        for layer in layers
    )


def as_dictionary(adapter: Adapter, model: str) -> Dictionary:
    """The same latents as a dictionary: to be kept in a folder, or matched over seeds (`stability`).

    It encodes what the MLP *reads*, and decodes to what is added behind it: a reconstruction of nothing.
    """
    tensors = {name: getattr(adapter, name) for name in WEIGHTS}
    W_enc, W_dec, b_dec = tensors["W_enc"][None], tensors["W_dec"][:, None], tensors["b_dec"][None]
    one = torch.ones(1).to(W_dec)
    return Dictionary(adapter.site, (model,), adapter.activation, W_enc, adapter.b_enc, W_dec, b_dec, one, False)


def of_dictionary(dictionary: Dictionary) -> Adapter:
    """The way back. BadInput for one that is no adapter: of two models, centred, scaled or normalised."""
    plain = not dictionary.centred and dictionary.normalise == "none" and bool((dictionary.scale == 1).all())
    if len(dictionary.models) != 1 or not plain:
        raise BadInput("this dictionary is no adapter", where=dictionary.where, do="give one of as_dictionary")
    parts = dictionary.W_enc[0], dictionary.b_enc, dictionary.W_dec[:, 0], dictionary.b_dec[0]
    return Adapter(dictionary.site, dictionary.activation, *parts)


def detached(adapter: Adapter, device: torch.device | None = None) -> Adapter:
    """A copy, there if need be, that shares no memory with it."""
    copies = {name: getattr(adapter, name).detach().clone().to(device) for name in WEIGHTS}
    return replace(adapter, **copies)
