"""What does a sparse dictionary say of activations, of one model or of several at once?

    z_m  = scale_m (x_m - centre_m)                    what model m holds, brought to one size          [row d]
    pre  = sum_m z_m W_enc[m] + b_enc                  one set of latents for all models                [row latent]
    f    = activation(pre)                             few are active                                   [row latent]
    x^_m = f W_dec[:, m] / scale_m + b_dec_m           each model has its own decoder directions        [row d]

An SAE is a dictionary with one model, a crosscoder has two or more (2504.02922 eq. 1-3). `centre` is b_dec where
`centred`, else 0. Where `normalise` is not "none", every row is first brought to a norm or to layer norm, and x^ back
by what was taken: dictionaries of others may want that, ours never do. Frozen: training builds a new one.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries.activation import Activation, JumpReLU, Latents, TopK
from probe.errors import BadInput
from probe.models.hooks.sites import Site

Normalise = Literal["none", "layer_norm", "constant_norm"]
EPS = 1e-5  # of the layer norm that SAELens puts before a dictionary
Rows = Float[Tensor, "row model d"]


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Latents shared by `models`, at one site. BadInput where the shapes do not fit, or a number is not finite."""

    site: Site
    models: tuple[str, ...]
    activation: Activation
    W_enc: Float[Tensor, "model d latent"]
    b_enc: Float[Tensor, "latent"]
    W_dec: Float[Tensor, "latent model d"]
    b_dec: Float[Tensor, "model d"]
    scale: Float[Tensor, "model"]
    centred: bool = True
    normalise: Normalise = "none"

    def __post_init__(self) -> None:
        m, d, n = self.W_enc.shape if self.W_enc.ndim == 3 else (0, 0, 0)
        wanted = {"W_enc": (m, d, n), "b_enc": (n,), "W_dec": (n, m, d), "b_dec": (m, d), "scale": (m,)}
        for name, shape in wanted.items():
            tensor: Tensor = getattr(self, name)
            if tuple(tensor.shape) != shape or not tensor.numel():
                what = f"{name} has shape {tuple(tensor.shape)}, not {shape} [W_enc is model, d, latent]"
                raise BadInput(what, where=self.where, do="give tensors of one dictionary")
            if not tensor.isfinite().all():
                raise BadInput(f"{name} is not finite", where=self.where, do="fit it again, at a lower rate")
        if len(set(self.models)) != m or len(self.models) != m:
            raise BadInput(f"{m} models, named {self.models}", where=self.where, do="name each model once")
        if not (self.scale > 0).all():
            raise BadInput(f"scale is {self.scale.tolist()}", where=self.where, do="give a positive one a model")
        if isinstance(self.activation, JumpReLU) and self.activation.threshold.shape != (n,):
            what = f"{len(self.activation.threshold)} thresholds for {n} latents"
            raise BadInput(what, where=self.where, do="give one a latent")
        if isinstance(self.activation, TopK) and self.activation.k > n:
            raise BadInput(f"the {self.activation.k} largest of {n} latents", where=self.where, do="give a smaller k")
        if self.normalise not in get_args(Normalise):
            raise BadInput(f"no normalisation is called {self.normalise!r}", where=self.where)

    @property
    def where(self) -> str:
        """For messages."""
        return f"a dictionary at {self.site}"

    @property
    def n_latents(self) -> int:
        return self.W_dec.shape[0]

    @property
    def d(self) -> int:
        return self.W_dec.shape[2]

    def encode(self, x: Rows) -> Latents:
        """How active each latent is in each row; `x` holds all models, in the order of `models`."""
        return self.activation(self.pre(x))

    def pre(self, x: Rows) -> Latents:
        """What each latent is asked for, before the activation. BadInput for other models or another width."""
        return torch.einsum("rmd,mdn->rn", self.inner(x), self.W_enc) + self.b_enc

    def decode(self, f: Latents, x: Rows | None = None) -> Rows:
        """What the active latents stand for. `x`, the rows that were encoded, is needed where rows are normalised."""
        if self.normalise == "none":
            out = torch.einsum("rn,nmd->rmd", f, self.W_dec)
            return out / self.scale[:, None] + self.b_dec
        if x is None:
            raise BadInput("rows were normalised", where=self.where, do="give decode the rows that were encoded")
        mean, size = _sizes(x.to(self.W_dec), self.normalise)
        out = torch.einsum("rn,nmd->rmd", f, self.W_dec) / self.scale[:, None] + self.b_dec
        return out * size + mean

    def reconstruct(self, x: Rows) -> Rows:
        """decode(encode(x))."""
        return self.decode(self.encode(x), x)

    def inner(self, x: Rows) -> Rows:
        """`x` as the encoder reads it."""
        if x.ndim != 3 or x.shape[1:] != self.b_dec.shape:
            m, d = self.b_dec.shape
            what = f"activations of shape {tuple(x.shape)} for {m} models {self.models} of width {d}"
            raise BadInput(what, where=self.where, do="give [row model d], every model once, in that order")
        z = x.to(self.W_enc)
        if self.normalise != "none":
            mean, size = _sizes(z, self.normalise)
            z = (z - mean) / (size + EPS if self.normalise == "layer_norm" else size)
        return self.scale[:, None] * (z - self.b_dec if self.centred else z)

    def side(self, model: str) -> "Dictionary":
        """One model's half as a dictionary of its own. Its latents are as active as that model alone asks for.

        BadInput for a name that is not in `models`.
        """
        if model not in self.models:
            raise BadInput(f"no model is called {model!r}", where=self.where, do=f"one of {', '.join(self.models)}")
        m = slice(i := self.models.index(model), i + 1)
        half = {"W_enc": self.W_enc[m], "b_enc": self.b_enc, "W_dec": self.W_dec[:, m], "b_dec": self.b_dec[m]}
        return Dictionary(
            self.site, (model,), self.activation, **half, scale=self.scale[m], centred=self.centred,
            normalise=self.normalise,
        )  # fmt: skip


def _sizes(x: Rows, normalise: Normalise) -> tuple[Float[Tensor, "row model 1"], Float[Tensor, "row model 1"]]:
    """What is taken off each row, and its size: SAELens divides by it, plus EPS in layer norm, and multiplies by it."""
    if normalise == "constant_norm":
        return torch.zeros_like(x[..., :1]), x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5
    mean = x.mean(dim=-1, keepdim=True)
    return mean, x.std(dim=-1, keepdim=True)
