"""The same question as `generate`, answered by vLLM: faster by its paged cache and continuous batching.

It has NOT run where it was written (vLLM needs a GPU and pins of its own); what is pure, `to_samples` and `seed_of`, is
tested on plain objects. For vLLM >= 0.10.2, whose log-probs can be of the distribution that was drawn from.

- Draws are vLLM's own. A request's seed is a function of its row of `uniforms`, hence of that row's address: the same
  request draws the same again, but not what `generate` draws, nor the same across versions or cards.
- There is no full-vocabulary entropy: it is NaN. Score the samples teacher-forced (`probe.tokens`) for it.
- Where prompt and completion fill the model's context, a row ends by length before `max_new`.
"""

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput, ProbeError
from probe.models.sampling.organism_sampler import Samples
from probe.rng import address


class VllmSampler:
    """A checkpoint's folder in a vLLM engine, over `devices` cards by tensor parallelism."""

    def __init__(self, folder: Path, *, dtype: str = "bfloat16", devices: int = 1, memory: float = 0.9) -> None:
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        try:
            self._vllm: Any = importlib.import_module("vllm")
        except ImportError as err:
            do = "pip install rlvr-probe[vllm] on a machine with a GPU, or leave the sampler at transformers"
            raise BadInput(f"vLLM is not here: {err}", where="VllmSampler", do=do) from err
        self._engine = self._vllm.LLM(
            model=str(folder),
            dtype=dtype,
            tensor_parallel_size=devices,
            gpu_memory_utilization=memory,
            trust_remote_code=False,
            load_format="safetensors",
            generation_config="vllm",  # never the checkpoint's top_p, top_k, penalties
            logprobs_mode="processed_logprobs",
            enable_prefix_caching=True,  # a prompt sampled again is read once
        )

    def sample(
        self,
        prompts: list[list[int]],
        *,
        n_samples: int,
        max_new: int,
        stop: Sequence[int],
        pad: int,
        uniforms: Float[Tensor, "rows pos"] | None,
        temperature: float = 1.0,
    ) -> Samples:
        """As `probe.models.sampling.transformers_sampler.generate`; entropy is NaN."""
        rows = [{"prompt_token_ids": prompt} for prompt in prompts for _ in range(n_samples)]
        seeds = [None] * len(rows) if uniforms is None else [seed_of(row) for row in uniforms]
        how: dict[str, Any] = {"temperature": 0.0 if uniforms is None else temperature, "max_tokens": max_new}
        how |= {"logprobs": 0, "stop_token_ids": list(stop), "ignore_eos": True, "detokenize": False}
        asked = [self._vllm.SamplingParams(seed=seed, **how) for seed in seeds]
        outputs = self._engine.generate(rows, asked, use_tqdm=False)
        return to_samples([output.outputs[0] for output in outputs], stop=stop, max_new=max_new, pad=pad)


def seed_of(uniforms: Float[Tensor, "pos"]) -> int:
    """63 bits from a row's first four draws, so that a larger `max_new` keeps the seed."""
    return address("vllm", *(int(u * 2**24) for u in uniforms[:4].tolist())) >> 65


def to_samples(outputs: Sequence[Any], *, stop: Sequence[int], max_new: int, pad: int) -> Samples:
    """Samples from vLLM's CompletionOutputs, one per row. ProbeError where one ended for another reason."""
    shape = (len(outputs), max_new)
    ids, logprob, entropy = torch.full(shape, pad), torch.zeros(shape), torch.zeros(shape)
    for row, output in enumerate(outputs):
        tokens = list(output.token_ids)
        ended = bool(tokens) and tokens[-1] in stop
        if output.finish_reason != ("stop" if ended else "length"):
            raise ProbeError(
                f"vLLM ended a sample by {output.finish_reason!r}", where=f"row {row}", do="sample it again"
            )
        n = len(tokens)
        ids[row, :n] = torch.tensor(tokens)
        logprob[row, :n] = torch.tensor([at[t].logprob for at, t in zip(output.logprobs, tokens, strict=True)])
        entropy[row, :n] = float("nan")
    lengths = torch.tensor([len(output.token_ids) for output in outputs])
    stopped = torch.tensor([output.finish_reason == "stop" for output in outputs])
    return Samples(ids, lengths, stopped, logprob, entropy, hidden=None)
