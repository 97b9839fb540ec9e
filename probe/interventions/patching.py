"""Where in the model does it matter that one run is not the other? Activation patching and path patching at the fork.

A target run is repeated with what a source run read at one site and position put in its place:

    before <-> after    the same ids through two checkpoints of one shape
    code <-> prose      two prompts of equal length through one model (chains that differ in the style letter alone)

and a metric of the next-token logits at the last prompt position says how far it came (`recovery`). Everything behind
the patch is recomputed, the final norm too. Patching a run with itself changes nothing, to the bit; where one model
made both runs, resid.L (the last position) and resid.0 (all positions) give the source's logits, to the bit. Between
two checkpoints they do not: the target keeps its own head.

    path patching   a head, attention or MLP takes its source value at the last position, and every attention and MLP
                    behind it is held at what it put out in the target run: the direct effect on the fork, through the
                    residual stream. The final norm is recomputed, so direct effects need not sum to the whole.

Null: the change that was patched in, turned by one random rotation of the site's space: its norm at every row and
position and the angles between these stay. (Directions drawn row by row would average out over problems, one direction
for all would add up more than the change itself does: effects of nothing would beat the former, none the latter.)
Prompts of unequal length stand left-padded, so that the last column is the last token of each. Left out: paths between
two components, patching of queries, keys and values alone, attribution patching (its gradient approximation).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.edits import Edit, Replace
from probe.models.hooks.forward_hooks import Mask, read
from probe.models.hooks.sites import KINDS, Kind, Site, n_heads
from probe.rng import torch_rng

Metric = Callable[[Float[Tensor, "batch d_vocab"]], Float[Tensor, "batch"]]
Values = Mapping[Site, Float[Tensor, "batch pos d"]]
Position = int | None  # a column counted from the end (-1 is the last), or None: all of them


@dataclass(frozen=True)
class Fork:
    """Log-odds of opening with one of `code` rather than one of `prose`: a difference of two logits, where each is one.

    logsumexp(logits[code]) - logsumexp(logits[prose])
    """

    code: tuple[int, ...]
    prose: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.code or not self.prose or set(self.code) & set(self.prose):
            do = "give openings that begin with different tokens (probe patch --code TEXT --prose TEXT)"
            raise BadInput(f"no fork between the tokens {self.code} and {self.prose}", do=do)

    def __call__(self, logits: Float[Tensor, "batch d_vocab"]) -> Float[Tensor, "batch"]:
        return logits[:, list(self.code)].logsumexp(-1) - logits[:, list(self.prose)].logsumexp(-1)


@dataclass(frozen=True, eq=False)
class Patched:
    """The metric of each row after the patch; `position` None: at all positions."""

    site: Site
    position: Position
    values: Float[Tensor, "batch"]


def sites_of(model: PreTrainedModel, kinds: Sequence[Kind] = KINDS) -> list[Site]:
    """Every site of those kinds."""
    blocks, heads = len(anatomy(model).blocks), n_heads(model)
    sites = [Site("resid", layer) for layer in range(blocks + 1)]
    sites += [Site(kind, layer) for kind in ("attn", "mlp") for layer in range(blocks)]
    sites += [Site("head", layer, head) for layer in range(blocks) for head in range(heads)]
    return [site for site in sites if site.kind in kinds]


@torch.no_grad()
def measure(
    model: PreTrainedModel,
    ids: Int[Tensor, "batch pos"],
    metric: Metric,
    *,
    mask: Mask = None,
    edits: Sequence[Edit] = (),
) -> Float[Tensor, "batch"]:
    """`metric` of the fp32 next-token logits behind the last position, under `edits`; no other logits are computed."""
    _check_left(ids, mask)
    parts = anatomy(model)
    end = Site("resid", len(parts.blocks))
    last = read(model, ids, [end], mask=mask, edits=edits)[end][:, -1]
    return metric(parts.logits(parts.final_norm(last)).float()).cpu()


def patch(
    model: PreTrainedModel,
    ids: Int[Tensor, "batch pos"],
    source: Values,
    metric: Metric,
    *,
    positions: Sequence[Position] = (None,),
    mask: Mask = None,
) -> Iterator[Patched]:
    """The target run with each site of `source` patched in at each position, one at a time: one forward a patch."""
    _check_positions(ids, mask, positions)
    for site, value in source.items():
        if value.shape[:2] != ids.shape:
            what = f"what was read at {site} has shape {tuple(value.shape[:2])}, the target's ids {tuple(ids.shape)}"
            raise BadInput(what, where="patch", do="patch between prompts of equal length")
        for position in positions:
            edit = Edit(site, Replace(value), columns(ids, position, mask))
            yield Patched(site, position, measure(model, ids, metric, mask=mask, edits=[edit]))


def direct(
    model: PreTrainedModel, ids: Int[Tensor, "batch pos"], source: Values, metric: Metric, *, mask: Mask = None
) -> Iterator[Patched]:
    """Path patching of each head, attention or MLP in `source` to the fork, at the last position. See the module."""
    frozen = read(model, ids, sites_of(model, ("attn", "mlp")), mask=mask)
    for site, value in source.items():
        if site.kind == "resid":
            raise BadInput(f"{site} is no component", where="direct", do="give heads, attn.i or mlp.i")
        held = [Edit(other, Replace(frozen[other]), "last") for other in frozen if _behind(other, site)]
        edits = [Edit(site, Replace(value), "last"), *held]
        yield Patched(site, -1, measure(model, ids, metric, mask=mask, edits=edits))


def random_source(source: Values, target: Values, *address: str | int) -> dict[Site, Tensor]:
    """The null: target + Q (source - target) at every row and position, Q one random rotation per site (Haar)."""
    turned = {}
    for site, value in source.items():
        there, d = target[site].float(), value.shape[-1]
        draw = torch.randn(d, d, generator=torch_rng(*address, "activation", str(site)))
        turn, upper = torch.linalg.qr(draw.to(there.device))
        turn *= upper.diagonal().sign()  # else QR's own signs are no draw
        turned[site] = (there + (value.float() - there) @ turn.T).to(value.dtype)
    return turned


def columns(ids: Int[Tensor, "batch pos"], position: Position, mask: Mask) -> Tensor:
    """Which places of the batch are meant, as a boolean mask; padding never is."""
    chosen = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
    if position is None:
        return chosen
    one = torch.zeros_like(chosen)
    one[:, position] = True
    return one & chosen


def _behind(other: Site, site: Site) -> bool:
    """Whether `other` reads what `site` wrote: later blocks, and the MLP of the same block behind its attention."""
    return other.layer > site.layer or (other.layer == site.layer and other.kind == "mlp" and site.kind != "mlp")


def _check_left(ids: Int[Tensor, "batch pos"], mask: Mask) -> None:
    if mask is not None and not mask[:, -1].bool().all():
        raise BadInput(
            "a prompt is padded on the right", where="patching", do="pad on the left: the last column is read"
        )


def _check_positions(ids: Int[Tensor, "batch pos"], mask: Mask, positions: Sequence[Position]) -> None:
    shortest = ids.shape[1] if mask is None else int(mask.sum(1).min())
    for position in positions:
        if position is not None and not -shortest <= position <= -1:
            what = f"the shortest prompt has {shortest} tokens: no position {position} in all of them"
            raise BadInput(what, where="patch", do="positions are counted from the end, -1 is the last token")
