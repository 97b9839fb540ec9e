"""Plain hooks behind the contract: `probe.models.hooks.forward_hooks`, nothing more."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from probe.models.hooks import forward_hooks
from probe.models.hooks.edits import Edit
from probe.models.hooks.hook_plan import Mask, Run
from probe.models.hooks.sites import Site
from probe.models.loading.loaded import Loaded
from probe.models.sampling.organism_sampler import Samples
from probe.models.sampling.transformers_sampler import generate


class Hooks:
    """The truth."""

    name = "hooks"

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model

    def run(
        self, ids: Int[Tensor, "batch pos"], sites: Sequence[Site] = (), edits: Sequence[Edit] = (), mask: Mask = None
    ) -> Run:
        return forward_hooks.run(self.model, ids, sites, edits=edits, mask=mask)

    def read(
        self, ids: Int[Tensor, "batch pos"], sites: Sequence[Site], edits: Sequence[Edit] = (), mask: Mask = None
    ) -> dict[Site, Float[Tensor, "batch pos d"]]:
        return forward_hooks.read(self.model, ids, sites, edits=edits, mask=mask)

    def generate(
        self,
        prompts: list[list[int]],
        *,
        edits: Sequence[Edit] = (),
        n_samples: int = 1,
        uniforms: Float[Tensor, "rows pos"] | None = None,
        **how: Any,
    ) -> Samples:
        with forward_hooks.editing(self.model, edits):
            return generate(self.model, prompts, n_samples=n_samples, uniforms=uniforms, **how)


def make(loaded: Loaded) -> Hooks:
    """On any architecture that has an anatomy."""
    return Hooks(loaded.model)
