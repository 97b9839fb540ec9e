"""Checkpoints that lie: headers, types, offsets and shards of weights; configurations; tokenizers; LoRA adapters."""

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torture.inputs import strange
from torture.scene import Scene, case

Header = dict[str, Any]
Certain = bool | None
SMALL = ("--limit", 1, "--samples", 1, "--max-new", 2, "--workers", 1)
WEIGHTS = "model.safetensors"


def read_tensors(path: Path) -> tuple[Header, bytes]:
    """Header and data of a safetensors file."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_tensors(path: Path, header: Header | bytes, data: bytes, length: int | None = None) -> None:
    """The same, whatever it says."""
    head = header if isinstance(header, bytes) else strange.json_text(header).encode()
    path.write_bytes(struct.pack("<Q", len(head) if length is None else length) + head + data)


def ask(scene: Scene, name: str, bad: Certain) -> None:
    """A command that loads the checkpoint."""
    scene.bring("manifest.yaml")
    where = ("--store", "store", "--manifest", "manifest.yaml")
    scene.check("sample", name, *SMALL, *where, bad=bad)


def lie(rng: random.Random, path: Path) -> Certain:
    """One lie in the file of weights: whether it must be seen."""
    header, data = read_tensors(path)
    name = rng.choice([each for each in header if each != "__metadata__"])
    entry, length, how = header[name], None, rng.randrange(12)
    certain: Certain = True
    if how == 0:
        length = rng.choice((2**63, 2**64 - 1, 10**9, 2, 0))
    elif how == 1:
        low, high = entry["data_offsets"]
        entry["data_offsets"] = rng.choice(
            ([low, high + 4], [low + 4, high], [high, low], [-4, high], [low, 2**63], [])
        )
    elif how == 2:
        entry["dtype"] = rng.choice(("F64", "F16", "I64", "BOOL", "U8", "C64", "F8_E4M3", "X9", "", None, 4))
    elif how == 3:
        entry["shape"] = rng.choice(([2**62, 4], [-1], [], [0], [*entry["shape"], 1, 2], None, ["a"], [1.5]))
    elif how == 4:
        del header[name]
    elif how == 5:
        header[strange.text(rng, 60)] = {"dtype": "F32", "shape": [1], "data_offsets": [len(data), len(data) + 4]}
        data += bytes(4)
    elif how == 6:
        header["__metadata__"] = rng.choice(([1], {"a": 1}, "x", strange.value(rng)))
        certain = None
    elif how == 7:
        data, certain = data[: len(data) - rng.choice((1, 4, 1000))], True
    elif how == 8:
        data, certain = data + bytes(rng.choice((1, 4, 1000))), True
    elif how == 9:
        doubled = strange.json_text(header)[:-1] + f', "{name}": {json.dumps(entry)}}}'
        write_tensors(path, doubled.encode(), data)
        return True
    elif how == 10:
        write_tensors(path, rng.choice((b"[]", b"1", b"{" * 9000, b'{"a":' * 3000, b"\xff" * 50, b"{}")), data)
        return True
    else:
        low = entry["data_offsets"][0]
        data = data[:low] + struct.pack("<f", rng.choice((float("nan"), float("inf")))) + data[low + 4 :]
        certain = None
    write_tensors(path, header, data, length)
    return certain


def retyped(rng: random.Random, path: Path) -> Certain:
    """One tensor, or every one, as integers, booleans or complex numbers, honestly declared."""
    header, data = read_tensors(path)
    dtype, width = rng.choice((("I64", 8), ("I32", 4), ("I8", 1), ("BOOL", 1), ("C64", 8), ("U8", 1), ("U16", 2)))
    names = [name for name in header if name != "__metadata__"]
    chosen = set(names if rng.random() < 0.4 else [rng.choice(names)])
    parts, at = [], 0
    for name in sorted(names, key=lambda each: header[each]["data_offsets"][0]):
        low, high = header[name]["data_offsets"]
        part = data[low:high]
        if name in chosen:
            part, header[name]["dtype"] = b"\x01" * (len(part) // 4 * width), dtype
        header[name]["data_offsets"] = [at, at + len(part)]
        at += len(part)
        parts.append(part)
    write_tensors(path, header, b"".join(parts))
    return True


def sharded(rng: random.Random, path: Path) -> Certain:
    """An index of shards that are not there, or elsewhere, or do not hold what it says."""
    header, _ = read_tensors(path)
    names = [name for name in header if name != "__metadata__"]
    file = rng.choice(
        ("../x.safetensors", "/etc/passwd", "gone.safetensors", "", ".", "a/b.safetensors", 3, None, "\0")
    )
    places: dict[str, Any] = dict.fromkeys(names, path.name)
    places[rng.choice(names)] = file
    index: Any = {"metadata": {"total_size": rng.choice(strange.HUGE[:6])}, "weight_map": places}
    if rng.random() < 0.3:
        index = rng.choice(([], {"weight_map": []}, {"weight_map": {"a": path.name}}, {}, None))
    (path.parent / "model.safetensors.index.json").write_text(strange.json_text(index))
    if rng.random() < 0.5:
        path.rename(path.with_name("model-00001-of-00002.safetensors"))
        return True
    return None


def pickled(rng: random.Random, path: Path) -> Certain:
    """Only files that would have to be unpickled, or remote code; or links out of the folder."""
    how = rng.randrange(3)
    if how == 0:
        path.rename(path.with_name(rng.choice(("pytorch_model.bin", "model.pt", "model.pth", "model.ckpt"))))
        return True
    if how == 1:
        held = json.loads((path.parent / "config.json").read_text())
        held["auto_map"] = {"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.Config"}
        held["model_type"] = rng.choice(("evil", held["model_type"]))
        (path.parent / "config.json").write_text(json.dumps(held))
        (path.parent / "evil.py").write_text("raise SystemExit('remote code ran')")
        return True if held["model_type"] == "evil" else None
    path.write_bytes(strange.mutated(rng, path.read_bytes()[:2000]))
    return True


def torn(rng: random.Random, path: Path) -> Certain:
    """Torn bytes in any file of the folder."""
    chosen = rng.choice(sorted(each for each in path.parent.iterdir() if each.is_file()))
    chosen.write_bytes(strange.mutated(rng, chosen.read_bytes()))
    return None


LIES: tuple[Callable[[random.Random, Path], Certain], ...] = (lie, lie, lie, retyped, sharded, pickled, torn)


@case("input", "weights", 5)
def weights(scene: Scene) -> None:
    """A folder whose weights are not what they say."""
    scene.bring("folder")
    certain = scene.rng.choice(LIES)(scene.rng, scene.folder / "folder" / WEIGHTS)
    ask(scene, "./folder", certain)


SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
SETTINGS = (*SIZES, "intermediate_size", "max_position_embeddings", "model_type", "rope_parameters", "architectures")


@case("input", "config", 3)
def config(scene: Scene) -> None:
    """config.json with strange values, none, or too many."""
    rng = scene.rng
    scene.bring("folder")
    path = scene.folder / "folder" / "config.json"
    held = json.loads(path.read_text())
    for name in strange.pick(rng, (*SETTINGS, *held), 2):
        if rng.random() < 0.2:
            held.pop(name, None)
        else:
            held[name] = strange.value(rng)
    path.write_text(strange.json_text(held))
    name = rng.choice(SIZES)
    certain: Certain = None
    if rng.random() < 0.3:
        held[name], certain = rng.choice((10**12, 0, -1, "48", None, 1.5, [48])), True
        certain = None if held[name] in (None, "48") else True
        path.write_text(strange.json_text(held))
    ask(scene, "./folder", certain)


TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json")


@case("input", "tokenizer", 4)
def tokenizer(scene: Scene) -> None:
    """Tokenizer files with strange values at any depth, torn bytes, or missing."""
    rng = scene.rng
    scene.bring("folder")
    path = scene.folder / "folder" / rng.choice(TOKENIZER[:2] if rng.random() < 0.85 else TOKENIZER)
    how = rng.random()
    if how < 0.1 and path.exists():
        path.unlink()
    elif how < 0.3 and path.exists():
        path.write_bytes(strange.mutated(rng, path.read_bytes()))
    else:
        held = json.loads(path.read_text()) if path.exists() else {}
        for _ in range(rng.choice((1, 1, 3))):
            change(rng, held)
        path.write_text(strange.json_text(held))
    ask(scene, "./folder", None)


def change(rng: random.Random, held: Any) -> None:
    """Replace, drop or add a value at some depth."""
    while True:
        keys = list(held) if isinstance(held, dict) else list(range(len(held)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(held[key], dict | list) and held[key] and rng.random() < 0.75:
            held = held[key]
            continue
        if rng.random() < 0.2:
            del held[key]
        elif rng.random() < 0.2 and isinstance(held, dict):
            held[strange.text(rng, 30)] = strange.value(rng)
        else:
            held[key] = strange.value(rng)
        return


@case("input", "adapter", 4)
def adapter(scene: Scene) -> None:
    """A LoRA adapter whose configuration or weights lie."""
    rng = scene.rng
    scene.bring("folder", "adapter")
    folder = scene.folder / "adapter"
    path = folder / "adapter_config.json"
    if rng.random() < 0.5:
        held = json.loads(path.read_text())
        certain: Certain = None
        if rng.random() < 0.6:
            name, wrong, certain = rng.choice(WRONG_LORA)
            held[name] = wrong
        else:
            held[rng.choice(list(held))] = strange.value(rng)
        path.write_text(strange.json_text(held))
    else:
        certain = rng.choice((lie, retyped, torn))(rng, folder / "adapter_model.safetensors")
    ask(scene, "./folder+./adapter", certain)


WRONG_LORA: tuple[tuple[str, Any, Certain], ...] = (
    ("r", 0, True),
    ("r", -2, True),
    ("r", 10**12, True),
    ("r", "2", None),
    ("lora_alpha", float("nan"), True),
    ("lora_alpha", float("inf"), True),
    ("lora_alpha", [4], True),
    ("peft_type", "IA3", True),
    ("use_dora", True, True),
    ("bias", "all", None),
    ("modules_to_save", ["lm_head"], None),
    ("target_modules", "(a+)+$", None),
    ("target_modules", ["no_such"], None),
    ("rank_pattern", {"(x+x+)+y": 2}, None),
    ("alpha_pattern", {"q_proj": "x"}, None),
    ("layers_to_transform", [99], None),
)
