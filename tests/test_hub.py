"""A checkpoint in the hub's cache is found without a network, by its commit; one that is not there is told of.

The cache is made here in the hub's layout on disk: models--org--name/{blobs, refs, snapshots/<commit>}.
"""

import json
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub._tree_cache import TREE_CACHE_FORMAT_VERSION
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RevisionNotFoundError
from outside_checkpoints import save_tiny

from probe.errors import BadInput
from probe.models.loading.hub import FETCHED, LEFT, fetch
from probe.models.loading.load import load_folder

COMMIT, OLDER = "a" * 39 + "1", "b" * 39 + "2"


def put(cache: Path, files: Path, commit: str, hub_id: str = "org/Tiny-1.5", refs: tuple[str, ...] = ()) -> Path:
    """Links by commit into blobs named by content, as the hub's client lays them; branches and tags are small files."""
    home = cache / f"models--{hub_id.replace('/', '--')}"
    snapshot = home / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (home / "blobs").mkdir(exist_ok=True)
    for file in sorted(files.iterdir()):
        blob = home / "blobs" / f"{commit[:4]}{file.name.encode().hex()}"
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("..") / ".." / "blobs" / blob.name)
    for ref in refs:
        (home / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (home / "refs" / ref).write_text(commit)
    return snapshot


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hub")
    put(made / "hub", save_tiny("qwen2", made / "new", shards=3), COMMIT, refs=("main", "refs/pr/3", "v1.0"))
    put(made / "hub", save_tiny("qwen2", made / "old", seed=1), OLDER, refs=("step-100",))
    return made / "hub"


@pytest.mark.parametrize(
    ("revision", "commit"),
    [(None, COMMIT), ("main", COMMIT), ("v1.0", COMMIT), ("refs/pr/3", COMMIT), ("step-100", OLDER), (OLDER, OLDER)],
)
def test_a_revision_is_its_commit(cache: Path, revision: str | None, commit: str) -> None:
    found = fetch("org/Tiny-1.5", revision, offline=True, cache=cache)
    assert found.commit == commit == found.folder.name
    assert found.folder == cache / "models--org--Tiny-1.5" / "snapshots" / commit


def test_what_is_found_loads(cache: Path) -> None:
    new, old = (load_folder(fetch("org/Tiny-1.5", at, offline=True, cache=cache).folder) for at in (COMMIT, OLDER))
    assert new.model.lm_head.weight.shape == old.model.lm_head.weight.shape
    assert not torch.equal(new.model.lm_head.weight, old.model.lm_head.weight)


def test_the_environment_says_where_and_whether_offline(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch("org/Tiny-1.5").commit == COMMIT
    with pytest.raises(BadInput, match="(?s)offline, and it is not whole in the cache"):
        fetch("org/absent")


@pytest.mark.parametrize(
    ("hub_id", "revision"), [("org/absent", "main"), ("org/Tiny-1.5", "v2"), ("org/Tiny-1.5", "c" * 40)]
)
def test_what_is_not_there_is_told_with_what_to_type(cache: Path, hub_id: str, revision: str) -> None:
    with pytest.raises(BadInput) as caught:
        fetch(hub_id, revision, offline=True, cache=cache)
    for part in (hub_id, revision, str(cache), "offline", f"`hf download {hub_id} --revision {revision}`"):
        assert part in str(caught.value)


def test_an_unfinished_download_is_told(cache: Path, tmp_path: Path) -> None:
    """The client keeps a list of a commit's files: those that are missing are named."""
    snapshot = put(tmp_path, cache / "models--org--Tiny-1.5" / "snapshots" / OLDER, OLDER, refs=("main",))
    entry = {"size": 1, "blob_id": "0", "lfs_sha256": None, "lfs_size": None, "xet_hash": None}
    names = [*(file.name for file in snapshot.iterdir()), "merges.txt", "own.py", "onnx/model.safetensors"]
    trees = snapshot.parents[1] / "trees"
    trees.mkdir()
    listing = {"format_version": TREE_CACHE_FORMAT_VERSION, "files": dict.fromkeys(names, entry)}
    (trees / f"{OLDER}.json").write_text(json.dumps(listing))
    with pytest.raises(BadInput) as caught:
        fetch("org/Tiny-1.5", offline=True, cache=tmp_path)
    assert "1 file(s) are missing (merges.txt)" in str(caught.value)
    assert "own.py" not in str(caught.value) and "onnx" not in str(caught.value)


@pytest.mark.parametrize(
    ("hub_id", "revision"),
    [
        *((name, "main") for name in ("../x", "org", "a/b/c", "org/..", "/etc/x", "-org/x", "org/x\n")),
        *(("org/x", revision) for revision in ("../../main", "a b", "/root", "refs/../../x", "..")),
    ],
)
def test_names_that_are_no_names_are_refused(tmp_path: Path, hub_id: str, revision: str) -> None:
    with pytest.raises(BadInput, match="no checkpoint of the hub can be called"):
        fetch(hub_id, revision, offline=True, cache=tmp_path)


class Answer:
    """What the hub would answer, for errors that carry it."""

    status_code, headers, text, request = 404, {}, "", None


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GatedRepoError("gated", response=Answer()), r"(?s)behind a form.*https://huggingface.co/org/x.*hf auth login"),
        (RevisionNotFoundError("no v9", response=Answer()), r"(?s)cannot fetch it: no v9.*check its name"),
        (LocalEntryNotFoundError("timed out"), r"(?s)the hub cannot be reached, and it is not whole in the cache"),
        (OSError("disk full"), "cannot fetch it: disk full"),
    ],
)
def test_what_the_hub_refuses_is_bad_input(monkeypatch: pytest.MonkeyPatch, error: Exception, message: str) -> None:
    """The client is replaced: no test asks the network. What it is asked for holds no code and no pickles."""
    asked: dict = {}

    def refuse(hub_id: str, **what: object) -> str:
        asked.update(what)
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(BadInput, match=message):
        fetch("org/x", "v9", offline=False)
    assert asked["local_files_only"] is False and asked["revision"] == "v9"
    assert (asked["allow_patterns"], asked["ignore_patterns"]) == (FETCHED, LEFT)


def test_what_is_fetched_is_data_of_the_top_folder() -> None:
    names = ["config.json", "model-00001-of-00002.safetensors", "tokenizer.model", "merges.txt", "chat_template.jinja"]
    others = ["own.py", "pytorch_model.bin", "x.pt", "original/x.safetensors", "consolidated.safetensors", "a.gguf"]
    kept = huggingface_hub.utils.filter_repo_objects([*names, *others], allow_patterns=FETCHED, ignore_patterns=LEFT)
    assert list(kept) == names
