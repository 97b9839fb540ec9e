"""A tiny GGUF file of a Llama, written as llama.cpp's converter writes one, and wheels that carry it."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from outside_checkpoints import CHAT, byte_tokenizer, tiny
from transformers import LlamaForCausalLM

from probe.models.loading.gguf_file import NAMES

PLAIN = {"rope_type": "default", "rope_theta": 5000.0}
WHEEL = "tiny_weights-1.0-py3-none-any.whl"
MEMBER = "tiny_weights/tiny.Q4_1.gguf"


def small_llama(*, tied: bool = True, **changes: Any) -> LlamaForCausalLM:
    """Random weights; as many rows as tokens, no scaled rotation."""
    vocab = len(byte_tokenizer())
    return tiny("llama", vocab, tie_word_embeddings=tied, rope_parameters=PLAIN, **changes)


def write_gguf(
    file: Path, model: LlamaForCausalLM, *, kind: str = "F32", pre: str = "smollm", **said: Any
) -> dict[str, np.ndarray]:
    """The file, matrices as `kind`; `said` are more of its keys. Returns what each tensor is worth, by our names."""
    import gguf

    tokenizer, config = byte_tokenizer(), model.config
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    inner = tokenizer.backend_tokenizer
    tokens = [inner.id_to_token(i) for i in range(inner.get_vocab_size())]
    special = {token.content for token in inner.get_added_tokens_decoder().values()}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges(merges_of(inner))
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(CHAT)
    for key, value in said.items():
        writer.add_key_value(key.replace("__", "."), value, gguf.GGUFValueType.get_type(value))
    worth = {}
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        theirs, values = _as_written(name, weight.numpy(), config)
        how = gguf.GGMLQuantizationType[kind if values.ndim == 2 else "F32"]
        data = gguf.quants.quantize(values, how)
        writer.add_tensor(theirs, data, raw_dtype=how)
        worth[name] = _turned_back(name, gguf.quants.dequantize(data, how), config)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return worth


def make_wheel(folder: Path, gguf: Path, *, version: str = "1.0", member: str = MEMBER) -> tuple[Path, dict[str, Any]]:
    """A wheel with the file in it, code that must never run, and the entry of the manifest that pins both."""
    folder.mkdir(exist_ok=True)
    wheel = folder / WHEEL.replace("1.0", version)
    about = f"tiny_weights-{version}.dist-info"
    files = {
        "tiny_weights/__init__.py": b"raise SystemExit('imported')",
        member: gguf.read_bytes(),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: tiny-weights\nVersion: {version}\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"]).encode()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    package = {"name": "tiny-weights", "version": version, "bytes": wheel.stat().st_size, "sha256": digest(wheel)}
    return wheel, package | {"gguf": MEMBER, "gguf_bytes": gguf.stat().st_size, "gguf_sha256": digest(gguf)}


def digest(file: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def merges_of(inner: Any) -> list[str]:
    """Of a byte-level BPE, as GGUF lists them."""
    import json

    found = json.loads(inner.to_str())["model"]["merges"]
    return [" ".join(merge) if isinstance(merge, list) else merge for merge in found]


def _as_written(name: str, values: np.ndarray, config: Any) -> tuple[str, np.ndarray]:
    """llama.cpp's name, and rows of q and k with the halves of each head's rotation as neighbours."""
    bare = name.removesuffix(".weight")
    parts = bare.split(".")
    block, ours = (f"blk.{parts[2]}.", ".".join(parts[3:])) if parts[1:2] == ["layers"] else ("", bare)
    theirs = next(key for key, value in NAMES.items() if value == ours)
    heads = _heads(theirs, config)
    if heads:
        width = values.shape[1]
        values = values.reshape(heads, 2, -1, width).swapaxes(1, 2).reshape(-1, width)
    return f"{block}{theirs}.weight", np.ascontiguousarray(values)


def _turned_back(name: str, values: np.ndarray, config: Any) -> np.ndarray:
    """Row by row: row 2i + h of a head was row i of its half h."""
    which = "attn_q" if "q_proj" in name else "attn_k" if "k_proj" in name else ""
    heads = _heads(which, config)
    if not heads:
        return values
    size, out = len(values) // heads, np.empty_like(values)
    for head in range(heads):
        for row in range(size):
            out[head * size + (row % 2) * (size // 2) + row // 2] = values[head * size + row]
    return out


def _heads(which: str, config: Any) -> int:
    return {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(which, 0)


def logits(model: Any, ids: list[int]) -> torch.Tensor:
    """[pos d_vocab] of one text."""
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0]
