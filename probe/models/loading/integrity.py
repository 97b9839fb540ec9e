"""Is this folder a checkpoint that may be read, and is it whole? Answered without loading a tensor or running a line.

    config.json        names a model type that transformers has a class for; a checkpoint's own code never runs
    *.safetensors      one file, or an index and its shards within the folder; as long as their headers say
    other *.json       are JSON

A safetensors file is 8 bytes (n, little-endian), n bytes of JSON {name: {dtype, shape, data_offsets}}, then the data
(https://huggingface.co/docs/safetensors): a torn file shows in its length. Pickles are never opened. Files may be
symbolic links, as in the hub's cache; what an index names may not lie outside the folder. Left out: what only the
values show (NaN) and what only the model's class knows (missing tensors), see `probe.models.loading.load`.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any

import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from probe.errors import BadInput
from probe.models.loading.strict_json import AGAIN, MAX_BYTES, parse, read_json
from probe.store.regular import regular

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
CONFIG, ADAPTER_CONFIG, TOKENIZER = "config.json", "adapter_config.json", "tokenizer.json"
TEXTS = ("generation_config.json", "tokenizer_config.json", TOKENIZER, "special_tokens_map.json", "added_tokens.json")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
MAX_HEADER = 100_000_000  # bytes, as in the safetensors library
MAX_WEIGHTS = 1 << 43  # bytes of one file
READ = (".json", ".jinja", ".txt", ".model", ".tiktoken", ".safetensors")  # what transformers may open
FLOATS = {"F64", "F32", "F16", "BF16"}
BUFFERS = re.compile(r"(attn|attention)\.(bias|masked_bias)$|(position_ids|token_type_ids|inv_freq)$")  # no weights
BLOCKS = re.compile(r"(num|n)_(\w+_)?(layers?|experts)$|(en|de)coder_layers$")  # keys that count parts of the model
REFUSED = {  # keys of config.json with which transformers would read other weights, or compute another function
    "quantization_config": "its weights are quantised: give the checkpoint they were made from",
    "compression_config": "its weights are compressed: give the checkpoint they were made from",
    "transformers_weights": f"remove the key and name the weights {WEIGHTS}",
    "fusion_config": "remove the key",
}


def check_folder(folder: Path) -> None:
    """BadInput naming the file, what is wrong with it and what to do, unless `folder` is a whole, safe checkpoint."""
    if not (folder / CONFIG).is_file():
        what = "this is an adapter, no checkpoint" if (folder / ADAPTER_CONFIG).is_file() else f"no {CONFIG} here"
        raise BadInput(what, where=str(folder), do="give the folder of a Hugging Face checkpoint")
    if (folder / ADAPTER_CONFIG).exists():
        do = f"keep the adapter in a folder of its own, or remove {ADAPTER_CONFIG} if it is merged already"
        raise BadInput("this folder holds a checkpoint and an adapter", where=str(folder), do=do)
    _check_kinds(folder)
    config = _check_config(folder)
    _check_blocks(folder, config, _check_weights(folder))
    for name in TEXTS:
        if (folder / name).exists():
            read_json(folder / name)


def check_safetensors(file: Path) -> frozenset[str]:
    """The names of the tensors in it; BadInput where it is not as long as its header says, or holds no weights."""
    header, start = _header(file)
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    ends = [end for entry in entries.values() if (end := _end(entry)) is not None]
    if len(ends) < len(entries):
        raise _broken(file, f"{file.name}: its header is no table of tensors")
    odd = [name for name in entries if entries[name]["dtype"] not in FLOATS and not BUFFERS.search(name)]
    if odd:
        what = f"{file.name}: {odd[0]} is of type {entries[odd[0]]['dtype']}, which is no type of weights"
        do = f"save its weights as one of {', '.join(sorted(FLOATS))}"
        raise _broken(file, what + (f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""), do)
    size, wanted = file.stat().st_size, start + max(ends, default=0)
    if size != wanted:
        short = "cut off" if size < wanted else "too long"
        raise _broken(file, f"{file.name} is {short}: {size:,} bytes, its header tells of {wanted:,}")
    return frozenset(entries)


def _check_kinds(folder: Path) -> None:
    """Only files stand where transformers may open one: nothing that blocks, never ends, or is silently left out."""
    for place in (folder, folder / "additional_chat_templates"):
        for file in sorted(place.iterdir()) if place.is_dir() else ():
            if file.suffix in READ:
                regular(file, MAX_WEIGHTS if file.suffix == ".safetensors" else MAX_BYTES)


def _check_blocks(folder: Path, config: dict[str, Any], tensors: int) -> None:
    """A model of more blocks than it has tensors would be built for hours before it is missed."""
    for part in (config, *(each for each in config.values() if isinstance(each, dict))):
        for key, count in part.items():
            if BLOCKS.search(key) and isinstance(count, int) and count > tensors:
                what = f"{CONFIG} has {key} {count}, but there are {tensors} tensors"
                raise BadInput(what, where=str(folder), do=f"mend {CONFIG}: the model was cut, or it is another's")


def _check_config(folder: Path) -> dict[str, Any]:
    config = read_json(folder / CONFIG)
    kind = config.get("model_type")
    native = isinstance(kind, str) and kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    tokenizer = folder / "tokenizer_config.json"
    foreign = tokenizer.exists() and "auto_map" in read_json(tokenizer) and not (folder / TOKENIZER).exists()
    if foreign or (not native and "auto_map" in config):
        what = f"the {'tokenizer' if foreign else 'model'} is defined by code in the checkpoint: it never runs here"
        do = f"give a checkpoint of a model type that transformers {transformers.__version__} has, with {TOKENIZER}"
        raise BadInput(what, where=str(folder), do=do)
    if not native:
        has = f"transformers {transformers.__version__} has no causal language model for it"
        do = "upgrade transformers if the model is newer"
        raise BadInput(f"{CONFIG} has model_type {kind!r}: {has}", where=str(folder), do=do)
    for key, do in REFUSED.items():
        if config.get(key):
            raise BadInput(f"{CONFIG} has {key}", where=str(folder), do=do)
    return config


def _check_weights(folder: Path) -> int:
    """How many tensors there are. One file goes before an index, as in transformers."""
    names = sorted(file.name for file in folder.glob("*.safetensors"))
    ranks = [name for name in names if name.startswith("shard-")]  # transformers would take them for the weights
    if ranks:
        raise BadInput(f"{ranks[0]} is a shard of a distributed run", where=str(folder), do="save it as one model")
    if (folder / WEIGHTS).exists():
        return len(check_safetensors(folder / WEIGHTS))
    if not (folder / INDEX).exists():
        pickles = [file.name for pattern in PICKLES for file in sorted(folder.glob(pattern))]
        here = f", only {', '.join([*names, *pickles][:3])}" if names or pickles else ""
        do = "pickled weights can run code and are never read: convert them" if pickles else f"add {WEIGHTS} or {INDEX}"
        raise BadInput(f"no safetensors weights here{here}", where=str(folder), do=do)
    return _check_shards(folder)


def _check_shards(folder: Path) -> int:
    names = read_json(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise _broken(folder / INDEX, f"{INDEX} has no weight_map from tensors to files")
    held: dict[str, set[str]] = {}
    for tensor, name in names.items():
        held.setdefault(name, set()).add(tensor)
    for name in sorted(held):
        file = folder / name
        if not _within(folder, name):
            do = "do not use this checkpoint: nothing but a *.safetensors of its own folder is read"
            raise BadInput(f"{INDEX} names {name!r}, which is no weight file of this folder", where=str(folder), do=do)
        if not file.is_file():
            raise _broken(folder, f"the shard {name} is missing", do="download it: the index names it")
        lost = sorted(held[name] - check_safetensors(file))
        if lost:
            raise _broken(folder, f"the shard {name} lacks {', '.join(lost[:3])}, which the index says it has")
    return len(names)


def _within(folder: Path, name: str) -> bool:
    """A safetensors file in the folder or under it by its name alone; the file may be a link, its folders not."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or path.suffix != ".safetensors":
        return False
    return (folder / path).parent.resolve().is_relative_to(folder.resolve())


def _header(file: Path) -> tuple[dict[str, Any], int]:
    """The header and where the data starts."""
    with regular(file, MAX_WEIGHTS).open("rb") as stream:
        size = int.from_bytes(first, "little") if len(first := stream.read(8)) == 8 else -1
        if size < 0:
            raise _broken(file, f"{file.name} is cut off: {len(first)} bytes, its header alone needs 8")
        if size > MAX_HEADER:
            raise _broken(file, f"{file.name}: a header of {size:,} bytes, at most {MAX_HEADER:,} are read")
        text = stream.read(size)
    if len(text) < size:
        raise _broken(file, f"{file.name} is cut off: {8 + len(text):,} bytes, its header alone has {8 + size:,}")
    try:
        header = parse(text)
    except ValueError as err:
        raise _broken(file, f"{file.name}: its header is no JSON: {err}") from err
    if not isinstance(header, dict):
        raise _broken(file, f"{file.name}: its header is no table of tensors")
    return header, 8 + size


def _end(entry: Any) -> int | None:
    """Where a tensor's data ends; None where that is not said, or of which type and shape they are."""
    match entry:
        case {"dtype": str(), "shape": [*_], "data_offsets": [int(start), int(end)]} if 0 <= start <= end:
            return end
    return None


def _broken(place: Path, what: str, do: str = AGAIN) -> BadInput:
    return BadInput(f"cannot load: {what}", where=str(place), do=do)
