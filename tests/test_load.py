"""Checkpoints of seven architectures load as they were saved; whatever is broken or hostile is an error naming it."""

import base64
import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import regex
import torch
from outside_checkpoints import END, KINDS, byte_tokenizer, olmo2_tokenizer, qwen_tokenizer, save_tiny, tiny
from safetensors.torch import load_file, save_file
from tokenizers import processors
from transformers import GenerationConfig, PreTrainedTokenizerFast
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from probe.errors import BadInput
from probe.models.loading.integrity import INDEX, WEIGHTS, check_folder, check_safetensors
from probe.models.loading.load import load_folder, save_folder
from probe.models.loading.loaded import Loaded, pad_id, stop_ids
from probe.models.loading.self_test import TOLERANCE

TEXTS = ["What is 2x + 3?", "```python\nprint(6 * 7)\n```\nSo \\boxed{42}.", "naïve ∑ 数学 🙂\n\n  end"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file, tied to nothing."""
    return save_tiny("llama", tmp_path_factory.mktemp("saved") / "whole")


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("llama", tmp_path_factory.mktemp("saved") / "sharded", shards=3)


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


@pytest.fixture
def shards(sharded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sharded, tmp_path / "shards"))


def edit_json(file: Path, **changes: object) -> None:
    """Change keys; None takes one out."""
    found = json.loads(file.read_text()) if file.exists() else {}
    found = {key: value for key, value in (found | changes).items() if value is not None}
    file.write_text(json.dumps(found))


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object], name: str = WEIGHTS) -> None:
    tensors = load_file(folder / name)
    change(tensors)
    save_file(tensors, folder / name, metadata={"format": "pt"})


# What is whole


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_loaded_is_what_was_saved(tmp_path: Path, kind: str, shards: int, dtype: str) -> None:
    folder = save_tiny(kind, tmp_path / "x", shards=shards, dtype=dtype)
    check_folder(folder)
    loaded = load_folder(folder, dtype=dtype)
    assert not loaded.model.training
    parameters = dict(loaded.model.named_parameters())
    files = tensors_of(folder)
    assert {name: p for name, p in parameters.items() if not torch.equal(p, files[name])} == {}
    assert {p.dtype for p in parameters.values()} == {getattr(torch, dtype)}
    assert files.keys() == parameters.keys()
    assert loaded.tokenizer(TEXTS)["input_ids"] == byte_tokenizer()(TEXTS)["input_ids"]
    assert loaded.tokenizer.chat_template == byte_tokenizer().chat_template


def test_dtype_and_device_are_chosen_by_the_caller(saved: Path) -> None:
    half = load_folder(saved, dtype="float16", device_map="cpu").model
    full = load_folder(saved).model
    assert {p.dtype for p in half.parameters()} == {torch.float16}
    assert torch.equal(half.lm_head.weight, full.lm_head.weight.half())


def test_a_snapshot_of_links_into_the_cache_is_legal(sharded: Path, tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    shutil.copytree(sharded, blobs)
    snapshot.mkdir(parents=True)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(Path("..") / ".." / "blobs" / file.name)
    assert torch.equal(load_folder(snapshot).model.lm_head.weight, load_folder(sharded).model.lm_head.weight)


def test_a_head_that_is_tied_and_saved_all_the_same_is_no_stranger(tmp_path: Path) -> None:
    folder = save_tiny("qwen3", tmp_path / "x")
    edit_tensors(folder, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))
    model = load_folder(folder).model
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_a_head_that_is_said_to_be_tied_but_is_another_is_the_one_in_the_file(tmp_path: Path) -> None:
    folder = save_tiny("qwen3", tmp_path / "x")
    edit_tensors(folder, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"] + 1}))
    model = load_folder(folder, self_test=True).model
    assert torch.equal(model.lm_head.weight, model.model.embed_tokens.weight + 1)


def test_frequencies_in_old_checkpoints_are_passed_over(copy: Path) -> None:
    edit_tensors(copy, lambda t: t.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}))
    check_folder(copy)
    assert load_folder(copy).model.dtype is torch.float32


def test_one_file_goes_before_an_index(copy: Path) -> None:
    """As in transformers; so the index is not what is checked."""
    edit_json(copy / INDEX, weight_map={"a": "gone.safetensors"})
    assert load_folder(copy).model.dtype is torch.float32


# Tokenizers


def test_a_tokenizer_of_another_vocabulary_keeps_its_tokens_under_qwen2(tmp_path: Path) -> None:
    """The trap: for this type AutoTokenizer would put Qwen2Tokenizer, with its own splitting, in the file's place."""
    inner = byte_tokenizer().backend_tokenizer
    own = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token="<pad>")
    own.add_tokens(["forty two"])
    folder = save_tiny("qwen2", tmp_path / "x", tokenizer=own)
    edit_json(folder / "tokenizer_config.json", tokenizer_class="Qwen2Tokenizer")
    texts = [*TEXTS, "is forty two, don't you think? 1234 + 5"]
    loaded = load_folder(folder).tokenizer
    assert loaded.get_vocab() == own.get_vocab()
    assert loaded(texts)["input_ids"] == own(texts)["input_ids"]
    assert loaded.backend_tokenizer.pre_tokenizer.__getstate__() == inner.pre_tokenizer.__getstate__()


def test_what_tokenizer_json_puts_first_is_put_first(saved: Path, tmp_path: Path) -> None:
    """Llama and Gemma start every text with a token; tokenizer.json says so."""
    own = PreTrainedTokenizerFast.from_pretrained(saved)
    first = f"{END} $A"
    own.backend_tokenizer.post_processor = processors.TemplateProcessing(single=first, special_tokens=[(END, 1)])
    loaded = load_folder(save_tiny("llama", tmp_path / "x", tokenizer=own)).tokenizer
    assert loaded("2")["input_ids"] == [1, *byte_tokenizer()("2")["input_ids"]]


def test_a_tokenizer_of_vocabulary_and_merges_alone(tmp_path: Path) -> None:
    """The older layout, without tokenizer.json."""
    folder = save_tiny("qwen2", tmp_path / "x")
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]))
    (folder / "tokenizer.json").unlink()
    edit_json(folder / "tokenizer_config.json", tokenizer_class="Qwen2Tokenizer")
    loaded = load_folder(folder).tokenizer
    assert [loaded.decode(ids) for ids in loaded(TEXTS)["input_ids"]] == TEXTS
    assert loaded("the sum")["input_ids"] == byte_tokenizer()("the sum")["input_ids"]


@pytest.mark.parametrize("kind", ["qwen2", "olmo2"])
def test_real_vocabularies_load(tmp_path: Path, real_data: Path, kind: str) -> None:
    own = {"qwen2": qwen_tokenizer, "olmo2": olmo2_tokenizer}[kind](real_data)
    loaded = load_folder(save_tiny(kind, tmp_path / "x", dtype="bfloat16", tokenizer=own), dtype="bfloat16")
    lines = (real_data / "tora_gsm8k" / "tora-code-34b.jsonl").read_text(encoding="utf-8").splitlines()[:30]
    texts = [text for line in lines for text in json.loads(line)["code"]] + TEXTS
    assert loaded.tokenizer(texts)["input_ids"] == own(texts)["input_ids"]
    assert [loaded.tokenizer.decode(ids) for ids in loaded.tokenizer(texts)["input_ids"]] == texts
    assert stop_ids(loaded) == [own.convert_tokens_to_ids(END)] and pad_id(loaded) == own.pad_token_id
    if kind == "qwen2":
        assert own("```python")["input_ids"] == [73594, 12669] and loaded.model.config.vocab_size == 151_936


def test_the_real_vocabulary_splits_as_its_ranks_say(real_data: Path) -> None:
    """Byte pairs merged in order of rank within each piece of text: the tiktoken algorithm, written out."""
    lines = (real_data / "qwen_tokenizer" / "qwen.tiktoken").read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}

    def split(piece: bytes) -> list[int]:
        parts = [piece[at : at + 1] for at in range(len(piece))]
        while len(parts) > 1:
            best = min(range(len(parts) - 1), key=lambda at: ranks.get(parts[at] + parts[at + 1], len(ranks)))
            if parts[best] + parts[best + 1] not in ranks:
                break
            parts[best : best + 2] = [parts[best] + parts[best + 1]]
        return [ranks[part] for part in parts]

    problems = (real_data / "math500" / "test.jsonl").read_text(encoding="utf-8").splitlines()[:40]
    for text in [*TEXTS, *(json.loads(line)["solution"] for line in problems)]:
        pieces = regex.findall(PRETOKENIZE_REGEX, text)
        assert qwen_tokenizer(real_data)(text)["input_ids"] == [token for p in pieces for token in split(p.encode())]


def test_a_tokenizer_larger_than_the_embedding_is_told_with_both_numbers(copy: Path) -> None:
    rows = json.loads((copy / "config.json").read_text())["vocab_size"]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(copy)
    tokenizer.add_tokens([f"new {i}" for i in range(5)])
    tokenizer.save_pretrained(copy)
    with pytest.raises(BadInput, match=rf"tokenizer has {rows + 2} tokens, the embedding {rows} rows"):
        load_folder(copy)


# Tokens that end and fill


def test_stops_of_all_three_places_each_once(saved: Path) -> None:
    loaded = load_folder(saved)
    assert stop_ids(loaded) == [1]
    loaded.model.generation_config = GenerationConfig(eos_token_id=[3, 1], temperature=0.7, top_k=20, do_sample=True)
    loaded.model.config.eos_token_id = 2
    assert stop_ids(loaded) == [3, 1, 2]


def test_stops_of_a_checkpoint_with_sampling_parameters(copy: Path) -> None:
    settings = {"do_sample": True, "temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05}
    settings |= {"suppress_tokens": [5, 6], "min_new_tokens": 30}
    edit_json(copy / "generation_config.json", eos_token_id=[3, 1], **settings)
    assert stop_ids(load_folder(copy, self_test=True)) == [3, 1]


def test_the_pad_is_the_tokenizers_else_the_configs_else_a_stop(saved: Path) -> None:
    loaded = load_folder(saved)
    assert pad_id(loaded) == loaded.tokenizer.pad_token_id == 0
    loaded.tokenizer.pad_token, loaded.model.config.pad_token_id = None, 2
    assert pad_id(loaded) == 2
    loaded.model.config.pad_token_id = -1  # as in some Llamas
    assert pad_id(loaded) == 1


def test_no_stop_and_no_pad_is_bad_input(saved: Path) -> None:
    loaded = load_folder(saved)
    loaded.tokenizer.eos_token = loaded.tokenizer.pad_token = None
    loaded.model.config.eos_token_id = loaded.model.config.pad_token_id = None
    loaded.model.generation_config = GenerationConfig(eos_token_id=999_999)
    for ask in (stop_ids, pad_id):
        with pytest.raises(BadInput, match=r"(?s)no token ends.*generation_config.json"):
            ask(loaded)


# What is broken or hostile


class Marker:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return Path.mkdir, (self.folder,)


def plant(folder: Path, name: str) -> None:
    (folder / name).write_bytes(pickle.dumps(Marker(folder / "ran")))


def only_pickle(folder: Path) -> None:
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    plant(folder, "pytorch_model.bin")


def only_pt(folder: Path) -> None:
    only_pickle(folder)
    (folder / "pytorch_model.bin").rename(folder / "weights.pt")


def name_in_index(name: str, put: bool = True) -> Callable[[Path], None]:
    """One shard is named `name`, and lies there."""

    def apply(folder: Path) -> None:
        index = json.loads((folder / INDEX).read_text())
        shard = sorted(set(index["weight_map"].values()))[1]
        index["weight_map"] = {k: name if v == shard else v for k, v in index["weight_map"].items()}
        (folder / INDEX).write_text(json.dumps(index))
        if put:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / shard).rename(folder / name)

    return apply


def linked_folder(folder: Path) -> None:
    (folder.parent / "outside").mkdir()
    (folder / "sub").symlink_to(folder.parent / "outside")
    name_in_index("sub/model.safetensors")(folder)


def to_pickle(folder: Path) -> None:
    name_in_index("pytorch_model-2.bin", put=False)(folder)
    plant(folder, "pytorch_model-2.bin")


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def cut(name: str, keep: int) -> Callable[[Path], object]:
    """Only the first bytes are left; a negative number is how many are lost."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:keep])


def config(**changes: object) -> Callable[[Path], object]:
    return lambda folder: edit_json(folder / "config.json", **changes)


def shards_first(folder: Path) -> str:
    return sorted(file.name for file in folder.glob("model-*"))[0]


def lost_tensor(folder: Path) -> None:
    edit_tensors(folder, lambda t: t.pop(sorted(t)[0]), shards_first(folder))


def nan_in_shard(folder: Path) -> None:
    edit_tensors(folder, lambda t: t[sorted(t)[0]].view(-1)[-1:].fill_(float("nan")), shards_first(folder))


def header(text: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text


TENSOR = b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, %d]}}'
SHARD = "model-00002-of-00004.safetensors"
HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "only a pickle": (only_pickle, "only pytorch_model.bin.*never read: convert"),
    "only a .pt": (only_pt, "only weights.pt.*never read: convert"),
    "index to a pickle": (to_pickle, "names 'pytorch_model-2.bin'"),
    "index out of the folder": (name_in_index("../x.safetensors"), r"names '\.\./x.safetensors'.*do not use"),
    "index in and out": (name_in_index("sub/../../x.safetensors", put=False), "no weight file of this folder"),
    "index to a root": (name_in_index("/x.safetensors", put=False), "names '/x.safetensors'"),
    "index with backslashes": (name_in_index("..\\x.safetensors", put=False), "no weight file of this folder"),
    "index through a link": (linked_folder, "names 'sub/model.safetensors'"),
    "index to a folder": (name_in_index("y.safetensors/z.safetensors", put=False), "missing"),
    "index to nothing": (name_in_index("gone.safetensors", put=False), "shard gone.safetensors is missing"),
    "index without a map": (write(INDEX, b'{"weight_map": {"a": 3}}'), "no weight_map"),
    "index of another make": (lost_tensor, "shard model-00001-.* lacks"),
    "no index": (lambda f: (f / INDEX).unlink(), f"no safetensors weights here, only model-00001.*add {WEIGHTS}"),
    "distributed": (write("shard-00000-model-00001-of-00002.safetensors", b""), "distributed run"),
    "shard cut off": (cut(SHARD, -1), rf"{SHARD} is cut off: [\d,]+ bytes, its header tells of [\d,]+"),
    "shard cut in its header": (cut(SHARD, 50), f"{SHARD} is cut off: 50 bytes, its header alone"),
    "shard of three bytes": (cut(SHARD, 3), f"{SHARD} is cut off: 3 bytes"),
    "shard too long": (lambda f: write(SHARD, (f / SHARD).read_bytes() + b"more")(f), f"{SHARD} is too long"),
    "huge header": (write(SHARD, header(b"{}", 2**40)), "header of 1,099,511,627,776 bytes, at most 100,000,000"),
    "torn header": (write(SHARD, header(b'{"a": ')), "header is no JSON"),
    "broken header": (write(SHARD, header(b"\xff\xfe")), "header is no JSON"),
    "header of a list": (write(SHARD, header(b"[]")), "no table of tensors"),
    "header of nonsense": (write(SHARD, header(b'{"a": {"data_offsets": [4, "x"]}}')), "no table of tensors"),
    "NaN in a shard": (nan_in_shard, "not finite"),
    "config in broken UTF-8": (write("config.json", b'{"model_type": "ll\xff'), "config.json is no JSON.*utf-8"),
    "config cut off": (cut("config.json", 40), "config.json is no JSON"),
    "config of a list": (write("config.json", b"[]"), "config.json holds a list"),
    "config too deep": (write("config.json", b"[" * 100_000), "config.json is no JSON"),
    "tokenizer cut off": (cut("tokenizer.json", 900), "tokenizer.json is no JSON"),
    "tokenizer of nonsense": (write("tokenizer.json", b'{"added_tokens": []}'), "cannot load.*its tokenizer"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "cannot load.*its tokenizer"),
    "generation config cut off": (cut("generation_config.json", 9), "generation_config.json is no JSON"),
    "no type": (config(model_type=None), "model_type None"),
    "a type of numbers": (config(model_type=3), "model_type 3"),
    "a type that is no decoder": (config(model_type="t5"), "no causal language model"),
    "an unknown type": (config(model_type="mine"), "model_type 'mine'.*upgrade"),
    "a width of words": (config(hidden_size="wide"), "cannot load this checkpoint"),
    "a wrong width": (config(intermediate_size=63), "cannot load this checkpoint"),
    "fewer blocks than files": (config(num_hidden_layers=1), "no place for.*layers.1"),
    "more blocks than files": (config(num_hidden_layers=3), "are missing.*layers.2"),
    "quantised": (config(quantization_config={"quant_method": "gptq", "bits": 4}), "has quantization_config"),
    "other weights": (config(transformers_weights="../x.safetensors"), "has transformers_weights"),
    "an adapter beside it": (write("adapter_config.json", b'{"base_model_name_or_path": "x"}'), "and an adapter"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_broken_or_hostile_is_bad_input_that_names_it(shards: Path, name: str) -> None:
    spoil, message = HOSTILE[name]
    spoil(shards)
    with pytest.raises(BadInput, match=f"(?s){message}") as caught:
        load_folder(shards)
    assert str(shards) in str(caught.value) and "\n  -> " in str(caught.value)
    assert not (shards / "ran").exists()


def test_most_of_it_is_found_without_reading_a_tensor(shards: Path) -> None:
    """A cut shard of 15 GB is told of in the first second."""
    size = (shards / SHARD).stat().st_size
    cut(SHARD, -1)(shards)
    with pytest.raises(BadInput, match=rf"{size - 1:,} bytes, its header tells of {size:,}"):
        check_folder(shards)


def test_a_safetensors_file_is_as_long_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(header(TENSOR % 8) + b"12345678")
    assert check_safetensors(tmp_path / "x") == {"a"}
    (tmp_path / "y").write_bytes(header(TENSOR % 8) + b"1234567")
    with pytest.raises(BadInput, match="cut off: 76 bytes, its header tells of 77"):
        check_safetensors(tmp_path / "y")


def code(folder: Path, config: str, **auto_map: str) -> None:
    """A module that leaves a mark if it is ever run, named in `config` as the checkpoint's own code."""
    mark = f"import pathlib\npathlib.Path({str(folder / 'ran')!r}).mkdir()\n"
    (folder / "own.py").write_text(mark + "class C: pass\nclass M: pass\nclass T: pass\n")
    edit_json(folder / config, auto_map=auto_map)


CODE = {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}


def test_code_of_a_checkpoint_of_a_known_type_never_runs_and_is_not_needed(saved: Path, copy: Path) -> None:
    code(copy, "config.json", **CODE)
    code(copy, "tokenizer_config.json", AutoTokenizer="own.T")
    (copy / "custom_generate").mkdir()
    shutil.copy(copy / "own.py", copy / "custom_generate" / "generate.py")
    loaded = load_folder(copy, self_test=True)
    assert type(loaded.model).__module__.startswith("transformers.")
    assert torch.equal(loaded.model.lm_head.weight, load_folder(saved).model.lm_head.weight)
    assert not (copy / "ran").exists()


def test_code_of_a_checkpoint_of_an_unknown_type_never_runs(copy: Path) -> None:
    code(copy, "config.json", **CODE)
    edit_json(copy / "config.json", model_type="mine")
    with pytest.raises(BadInput, match="(?s)the model is defined by code in the checkpoint: it never runs"):
        load_folder(copy)
    assert not (copy / "ran").exists()


def test_code_of_a_tokenizer_never_runs(copy: Path) -> None:
    code(copy, "tokenizer_config.json", AutoTokenizer="own.T")
    (copy / "tokenizer.json").unlink()
    with pytest.raises(BadInput, match="(?s)the tokenizer is defined by code in the checkpoint: it never runs"):
        load_folder(copy)
    assert not (copy / "ran").exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "_attn_implementation_internal"])
def test_a_kernel_named_in_a_config_is_not_fetched(copy: Path, key: str) -> None:
    edit_json(copy / "config.json", **{key: "someone/kernel"})
    assert load_folder(copy).model.config._attn_implementation == "sdpa"


def test_a_model_that_fails_its_self_test_is_refused_by_name(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_folder(copy, self_test=True).model.training is False
    monkeypatch.setitem(TOLERANCE, torch.float32, -1.0)
    with pytest.raises(BadInput, match=r"fails its self-test.*hook: 2 of 2.*padding: logits differ"):
        load_folder(copy, self_test=True)


def test_saving_gives_back_the_folder(saved: Path, tmp_path: Path) -> None:
    save_folder(load_folder(saved), tmp_path / "again")
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (saved / WEIGHTS).read_bytes()


def test_tiny_is_a_function_of_its_seed() -> None:
    first, again, other = (tiny("qwen2", 50, seed=seed).lm_head.weight for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert Loaded(tiny("qwen2", 50), byte_tokenizer()).tokenizer is byte_tokenizer()


@pytest.mark.parametrize("come", ["loop", "dangling", "folder"])
@pytest.mark.parametrize("name", ["tokenizer_config.json", "generation_config.json", "chat_template.jinja"])
def test_what_would_be_left_out_without_a_word_is_refused(saved: Path, tmp_path: Path, name: str, come: str) -> None:
    """transformers takes a file that cannot be opened for one that is not there."""
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir() if come == "folder" else (folder / name).symlink_to(name if come == "loop" else "nowhere")
    with pytest.raises(BadInput) as caught:
        load_folder(folder)
    assert name in caught.value.where
