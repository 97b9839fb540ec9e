"""The store: one identity, one artifact, made once and read back."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from store_cases import RECIPE, TABLE, make_table, never, tree

from probe.errors import BadInput, ProbeError
from probe.store import Recipe, Store, file_digest, write_atomic, write_table
from probe.store.recipe import canonical

GOLDEN = "7ee3980a871a754a9687e7991cb162fbf08a46aad86e8c7ef93c3c166d2628b0"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_digest_golden() -> None:
    """Changing this orphans every artifact ever stored."""
    assert canonical({"b": [1, 1.0, None, True], "a": "é"}) == '{"a":"\\u00e9","b":[1,1.0,null,true]}'
    assert RECIPE.digest == GOLDEN


def test_identity_is_content_not_order_or_later_changes() -> None:
    params = {"b": (1, 2), "a": {"y": 1.5, "x": None}}
    recipe = Recipe("s", 1, params, ("a" * 64,))
    assert recipe.digest == Recipe("s", 1, {"a": {"x": None, "y": 1.5}, "b": [1, 2]}, ("a" * 64,)).digest
    params["b"] = (3,)
    assert recipe.params["b"] == [1, 2] and hash(recipe) == hash(Recipe("s", 1, recipe.params, ("a" * 64,)))


def test_every_part_of_the_identity_counts() -> None:
    variants = [
        RECIPE,
        Recipe("numbers2", 1, {"n": 3, "seed": 0}),
        Recipe("numbers", 2, {"n": 3, "seed": 0}),
        Recipe("numbers", 1, {"n": 3, "seed": 1}),
        Recipe("numbers", 1, {"n": 3.0, "seed": 0}),
        Recipe("numbers", 1, {"n": "3", "seed": 0}),
        Recipe("numbers", 1, {"n": 3, "seed": False}),
        Recipe("numbers", 1, {"n": 3, "seed": 0}, ("hub:a@b", "hub:c@d")),
        Recipe("numbers", 1, {"n": 3, "seed": 0}, ("hub:c@d", "hub:a@b")),
    ]
    assert len({recipe.digest for recipe in variants}) == len(variants)


@pytest.mark.parametrize(
    "value",
    [np.int64(1), np.float64(1.0), np.str_("a"), np.bool_(True), np.zeros(2), float("nan"), float("inf"), {1, 2}, b"x"],
)
def test_params_that_json_would_change_are_named(value: object) -> None:
    with pytest.raises(BadInput) as caught:
        Recipe("s", 1, {"a": [{"b": value}]})
    assert "params.a[0].b" in str(caught.value)


def test_keys_stages_versions_and_inputs_are_checked() -> None:
    with pytest.raises(BadInput, match="key 1 is a int"):
        Recipe("s", 1, {"a": {1: 2}})
    for stage in ("", "a/b", "..", "Upper", "partial", "damaged", "locks", "published", ".x"):
        with pytest.raises(BadInput, match="cannot name a stage"):
            Recipe(stage, 1)
    for version in (True, 1.0, "1", np.int64(1)):
        with pytest.raises(BadInput, match="version"):
            Recipe("s", version)  # type: ignore[arg-type]
    for inputs in ("abc", (1,), ("",)):
        with pytest.raises(BadInput, match="inputs"):
            Recipe("s", 1, {}, inputs)  # type: ignore[arg-type]


# building and reading


def test_build_makes_once_and_reads_back(store: Store) -> None:
    made = store.build(RECIPE, make_table, device="cuda", dtype="bfloat16")
    again = store.build(RECIPE, never)
    assert made == again == store.find(RECIPE.digest[:6]) == store.find(RECIPE.digest, "numbers")
    assert again.read_table().equals(TABLE) and again.params == {"n": 3, "seed": 0}
    assert again.path == store.root / "numbers" / RECIPE.digest[:16]
    assert not list((store.root / "partial").iterdir()) and not list((store.root / "locks").iterdir())


def test_spec_holds_the_circumstances_outside_the_identity(store: Store) -> None:
    spec = json.loads((store.build(RECIPE, make_table, device="cuda").path / "spec.json").read_text())
    assert {"commit", "dirty", "versions", "created", "seconds", "device", "dtype", "resumed"} <= set(spec)
    assert spec["device"] == "cuda" and spec["versions"]["python"] and "torch" in spec["versions"]
    assert spec["files"]["data.parquet"]["sha256"] == file_digest(store.find(RECIPE.digest).file("data.parquet"))


def test_tensors_and_nested_files(store: Store) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    def make(work: Path) -> None:
        save_file({"w": torch.arange(3.0)}, work / "tensors.safetensors")
        write_atomic(work / "deep" / "er.json", b"{}")

    artifact = store.build(RECIPE, make)
    assert torch.equal(load_file(artifact.file("tensors.safetensors"))["w"], torch.arange(3.0))
    assert artifact.file("deep/er.json").read_bytes() == b"{}"
    with pytest.raises(BadInput, match="holds no file 'tensor.safetensors'") as caught:
        artifact.file("tensor.safetensors")
    assert "did you mean 'tensors.safetensors'" in caught.value.do
    with pytest.raises(BadInput, match="holds no file"):
        artifact.file("../../escape")


def test_scratch_and_leftovers_are_not_kept(store: Store) -> None:
    def make(work: Path) -> None:
        write_atomic(work / "scratch" / "state", b"resume")
        (work / ".data.parquet.99.99.tmp").write_bytes(b"left by a killed write")
        make_table(work)

    artifact = store.build(RECIPE, make)
    assert sorted(path.name for path in artifact.path.iterdir()) == ["data.parquet", "spec.json"]


def test_make_that_writes_nothing_or_a_link_is_an_error(store: Store) -> None:
    with pytest.raises(ProbeError, match="wrote no file"):
        store.build(RECIPE, lambda work: None)
    with pytest.raises(ProbeError, match="symbolic link"):
        store.build(RECIPE, lambda work: (work / "link").symlink_to("/etc/hostname"))
    assert store.artifacts() == []


def test_make_that_fails_is_resumed(store: Store) -> None:
    def fails(work: Path) -> None:
        write_atomic(work / "first", b"1")
        raise RuntimeError("half way")

    def goes_on(work: Path) -> None:
        assert (work / "first").read_bytes() == b"1"
        write_atomic(work / "second", b"2")

    with pytest.raises(RuntimeError, match="half way"):
        store.build(RECIPE, fails)
    artifact = store.build(RECIPE, goes_on)
    assert tree(artifact.path) == {"first": b"1", "second": b"2"} and artifact.spec["resumed"] is True


def test_root_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_STORE", str(tmp_path / "elsewhere"))
    assert Store().root == (tmp_path / "elsewhere").resolve() and not Store().root.exists()
    monkeypatch.delenv("PROBE_STORE")
    monkeypatch.chdir(tmp_path)
    assert Store().root == (tmp_path / ".probe").resolve()
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="is a file"):
        Store(tmp_path / "file")
    with pytest.raises(BadInput, match="would lie in"):
        Store(tmp_path / "file" / "deeper" / "x")


def test_find_names_what_is_wrong(store: Store) -> None:
    for name in ("numbers", "words"):
        store.build(Recipe(name, 1), make_table)
    with pytest.raises(BadInput, match="holds no artifact ffff"):
        store.find("ffff0123")
    for bad in ("", "xyz", "../.."):
        with pytest.raises(BadInput, match="not a digest"):
            store.find(bad)
    digits = {each.digest[0] for each in store.artifacts()}
    if len(digits) == 1:
        with pytest.raises(BadInput, match="2 artifacts start with"):
            store.find(digits.pop())
    assert [each.stage for each in store.artifacts()] == ["numbers", "words"]
    assert [each.stage for each in store.artifacts("words")] == ["words"]


def test_an_ambiguous_prefix_lists_the_candidates(store: Store) -> None:
    recipes = [Recipe("s", 1, {"i": i}) for i in range(17)]  # 17 digests share 16 first digits
    for recipe in recipes:
        store.build(recipe, make_table)
    firsts = [recipe.digest[0] for recipe in recipes]
    twice = next(digit for digit in firsts if firsts.count(digit) > 1)
    with pytest.raises(BadInput, match=f"artifacts start with {twice}") as caught:
        store.find(twice)
    assert caught.value.do.count("s/") == firsts.count(twice)


def test_importing_loads_no_torch() -> None:
    program = "import sys, probe.store; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_tables_are_the_same_bytes_twice(tmp_path: Path) -> None:
    write_table(tmp_path / "a=1" / "x.parquet", TABLE)
    write_table(tmp_path / "b.parquet", TABLE)
    assert file_digest(tmp_path / "a=1" / "x.parquet") == file_digest(tmp_path / "b.parquet")


def test_a_store_that_cannot_be_made_is_refused_before_its_first_job() -> None:
    with pytest.raises(BadInput, match=r"/proc/nothing/x cannot be made"):
        Store("/proc/nothing/x").prepare()
