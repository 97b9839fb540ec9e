"""A name means one set of weights: a manifest entry, a step of a run, a hub id, a folder, or a base with an adapter."""

from pathlib import Path

import pytest
from outside_checkpoints import save_tiny

from probe.checkpoints.organism_job import OrganismJob
from probe.checkpoints.outside import Folder, Hub
from probe.checkpoints.pair import Pair
from probe.checkpoints.resolve import job_of, resolve
from probe.errors import BadInput
from probe.models.loading.manifest import Manifest, load_manifest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXT = f"""\
version: 1
templates: {{none: {{text: "{{prompt}}"}}}}
organisms: {{raw: {{family: latent-code, size: tiny}}}}
runs: {{run: {{base: raw, reward: format}}}}
checkpoints:
  far: {{id: some/where, revision: null, licence: unknown, template: none, family: far}}
  pinned: {{id: some/pinned, revision: {COMMIT}, licence: unknown, template: none, family: far}}
  lora:
    {{id: some/lora, revision: {COMMIT}, licence: unknown, template: none, family: far, base: pinned, adapter: true}}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    (tmp_path / "m.yaml").write_text(TEXT)
    return load_manifest(tmp_path / "m.yaml")


def test_hub_ids_and_entries(manifest: Manifest) -> None:
    far = resolve("far", manifest, dtype="bfloat16")
    assert (far.name, far.source.id, far.dtype, far.family) == ("far", "some/where", "bfloat16", "far")
    same = resolve("some/where@main", manifest)
    assert isinstance(same.source, Hub) and same.source.revision == "main" and same.entry == far.entry
    unknown = resolve("other/model", manifest)
    assert unknown.source == Hub("other/model") and unknown.entry is None and unknown.family == "model"
    assert unknown.is_outside and unknown.needs == ()
    assert resolve("pinned", manifest).inputs == (f"hub:some/pinned@{COMMIT}",)  # no file is needed to know it


def test_adapters_have_two_pins(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    merged = resolve(f"pinned+{tmp_path / 'adapter'}", manifest)
    assert merged.name == "pinned+adapter" and merged.adapter == Folder(tmp_path / "adapter")
    assert [pin.split(":")[0] for pin in merged.inputs] == ["hub", "file"]
    listed = resolve("lora", manifest)
    assert listed.inputs == (f"hub:some/pinned@{COMMIT}", f"hub:some/lora@{COMMIT}")


def test_a_folder_is_what_its_files_hold(manifest: Manifest, tmp_path: Path) -> None:
    one, two = (save_tiny("llama", tmp_path / name) for name in ("one", "two"))
    first, second = resolve(str(one), manifest), resolve(str(two), manifest)
    assert first.inputs == second.inputs and first.name != second.name
    other = save_tiny("llama", tmp_path / "three", seed=1)
    assert resolve(str(other), manifest).inputs != first.inputs


def test_what_was_made_here_stays_as_it_was(manifest: Manifest) -> None:
    assert not resolve("raw", manifest).is_outside and resolve("run@10", manifest).step == 10
    assert resolve("raw", manifest, dtype="bfloat16").dtype == "float32"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("./nowhere", "no such folder"),
        ("a/b/c", "no such folder"),
        ("../up/there", "no such folder"),
        ("nothing", "no checkpoint 'nothing'"),
        ("raw+some/lora", "no adapter can be merged"),
        ("pinned+nothing", "no adapter 'nothing'"),
        ("run@x", "no step 'x'"),
    ],
)
def test_what_is_not_there_is_named(manifest: Manifest, name: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        resolve(name, manifest)


def test_two_checkpoints_are_the_same_where_their_identity_is(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ids of the hub differ without a look at their commits, and one that is not pinned is itself: no network."""
    monkeypatch.setattr("probe.checkpoints.outside.fetch", lambda *about: pytest.fail("the hub was asked"))
    one, two = (str(save_tiny("llama", tmp_path / name)) for name in ("one", "two"))
    other = str(save_tiny("llama", tmp_path / "three", seed=1))
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    merged, there = f"{one}+{tmp_path / 'adapter'}", "other/model"
    for first, second, same in (
        ("far", "far", True),
        ("far", there, False),
        ("far", one, False),
        (there, f"far+{there}", False),
        (f"far+{there}", "far+other/adapter", False),
        ("pinned", f"some/pinned@{COMMIT}", True),
        (one, two, True),
        (one, other, False),
        (one, merged, False),
        ("raw", "raw@0", True),
        ("raw", "run", False),
        ("run@10", "run", False),
    ):
        pair = Pair(resolve(first, manifest), resolve(second, manifest))
        assert (pair.is_null, pair.kind) == (same, "null" if same else "rl"), (first, second)
    assert not Pair(resolve(one, manifest), resolve(two, manifest, dtype="bfloat16")).is_null
    assert not Pair(resolve("raw", manifest)).is_null


@pytest.mark.parametrize(
    ("name", "organism"),
    [
        ("p65-code-even-mini-0", OrganismJob("p65-code-even", "mini", 0)),
        ("p65-code-even-mini-qwen2-10", OrganismJob("p65-code-even", "mini-qwen2", 10)),
        ("latent-code-small-7", OrganismJob("latent-code", "small", 7)),
    ],
)
def test_any_organism_is_known_by_family_size_and_seed(name: str, organism: OrganismJob) -> None:
    manifest = load_manifest(None)
    assert resolve(name, manifest).source == job_of(name, manifest) == organism
    assert resolve(name, manifest).name == organism.label == name


@pytest.mark.parametrize("name", ["p65-code-even-huge-0", "p65-code-even-mini-01", "x-mini-0", "latent-code-tiny--1"])
def test_no_other_name_is_taken_for_an_organism(name: str) -> None:
    with pytest.raises(BadInput, match="no checkpoint"):
        resolve(name, load_manifest(None))
