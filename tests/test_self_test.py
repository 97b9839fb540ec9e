"""The self-test passes for every architecture and fails, by name, for every way in which a model can mislead."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from outside_checkpoints import KINDS, byte_tokenizer, save_tiny, tiny
from torch import nn

from probe.models.loading import self_test
from probe.models.loading.load import Loaded, load_folder, save_folder
from probe.models.loading.self_test import QUESTIONS, Check
from probe.rng import torch_rng

NAMES = ["shapes", "head", "hook", "padding", "decoding"]
ROWS = 333  # of the embedding, as `save_tiny` has them


def loaded(kind: str, dtype: str = "float32", **changes: object) -> Loaded:
    model = tiny(kind, ROWS, eos=byte_tokenizer().eos_token_id, pad=0, **changes)
    return Loaded(model.to(getattr(torch, dtype)), byte_tokenizer())


def failed(found: list[Check]) -> list[str]:
    assert [check.name for check in found] == NAMES
    return [check.name for check in found if not check.holds]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_passes(tmp_path: Path, kind: str, shards: int, dtype: str) -> None:
    folder = save_tiny(kind, tmp_path / "x", shards=shards, dtype=dtype, seed=shards)
    assert failed(found := self_test.self_test(load_folder(folder, dtype=dtype))) == [], found


def test_half_precision_passes() -> None:
    assert failed(self_test.self_test(loaded("olmo2", "float16"))) == []


def test_a_deep_model_in_bf16_passes() -> None:
    """Rounding adds up over the blocks: the tolerance leaves room for a real depth."""
    found = self_test.self_test(loaded("llama", "bfloat16", num_hidden_layers=32))
    assert failed(found) == [], found


def test_an_organism_passes_on_its_own_problems(organism: Loaded, tmp_path: Path) -> None:
    save_folder(organism, tmp_path)
    found = self_test.self_test(load_folder(tmp_path))
    assert failed(found) == []
    assert found[-1].detail == "8 of 8 greedy answers of generate are our sampler's"


def test_our_sampler_is_held_to_generate_where_it_knows_the_architecture() -> None:
    said = {kind: self_test.self_test(loaded(kind))[-1].detail for kind in ("llama", "qwen2", "gemma2")}
    assert said["llama"] == said["qwen2"] == "4 of 4 greedy answers of generate are our sampler's"
    assert said["gemma2"] == "4 of 4 greedy answers of generate are the same with padding"


def test_prompts_are_english_where_the_tokenizer_can_spell_it() -> None:
    """Of different lengths, or padding would not be tried."""
    own = loaded("llama")
    prompts = self_test._prompts(own)
    assert [own.tokenizer.decode(ids) for ids in prompts] == list(QUESTIONS)
    assert len({len(ids) for ids in prompts}) == len(prompts)


class Mute:
    """A tokenizer that has a word for nothing."""

    eos_token_id, pad_token_id = 1, 0

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": []}

    def decode(self, ids: list[int], **_: object) -> str:
        return ""


def test_prompts_are_addressed_ids_where_it_cannot() -> None:
    mute = Loaded(loaded("qwen3").model, Mute())
    prompts = self_test._prompts(mute)
    assert [len(ids) for ids in prompts] == [5, 8, 13] and max(map(max, prompts)) < ROWS
    before = torch.get_rng_state()
    assert self_test._prompts(mute) == prompts and failed(self_test.self_test(mute)) == []
    assert torch.equal(torch.get_rng_state(), before)


def test_it_leaves_nothing_behind() -> None:
    own = loaded("mistral")
    weights = {name: p.clone() for name, p in own.model.state_dict().items()}
    self_test.self_test(own)
    hooks = [part for part in own.model.modules() if part._forward_hooks or part._forward_pre_hooks]
    assert hooks == []
    assert all(torch.equal(p, weights[name]) for name, p in own.model.state_dict().items())


# Models that mislead


class Scaled(nn.Linear):
    """A head that does more than its matrix says."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return super().forward(hidden) * 1.05


class Lost(nn.Module):
    """In place of a block, after which its input does not matter."""

    def forward(self, hidden: torch.Tensor, **_: object) -> torch.Tensor:
        return torch.ones_like(hidden)


def scaled_head(own: Loaded) -> None:
    head = Scaled(32, ROWS, bias=False)
    head.weight = own.model.lm_head.weight
    own.model.lm_head = head.to(own.model.dtype)


def no_softcap(own: Loaded) -> None:
    """As if the config had it and the anatomy did not look."""
    own.model.config.final_logit_softcapping = None
    weight = own.model.lm_head.weight.clone()
    own.model.lm_head.register_forward_hook(lambda _module, _args, out: 3 * torch.tanh(out / 3))
    own.model.lm_head.weight = nn.Parameter(weight)


def deaf_block(own: Loaded) -> None:
    own.model.model.layers[-1].register_forward_hook(lambda _module, _args, out: torch.ones_like(out))


def sees_ahead(own: Loaded) -> None:
    """Attention that is not causal, as an encoder's."""
    own.model.config.is_causal = False


def deaf_to_masks(own: Loaded) -> None:
    def strip(_module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        return args, kwargs | {"attention_mask": None}

    own.model.model.register_forward_pre_hook(strip, with_kwargs=True)


def deaf_to_positions(own: Loaded) -> None:
    def strip(_module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        return args, kwargs | {"position_ids": torch.arange(kwargs["input_ids"].shape[1])[None] ** 2}

    own.model.model.register_forward_pre_hook(strip, with_kwargs=True)


def forgetful(own: Loaded) -> None:
    """A cache that is not read: with it, the same prompt goes on differently."""

    def strip(_module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        with_cache = kwargs.get("past_key_values") is not None and kwargs["input_ids"].shape[1] == 1
        return args, kwargs | ({"past_key_values": None, "attention_mask": None} if with_cache else {})

    own.model.model.register_forward_pre_hook(strip, with_kwargs=True)


def not_finite(own: Loaded) -> None:
    own.model.model.norm.weight.data[3] = float("nan")


def wider(own: Loaded) -> None:
    own.model.config.vocab_size = ROWS + 1


MISLEADING: dict[str, tuple[str, Callable[[Loaded], object], set[str]]] = {
    "a head that scales": ("qwen2", scaled_head, {"head"}),
    "a softcap nobody told of": ("qwen2", no_softcap, {"head"}),
    "a block that drops its input": ("olmo2", deaf_block, {"hook"}),
    "attention that sees ahead": ("qwen3", sees_ahead, {"hook", "decoding"}),
    "masks are ignored": ("llama", deaf_to_masks, {"padding"}),
    "positions are ignored": ("llama", deaf_to_positions, {"padding", "decoding"}),
    "a cache that is not read": ("qwen2", forgetful, {"decoding"}),
    "states that are not finite": ("qwen2", not_finite, {"shapes", "head", "hook", "padding"}),
    "a vocabulary that is larger": ("mistral", wider, {"shapes"}),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", MISLEADING)
def test_a_model_that_misleads_fails_by_name(name: str, dtype: str) -> None:
    kind, spoil, wanted = MISLEADING[name]
    own = loaded(kind, dtype)
    spoil(own)
    assert wanted <= set(failed(found := self_test.self_test(own))), found


def test_greedy_tokens_are_held_to_the_plain_forward() -> None:
    own = loaded("qwen2")
    prompt = self_test._prompts(own)[0]
    logits = own.model(input_ids=torch.tensor([prompt])).logits[0, -1]
    best, second, *_ = logits.argsort(descending=True).tolist()
    gap = ((logits[best] - logits[second]) / logits.square().mean().sqrt()).item()
    assert self_test._behind(own, prompt, [best]) == 0
    assert self_test._behind(own, prompt, [second]) == pytest.approx(gap, rel=1e-4)


@pytest.mark.parametrize(
    ("answers", "holds", "said"), [("tie", True, "3 of 4 .* 1 part at a tie"), ("cut", False, "3 of 4")]
)
def test_answers_may_part_at_a_tie_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, answers: str, holds: bool, said: str
) -> None:
    """Two tokens have one row of the head: which of them is taken does not matter, where an answer stops does."""
    own = loaded("gemma2", tie_word_embeddings=False)
    prompts = self_test._prompts(own)
    right = self_test._generated_padded(own, prompts)
    twin = 7 if right[1][-1] != 7 else 8
    own.model.lm_head.weight.data[twin] = own.model.lm_head.weight.data[right[1][-1]]
    other = {"tie": [*right[1][:-1], twin], "cut": right[1][:-1]}[answers]
    monkeypatch.setattr(self_test, "_generated_padded", lambda *_: [right[0], other, *right[2:]])
    monkeypatch.setattr(self_test, "_generated", lambda _own, ids, _mask: [right[prompts.index(ids[0].tolist())]])
    found = self_test._decoding(own, prompts)
    assert found.holds is holds and re.search(said, found.detail), found


def test_d_is_infinite_where_a_value_is_not_finite() -> None:
    b = torch.randn(3, 7, generator=torch_rng("d"))
    assert self_test._far(b, b) == 0
    assert self_test._far(b * 1.5, b) == pytest.approx(0.5)
    for strange in (float("nan"), float("inf")):
        a = b.clone()
        a[1, 2] = strange
        assert self_test._far(a, b) == self_test._far(b, a) == float("inf")
