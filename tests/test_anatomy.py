"""The parts of a model are found by looking: logits put together from them are the model's own."""

import pytest
import torch
import transformers
from outside_checkpoints import KINDS, SMALL, perturb, tiny
from torch import nn

from probe.errors import BadInput
from probe.models.hooks.anatomy import anatomy, final_hidden, positions
from probe.models.loading.organism import build_model
from probe.rng import torch_rng

VOCAB = 100
OTHERS = {
    "Cohere": {"logit_scale": 0.25},
    "Granite": {"logits_scaling": 4.0},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "GPTNeoX": {},
    "Phi": {},  # a bias on the head
    "Mixtral": {"num_local_experts": 4},
    "Qwen2Moe": {"moe_intermediate_size": 16, "num_experts": 4, "shared_expert_intermediate_size": 16},
    "Olmo3": {},
}


def some_ids(rows: int = 2, length: int = 15) -> torch.Tensor:
    return torch.randint(2, VOCAB, (rows, length), generator=torch_rng("anatomy ids"))


def other(name: str) -> transformers.PreTrainedModel:
    ends = {"vocab_size": VOCAB, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
    config = getattr(transformers, f"{name}Config")(**(SMALL | ends | OTHERS[name]))
    with torch.random.fork_rng(devices=[]):
        model = transformers.AutoModelForCausalLM.from_config(config).eval()
    perturb(model)
    return model


def build(name: str) -> transformers.PreTrainedModel:
    return tiny(name, VOCAB) if name in KINDS else other(name)


@pytest.mark.parametrize("name", [*KINDS, *OTHERS])
@torch.no_grad()
def test_logits_put_together_are_the_models_own(name: str) -> None:
    model = build(name)
    parts, ids = anatomy(model), some_ids()
    hidden = final_hidden(model, ids)
    assert hidden.shape == (2, 15, 32)
    torch.testing.assert_close(parts.logits(hidden), model(input_ids=ids).logits, rtol=1e-5, atol=1e-5)
    in_double = parts.logits(hidden.double())
    assert in_double.dtype is torch.float64
    torch.testing.assert_close(in_double.float(), model(input_ids=ids).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [*KINDS, *OTHERS])
def test_parts_are_the_models_own_modules_one_of_each_in_a_block(name: str) -> None:
    model = build(name)
    parts = anatomy(model)
    assert len(parts.blocks) == len(parts.attention) == len(parts.mlp) == model.config.num_hidden_layers
    for block, attention, mlp in zip(parts.blocks, parts.attention, parts.mlp, strict=True):
        inside = set(block.modules())
        assert attention in inside and mlp in inside and attention is not mlp
        assert "Attention" in type(attention).__name__ and "Attention" not in type(mlp).__name__
    assert parts.head_weight is model.get_output_embeddings().weight
    assert (parts.head_bias is not None) == (name == "Phi")
    assert all(parts.final_norm not in set(block.modules()) for block in parts.blocks)


@pytest.mark.parametrize("name", [*KINDS, *OTHERS])
@torch.no_grad()
def test_states_are_what_the_final_norm_puts_out(name: str) -> None:
    model, seen = build(name), []
    anatomy(model).final_norm.register_forward_hook(lambda _module, _args, out: seen.append(out))
    hidden = final_hidden(model, some_ids())
    assert len(seen) == 1 and torch.equal(seen[0], hidden)


def test_softcaps_and_scales_are_read_from_the_config() -> None:
    found = {name: anatomy(build(name)) for name in ("gemma2", "gemma3", "qwen2", "Cohere", "Granite")}
    assert {name: (parts.softcap, parts.scale) for name, parts in found.items()} == {
        "gemma2": (3.0, 1.0),
        "gemma3": (None, 1.0),
        "qwen2": (None, 1.0),
        "Cohere": (None, 0.25),
        "Granite": (None, 0.25),
    }


def test_no_logits_are_computed_for_states() -> None:
    model = build("gemma2")
    model.lm_head.register_forward_pre_hook(lambda *_: pytest.fail("the head was used"))
    final_hidden(model, some_ids())


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("name", KINDS)
@torch.no_grad()
def test_padding_moves_no_state(name: str, side: str) -> None:
    """Among them windows of 8 tokens, shorter than the text."""
    model, ids = build(name), some_ids(1)
    pad = torch.zeros(1, 6, dtype=torch.long)
    both = (ids, pad) if side == "right" else (pad, ids)
    mask = torch.cat([torch.full_like(part, int(part is ids)) for part in both], 1)
    padded = final_hidden(model, torch.cat(both, 1), mask)[mask.bool()]
    torch.testing.assert_close(padded, final_hidden(model, ids)[0], rtol=1e-4, atol=1e-4)


def test_positions_count_real_tokens() -> None:
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]])
    assert positions(mask).tolist() == [[0, 0, 0, 1], [0, 1, 2, 2]]


def test_an_organism_has_an_anatomy() -> None:
    model = build_model("tiny", 0)
    parts = anatomy(model)
    assert parts.head_weight is model.model.embed_tokens.weight
    assert parts.final_norm is model.model.norm and parts.blocks[1] is model.model.layers[1]


@torch.no_grad()
def test_the_text_part_of_a_model_that_also_sees() -> None:
    text = SMALL | {"vocab_size": VOCAB, "head_dim": 16, "sliding_window": 8}
    sight = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64, "image_size": 56, "patch_size": 14}
    tokens = {"image_token_index": 99, "boi_token_index": 98, "eoi_token_index": 97, "mm_tokens_per_image": 4}
    vision = sight | {"num_hidden_layers": 4}  # more blocks than the text has
    config = transformers.Gemma3Config(text_config=text, vision_config=vision, **tokens)
    with torch.random.fork_rng(devices=[]):
        model = transformers.Gemma3ForConditionalGeneration(config).eval()
    parts, ids = anatomy(model), some_ids().clamp(max=96)
    assert len(parts.blocks) == 2
    torch.testing.assert_close(parts.logits(final_hidden(model, ids)), model(input_ids=ids).logits)


def strange(what: str) -> transformers.PreTrainedModel:
    model = build("qwen2")
    if what == "head":
        model.lm_head = nn.Identity()
    elif what == "offloaded":
        model.lm_head = nn.Linear(32, VOCAB, device="meta")
    elif what == "norm":
        model.model.norm = nn.Identity()
    elif what == "blocks":
        model.model.layers = nn.ModuleList()
    elif what == "attention":
        model.model.layers[1].self_attn = nn.Identity()
    elif what == "mlp twice":
        model.model.layers[0].other = model.model.layers[1].mlp
    return model


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("head", "no output head"),
        ("offloaded", "head is offloaded"),
        ("norm", "no final norm"),
        ("blocks", "no list of blocks"),
        ("attention", "no attention in every block once .found: none"),
        ("mlp twice", "no mlp in every block once .found: Qwen2MLP, Qwen2MLP"),
    ],
)
def test_a_part_that_is_not_there_is_named(what: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        anatomy(strange(what))


def test_a_model_without_a_head_of_its_own_is_refused() -> None:
    with pytest.raises(BadInput, match="Qwen2Model has no decoder under its head"):
        final_hidden(build("qwen2").model, some_ids())
