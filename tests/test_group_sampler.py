"""Sampling groups is `generate`, token for token, everywhere: prompts read once, finished rows dropped."""

from typing import Any

import pytest
import torch
from outside_checkpoints import KINDS, tiny
from test_transformers_sampler import MAX_NEW, PAD, PROMPTS, STOP, VOCAB, assert_same, draws
from transformers import PreTrainedModel

from probe.errors import BadInput, ProbeError
from probe.models.sampling import group_sampler
from probe.models.sampling.group_sampler import sample_groups
from probe.models.sampling.organism_sampler import Samples
from probe.models.sampling.transformers_sampler import generate


def both(model: PreTrainedModel, prompts: list[list[int]] = PROMPTS, n: int = 4, **changes: Any) -> list[Samples]:
    max_new = changes.pop("max_new", MAX_NEW)
    how: dict[str, Any] = {"uniforms": draws(prompts, n, max_new), "stop": [STOP], "pad": PAD} | changes
    batch = how.pop("batch", 64)
    one = sample_groups(model, prompts, n_samples=n, max_new=max_new, batch=batch, **how)
    return [one, generate(model, prompts, n_samples=n, max_new=max_new, **how)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("room", [1, 128])
def test_it_is_generate(kind: str, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_sampler, "ROOM", room)
    model = tiny(kind, VOCAB, eos=STOP, pad=PAD)
    many = {"stop": list(range(1, 9)), "n": 8}  # most rows end early, and are dropped one after the other
    for how in ({"temperature": 0.7}, {"uniforms": None, "n": 1}, many, {"batch": 3}):
        ours, plain = both(model, **how)
        assert_same(ours, plain)
    assert ours.stopped.any() or not plain.stopped.any()
    ours, plain = both(model, [PROMPTS[0]] * 2, n=2)  # of one length: no mask at all
    assert_same(ours, plain)


def test_finished_rows_leave_the_batch_and_a_prompt_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama", VOCAB, eos=STOP, pad=PAD)
    shapes: list[tuple[int, ...]] = []
    model.model.register_forward_pre_hook(
        lambda _module, _args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    samples = sample_groups(
        model, PROMPTS, n_samples=8, max_new=MAX_NEW, stop=range(1, 20), pad=PAD, uniforms=draws(PROMPTS, 8, MAX_NEW)
    )
    assert shapes[0] == (len(PROMPTS), max(map(len, PROMPTS)))
    rows = [shape[0] for shape in shapes[1:]]
    assert all(shape[1] == 1 for shape in shapes[1:]) and rows == sorted(rows, reverse=True)
    assert rows[0] <= 40 and rows[-1] < 20 and samples.stopped.float().mean() > 0.5
    assert sum(rows) < 0.8 * rows[0] * len(rows)


def test_out_of_memory_halves_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("qwen2", VOCAB, eos=STOP, pad=PAD)
    whole, _ = both(model)
    forward, heard = group_sampler._Batch.written, []

    def small(batch: Any, *args: Any) -> Any:
        if len(batch.last) > 8:
            raise torch.OutOfMemoryError("full")
        return forward(batch, *args)

    monkeypatch.setattr(group_sampler._Batch, "written", small)
    how: dict[str, Any] = {"stop": [STOP], "pad": PAD, "uniforms": draws(PROMPTS, 4, MAX_NEW)}
    again = sample_groups(model, PROMPTS, n_samples=4, max_new=MAX_NEW, on_rows=heard.append, **how)
    assert_same(again, whole)
    assert sum(heard) == 20
    with pytest.raises(ProbeError, match="does not fit into memory"):
        sample_groups(model, PROMPTS, n_samples=16, max_new=2, **how | {"uniforms": draws(PROMPTS, 16, 2)})


def test_what_cannot_be_sampled_is_refused() -> None:
    model = tiny("qwen2", VOCAB, eos=STOP, pad=PAD)
    with pytest.raises(BadInput, match="uniforms have shape"):
        sample_groups(model, PROMPTS, n_samples=3, max_new=2, stop=[1], pad=0, uniforms=torch.rand(2, 2))
    with pytest.raises(BadInput, match="non-empty prompt"):
        sample_groups(model, [[]], n_samples=1, max_new=2, stop=[1], pad=0, uniforms=None)
