"""What stands at a site of this model, and what does the model say once a site is changed?

    read(model, ids, sites)                what stands there; goes no further than the last of them, computes no logits
    run(model, ids, sites, edits=...)      logits of the whole model and what was read; gradients flow
    with editing(model, edits): ...        every forward within it is edited, those of `generate` too

Plain forward hooks on the model's own modules: the truth that other backends are held to. A site is read after every
edit there; edits at one site act in their order. Padding may be on either side where `mask` [batch pos] (0 on it) is
given. In cached generation a forward sees new columns only: "all" means these, "new" the last of each forward, and what
speaks of a whole text ("last", a boolean mask) is BadInput. Unknown sites are BadInput, a site that the forward never
reaches or that it writes over once it was read is an error, and hooks are gone behind the call, whatever happens in it.

Left out: uncached generation, prompts prefilled in several pieces, speculative decoding ("new" would mean other
positions), and models worked in replicas (each needs an `editing` of its own).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from probe.models.hooks.anatomy import final_hidden, positions
from probe.models.hooks.edits import Edit
from probe.models.hooks.hook_plan import AllRecorded, HookPlan, Mask, Run, make_plan
from probe.models.hooks.sites import Site, output_projection

__all__ = ["Mask", "Run", "editing", "read", "run"]

Hook = Callable[..., Any]


@torch.no_grad()
def read(
    model: PreTrainedModel,
    ids: Int[Tensor, "batch pos"],
    sites: Sequence[Site],
    *,
    mask: Mask = None,
    edits: Sequence[Edit] = (),
) -> dict[Site, Float[Tensor, "batch pos d"]]:
    """What stands at `sites`, in the model's dtype, after `edits`. BadInput on an unknown site or a wrong mask."""
    plan = make_plan(model, sites, edits, mask, ids)
    plan.stop_early = bool(plan.sites)
    with _hooked(plan):
        try:
            final_hidden(model, ids, None if mask is None else mask.long())
        except AllRecorded:
            return plan.recorded()
    plan.check_reached()
    return {}


def run(
    model: PreTrainedModel,
    ids: Int[Tensor, "batch pos"],
    sites: Sequence[Site] = (),
    *,
    mask: Mask = None,
    edits: Sequence[Edit] = (),
) -> Run:
    """Logits under `edits`, and what stands at `sites`. BadInput on an unknown site or a wrong mask.

    Gradients reach the tensors of edits, and what was read, unless the caller turned them off.
    """
    plan = make_plan(model, sites, edits, mask, ids)
    with _hooked(plan):
        logits = model(input_ids=ids, use_cache=False, **padding(mask)).logits
    plan.check_reached()
    return Run(logits, plan.recorded())


@contextmanager
def editing(model: PreTrainedModel, edits: Sequence[Edit], *, mask: Mask = None) -> Iterator[None]:
    """Within it, every forward of `model` is edited: around `transformers_sampler.generate` and `model.generate` too.

    `mask` is for forwards without a cache; without it, the attention mask that the forward is given counts.
    """
    plan = make_plan(model, (), edits, mask)
    with _hooked(plan):
        yield
    if plan.finished:
        plan.check_reached()


def padding(mask: Mask) -> dict[str, Tensor]:
    """How a forward is told of padding on either side."""
    return {} if mask is None else {"attention_mask": mask.long(), "position_ids": positions(mask.long())}


@contextmanager
def _hooked(plan: HookPlan) -> Iterator[None]:
    """Hooks only where something is read or changed, removed at the end."""
    handles = list[RemovableHandle]()
    try:
        if plan.edits:
            begin = _beginning(plan)
            handles.append(plan.parts.decoder.register_forward_pre_hook(begin, with_kwargs=True))
            handles.append(plan.parts.decoder.register_forward_hook(lambda *_: setattr(plan, "finished", True)))
        handles += [_register(plan, here) for here in plan.by_module()]
        yield
    finally:
        for handle in handles:
            handle.remove()


def _beginning(plan: HookPlan) -> Hook:
    """A pre-hook on the whole: is this forward part of a generation, and what is padding in it?"""
    given = plan.mask

    def begin(_module: nn.Module, _args: tuple, kwargs: dict) -> None:
        plan.cached = kwargs.get("past_key_values") is not None
        plan.mask = kwargs.get("attention_mask") if given is None else given

    return begin


def _register(plan: HookPlan, here: list[Site]) -> RemovableHandle:
    """One hook for the sites of one module: a single one, or heads of a block."""
    parts, kind, layer = plan.parts, here[0].kind, here[0].layer
    if kind in ("attn", "mlp"):
        module = parts.attention[layer] if kind == "attn" else parts.mlp[layer]
        return module.register_forward_hook(_on_output(plan, here), with_kwargs=True)
    if kind == "head":
        module = output_projection(parts.attention[layer])
    else:
        module = parts.blocks[layer] if layer < len(parts.blocks) else parts.final_norm
    return module.register_forward_pre_hook(_on_input(plan, here), with_kwargs=True)


def _on_input(plan: HookPlan, here: list[Site]) -> Hook:
    """A pre-hook: the states go in as the first argument, or by name."""

    def hook(_module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        before = args[0] if args else kwargs["hidden_states"]
        x = plan.edit_and_record(here, before)
        if x is before:
            return None
        return ((x, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": x})

    return hook


def _on_output(plan: HookPlan, here: list[Site]) -> Hook:
    """A hook: the states are what comes out, or the first of it."""

    def hook(_module: nn.Module, args: tuple, kwargs: dict, out: Any) -> Any:
        before = out[0] if isinstance(out, tuple) else out
        x = plan.edit_and_record(here, before, args[0] if args else kwargs.get("hidden_states"))
        if x is before:
            return None
        return (x, *out[1:]) if isinstance(out, tuple) else x

    return hook
