"""What vLLM gives back becomes Samples; the engine itself is not here, which is said so."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from probe.errors import BadInput, ProbeError
from probe.models.sampling.vllm_sampler import VllmSampler, seed_of, to_samples
from probe.rng import uniforms


@dataclass
class Logprob:
    """As vLLM's, of which only this is read."""

    logprob: float


@dataclass
class Completion:
    """As vLLM's CompletionOutput, of which only these are read."""

    token_ids: tuple[int, ...]
    logprobs: list[dict[int, Logprob]]
    finish_reason: str | None


def completion(tokens: list[int], reason: str | None) -> Completion:
    """Each token's log-prob is -its id / 8; a likelier token stands beside it, as vLLM may add."""
    return Completion(tuple(tokens), [{t + 1: Logprob(-0.1), t: Logprob(-t / 8)} for t in tokens], reason)


def test_rows_are_padded_and_end_as_they_ended() -> None:
    outputs = [completion([5, 9, 2], "stop"), completion([4, 4, 4, 4], "length"), completion([3], "stop")]
    samples = to_samples(outputs, stop=[2, 3], max_new=4, pad=0)
    assert samples.ids.tolist() == [[5, 9, 2, 0], [4, 4, 4, 4], [3, 0, 0, 0]]
    assert samples.lengths.tolist() == [3, 4, 1]
    assert samples.stopped.tolist() == [True, False, True]
    assert samples.logprob.tolist() == [[-5 / 8, -9 / 8, -2 / 8, 0], [-0.5] * 4, [-3 / 8, 0, 0, 0]]
    assert samples.entropy.isnan().tolist() == [[True, True, True, False], [True] * 4, [True, False, False, False]]
    assert samples.hidden is None


def test_a_full_context_ends_a_row_by_length() -> None:
    samples = to_samples([completion([5, 9], "length")], stop=[2], max_new=4, pad=0)
    assert samples.lengths.tolist() == [2]
    assert not samples.stopped.any()


@pytest.mark.parametrize(
    ("tokens", "reason"), [([5], "abort"), ([5], "stop"), ([2], "length"), ([], "stop"), ([5], None)]
)
def test_an_end_nobody_asked_for_is_an_error(tokens: list[int], reason: str | None) -> None:
    with pytest.raises(ProbeError, match=f"ended a sample by {reason!r}.*row 1"):
        to_samples([completion([2], "stop"), completion(tokens, reason)], stop=[2], max_new=4, pad=0)


def test_a_seed_is_a_function_of_the_rows_address() -> None:
    seeds = [seed_of(torch.from_numpy(uniforms(n, "responses", 0, "p", s))) for n in (8, 64) for s in range(500)]
    assert seeds[:500] == seeds[500:]  # a larger max_new keeps it
    assert len(set(seeds)) == 500
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of(torch.tensor([0.5])) != seed_of(torch.tensor([0.25]))


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is here")
def test_without_vllm_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"(?s)vLLM is not here.*pip install rlvr-probe\[vllm\]"):
        VllmSampler(tmp_path)
