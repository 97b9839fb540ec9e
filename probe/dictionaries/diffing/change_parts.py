"""Of what RL changed in the activations over the same texts, how much do old latents carry, and how much new ones?

    x_after - x_before = (b_after - b_before) + sum_j f_j (direction_after[j] - direction_before[j]) + rest
    share_c = sum_rows part_c . change / sum_rows |change|^2          of each kind c of latents; bias and rest likewise

    new        after's alone, and genuinely missing before (`latent_scaling`)      lost       the same, before's
    turned     both write it the same way (cosine >= .9): an old feature, turned up or down
    rotated    both write it, in another direction                                 unclear    one side alone, but not
                                                                                              genuinely missing
The shares sum to 1, each may be below 0 or above 1. A pair dictionary has one activation f_j for both models, so this
is about how latents are written, over given texts; how often they fire on each model's own texts is `firing`. nan
where nothing changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike

from probe.data import Estimate
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.latent_scaling import Scaling
from probe.dictionaries.diffing.norms import decoder_cosine, latent_classes, relative_norm
from probe.dictionaries.pair import AFTER, BEFORE, Batch, check_pair, directions
from probe.errors import BadInput
from probe.stats.checks import label_column
from probe.stats.intervals import clustered_ratio

KINDS = ("turned", "rotated", "new", "lost", "unclear")
PARTS = (*KINDS, "bias", "rest")
SAME_WAY = 0.9  # cosine of the two decoder directions


@dataclass(frozen=True, eq=False)
class ChangeParts:
    """Sums over the rows of each problem, in squared units of the activations."""

    problems: tuple[str, ...]
    rows: Float[np.ndarray, "problem"]
    parts: Float[np.ndarray, "problem part"]  # in the order of PARTS

    def shares(self) -> list[Estimate]:
        """One for each part, its interval clustered by problem; nan where nothing changed at all."""
        total, n = self.parts.sum(1), int(self.rows.sum())
        if not total.sum() > 0:
            none = (float("nan"),) * 3
            about = [{"part": part} for part in PARTS]
            return [Estimate("change_share", *none, n, len(total), "ratio", params=each) for each in about]
        names = np.array(self.problems)
        found = []
        for place, part in enumerate(PARTS):
            one = clustered_ratio(self.parts[:, place], total, names, name="change_share", unit="ratio")
            found.append(replace(one, n=n, params={"part": part}))
        return found


def kinds(dictionary: Dictionary, scaling: Scaling) -> np.ndarray:
    """The kind of every latent, as a string."""
    names, cosine = latent_classes(relative_norm(dictionary)), decoder_cosine(dictionary).numpy(force=True)
    genuine = scaling.genuine.numpy(force=True)
    new, lost = (names == "after-only") & genuine[AFTER], (names == "before-only") & genuine[BEFORE]
    alone = np.isin(names, ("after-only", "before-only", "empty"))
    told = [new, lost, alone, cosine >= SAME_WAY]
    return np.select(told, ("new", "lost", "unclear", "turned"), default="rotated")


@torch.no_grad()
def change_parts(dictionary: Dictionary, kind: np.ndarray, batches: Iterable[tuple[Batch, ArrayLike]]) -> ChangeParts:
    """Read all batches, each with its rows' problems, once. BadInput without rows, or for another number of kinds."""
    check_pair(dictionary)
    if len(kind) != dictionary.n_latents or not set(kind.tolist()) <= set(KINDS):
        raise BadInput(f"{len(kind)} kinds of {dictionary.n_latents} latents", where="change_parts", do="give `kinds`")
    member = torch.from_numpy(np.stack([kind == each for each in KINDS])).to(dictionary.W_dec)
    sums: dict[str, np.ndarray] = {}
    rows: dict[str, int] = {}
    for x, problem in batches:
        names = label_column(problem, "problem", len(x)).astype(str)
        found = _row_parts(dictionary, member, x)
        for name in np.unique(names).tolist():
            here = names == name
            rows[name] = rows.get(name, 0) + int(here.sum())
            sums[name] = sums.get(name, 0.0) + found[here].sum(0)
    if not rows:
        raise BadInput("no rows", where="change_parts", do="give at least one batch")
    order = tuple(sorted(rows))
    return ChangeParts(order, np.array([rows[p] for p in order], float), np.stack([sums[p] for p in order]))


def _row_parts(dictionary: Dictionary, member: Float[torch.Tensor, "kind latent"], x: Batch) -> np.ndarray:
    """`[row part]`: each part's product with the change."""
    before, after = dictionary.models
    moved = directions(dictionary, after) - directions(dictionary, before)
    wide = x.to(dictionary.W_dec)
    change = wide[:, AFTER] - wide[:, BEFORE]
    carried = (dictionary.encode(x) * (change @ moved.T)) @ member.T
    bias = change @ (dictionary.b_dec[AFTER] - dictionary.b_dec[BEFORE])
    total = change.square().sum(1)
    rest = total - carried.sum(1) - bias
    return torch.cat([carried, bias[:, None], rest[:, None]], 1).double().numpy(force=True)
