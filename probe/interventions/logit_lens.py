"""What would the model say if it stopped at this layer? The logit lens (nostalgebraist 2020) at the fork.

    logits_i = head(norm(resid.i))      i = 0..L; resid.L gives the model's own logits

at chosen positions of a prompt, before any completion token is written: which first token stands ahead in the stream,
the opening of code or of prose, and from which layer on. Final norm and head are those of `anatomy`, bias, softcap and
scale included. Early layers are not written for that head: a lens that says nothing there is no proof of absence.
Left out: tuned lenses (they are trained), lenses through attention.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.forward_hooks import Mask, read
from probe.models.hooks.sites import Site

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Lens:
    """Of the target tokens, at every layer 0..L and chosen position."""

    logit: Float[Tensor, "layer batch pos target"]
    logprob: Float[Tensor, "layer batch pos target"]  # nats, over the whole vocabulary
    rank: Int[Tensor, "layer batch pos target"]  # 0: the layer's first choice


@torch.no_grad()
def lens(
    model: PreTrainedModel,
    ids: Int[Tensor, "batch pos"],
    targets: Sequence[int],
    *,
    positions: Sequence[int] = (-1,),
    mask: Mask = None,
) -> Lens:
    """The lens at `positions` (columns; negative ones count from the end) for the token ids `targets`, in fp32."""
    known = model.get_input_embeddings().weight.shape[0]
    if not targets or not all(0 <= token < known for token in targets):
        raise BadInput(f"no such tokens to look for: {list(targets)}", do=f"give ids from 0 to {known - 1}")
    chosen = torch.tensor(list(targets))

    def look(logits: Float[Tensor, "batch pos d_vocab"]) -> list[Tensor]:
        at = chosen.to(logits.device)
        logit = logits[..., at]
        rank = torch.stack([(logits > one[..., None]).sum(-1) for one in logit.unbind(-1)], -1)
        return [logit.cpu(), logits.log_softmax(-1)[..., at].cpu(), rank.cpu()]

    return Lens(*(torch.stack(column) for column in zip(*at_layers(model, ids, look, positions, mask), strict=True)))


@torch.no_grad()
def lens_metric(
    model: PreTrainedModel,
    ids: Int[Tensor, "batch pos"],
    metric: Callable[[Float[Tensor, "batch d_vocab"]], Float[Tensor, "batch"]],
    *,
    mask: Mask = None,
) -> Float[Tensor, "layer batch"]:
    """Any function of next-token logits at the last position, layer by layer: the fork's log-odds, say."""
    layers = at_layers(model, ids, lambda logits: metric(logits[:, 0]).cpu(), (-1,), mask)
    return torch.stack(layers)


def at_layers(
    model: PreTrainedModel,
    ids: Int[Tensor, "batch pos"],
    look: Callable[[Float[Tensor, "batch pos d_vocab"]], T],
    positions: Sequence[int],
    mask: Mask,
) -> list[T]:
    """`look` at every layer's fp32 logits, one layer's at a time."""
    parts = anatomy(model)
    sites = [Site("resid", layer) for layer in range(len(parts.blocks) + 1)]
    seen = read(model, ids, sites, mask=mask)
    return [look(parts.logits(parts.final_norm(seen[site][:, list(positions)])).float()) for site in sites]
