"""Which library reads and edits the model? One contract, three ways; `tests/test_backends.py` holds them to each other.

    backend("hooks", loaded)               plain hooks (`forward_hooks`): the truth, for every architecture
    backend("transformer-lens", loaded)    TransformerLens's bridge: its components compute, its hooks read and edit
    backend("nnsight", loaded)             nnsight's interleaving of the model's own modules

All share the weights of `loaded.model`, which stays as it is. Texts are sampled by `transformers_sampler` on each of
them, so the same uniforms mean the same draws. A library is imported when its backend is made.
"""

import importlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from probe.errors import BadInput
from probe.models.hooks.edits import Edit
from probe.models.hooks.hook_plan import Mask, Run
from probe.models.hooks.sites import Site
from probe.models.loading.loaded import Loaded
from probe.models.sampling.organism_sampler import Samples

MADE_IN = {  # the module of each, which has make(loaded)
    "hooks": "probe.models.hooks.backends.plain",
    "transformer-lens": "probe.models.hooks.backends.transformer_lens",
    "nnsight": "probe.models.hooks.backends.nnsight_",
}


@runtime_checkable
class Backend(Protocol):
    """What every backend does; BadInput on unknown sites and wrong masks, as in `probe.models.hooks.forward_hooks`."""

    name: str

    def run(
        self, ids: Int[Tensor, "batch pos"], sites: Sequence[Site] = (), edits: Sequence[Edit] = (), mask: Mask = None
    ) -> Run:
        """Logits and what stood at `sites`; gradients flow."""
        ...

    def read(
        self, ids: Int[Tensor, "batch pos"], sites: Sequence[Site], edits: Sequence[Edit] = (), mask: Mask = None
    ) -> dict[Site, Float[Tensor, "batch pos d"]]:
        """What stands at `sites`, without gradients; no further than the last of them."""
        ...

    def generate(
        self,
        prompts: list[list[int]],
        *,
        edits: Sequence[Edit] = (),
        n_samples: int = 1,
        max_new: int,
        stop: Sequence[int],
        pad: int,
        uniforms: Float[Tensor, "rows pos"] | None = None,
        temperature: float = 1.0,
        batch: int = 64,
    ) -> Samples:
        """`transformers_sampler.generate` under `edits` at "all" or "new" positions; greedy without uniforms."""
        ...


def check_known(name: str) -> None:
    """BadInput unless a backend has that name; nothing is imported."""
    if name not in MADE_IN:
        raise BadInput(f"no backend is called {name!r}", do=f"take one of {', '.join(MADE_IN)}")


def backend(name: str, loaded: Loaded) -> Backend:
    """The backend of that name on this model. BadInput: unknown, not installed, or not for this architecture."""
    check_known(name)
    made: Backend = importlib.import_module(MADE_IN[name]).make(loaded)
    return made
