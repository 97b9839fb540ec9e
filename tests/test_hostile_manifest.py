"""A manifest from a stranger: nothing it can say crashes, hangs, or is read as something that it does not say."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps import steps

from probe.errors import BadInput
from probe.models.loading.manifest import load_manifest
from probe.models.loading.strict_yaml import MAX_DEPTH, MAX_DIGITS, read_yaml

HEAD = 'version: 1\ntemplates: {none: {text: "{prompt}"}}\n'
FIRST = "organisms:\n  o: {family: latent-code, size: tiny}\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    return path


def value_of(tmp_path: Path, text: str) -> object:
    return read_yaml(written(tmp_path, f"a: {text}\n")).data["a"]


def chain(n: int) -> str:
    runs = [f"  r{i}: {{base: {f'r{i - 1}' if i else 'o'}, reward: format}}" for i in range(n)]
    return HEAD + FIRST + "runs:\n" + "\n".join(reversed(runs)) + "\n"


def wrong(n: int) -> str:
    return HEAD + "organisms:\n" + "".join(f"  o{i}: {{family: latent-code, size: huge}}\n" for i in range(n))


def wide(n: int) -> str:
    return HEAD + "organisms:\n" + "".join(f"  o{i}: {{family: latent-code, size: tiny}}\n" for i in range(n))


def load_quietly(path: Path) -> None:
    try:
        load_manifest(path)
    except BadInput:
        return


@pytest.mark.parametrize("shape", [chain, wrong, wide])
def test_work_grows_with_the_file_and_no_faster(tmp_path: Path, shape) -> None:
    (tmp_path / "few.yaml").write_text(shape(100))
    (tmp_path / "many.yaml").write_text(shape(400))
    load_quietly(tmp_path / "few.yaml")  # what is imported and discovered once
    few, many = (steps(load_quietly, tmp_path / f"{name}.yaml") for name in ("few", "many"))
    assert many < 4.4 * few


def test_a_long_chain_and_a_wide_manifest_are_read(tmp_path: Path) -> None:
    deep = load_manifest(written(tmp_path, chain(3000)))
    assert deep.lineage("r2999") == ["o", *(f"r{i}" for i in range(3000))]
    assert len(load_manifest(written(tmp_path, wide(14_000))).names()) == 14_000


def test_a_long_cycle_is_told_shortly(tmp_path: Path) -> None:
    text = chain(500).replace("base: o,", "base: r499,")
    with pytest.raises(BadInput, match="a cycle of bases") as caught:
        load_manifest(written(tmp_path, text))
    assert len(caught.value.what) < 200


@pytest.mark.parametrize("version", ["true", "1.0", "yes", '"1"', "1e0"])
def test_a_version_is_a_number(tmp_path: Path, version: str) -> None:
    with pytest.raises(BadInput, match="version is"):
        load_manifest(written(tmp_path, HEAD.replace("version: 1", f"version: {version}")))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("3e-3", 0.003),
        ("1.5", 1.5),
        (".5", 0.5),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ('"12"', "12"),
        ("0x1F", "0x1F"),
        ("0777", "0777"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        (":".join(["59"] * 5000), ":".join(["59"] * 5000)),
        ("2024-13-45", "2024-13-45"),
        ("9" * MAX_DIGITS, 10**MAX_DIGITS - 1),
    ],
)
def test_a_word_is_what_it_looks_like(tmp_path: Path, text: str, value: object) -> None:
    found = value_of(tmp_path, text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("!!bool abc", "a tag"),
        ("!!int 1:2", "a tag"),
        ("!!timestamp x", "a tag"),
        ("!!binary '####'", "a tag"),
        ("! x", "a tag"),
        ("!!python/name:os.system ''", "a tag"),
        ("9" * 100_000, "a number of 100000 digits"),
        ('"\\ud800"', "surrogate|malformed"),
        ('"\\U00110000"', "malformed"),
        ("{<<: {b: 1}, b: 2}", "a merge"),
        ("{<<: [{b: 1}]}", "a merge"),
        ("{b: 1, b: 2}", "the key 'b' is given twice"),
        ("{1: 1, true: 2}", "the key 'true' is given twice"),
        ("{[b]: 1}", "a key must be one word"),
        ("{{b: 1}: 1}", "a key must be one word"),
        ("[" * (MAX_DEPTH + 2), "nested too deeply"),
        ("{b: " * (MAX_DEPTH + 2), "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ("- " * 10_000, "malformed"),
    ],
)
def test_what_means_more_than_it_says_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        value_of(tmp_path, text)
    assert ":1" in caught.value.where and len(caught.value.what) < 300


def test_a_pipe_and_a_device_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    for name, said in (("pipe", "this is a pipe"), ("zero", "this is a device")):
        with pytest.raises(BadInput, match=said):
            load_manifest(tmp_path / f"{name}.yaml")


PIECES = ("{", "}", "[", "]", ": ", "- ", "\n", "  ", "&a ", "*a", "!!int ", "!", "<<: ", "|\n", ">\n", "? ", "---\n")
PIECES += ("'", '"', "\\", "#", ",", "\t", "\x00", "\x85", "\ufeff", "\\ud800", "%YAML 1.1\n", "9" * 30, "1:2", ".nan")
WHOLE = (HEAD + FIRST + "runs:\n  r: {base: o, reward: format, params: {gamma: 0.5}}\n").encode()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 6), st.sampled_from(PIECES)), max_size=5))
def test_any_damage_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, edits) -> None:
    data = WHOLE
    for at, gone, piece in edits:
        data = data[:at] + piece.encode("utf-8", "surrogatepass") + data[at + gone :]
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(data)
    try:
        manifest = load_manifest(path)
    except BadInput as err:
        assert err.what and err.where and err.do
    else:
        assert manifest.version == 1


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(data)
    try:
        assert read_yaml(path).path == path
    except BadInput as err:
        assert err.what and err.where
