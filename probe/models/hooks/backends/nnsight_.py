"""nnsight behind the contract: its worker is parked at a module and resumed with what stands there.

The model's own modules compute, so bits are those of plain hooks. Three of its traps, and what is done here: modules
are touched in the order in which the forward comes by them (`HookPlan.by_module`); importing it adds `.save` to every
Python object, which is taken back; and a loop over generation steps behind a request for the result never runs, so that
texts are silently unsteered: here the loop is the whole trace, and the texts come back beside it. A forward that breaks
off (out of memory, to be tried again with fewer rows) leaves the worker parked halfway, and the next one would pass by
unedited: that is an error here. Traces compile their own source: this file has to lie on disk, in no zip.

Left out: its remote execution, and its own sampling (texts are drawn by `probe.models.sampling.transformers_sampler`).
"""

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from probe.errors import BadInput, ProbeError
from probe.models.hooks.backends.shared_weights import check_is_the_model, shared_copy
from probe.models.hooks.edits import Edit
from probe.models.hooks.forward_hooks import padding
from probe.models.hooks.hook_plan import AllRecorded, HookPlan, Mask, Run, make_plan
from probe.models.hooks.sites import Site, output_projection
from probe.models.loading.loaded import Loaded
from probe.models.sampling.organism_sampler import Samples
from probe.models.sampling.transformers_sampler import generate

LOOP_ENDS = ".*was never reached: the loop asked for a step the run did not make.*"  # as every open loop does


class Nnsight:
    """nnsight's view of a copy that shares the model's weights: it instruments every module that it is given."""

    name = "nnsight"

    def __init__(self, model: PreTrainedModel) -> None:
        self.model, self.shared = model, shared_copy(model)
        self.tree = _imported().NNsight(self.shared)
        self.envoys = {id(envoy._module): envoy for envoy in self.tree.modules()}
        check_is_the_model(self, self.name, model)

    def run(
        self, ids: Int[Tensor, "batch pos"], sites: Sequence[Site] = (), edits: Sequence[Edit] = (), mask: Mask = None
    ) -> Run:
        plan = make_plan(self.shared, sites, edits, mask, ids)
        logits = self._once(plan, ids, mask)
        plan.check_reached()
        return Run(logits, plan.recorded())

    @torch.no_grad()
    def read(
        self, ids: Int[Tensor, "batch pos"], sites: Sequence[Site], edits: Sequence[Edit] = (), mask: Mask = None
    ) -> dict[Site, Float[Tensor, "batch pos d"]]:
        plan = make_plan(self.shared, sites, edits, mask, ids)
        plan.stop_early = bool(plan.sites)
        try:
            self._once(plan, ids, mask)
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
        plan, made = make_plan(self.shared, (), edits), list[Samples]()
        plan.cached = True

        def sample(_input: Tensor) -> None:
            made.append(generate(self.shared, prompts, n_samples=n_samples, uniforms=uniforms, **how))

        self._every_step(plan, sample)
        plan.check_reached()
        return made[0]

    def _once(self, plan: HookPlan, ids: Tensor, mask: Mask) -> Tensor:
        """One forward, its logits."""
        made = list[Tensor]()

        def forward(ids: Tensor) -> None:
            made.append(self.shared(input_ids=ids, use_cache=False, **padding(mask)).logits)

        if not plan.by_module():
            forward(ids)
        else:
            with self.tree.trace(ids, fn=forward):
                self._run_modules(plan)
        return made[0]

    def _every_step(self, plan: HookPlan, sample: Callable[[Tensor], None]) -> None:
        """All forwards that `sample` makes."""
        start = torch.zeros(1)  # nnsight wants an input
        if not plan.by_module():
            return sample(start)
        watch = plan.parts.decoder.register_forward_pre_hook(lambda *_: _check_whole(plan))
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", LOOP_ENDS, UserWarning)
                with self.tree.trace(start, fn=sample) as tracer:
                    for _ in tracer.iter[:]:
                        self._run_modules(plan)
        finally:
            watch.remove()

    def _run_modules(self, plan: HookPlan) -> None:
        """The body of a trace: every access waits until the forward is there."""
        for here in plan.by_module():
            envoy = self._envoy(here[0], plan)
            if here[0].kind in ("attn", "mlp"):
                out = envoy.output
                before = out[0] if isinstance(out, tuple) else out
                x = plan.edit_and_record(here, before)
                if x is not before:
                    envoy.output = (x, *out[1:]) if isinstance(out, tuple) else x
            else:
                before = envoy.input
                x = plan.edit_and_record(here, before)
                if x is not before:
                    envoy.input = x

    def _envoy(self, site: Site, plan: HookPlan) -> Any:
        parts, layer = plan.parts, site.layer
        if site.kind == "resid":
            module = parts.blocks[layer] if layer < len(parts.blocks) else parts.final_norm
        elif site.kind == "mlp":
            module = parts.mlp[layer]
        else:
            module = parts.attention[layer] if site.kind == "attn" else output_projection(parts.attention[layer])
        return self.envoys[id(module)]


def make(loaded: Loaded) -> Nnsight:
    """BadInput where nnsight is absent, or the model is not what it should be under it."""
    return Nnsight(loaded.model)


def _check_whole(plan: HookPlan) -> None:
    """ProbeError where the forward before this one did not come by every site."""
    if plan.modules_run % len(plan.by_module()):
        do = "give a smaller batch, or take the backend hooks, which goes on with fewer rows by itself"
        raise ProbeError("a forward broke off halfway: out of memory?", where="nnsight", do=do)


def _imported() -> Any:
    """nnsight, without its `.save` on every object unless someone imported it before."""
    ours = "nnsight" not in sys.modules
    try:
        nnsight: Any = importlib.import_module("nnsight")
    except ImportError as err:
        do = "pip install 'nnsight>=0.8', or take the backend hooks"
        raise BadInput(f"nnsight cannot be imported: {err}", where="nnsight", do=do) from err
    if ours and hasattr(object, "save"):
        importlib.import_module("nnsight._c").unmount("save")
    return nnsight
