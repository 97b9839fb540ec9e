"""Which latents belong to before, to after, to both, by the norms of their decoder directions? (2504.02922)

    r_j = ((|d_after| - |d_before|) / max(|d_after|, |d_before|) + 1) / 2       0: before alone, 1: after alone
    before-only  r < .1      shared  .4 <= r <= .6      after-only  r > .9      between: what lies in the gaps
    cosine_j = d_before . d_after / (|d_before| |d_after|)                      do both models write it the same way?

A small norm is no proof that a model lacks the feature: a sparsity penalty shrinks what is shared (`latent_scaling`).
A latent without any direction has r = nan and is "empty"; its cosine, and that of a latent with one side 0, is nan.
"""

from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.pair import AFTER, BEFORE, check_pair

Class = Literal["before-only", "shared", "after-only", "between", "empty"]
CLASSES: tuple[Class, ...] = get_args(Class)
BEFORE_ONLY, SHARED, AFTER_ONLY = 0.1, (0.4, 0.6), 0.9


def relative_norm(dictionary: Dictionary) -> Float[Tensor, "latent"]:
    """r of every latent, in double. BadInput unless the dictionary compares two models."""
    norm = check_pair(dictionary).W_dec.double().norm(dim=-1)
    return ((norm[:, AFTER] - norm[:, BEFORE]) / norm.max(-1).values + 1) / 2


def latent_classes(r: Float[Tensor, "latent"]) -> np.ndarray:
    """The class of every latent, as a string."""
    value = r.numpy(force=True)
    lo, hi = SHARED
    told = [value < BEFORE_ONLY, (lo <= value) & (value <= hi), value > AFTER_ONLY, np.isfinite(value)]
    return np.select(told, CLASSES[:4], default=CLASSES[4])


def decoder_cosine(dictionary: Dictionary) -> Float[Tensor, "latent"]:
    """Cosine of the two decoder directions of every latent, in double."""
    d = check_pair(dictionary).W_dec.double()
    return torch.einsum("nd,nd->n", d[:, BEFORE], d[:, AFTER]) / d.norm(dim=-1).prod(-1)
