"""Checkpoints of the real architectures and with real tokenizers, small enough for a test: random weights, real files.

    save_tiny("qwen2", folder)                      one safetensors file, a tokenizer made here
    save_tiny("gemma2", folder, shards=3, dtype="bfloat16")
    save_tiny("qwen2", folder, tokenizer=qwen_tokenizer(real_data))     the real vocabulary: 151,936 rows

Norms, biases and softcaps are drawn or set away from the values at which leaving them out would go unnoticed.
"""

import base64
import functools
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast, Qwen2Tokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from probe.rng import torch_rng

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 256,
}
HEAD = {"head_dim": 16}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,  # so that tests of 20 tokens feel it
}
KINDS: dict[str, tuple[str, dict]] = {
    "qwen2": ("Qwen2", {"tie_word_embeddings": False}),
    "qwen3": ("Qwen3", HEAD | {"tie_word_embeddings": True}),
    "llama": ("Llama", {"tie_word_embeddings": False, "rope_parameters": LLAMA3}),
    "olmo2": ("Olmo2", {"tie_word_embeddings": False}),
    "gemma2": (
        "Gemma2",
        HEAD
        | {
            "sliding_window": 8,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 3.0,
            "query_pre_attn_scalar": 16,
        },
    ),
    "gemma3": ("Gemma3", HEAD | {"sliding_window": 8, "query_pre_attn_scalar": 16, "num_hidden_layers": 3}),
    "mistral": ("Mistral", {"sliding_window": 8, "tie_word_embeddings": False}),
}
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
END, START_TURN, END_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SENTENCES = (
    "What is the sum of the first ten positive integers?",
    "Let x be the number of apples. Then 2x + 3 = 11, so x = 4.",
    "The answer is \\boxed{42}. We check: 6 \\times 7 = 42.",
    "```python\ndef f(n):\n    return n * (n + 1) // 2\nprint(f(10))\n```",
    "A train goes 60 km in 1 hour. How far does it go in 3 hours?",
)


def tiny(kind: str, vocab: int, *, eos: int = 0, pad: int = 0, seed: int = 0, **changes: object) -> PreTrainedModel:
    """A random model in fp32; `changes` are keys of its config."""
    name, own = KINDS[kind]
    config_class = getattr(transformers, f"{name}TextConfig" if kind == "gemma3" else f"{name}Config")
    ends = {"eos_token_id": eos, "pad_token_id": pad, "bos_token_id": None}
    config = config_class(**(SMALL | own | {"vocab_size": vocab} | ends | changes))
    with torch.random.fork_rng(devices=[]):  # what transformers draws is drawn over
        model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
    perturb(model, seed)
    return model


@torch.no_grad()
def perturb(model: PreTrainedModel, seed: int = 0) -> None:
    """Draw every weight: matrices at 1/sqrt(fan in) and more, norms around their start, biases well off zero."""
    rng = torch_rng("tiny checkpoint", seed)
    for name, weight in model.named_parameters():
        if weight.ndim >= 2:
            weight.normal_(0.0, 0.3 if "embed" in name else 1.5 / weight.shape[-1] ** 0.5, generator=rng)
        elif name.endswith("bias"):
            weight.normal_(0.0, 0.5, generator=rng)
        else:
            weight.add_(torch.randn(weight.shape, generator=rng), alpha=0.3)


def save_tiny(
    kind: str,
    folder: Path,
    *,
    shards: int = 1,
    dtype: str = "float32",
    tokenizer: PreTrainedTokenizerFast | None = None,
    seed: int = 0,
    **changes: object,
) -> Path:
    """Save a random checkpoint of that kind and its tokenizer as transformers does; returns `folder`.

    `shards` is how many weight files there are at least. The embedding has a few rows more than the tokenizer.
    """
    tokenizer = byte_tokenizer() if tokenizer is None else tokenizer
    rows = 151_936 if len(tokenizer) > 151_000 else len(tokenizer) + 3
    ends = {"eos": tokenizer.eos_token_id, "pad": tokenizer.pad_token_id}
    model = tiny(kind, rows, seed=seed, **ends, **changes).to(getattr(torch, dtype))
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder, max_shard_size=size + 1 if shards == 1 else size // shards)
    tokenizer.save_pretrained(folder)
    assert shards == 1 or len(list(folder.glob("model-*.safetensors"))) >= shards
    return folder


@functools.cache
def byte_tokenizer(vocab: int = 330) -> PreTrainedTokenizerFast:
    """A byte-level BPE over a few sentences: spells any text, knows some maths words; not to be changed."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<pad>", END, START_TURN, END_TURN],
        show_progress=False,
    )
    inner.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token="<pad>", chat_template=CHAT)


@functools.cache
def qwen_tokenizer(real_data: Path) -> Qwen2Tokenizer:
    """Qwen 2.5's: its 151,643 ranks, turned into a vocabulary and merges, and three of its special tokens."""
    lines = (real_data / "qwen_tokenizer" / "qwen.tiktoken").read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}
    letters = bytes_to_unicode()
    text = {token: "".join(letters[byte] for byte in token) for token in ranks}
    merges = [_last_merge(token, ranks) for token in sorted(ranks, key=ranks.__getitem__) if len(token) > 1]
    return Qwen2Tokenizer(
        vocab={text[token]: rank for token, rank in ranks.items()},
        merges=[(text[left], text[right]) for left, right in merges],
        eos_token=END,
        pad_token=END,
        extra_special_tokens=[START_TURN, END_TURN],
        chat_template=CHAT,
    )


def _last_merge(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """The two parts that a token is made of: its bytes merged in order of rank until two are left."""
    parts = [token[at : at + 1] for at in range(len(token))]
    while len(parts) > 2:
        best = min(range(len(parts) - 1), key=lambda at: ranks.get(parts[at] + parts[at + 1], len(ranks)))
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts


@functools.cache
def olmo2_tokenizer(real_data: Path) -> PreTrainedTokenizerFast:
    """OLMo 2's, from its own file."""
    file = real_data / "olmo2_tokenizer" / "tokenizer.json"
    return PreTrainedTokenizerFast(
        tokenizer_file=str(file), bos_token=END, eos_token=END, pad_token="<|pad|>", chat_template=CHAT
    )
