"""Which side of a crosscoder is before, which after, and where do its latents point in the model itself?

    direction_m[j] = W_dec[j, m] / scale_m        what one unit of latent j adds to model m's activations     [latent d]

A comparison reads a dictionary of two models, the first before, the second after. Norms and cosines are compared at the
dictionary's own size (W_dec as it is): both models were brought to one there.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary
from probe.errors import BadInput

BEFORE, AFTER = 0, 1
Batch = Float[Tensor, "_row model d"]  # of unequal length


def check_pair(dictionary: Dictionary) -> Dictionary:
    """The dictionary, if it compares two models; BadInput otherwise."""
    if len(dictionary.models) != 2:
        what = f"{len(dictionary.models)} models: {', '.join(dictionary.models)}"
        raise BadInput(what, where=dictionary.where, do="give a dictionary of two models, before and after")
    return dictionary


def model_number(dictionary: Dictionary, model: str) -> int:
    """Its place on the model axis; BadInput for a name that is not in `models`."""
    if model not in dictionary.models:
        do = f"one of {', '.join(dictionary.models)}"
        raise BadInput(f"no model is called {model!r}", where=dictionary.where, do=do)
    return dictionary.models.index(model)


def directions(dictionary: Dictionary, model: str) -> Float[Tensor, "latent d"]:
    """What one unit of each latent adds to that model's activations. BadInput where rows are normalised one by one."""
    if dictionary.normalise != "none":
        what = f"{dictionary.normalise}: a latent's direction has another length in every row"
        raise BadInput(what, where=dictionary.where, do="use a dictionary that does not normalise rows")
    m = model_number(dictionary, model)
    return dictionary.W_dec[:, m] / dictionary.scale[m]


def chosen_latents(latents: Sequence[int], n_latents: int, where: str) -> Int[Tensor, "chosen"]:
    """Numbers of latents as an index. BadInput for none, for one twice, and outside of 0 to n_latents - 1."""
    numbers = list(latents)
    if not numbers or len(set(numbers)) < len(numbers) or not 0 <= min(numbers) <= max(numbers) < n_latents:
        do = f"give each once, of 0 to {n_latents - 1}"
        raise BadInput(f"latents {numbers[:8]}", where=where, do=do)
    return torch.tensor(numbers, dtype=torch.int64)


def check_same_rows(f: Tensor, *columns: Sequence | Tensor | np.ndarray, where: str) -> None:
    """BadInput unless `f` [row latent] is finite and each of `columns` has an entry a row."""
    if f.ndim != 2 or not len(f) or any(len(column) != len(f) for column in columns):
        lengths = [len(column) for column in columns]
        what = f"activations of shape {tuple(f.shape)} beside columns of {lengths}"
        raise BadInput(what, where=where, do="give [row latent], and one entry a row")
    if not f.isfinite().all():
        raise BadInput("activations are not finite", where=where, do="leave those rows out, and say how many")
