"""What does a model do when a latent is turned by hand? Changes of its activations, everything else left as it is.

    ClampLatents(c)    h + (c - f_j(h)) direction_j          latent j set to c
    ScaleLatents(s)    h + (s - 1) f_j(h) direction_j        s = 0 ablates, s > 1 turns up
    for a set, the sum over its latents, all read off the same h

The same as decode(f with latent j changed) + error, error = h - decode(f(h)): what the dictionary does not explain is
kept, and an edit that changes no latent changes nothing. A `Change` for `hooks.edits.Edit`, on plain hooks.

While generating, one model is there and the other is not. `stand_alone` makes a dictionary of one model by letting its
own activations, at the dictionary's size, stand in for the absent ones: pre = z_m . sum_k W_enc[k] + b_enc. Exact where
both models hold the same; `Dictionary.side` hears one model alone, which asks about half of a shared latent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries.activation import BatchTopK, JumpReLU, Latents, ReLU
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.pair import chosen_latents, model_number
from probe.errors import BadInput
from probe.models.hooks.edits import Residual


def stand_alone(dictionary: Dictionary, model: str) -> Dictionary:
    """One model's dictionary that reads its activations as those of all models; itself where there is but one.

    BadInput for a name that is not in `models`.
    """
    m = model_number(dictionary, model)
    return replace(dictionary.side(dictionary.models[m]), W_enc=dictionary.W_enc.sum(0, keepdim=True))


@dataclass(frozen=True, eq=False)
class ScaleLatents:
    """Each of `latents` times `factor`. BadInput unless the dictionary has one model and the latents are its own."""

    dictionary: Dictionary
    latents: tuple[int, ...]
    factor: float

    def __post_init__(self) -> None:
        _check(self.dictionary, self.latents)
        if not -float("inf") < self.factor < float("inf"):
            raise BadInput(f"a factor of {self.factor}", where="ScaleLatents", do="give a finite one")

    def __call__(self, x: Residual) -> Residual:
        rows, f = _read(self.dictionary, self.latents, x)
        return _written(self.dictionary, self.latents, x, rows, f, self.factor * f)


@dataclass(frozen=True, eq=False)
class ClampLatents:
    """Each of `latents` set to its value, whatever it was: one for all, or one each."""

    dictionary: Dictionary
    latents: tuple[int, ...]
    value: float | tuple[float, ...]

    def __post_init__(self) -> None:
        _check(self.dictionary, self.latents)
        values = torch.tensor(self.value)
        if (values.ndim and len(values) != len(self.latents)) or not values.isfinite().all():
            do = "give one finite value, or one a latent"
            raise BadInput(f"values {self.value} for {len(self.latents)} latents", where="ClampLatents", do=do)

    def __call__(self, x: Residual) -> Residual:
        rows, f = _read(self.dictionary, self.latents, x)
        return _written(self.dictionary, self.latents, x, rows, f, torch.tensor(self.value).to(f).expand_as(f))


def ablate(dictionary: Dictionary, latents: Sequence[int]) -> ScaleLatents:
    """Each of `latents` set to 0: its own part of the activations is taken out, where it is active."""
    return ScaleLatents(dictionary, tuple(latents), 0.0)


def _check(dictionary: Dictionary, latents: tuple[int, ...]) -> None:
    chosen_latents(latents, dictionary.n_latents, dictionary.where)
    if len(dictionary.models) != 1:
        what = f"an edit of one model, by a dictionary of {len(dictionary.models)}"
        raise BadInput(
            what, where=dictionary.where, do="give stand_alone(dictionary, model), or dictionary.side(model)"
        )
    if isinstance(dictionary.activation, BatchTopK):
        do = "give one that is calibrated: JumpReLU"
        raise BadInput("BatchTopK reads a row by those beside it", where=dictionary.where, do=do)


def _read(dictionary: Dictionary, latents: tuple[int, ...], x: Residual) -> tuple[Tensor, Float[Tensor, "row chosen"]]:
    """`x` as rows of one model, and how active the latents are; no other is computed where each stands by itself."""
    rows = x.reshape(-1, 1, x.shape[-1])
    if isinstance(dictionary.activation, ReLU | JumpReLU):
        return rows, _only(dictionary, latents).encode(rows)
    return rows, dictionary.encode(rows)[:, list(latents)]


def _written(
    dictionary: Dictionary, latents: tuple[int, ...], x: Residual, rows: Tensor, f: Latents, wanted: Latents
) -> Residual:
    """`x` with the latents' own part changed from `f` to `wanted`."""
    own = replace(_only(dictionary, latents), activation=ReLU(), b_dec=torch.zeros_like(dictionary.b_dec))
    if dictionary.normalise == "none":
        return x + own.decode(wanted - f).view(x.shape).to(x)
    return x + (own.decode(wanted, rows) - own.decode(f, rows)).view(x.shape).to(x)


def _only(dictionary: Dictionary, latents: tuple[int, ...]) -> Dictionary:
    """The dictionary with these latents alone; TopK, which chooses among all, is left to who has read them."""
    chosen, known = list(latents), dictionary.activation
    activation = JumpReLU(known.threshold[chosen]) if isinstance(known, JumpReLU) else ReLU()
    W_enc, W_dec = dictionary.W_enc[:, :, chosen], dictionary.W_dec[chosen]
    return replace(dictionary, W_enc=W_enc, W_dec=W_dec, b_enc=dictionary.b_enc[chosen], activation=activation)
