"""Which weights carry the change? One part's weights, or one part's output, of `after` put into `before`.

    transplanted(model, donor, parts)    the donor's own parameters stand in the model's modules (nothing is copied)
    borrowing(model, donor, sites)       what an attention or MLP puts out is what it puts out in the donor, reading the
                                         same tokens: the recovery metric of 2601.11061, who measured accuracy under it

Parts: embed, block.i (with its norms), attn.i, mlp.i (without), norm (the final one), head. Tied embeddings and heads
are two parts: each can be transplanted alone, and the other stays. Behind either context the model is what it was: the
very same parameter objects. The two differ: transplanted weights read the stream of `before`, a borrowed output was
computed on the stream of `after`, and carries what every layer below it changed; so a late layer's borrowed output may
recover much that was written early. Where the donor's *every* part is taken, the model is the donor, to the bit.

Null: `perturbed`, every parameter moved by a Gaussian change of the norm by which the donor's differs.
Left out: interpolation between the two, and parts of parts (single heads: see `patching`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from probe.errors import BadInput
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.edits import Edit
from probe.models.hooks.forward_hooks import editing
from probe.models.hooks.sites import Site
from probe.rng import torch_rng

Place = tuple[nn.Module, str]  # a module and the name of one of its own parameters


def part_modules(model: PreTrainedModel) -> dict[str, nn.Module]:
    """Every part that can be transplanted, from the embedding to the head."""
    parts = anatomy(model)
    modules: dict[str, nn.Module] = {"embed": model.get_input_embeddings()}
    for i, (block, attention, mlp) in enumerate(zip(parts.blocks, parts.attention, parts.mlp, strict=True)):
        modules |= {f"block.{i}": block, f"attn.{i}": attention, f"mlp.{i}": mlp}
    return modules | {"norm": parts.final_norm, "head": model.get_output_embeddings()}


def part_columns(part: str) -> dict[str, str | int | None]:
    """What the measurement table says of a part (`probe.measurements`): mlp.1 is component mlp of layer 1."""
    component, _, layer = part.partition(".")
    return {"module": part, "component": component, "layer": int(layer) if layer else None}


@contextmanager
def transplanted(model: PreTrainedModel, donor: PreTrainedModel, parts: Sequence[str]) -> Iterator[None]:
    """Within it, these parts of `model` are the donor's. BadInput on an unknown part or another shape or dtype."""
    with _swapped([(place, new) for _, place, _, new in _chosen(model, donor, parts)]):
        yield


@contextmanager
def perturbed(
    model: PreTrainedModel, donor: PreTrainedModel, *address: str | int, parts: Sequence[str] | None = None
) -> Iterator[None]:
    """The null: within it, each parameter of `model` is moved by Gaussian noise of the norm of its change to `donor`.

    Of all parts, or of `parts`. A tied matrix is moved once, in both its places; a head that the donor has untied, or
    that is moved alone, moves as a head of its own.
    """
    drawn: dict[tuple[int, int], nn.Parameter] = {}
    changes = []
    for name, place, old, new in _chosen(model, donor, parts):
        key = (id(old), id(new))
        if key not in drawn:
            noise = torch.randn(old.shape, generator=torch_rng(*address, "weights", name)).to(old.device)
            size = (new.detach().float() - old.detach().float()).norm() / noise.norm()
            drawn[key] = nn.Parameter((old.detach().float() + size * noise).to(old.dtype), requires_grad=False)
        changes.append((place, drawn[key]))
    with _swapped(changes):
        yield


@contextmanager
def borrowing(model: PreTrainedModel, donor: PreTrainedModel, sites: Sequence[Site]) -> Iterator[None]:
    """Within it, what stands at `sites` in `model` is what stands there in `donor` reading the same tokens.

    At every position, in cached generation too: the donor keeps a cache of its own beside the model's.
    """
    lent: dict[Site, Tensor] = {}
    cache: list[DynamicCache] = []
    decoder = anatomy(donor).decoder
    if decoder is anatomy(model).decoder:  # what it lends itself is what it has
        yield
        return

    def ask_donor(_module: nn.Module, _args: tuple, kwargs: dict[str, Any]) -> None:
        past = kwargs.get("past_key_values")
        if past is not None and past.get_seq_length() == 0:
            cache[:] = [DynamicCache(config=donor.config)]
        donor_kwargs = kwargs | {"past_key_values": cache[0] if past is not None else None}
        with torch.no_grad():
            decoder(**donor_kwargs)

    handle = anatomy(model).decoder.register_forward_pre_hook(ask_donor, with_kwargs=True)
    try:
        with (
            editing(donor, [Edit(site, _Keep(lent, site)) for site in sites]),
            editing(model, [Edit(site, _Lend(lent, site)) for site in sites]),
        ):
            yield
    finally:
        handle.remove()


class _Keep:
    """Changes nothing; remembers what stood there."""

    def __init__(self, kept: dict[Site, Tensor], site: Site) -> None:
        self.kept, self.site = kept, site

    def __call__(self, x: Tensor) -> Tensor:
        self.kept[self.site] = x
        return x


class _Lend:
    """What was kept there, in place of what stands there."""

    def __init__(self, kept: dict[Site, Tensor], site: Site) -> None:
        self.kept, self.site = kept, site

    def __call__(self, x: Tensor) -> Tensor:
        return self.kept[self.site].to(x)


@contextmanager
def _swapped(changes: Sequence[tuple[Place, nn.Parameter]]) -> Iterator[None]:
    """Other parameters at these places; the model's own ones come back, whatever happens."""
    kept = [(module, name, module._parameters[name]) for (module, name), _ in changes]
    try:
        for (module, name), new in changes:
            module._parameters[name] = new
        yield
    finally:
        for module, name, old in reversed(kept):
            module._parameters[name] = old


def _chosen(
    model: PreTrainedModel, donor: PreTrainedModel, parts: Sequence[str] | None
) -> Iterator[tuple[str, Place, nn.Parameter, nn.Parameter]]:
    """(name, place, the model's parameter, the donor's) of everything within `parts` (None: the whole model)."""
    if parts is None:
        yield from _pairs("", model, donor)
        return
    mine, its = part_modules(model), part_modules(donor)
    for part in parts:
        if part not in mine or part not in its:
            raise BadInput(f"no part {part!r} to transplant", do=f"choose of {', '.join(mine)}")
        yield from _pairs(f"{part}.", mine[part], its[part])


def _pairs(part: str, mine: nn.Module, its: nn.Module) -> Iterator[tuple[str, Place, nn.Parameter, nn.Parameter]]:
    old, new = dict(_places(mine)), dict(_places(its))
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new or _like(old[name][1]) != _like(new[name][1]):
            what = f"{part}{name} is not of one shape and dtype in both checkpoints"
            raise BadInput(what, do="give two checkpoints of one model, loaded alike")
        yield f"{part}{name}", old[name][0], old[name][1], new[name][1]


def _places(module: nn.Module) -> Iterator[tuple[str, tuple[Place, nn.Parameter]]]:
    for prefix, child in module.named_modules():
        for name, parameter in child._parameters.items():
            if parameter is not None:
                yield f"{prefix}.{name}".strip("."), ((child, name), parameter)


def _like(parameter: Tensor) -> tuple[torch.Size, torch.dtype]:
    return parameter.shape, parameter.dtype
