"""What does a GGUF file of a Llama hold, as a model and a tokenizer of transformers? Weights to the bit, in float32.

    blk.3.attn_q.weight, ...   model.layers.3.self_attn.q_proj.weight, ...        quantised blocks are written out
    rows of q and k            llama.cpp pairs the two halves of a head's rotation as neighbours: here turned back
    tokenizer.ggml.*           vocabulary, merges, special tokens, chat template; `pre` names how a text is cut first

The cut matters: that of transformers' own reader (5.23) does not know "smollm", and takes a line break before a number
for another token. What is not known here is refused, never guessed. Needs `gguf` (pip install "rlvr-probe[real]").
Left out: other architectures, scaled rotations, biases, sentencepiece. Source: github.com/ggml-org/llama.cpp.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from probe.errors import BadInput, ProbeError
from probe.models.loading.loaded import Loaded

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TENSOR = re.compile(r"(?:blk\.(\d+)\.)?([a-z_]+)\.weight")
SHAPE = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
}
CUTS = {  # by tokenizer.ggml.pre, as llama.cpp cuts
    "gpt-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
    "smollm": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
}
CONTROL, USER_DEFINED = 3, 4  # of tokenizer.ggml.token_type
SPECIALS = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}


def read_gguf(file: Path) -> Loaded:
    """The model, in float32 and eval mode, and its tokenizer. BadInput names what this file holds and cannot be told.

    ProbeError where the package `gguf` is not installed.
    """
    reader = _reader(file)
    said: dict[str, Any] = {name: field.contents() for name, field in reader.fields.items()}
    _check(said, file)
    tensors = {_name(each.name, file): _values(each, said) for each in reader.tensors}
    tied = "lm_head.weight" not in tensors
    with torch.random.fork_rng(devices=[]):  # what transformers draws is written over
        model = LlamaForCausalLM(_config(said, tied=tied, file=file))
    left = model.load_state_dict(tensors, strict=False)
    missing = [name for name in left.missing_keys if not (tied and name == "lm_head.weight")]
    if missing or left.unexpected_keys:
        raise _unread(f"its tensors are not those of a Llama: {[*missing, *left.unexpected_keys][:3]}", file)
    return Loaded(model.eval(), _tokenizer(said, file))


def _reader(file: Path) -> Any:
    try:
        from gguf import GGUFReader
    except ImportError as err:
        do = 'pip install "rlvr-probe[real]", then run the same command again'
        raise ProbeError("reading GGUF needs the package gguf", where=str(file), do=do) from err
    try:
        return GGUFReader(file)
    except Exception as err:  # numpy's errors, whatever a torn file makes of it
        raise _unread(f"this is no GGUF file, or not all of it: {err}", file) from err


def _check(said: dict[str, Any], file: Path) -> None:
    """Only a plain Llama with a byte-level vocabulary whose cut is known."""
    kind, vocabulary, cut = (
        said.get(key) for key in ("general.architecture", "tokenizer.ggml.model", "tokenizer.ggml.pre")
    )
    scaled = sorted(key for key in said if key.startswith("llama.rope.scaling.") and said[key] != "none")
    if kind != "llama" or scaled:
        raise _unread(f"its architecture is {kind!r}{f', with {scaled[0]}' if scaled else ''}", file)
    if vocabulary != "gpt2" or cut not in CUTS:
        raise _unread(f"its tokenizer is {vocabulary!r}, cut as {cut!r}", file)
    if said.get("tokenizer.ggml.add_bos_token"):
        raise _unread("its tokenizer puts a token before every text", file)


def _name(name: str, file: Path) -> str:
    found = TENSOR.fullmatch(name)
    if found is None or found[2] not in NAMES:
        raise _unread(f"it has a tensor {name!r}", file)
    block, part = found.groups()
    return f"model.layers.{block}.{NAMES[part]}.weight" if block else f"{NAMES[part]}.weight"


def _values(tensor: Any, said: dict[str, Any]) -> torch.Tensor:
    """The tensor in float32, q and k in the order of rows that transformers rotates."""
    from gguf.quants import dequantize

    values = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)  # a copy: the file is mapped
    heads = {"attn_q": "head_count", "attn_k": "head_count_kv"}.get(tensor.name.split(".")[-2])
    if heads:
        n, width = said[f"llama.attention.{heads}"], values.shape[1]
        values = values.reshape(n, -1, 2, width).swapaxes(1, 2).reshape(-1, width)
    return torch.from_numpy(np.ascontiguousarray(values))


def _config(said: dict[str, Any], *, tied: bool, file: Path) -> LlamaConfig:
    lost = [key for key in SHAPE.values() if f"llama.{key}" not in said]
    if lost:
        raise _unread(f"it does not say llama.{lost[0]}", file)
    shape = {ours: said[f"llama.{key}"] for ours, key in SHAPE.items()}
    ends = {f"{name}_token_id": said.get(f"tokenizer.ggml.{key}_token_id") for name, key in SPECIALS.items()}
    ends.pop("unk_token_id")
    theta = float(said.get("llama.rope.freq_base", 10000.0))
    return LlamaConfig(
        vocab_size=len(said["tokenizer.ggml.tokens"]),
        head_dim=said.get("llama.rope.dimension_count", shape["hidden_size"] // shape["num_attention_heads"]),
        rope_parameters={"rope_type": "default", "rope_theta": theta},
        tie_word_embeddings=tied,
        **shape,
        **ends,
    )


def _tokenizer(said: dict[str, Any], file: Path) -> PreTrainedTokenizerFast:
    tokens, kinds = said["tokenizer.ggml.tokens"], said["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in said["tokenizer.ggml.merges"]]
    try:
        inner = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    except Exception as err:  # the tokenizers library raises bare exceptions
        raise _unread(f"its vocabulary is none: {err}", file) from err
    inner.pre_tokenizer, inner.decoder = CUTS[said["tokenizer.ggml.pre"]](), decoders.ByteLevel()
    for kind in (CONTROL, USER_DEFINED):
        own = [token for token, its in zip(tokens, kinds, strict=True) if its == kind]
        add = inner.add_special_tokens if kind == CONTROL else inner.add_tokens
        add([AddedToken(token, normalized=False, special=kind == CONTROL) for token in own])
    at = {name: said.get(f"tokenizer.ggml.{key}_token_id") for name, key in SPECIALS.items()}
    named = {f"{name}_token": tokens[number] for name, number in at.items() if number is not None}
    chat = said.get("tokenizer.chat_template")
    return PreTrainedTokenizerFast(tokenizer_object=inner, chat_template=chat, **named)


def _unread(what: str, file: Path) -> BadInput:
    do = "give a GGUF file of a Llama whose vocabulary is byte-level, e.g. that of a package of `probe ls checkpoints`"
    return BadInput(f"cannot read this GGUF file: {what}", where=str(file), do=do)
