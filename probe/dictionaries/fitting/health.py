"""Does a dictionary say what is there, and does the model still work on what it says?

    FVU_m       = sum |x_m - x^_m|^2 / sum |x_m - mean_m|^2       of model m; 0: all is said, 1: no more than the mean
    L0          = active latents of a row, on average
    dead        = share of latents that are active in none of the rows
    recovered_m = (H_ablated - H_said) / (H_ablated - H_clean)    1: nothing is lost, 0: no better than the ablation

H is the cross-entropy of the next token, in nats, over the real positions of given ids: clean, with the site's
activations replaced by x^ at every position, and by their mean or by 0. A crosscoder's latents are read from all of its
models on the same ids, so recovered takes all of them. NaN where the ablation costs nothing: the site does not matter.
Frozen decoders of random directions score well on FVU too (2602.14111): it is a check of training, not evidence.
Intervals come from what is kept a row (`Told`) and a text (`Recovered.texts`): rows of a problem are not independent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from probe.dictionaries.dictionary import Dictionary, Rows
from probe.errors import BadInput
from probe.models.hooks.edits import Edit, Replace, Scale
from probe.models.hooks.forward_hooks import Mask, read, run

Ablation = Literal["mean", "zero"]


@dataclass(frozen=True)
class Health:
    """Of so many rows."""

    rows: int
    fvu: tuple[float, ...]  # a model
    l0: float
    dead: float


@dataclass(frozen=True, eq=False)
class Told:
    """Of every row: what is missed and what there is to say, squared, of each model; how many latents are active.

    FVU is a ratio of sums of the first two. That the mean in `spread` is the rows' own changes it in second order only:
    sum |x - mean|^2 is at its least there.
    """

    missed: Float[np.ndarray, "row model"]
    spread: Float[np.ndarray, "row model"]
    active: Float[np.ndarray, "row"]
    dead: float  # share of latents that are active in none of them


@dataclass(frozen=True)
class Recovered:
    """Of one model: cross-entropies in nats, over so many tokens; of each text their sums, clean, said and ablated."""

    model: str
    tokens: int
    clean: float
    said: float
    ablated: float
    texts: tuple[tuple[float, float, float], ...] = ()

    @property
    def share(self) -> float:
        """Of what the ablation costs, how much is not lost; NaN where it costs nothing."""
        cost = self.ablated - self.clean
        return (self.ablated - self.said) / cost if cost > 0 else float("nan")


@torch.no_grad()
def health(dictionary: Dictionary, batches: Iterable[Rows]) -> Health:
    """FVU, L0 and dead share, streamed. BadInput without rows."""
    rows, active = 0, 0.0
    fired = torch.zeros(dictionary.n_latents, dtype=torch.bool)
    missed, total, squares = (torch.zeros(dictionary.b_dec.shape, dtype=torch.float64) for _ in range(3))
    for x in batches:
        f = dictionary.encode(x)
        wide = x.double()
        missed += (wide - dictionary.decode(f, x)).square().sum(0)
        total, squares, rows = total + wide.sum(0), squares + wide.square().sum(0), rows + len(x)
        fired |= (f > 0).any(0)
        active += float((f > 0).sum())
    if not rows:
        raise BadInput("no rows", where="health", do="give some")
    spread = (squares - total.square() / rows).sum(-1)
    fvu = tuple((missed.sum(-1) / spread).tolist())
    return Health(rows, fvu, active / rows, float((~fired).double().mean()))


@torch.no_grad()
def told(dictionary: Dictionary, batches: Sequence[Rows]) -> Told:
    """The same row by row: sums of its columns give `health`. BadInput without rows."""
    if not sum(map(len, batches)):
        raise BadInput("no rows", where="health", do="give some")
    mean = sum(x.double().sum(0) for x in batches) / sum(map(len, batches))
    columns: list[tuple[Tensor, Tensor, Tensor]] = []
    fired = torch.zeros(dictionary.n_latents, dtype=torch.bool)
    for x in batches:
        f = dictionary.encode(x)
        fired |= (f > 0).any(0)
        off, about = (x.double() - each for each in (dictionary.decode(f, x), mean))
        columns.append((off.square().sum(-1), about.square().sum(-1), (f > 0).sum(1).double()))
    missed, spread, active = (torch.cat(each).numpy(force=True) for each in zip(*columns, strict=True))
    return Told(missed, spread, active, float((~fired).double().mean()))


@torch.no_grad()
def recovered(
    models: Sequence[PreTrainedModel],
    dictionary: Dictionary,
    ids: Int[Tensor, "batch pos"],
    *,
    mask: Mask = None,
    ablation: Ablation = "mean",
) -> list[Recovered]:
    """One for each of `models`, which are those of the dictionary in its order. BadInput for another number of them."""
    if len(models) != len(dictionary.models):
        what = f"{len(models)} models for {dictionary.models}"
        raise BadInput(what, where="recovered", do="give each model of the dictionary, or one side of it")
    if ablation not in ("mean", "zero"):
        raise BadInput(f"no ablation is called {ablation!r}", where="recovered", do="mean or zero")
    stood = torch.stack([read(model, ids, [dictionary.site], mask=mask)[dictionary.site] for model in models], 2)
    said = dictionary.reconstruct(stood.flatten(0, 1)).view(stood.shape).to(stood.dtype)
    real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
    found = []
    for m, (name, model) in enumerate(zip(dictionary.models, models, strict=True)):
        gone = Scale(0.0) if ablation == "zero" else Replace(stood[:, :, m][real].mean(0))
        edits: tuple[list[Edit], ...] = (
            [],
            [Edit(dictionary.site, Replace(said[:, :, m]))],
            [Edit(dictionary.site, gone)],
        )
        sums = torch.stack([_entropies(run(model, ids, mask=mask, edits=edit).logits, ids, real) for edit in edits])
        tokens = int(_counted(real).sum())
        clean, lost, ablated = (sums.sum(1) / tokens).tolist()
        found.append(Recovered(name, tokens, clean, lost, ablated, tuple(map(tuple, sums.T.tolist()))))
    return found


def _counted(real: Tensor) -> Tensor:
    """Positions whose next token is there too."""
    return real[:, 1:] & real[:, :-1]


def _entropies(
    logits: Float[Tensor, "batch pos d_vocab"], ids: Int[Tensor, "batch pos"], real: Tensor
) -> Float[Tensor, "batch"]:
    """Summed over the tokens of each text, in double."""
    counted = _counted(real)
    each = cross_entropy(logits[:, :-1][counted].float(), ids[:, 1:][counted], reduction="none").double()
    return torch.zeros(len(ids), dtype=torch.float64, device=each.device).index_add(0, counted.nonzero()[:, 0], each)
