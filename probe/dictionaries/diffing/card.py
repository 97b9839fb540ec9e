"""What is there to know of one latent, before anybody gives it a name? Numbers alone; nothing here draws.

    top         rows where it is most active, the strongest first
    histogram   its activations above 0, by group, with edges that all groups share
    rate, mean  how often it fires in each group, and how strongly when it does
    neighbours  latents whose decoder directions are nearest, in each model (cosine)
    up, down    tokens whose logits it raises and lowers most by the direct path, in each model        (`sameness`)

A card describes; that the latent does anything is for `edits`, `matched` and `injection` to show.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.sameness import Unembedding, logit_effects
from probe.dictionaries.pair import chosen_latents, directions, model_number
from probe.stats.checks import column, label_column

Near = tuple[tuple[int, float], ...]  # (row, latent or token; how much), the most first


@dataclass(frozen=True)
class Group:
    """One group's rows: how many, how often and how strongly the latent fires, counts in the card's bins."""

    rows: int
    rate: float
    mean: float | None
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Card:
    """What is known of one latent; mappings are by group or by model."""

    latent: int
    site: str
    edges: tuple[float, ...]
    top: Near
    groups: dict[str, Group]
    neighbours: dict[str, Near]
    up: dict[str, Near]
    down: dict[str, Near]

    def json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers; pairs are lists."""
        return _plain(asdict(self))


def card(
    dictionary: Dictionary,
    latent: int,
    f: Float[Tensor, "row"],
    group: ArrayLike,
    unembeddings: Mapping[str, Unembedding] | None = None,
    *,
    k: int = 10,
    bins: int = 20,
) -> Card:
    """The card of `latent`, whose activation is `f` in rows of `group` [row]; tokens for models with an unembedding.

    BadInput for an unknown latent or model, and for columns of unequal length.
    """
    chosen_latents([latent], dictionary.n_latents, dictionary.where)
    active = column(f.numpy(force=True), "f", low=0.0)
    names = label_column(group, "group", active.size).astype(str)
    edges = np.linspace(0.0, float(active.max()) or 1.0, bins + 1)
    groups = {name: _group(active[names == name], edges) for name in np.unique(names).tolist()}
    effects = {m: logit_effects(u, _own(dictionary, m, latent))[0] for m, u in (unembeddings or {}).items()}
    near = {model: neighbours(dictionary, model, latent, k) for model in dictionary.models}
    up, down = ({m: _most(sign * effect, k, sign) for m, effect in effects.items()} for sign in (1, -1))
    return Card(latent, str(dictionary.site), tuple(edges.tolist()), _top(active, k), groups, near, up, down)


def neighbours(dictionary: Dictionary, model: str, latent: int, k: int = 10) -> Near:
    """The k other latents nearest by decoder cosine in that model; none where the latent has no direction there."""
    d = dictionary.W_dec[:, model_number(dictionary, model)]
    cosine = torch.nn.functional.normalize(d, dim=-1) @ torch.nn.functional.normalize(d[latent], dim=-1)
    cosine[latent] = -torch.inf
    return _most(cosine, min(k, len(d) - 1)) if d[latent].norm() > 0 else ()


def _group(active: np.ndarray, edges: np.ndarray) -> Group:
    above = active[active > 0]
    counts = tuple(np.histogram(above, edges)[0].tolist())
    return Group(active.size, above.size / active.size, float(above.mean()) if above.size else None, counts)


def _own(dictionary: Dictionary, model: str, latent: int) -> Float[Tensor, "one d"]:
    return directions(dictionary, model)[latent : latent + 1]


def _top(active: np.ndarray, k: int) -> Near:
    """Rows where it is above 0, the first of those that tie."""
    order = np.argsort(-active, kind="stable")[:k]
    return tuple((int(row), float(active[row])) for row in order if active[row] > 0)


def _most(values: Float[Tensor, "each"], k: int, sign: int = 1) -> Near:
    """The k largest, with `sign` given back to them."""
    found = values.topk(min(k, len(values)))
    return tuple((int(i), sign * float(v)) for v, i in zip(found.values, found.indices, strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value
