"""TransformerLens 3's bridge behind the contract: its components compute, its hook points read and edit.

    resid.i   blocks.i.hook_in          attn.i     blocks.i.attn.hook_out
    resid.L   ln_final.hook_in          mlp.i      blocks.i.mlp.hook_out
    head.i.h  blocks.i.attn.hook_z[:, :, h]

No weight is processed. A trap: on OLMo 2 and Gemma `blocks.i.hook_attn_out` and `hook_mlp_out` stand behind the norm
that follows, off by whole units; the names above are before it on every architecture. Names that the bridge does not
know it would silently ignore: here they are BadInput, and so is an architecture whose logits or sites are not the
model's own (checked on a few tokens when the backend is made).

The bridge computes attention its own way, eagerly: [heads pos pos] scores are held, and bits differ from the truth
by rounding. Every site of ours has its hook point; what the bridge has beyond them (patterns, q, k, v) is left out.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.models.hooks.backends.shared_weights import check_is_the_model, shared_copy
from probe.models.hooks.edits import Edit
from probe.models.hooks.forward_hooks import padding
from probe.models.hooks.hook_plan import AllRecorded, HookPlan, Mask, Run, make_plan
from probe.models.hooks.sites import Site
from probe.models.loading.loaded import Loaded
from probe.models.sampling.organism_sampler import Samples
from probe.models.sampling.transformers_sampler import generate


class Lens:
    """A bridge on a copy that shares the model's weights."""

    name = "transformer-lens"

    def __init__(self, model: PreTrainedModel) -> None:
        self.model, self.shared = model, shared_copy(model)
        self.bridge = _bridge(self.shared)
        check_is_the_model(self, self.name, model)

    def run(
        self, ids: Int[Tensor, "batch pos"], sites: Sequence[Site] = (), edits: Sequence[Edit] = (), mask: Mask = None
    ) -> Run:
        plan = make_plan(self.model, sites, edits, mask, ids)
        with self._hooked(plan):
            logits = self.bridge(ids, use_cache=False, **padding(mask))
        plan.check_reached()
        return Run(logits, plan.recorded())

    @torch.no_grad()
    def read(
        self, ids: Int[Tensor, "batch pos"], sites: Sequence[Site], edits: Sequence[Edit] = (), mask: Mask = None
    ) -> dict[Site, Float[Tensor, "batch pos d"]]:
        plan = make_plan(self.model, sites, edits, mask, ids)
        plan.stop_early = bool(plan.sites)
        with self._hooked(plan):
            try:
                self.bridge(ids, use_cache=False, **padding(mask))
            except AllRecorded:
                return plan.recorded()
        plan.check_reached()
        return {}

    def generate(
        self,
        prompts: list[list[int]],
        *,
        edits: Sequence[Edit] = (),
        n_samples: int = 1,
        uniforms: Float[Tensor, "rows pos"] | None = None,
        **how: Any,
    ) -> Samples:
        """Transformers' loop over the bridge's components: the bridge's own loop has no draws of ours."""
        plan = make_plan(self.model, (), edits)
        plan.cached = True
        with self._hooked(plan):
            samples = generate(self.shared, prompts, n_samples=n_samples, uniforms=uniforms, **how)
        plan.check_reached()
        return samples

    @contextmanager
    def _hooked(self, plan: HookPlan) -> Iterator[None]:
        points = [(self._point(here[0], plan), _at(plan, here)) for here in plan.by_module()]
        with self.bridge.hooks(fwd_hooks=points):
            yield

    def _point(self, site: Site, plan: HookPlan) -> str:
        names = {"resid": "hook_in", "attn": "attn.hook_out", "mlp": "mlp.hook_out", "head": "attn.hook_z"}
        name = f"blocks.{site.layer}.{names[site.kind]}"
        name = "ln_final.hook_in" if site.layer == len(plan.parts.blocks) else name
        if name not in self.bridge.hook_dict:
            raise BadInput(f"TransformerLens has no hook point for {site}: {name}", do="take the backend hooks")
        return name


def make(loaded: Loaded) -> Lens:
    """BadInput where TransformerLens is absent, or has no adapter for this architecture."""
    return Lens(loaded.model)


def _bridge(shared: PreTrainedModel) -> Any:
    try:
        sources: Any = importlib.import_module("transformer_lens.model_bridge.sources")
    except ImportError as err:
        do = "pip install 'transformer-lens>=3.9', or take the backend hooks"
        raise BadInput(f"TransformerLens cannot be imported: {err}", where="transformer-lens", do=do) from err
    device = shared.get_input_embeddings().weight.device
    try:
        return sources.build_bridge_from_module(
            shared, type(shared).__name__, hf_config=shared.config, tokenizer=None, device=device
        )
    except (ValueError, KeyError, AttributeError, NotImplementedError) as err:  # what an adapter trips over
        what = f"TransformerLens does not know {type(shared).__name__}: {str(err)[:200]}"
        raise BadInput(what, where="transformer-lens", do="take the backend hooks") from err


def _at(plan: HookPlan, here: list[Site]) -> Callable[..., Tensor | None]:
    """A hook of TransformerLens; states of heads are [batch pos head d_head] there."""

    def hook(states: Tensor, hook: object) -> Tensor | None:
        flat = states.flatten(2)
        x = plan.edit_and_record(here, flat)
        return None if x is flat else x.view(states.shape)

    return hook
