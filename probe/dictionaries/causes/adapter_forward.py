"""How far is a model with its adapters from `after` on these texts, token by token, and which latents are active there?

    kl_t = KL(after || base + adapters) of the next token, nats, at every completion token      gradients flow
    f_i  [row latent] of each adapter at every real token, prompts too: BatchTopK sees no padding

Texts are teacher-forced and right-padded. Logits are fp32 and exist for CHUNK of them at a time: what a chunk needs on
the way back is computed again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from probe.dictionaries.causes.adapter import Adapter
from probe.dictionaries.diffing.fork_kl import kl
from probe.errors import BadInput
from probe.models.hooks.anatomy import Anatomy, anatomy, final_hidden
from probe.models.hooks.edits import Beside, Edit, Residual
from probe.models.hooks.forward_hooks import editing, read
from probe.models.hooks.sites import Site
from probe.models.sampling.padding import right_padded

CHUNK = 1 << 24  # logits at a time
Texts = list[list[int]]


@dataclass(frozen=True, eq=False)
class Block:
    """Some texts: their ids, which of them are no padding, and which predict a completion token."""

    ids: Int[Tensor, "batch pos"]
    real: Bool[Tensor, "batch pos"]
    predicts: Bool[Tensor, "batch pos"]


@dataclass(frozen=True, eq=False)
class Adapted:
    """One forward of a model with adapters: states that predict a completion token, and latents of each adapter."""

    hidden: Float[Tensor, "token d_model"]
    latents: tuple[Float[Tensor, "_row _latent"], ...]


def check_texts(models: Sequence[PreTrainedModel], prompts: Texts, completions: Texts) -> None:
    """BadInput for texts without a prompt or a completion, two vocabularies, or tokens outside of them."""
    if not prompts or len(prompts) != len(completions) or not all(map(len, (*prompts, *completions))):
        what = f"{len(prompts)} prompts and {len(completions)} completions, or an empty one"
        raise BadInput(what, where="adapter", do="give one token or more of each")
    words = {len(anatomy(model).head_weight) for model in models}
    if len(words) > 1:
        raise BadInput(
            f"vocabularies of {sorted(words)} words", where="adapter", do="give checkpoints of one tokenizer"
        )
    most = max(max(text) for text in (*prompts, *completions))
    if most >= min(words):
        raise BadInput(
            f"token {most} of a vocabulary of {min(words)}", where="adapter", do="give texts of these models"
        )


def blocks(
    model: PreTrainedModel, prompts: Texts, completions: Texts, batch: int, rows: Sequence[int] | None = None
) -> Iterator[Block]:
    """The texts `rows` (None: all, in order), `batch` at a time."""
    order = range(len(prompts)) if rows is None else rows
    device = model.get_input_embeddings().weight.device
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        ids, mask = right_padded([prompts[r] + completions[r] for r in chosen], 0, device)
        first = torch.tensor([len(prompts[r]) - 1 for r in chosen], device=device)[:, None]
        last = torch.tensor([len(prompts[r]) + len(completions[r]) - 2 for r in chosen], device=device)[:, None]
        place = torch.arange(ids.shape[1], device=device)
        yield Block(ids, mask.bool(), (place >= first) & (place <= last))


def adapted(model: PreTrainedModel, adapters: Sequence[Adapter], block: Block) -> Adapted:
    """Under gradients, where they are on; BatchTopK is allowed: it sees this block."""
    branches = [_Branch(each, block.real) for each in adapters]
    with editing(model, [Edit(each.adapter.site, Beside(each)) for each in branches]):
        hidden = final_hidden(model, block.ids)[block.predicts]
    return Adapted(hidden, tuple(each.latents for each in branches))


def mlp_change(
    base: PreTrainedModel, after: PreTrainedModel, sites: Sequence[Site], block: Block
) -> list[tuple[Float[Tensor, "row d"], Float[Tensor, "row d"]]]:
    """At each site, for every real token: what the MLP of `base` reads, and how far that of `after` is from it.

    Each in its own run: at upper layers the two read different things.
    """
    kept = {site: _Keep() for site in sites}
    with torch.no_grad():
        its = read(after, block.ids.to(after.get_input_embeddings().weight.device), sites)
        own = read(base, block.ids, sites, edits=[Edit(site, Beside(keep)) for site, keep in kept.items()])
    pairs = [(kept[site].z, its[site].to(own[site]) - own[site]) for site in sites]
    return [(z[block.real.to(z.device)], moved[block.real.to(z.device)]) for z, moved in pairs]


class _Keep:
    """Adds nothing; remembers what the MLP read."""

    z: Residual

    def __call__(self, z: Residual) -> Residual:
        self.z = z
        return torch.zeros_like(z)


class _Branch:
    """An adapter that leaves padding out, and remembers how active its latents were."""

    latents: Float[Tensor, "row latent"]

    def __init__(self, adapter: Adapter, real: Bool[Tensor, "batch pos"]) -> None:
        self.adapter, self.real = adapter, real

    def __call__(self, z: Residual) -> Residual:
        real = self.real.to(z.device)
        self.latents = self.adapter.encode(z[real])
        return torch.zeros_like(z).index_put((real,), self.adapter.decode(self.latents).to(z))


def kl_to(
    after: Anatomy, target: Float[Tensor, "token d_after"], base: Anatomy, hidden: Float[Tensor, "token d_model"]
) -> Float[Tensor, "token"]:
    """KL(after || base) of every token, from final states."""
    size = max(1, CHUNK // len(base.head_weight))

    def chunk(p: Tensor, q: Tensor) -> Tensor:
        return kl(after.logits(p.float()).to(q.device), base.logits(q.float()))

    if len(hidden) <= size or not hidden.requires_grad:
        parts = [chunk(p, q) for p, q in zip(target.split(size), hidden.split(size), strict=True)]
    else:
        pairs = zip(target.split(size), hidden.split(size), strict=True)
        parts = [checkpoint(chunk, p, q, use_reentrant=False) for p, q in pairs]
    return torch.cat(parts)
