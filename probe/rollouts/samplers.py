"""Who draws the tokens? Each sampler takes prompts and uniforms and gives `Samples`; the rest of the path is shared."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from probe.models.hooks.backends import Backend
from probe.models.hooks.edits import Edit
from probe.models.loading.loaded import Loaded, pad_id, stop_ids
from probe.models.sampling.batches import replicas
from probe.models.sampling.organism_sampler import Samples, sample
from probe.models.sampling.transformers_sampler import generate
from probe.rollouts.options import Compute


@runtime_checkable
class Sample(Protocol):
    """Draws `n_samples` completions of each prompt; greedy without `uniforms`."""

    def __call__(
        self,
        prompts: list[list[int]],
        *,
        n_samples: int,
        max_new: int,
        uniforms: Float[Tensor, "row pos"] | None,
        temperature: float,
    ) -> Samples: ...


def organism_sampler(loaded: Loaded) -> Sample:
    """Our own sampler, with the stop and pad tokens of the organism's configuration."""
    config = loaded.model.config
    return functools.partial(sample, loaded.model, stop=config.eos_token_id, pad=config.pad_token_id)


def transformers_sampler(loaded: Loaded, compute: Compute) -> Sample:
    """Any causal model of transformers, on as many devices as are named."""
    first, *rest = replicas(loaded.model, compute.devices)
    return functools.partial(generate, first, batch=compute.batch, replicas=rest, **_ends(loaded))


def vllm_sampler(loaded: Loaded, folder: Path, dtype: str) -> Sample:
    """vLLM on the checkpoint's folder; for texts only, never for log-probs."""
    from probe.models.sampling.vllm_sampler import VllmSampler

    return functools.partial(VllmSampler(folder, dtype=dtype).sample, **_ends(loaded))


def edited_sampler(loaded: Loaded, own: Backend, edits: Sequence[Edit], compute: Compute) -> Sample:
    """The model under `edits`, on any backend: transformers' own forward, so that hooks act."""
    return functools.partial(own.generate, edits=edits, batch=compute.batch, **_ends(loaded))


def _ends(loaded: Loaded) -> dict[str, Any]:
    return {"stop": stop_ids(loaded), "pad": pad_id(loaded)}
