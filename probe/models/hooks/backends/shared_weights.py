"""A second model over the same weights, for libraries that rewire the one they are given; is it still the model?

The copy's parameters and buffers are the model's own tensors, its modules and its config are copies. What a library
makes of it is held to plain hooks before it is used: logits and every site on a few tokens, with padding.

    d(a, b) = max |a - b| / max |b|  over the real positions        TOLERANCE as in `probe.models.loading.self_test`
"""

import copy
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.models.hooks import forward_hooks
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.hook_plan import Run
from probe.models.hooks.sites import Site, n_heads
from probe.models.loading.self_test import TOLERANCE
from probe.rng import torch_rng

LENGTH, PADDED = 8, 3


@runtime_checkable
class Runs(Protocol):
    """The part of a backend that is held to the truth."""

    def run(self, ids: Tensor, sites: tuple[Site, ...], edits: tuple, mask: Tensor) -> Run: ...


def shared_copy(model: PreTrainedModel) -> PreTrainedModel:
    """A copy that shares every parameter and buffer."""
    return copy.deepcopy(model, memo={id(t): t for t in [*model.parameters(), *model.buffers()]})


def every_site(model: PreTrainedModel) -> tuple[Site, ...]:
    """All of them, heads too where the model has heads that can be told apart."""
    n = len(anatomy(model).blocks)
    streams = [Site("resid", layer) for layer in range(n + 1)]
    outputs = [Site(kind, layer) for kind in ("attn", "mlp") for layer in range(n)]
    heads = [Site("head", layer, head) for layer in range(n) for head in range(n_heads(model))]
    return (*streams, *outputs, *heads)


@torch.no_grad()
def check_is_the_model(of: Runs, name: str, model: PreTrainedModel) -> None:
    """BadInput naming the first site, or the logits, that `of` has otherwise than plain hooks on `model`."""
    vocab, device = model.get_input_embeddings().weight.shape[0], model.get_input_embeddings().weight.device
    ids = torch.randint(vocab, (2, LENGTH), generator=torch_rng("shared weights")).to(device)
    mask = torch.ones_like(ids)
    mask[1, :PADDED] = 0
    sites = every_site(model)
    truth, given = forward_hooks.run(model, ids, sites, mask=mask), of.run(ids, sites, (), mask)
    pairs = [(site, truth.read[site], given.read[site]) for site in sites]
    for what, right, there in [*pairs, ("the logits", truth.logits, given.logits)]:
        far = distance(there, right, mask)
        if not far <= TOLERANCE[model.dtype]:
            said = f"{name} has {what} of {type(model).__name__} wrong, by {far:.1e} of their size"
            raise BadInput(said, do="take the backend hooks")


def distance(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """d of the docstring; infinite where a shape or a value is off."""
    if a.shape != b.shape:
        return float("inf")
    real = mask.bool()
    far = (a - b)[real].abs().max() / b[real].abs().max().clamp(min=1e-30)
    return far.nan_to_num(float("inf")).item()
