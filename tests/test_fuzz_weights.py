"""Checkpoints and adapters with damaged bytes: a model that is whole, or BadInput; never another error, never a crash.

The damages are drawn (derandomised, so the same in every run): bytes are replaced, cut or repeated, keys and values of
JSON are changed, headers of safetensors are rewritten. Examples are few, since each loads a model; raise FUZZ for more.
"""

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outside_checkpoints import byte_tokenizer, save_tiny, tiny
from safetensors.torch import save_file

from probe.errors import BadInput
from probe.models.loading.adapter import ADAPTER_WEIGHTS, load_adapter
from probe.models.loading.integrity import CONFIG, INDEX, TOKENIZER, WEIGHTS, check_safetensors
from probe.models.loading.load import load_folder
from probe.models.loading.loaded import Loaded
from probe.models.loading.strict_json import parse, read_json

MORE = int(os.environ.get("FUZZ", "1"))
FEW = settings(max_examples=25 * MORE, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=300 * MORE, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1,
    3,
    2**31,
    2**63,
    10**30,
    0.5,
    -0.0,
    1e308,
    "",
    "x",
    "\x1b[2J",
    "../x",
    [],
    [1],
    {},
]
ODD += ["9" * 5000, {"a": {"b": []}}, ["model"], "float8", "float32", [0, 4], [0, 2**62]]
EDITS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 40), st.binary(max_size=12)), min_size=1, max_size=4
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("qwen2", tmp_path_factory.mktemp("whole") / "x", shards=2)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("llama", tmp_path_factory.mktemp("single") / "x")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(config | {"task_type": "CAUSAL_LM"}))
    tensors = {}
    for name, module in base().model.named_modules():
        if name.endswith("q_proj"):
            for part, shape in (("A", (2, module.in_features)), ("B", (module.out_features, 2))):
                tensors[f"base_model.model.{name}.lora_{part}.weight"] = torch.full(shape, 0.01)
    save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    return folder


def base() -> Loaded:
    return Loaded(tiny("qwen2", 333, eos=1), byte_tokenizer())


def damaged(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for share, gone, new in edits:
        at = int(share * len(data))
        data = data[:at] + new + data[at + gone :]
    return data


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = (
        content.items() if isinstance(content, dict) else enumerate(content[:3]) if isinstance(content, list) else ()
    )
    return [path, *(place for key, each in inside for place in places(each, (*path, key)))]


def with_value(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(content) if isinstance(content, dict) else list(content)
    copy[path[0]] = with_value(content[path[0]], path[1:], value)
    return copy


def copied(folder: Path, factory: pytest.TempPathFactory) -> Path:
    there = factory.getbasetemp() / f"copy-{folder.parent.name}"
    shutil.rmtree(there, ignore_errors=True)
    return Path(shutil.copytree(folder, there))


def is_sound(folder: Path, load: Any = load_folder) -> bool:
    """Whether it loads; where it does, every weight is finite and the model answers."""
    try:
        loaded = load(folder)
    except BadInput as err:
        assert err.what and err.where and err.do
        return False
    assert all(p.isfinite().all() and p.is_floating_point() for p in loaded.model.parameters())
    with torch.inference_mode():
        assert loaded.model(torch.tensor([[1, 2, 3]])).logits.ndim == 3
    return True


def merged(folder: Path) -> Loaded:
    return load_adapter(base(), folder)


def test_what_is_whole_loads(whole: Path, single: Path, adapter: Path) -> None:
    assert is_sound(whole) and is_sound(single) and is_sound(adapter, merged)


@FEW
@given(st.data())
def test_a_checkpoint_with_damaged_bytes(whole: Path, tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    folder = copied(whole, tmp_path_factory)
    names = sorted(file.name for file in folder.iterdir())
    file = folder / data.draw(st.sampled_from(names))
    file.write_bytes(damaged(file.read_bytes(), data.draw(EDITS)))
    assert is_sound(folder) in (True, False)


@FEW
@given(st.data())
def test_a_checkpoint_with_odd_values(single: Path, tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    folder = copied(single, tmp_path_factory)
    file = folder / data.draw(st.sampled_from([CONFIG, TOKENIZER, "tokenizer_config.json", "generation_config.json"]))
    content = json.loads(file.read_text())
    path = data.draw(st.sampled_from(places(content)))
    file.write_text(json.dumps(with_value(content, path, data.draw(st.sampled_from(ODD)))))
    assert is_sound(folder) in (True, False)


@FEW
@given(st.data())
def test_an_index_with_odd_values(whole: Path, tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    folder = copied(whole, tmp_path_factory)
    content = json.loads((folder / INDEX).read_text())
    path = data.draw(st.sampled_from(places(content)))
    (folder / INDEX).write_text(json.dumps(with_value(content, path, data.draw(st.sampled_from(ODD)))))
    assert is_sound(folder) in (True, False)


@MANY
@given(st.data())
def test_a_header_with_odd_values(single: Path, tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Only what the file says is looked at: hundreds of headers take a second."""
    whole_file = (single / WEIGHTS).read_bytes()
    (size,) = struct.unpack("<Q", whole_file[:8])
    header, rest = json.loads(whole_file[8 : 8 + size]), whole_file[8 + size :]
    path = data.draw(st.sampled_from(places(header)))
    text = json.dumps(with_value(header, path, data.draw(st.sampled_from(ODD)))).encode()
    file = tmp_path_factory.getbasetemp() / "header.safetensors"
    file.write_bytes(struct.pack("<Q", len(text)) + text + rest)
    try:
        assert check_safetensors(file)
    except BadInput as err:
        assert err.what and err.where


@MANY
@given(EDITS)
def test_a_weight_file_with_damaged_bytes(single: Path, tmp_path_factory: pytest.TempPathFactory, edits: Any) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.safetensors"
    file.write_bytes(damaged((single / WEIGHTS).read_bytes()[:6000], edits))
    try:
        assert check_safetensors(file)
    except BadInput as err:
        assert err.what and err.where


@FEW
@given(st.data())
def test_an_adapter_with_damaged_bytes_or_odd_values(
    adapter: Path, tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    folder = copied(adapter, tmp_path_factory)
    if data.draw(st.booleans()):
        file = folder / data.draw(st.sampled_from(sorted(file.name for file in folder.iterdir())))
        file.write_bytes(damaged(file.read_bytes(), data.draw(EDITS)))
    else:
        file = folder / "adapter_config.json"
        content = json.loads(file.read_text()) | {"rank_pattern": {}, "alpha_pattern": {}, "use_rslora": False}
        path = data.draw(st.sampled_from(places(content)))
        file.write_text(json.dumps(with_value(content, path, data.draw(st.sampled_from(ODD)))))
    assert is_sound(folder, merged) in (True, False)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.uint8, torch.bool, torch.complex64])
def test_weights_are_floating_point(single: Path, adapter: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    from safetensors.torch import load_file

    for folder, name, load in ((single, WEIGHTS, load_folder), (adapter, ADAPTER_WEIGHTS, merged)):
        there = Path(shutil.copytree(folder, tmp_path / name))
        tensors = load_file(there / name)
        first = sorted(tensors)[0]
        save_file(tensors | {first: tensors[first].to(dtype)}, there / name, metadata={"format": "pt"})
        with pytest.raises(BadInput, match="which is no type of weights"):
            load(there)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, TOKENIZER, "generation_config.json", "chat_template.jinja"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_never_ends_is_not_opened(single: Path, tmp_path: Path, name: str, kind: str) -> None:
    there = Path(shutil.copytree(single, tmp_path / "x"))
    (there / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(there / name)
    else:
        (there / name).symlink_to("/dev/zero")
    with pytest.raises(BadInput, match=f"this is a {kind}|no config.json here"):
        load_folder(there)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "a": 1}', "the key 'a' is given twice"),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "the key 'b' is given twice"),
        ('{"a": "\\ud800"}', "surrogates not allowed"),
        ('{"a": ' + "9" * 5000 + "}", "a number of 5000 digits"),
        ("[" * 100_000, "nested too deeply"),
        ("\ufeff{}", "BOM"),
    ],
)
def test_json_that_says_two_things_or_too_much(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=f"x.json is no JSON: .*{said}"):
        read_json(tmp_path / "x.json")


def test_json_as_checkpoints_have_it() -> None:
    text = b'{"model_max_length": 1000000000000000019884624838656, "smile": "\\ud83d\\ude00", "x": [1.5, null, true]}'
    assert parse(text) == {"model_max_length": 1000000000000000019884624838656, "smile": "\U0001f600",
                           "x": [1.5, None, True]}  # fmt: skip
