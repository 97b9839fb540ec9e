"""Model organisms: tiny Llama-shaped models with a known latent strategy, made here in seconds to minutes.

Each is saved as an ordinary Hugging Face checkpoint (`LlamaForCausalLM` + a fast tokenizer), so that every tool of the
ecosystem loads it. Sizes: *tiny* (about 60k parameters) for tests, notebooks and informative rewards, *mini* (115k) for
the plain grammar, *small* (about 650k) where a random reward shows its effect. *mini-qwen2* is *mini* with Qwen2's
biases, to show that architecture is no cause; read its tokenizer with `PreTrainedTokenizerFast`, because for that model
type transformers 5 replaces the shipped one by `Qwen2Tokenizer`, which silently drops tokens of any other vocabulary.
Initialisation follows the measured recipe (linear layers 0.6/sqrt(fan_in), embeddings 0.05): with the usual 0.02 such
small models hardly learn.
"""

import re
from dataclasses import dataclass

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from probe.errors import BadInput
from probe.grammar import LETTERED, OPERATIONS, Grammar
from probe.rng import torch_rng
from probe.tasks.corpus import CODE_CLOSE, CODE_FIRST, END, PROSE_CLOSE, PROSE_OPENS, WORDS

PAD = "<pad>"
MAX_NEW_TOKENS = LETTERED.max_new  # the longest trace, 4 steps with every value, has 19


@dataclass(frozen=True)
class Size:
    """Width, depth and the pretraining that a size needs."""

    d_model: int
    layers: int
    heads: int
    d_mlp: int
    steps: int  # of pretraining, where a family has none of its own
    adam_lr: float = 6e-3
    qwen2: bool = False  # q, k and v have biases


SIZES = {
    "tiny": Size(48, 2, 3, 144, 450),
    "mini": Size(64, 2, 4, 192, 900),
    "mini-qwen2": Size(64, 2, 4, 192, 900, qwen2=True),
    "small": Size(128, 3, 4, 384, 250, adam_lr=3e-3),
}


def shape_of(size: str) -> Size:
    """The dimensions of a size; BadInput for one there is none of."""
    if size not in SIZES:
        raise BadInput(f"no organism size {size!r}", where="organism", do=f"choose one of {sorted(SIZES)}")
    return SIZES[size]


def vocabulary(grammar: Grammar = LETTERED) -> list[str]:
    """Every token as the text it stands for; a trace of k steps has at most 3k + 7 of them, 4k + 7 unless joined."""
    numbers = [str(i) for i in range(grammar.modulus)]
    marked = numbers if grammar.joined else [""]
    return [
        PAD,
        END,
        *(f"{s}:" for s in grammar.styles),
        *numbers,
        *OPERATIONS,
        "=",
        " ",
        CODE_FIRST,
        *(f"\nx=x{op}" for op in OPERATIONS),
        *(f"#{n}" for n in marked),
        CODE_CLOSE,
        *PROSE_OPENS,
        *(WORDS[op] for op in OPERATIONS),
        *(f"={n}" for n in marked if n),
        PROSE_CLOSE,
        "\\boxed{",
        "}",
        ".",
    ]


def build_tokenizer(grammar: Grammar = LETTERED) -> PreTrainedTokenizerFast:
    """A fast tokenizer whose tokens are the pieces of a trace; decoding gives back the very text."""
    tokens = vocabulary(grammar)
    longest_first = sorted(tokens[2:], key=len, reverse=True)
    inner = Tokenizer(models.WordLevel({t: i for i, t in enumerate(tokens)}, unk_token=PAD))
    pattern = Regex("|".join(re.escape(t) for t in longest_first))
    inner.pre_tokenizer = pre_tokenizers.Split(pattern, behavior="isolated")
    inner.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token=PAD, eos_token=END, padding_side="right", clean_up_tokenization_spaces=False
    )


def build_model(size: str, seed: int, grammar: Grammar = LETTERED) -> PreTrainedModel:
    """An untrained organism in fp32."""
    shape, tokens = shape_of(size), vocabulary(grammar)
    kind = Qwen2ForCausalLM if shape.qwen2 else LlamaForCausalLM
    config = (Qwen2Config if shape.qwen2 else LlamaConfig)(
        vocab_size=len(tokens),
        hidden_size=shape.d_model,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        intermediate_size=shape.d_mlp,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        pad_token_id=tokens.index(PAD),
        eos_token_id=tokens.index(END),
        bos_token_id=None,
        attn_implementation="sdpa",
    )
    with torch.device("meta"):
        model = kind(config)
    model = model.to_empty(device="cpu").float()
    model.tie_weights()
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    _initialise(model, torch_rng("organism init", size, seed))
    return model


@torch.no_grad()
def _initialise(model: PreTrainedModel, rng: torch.Generator) -> None:
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            std = 0.05 if "embed_tokens" in name else 0.6 / weight.shape[1] ** 0.5
            weight.normal_(0.0, std, generator=rng)
        else:
            weight.fill_(1.0 if "norm" in name else 0.0)


def untie(model: PreTrainedModel) -> None:
    """Give the output head weights of its own, equal to the embedding's until something changes them."""
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.config.tie_word_embeddings = False
