"""Where a number comes from, and what can be deleted without losing where any other came from."""

from pathlib import Path

import pytest
from store_cases import RECIPE, flip, make_table, never, slow, tree, wait_for_making

from probe.errors import BadInput, ProbeError
from probe.store import Artifact, Recipe, Store, write_atomic


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def chain(store: Store) -> list[Artifact]:
    """model -> rollouts -> table, and a figure made of both."""
    model = store.build(Recipe("model", 1, {}, ("hub:Qwen/Qwen2.5-Math-7B@0123",)), make_table)
    rollouts = store.build(Recipe("rollouts", 1, {}, (model.digest,)), make_table)
    table = store.build(Recipe("table", 1, {"t": 1}, (model.digest, rollouts.digest)), make_table)
    return [model, rollouts, table]


def test_why_goes_down_to_pinned_inputs(store: Store) -> None:
    model, rollouts, table = chain(store)
    why = store.why(table.digest[:10])
    assert (why.name, why.kind, why.stage) == (table.digest, "artifact", "table")
    assert [node.name for node in why.inputs] == [model.digest, rollouts.digest]
    assert why.inputs[1].inputs[0] is why.inputs[0]  # one object: a deep diamond stays small
    (pin,) = why.inputs[0].inputs
    assert (pin.name, pin.kind, pin.spec) == ("hub:Qwen/Qwen2.5-Math-7B@0123", "pinned", None)
    assert why.spec is not None and why.spec["params"] == {"t": 1}


def test_why_of_a_deep_diamond_is_linear(store: Store) -> None:
    last = store.build(Recipe("s", 1, {"i": 0}), make_table)
    for i in range(1, 40):
        last = store.build(Recipe("s", 1, {"i": i}, (last.digest, last.digest)), make_table)
    node, depth = store.why(last.digest), 1
    while node.inputs:
        node, depth = node.inputs[1], depth + 1
    assert depth == 40


def test_gc_lists_first_and_deletes_what_nobody_needs(store: Store) -> None:
    model, rollouts, _table = chain(store)
    lone = store.build(RECIPE, make_table)
    flip(lone.path / "data.parquet")
    lone = store.build(RECIPE, make_table)
    with pytest.raises(RuntimeError):
        store.build(Recipe("halfway", 1), leave_half)
    (store.root / "notes").mkdir()
    (store.root / "notes" / "mine.txt").write_text("not the store's")

    listed = store.gc({rollouts.digest})
    assert [(each.path.parent.name, each.why) for each in listed] == [
        ("numbers", "unneeded"),
        ("table", "unneeded"),
        ("partial", "unfinished"),
        ("damaged", "damaged"),
    ]
    assert all(each.path.exists() and each.bytes > 0 for each in listed)
    assert store.gc({rollouts.digest}, delete=True) == listed
    assert not any(each.path.exists() for each in listed) and store.gc({rollouts.digest}) == []
    assert [each.stage for each in store.artifacts()] == ["model", "rollouts"]
    assert (store.root / "notes" / "mine.txt").exists()
    assert store.build(Recipe("model", 1, {}, model.inputs), never) == model


def leave_half(work: Path) -> None:
    write_atomic(work / "half", b"1")
    raise RuntimeError("stop here")


def test_gc_leaves_what_is_being_written(tmp_path: Path) -> None:
    process = slow(tmp_path, gate=True)
    wait_for_making(process)
    assert [each.why for each in Store(tmp_path).gc(set())] == ["unfinished"]
    assert Store(tmp_path).gc(set(), delete=True) == []
    assert len(list((tmp_path / "partial").iterdir())) == 1
    assert process.communicate(timeout=30)[0] == "done\n"
    assert len(tree(tmp_path / "slow")) == 20


def test_gc_refuses_links_and_short_digests(store: Store, tmp_path: Path) -> None:
    artifact = store.build(RECIPE, make_table)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    with pytest.raises(BadInput, match="cannot keep"):
        store.gc({artifact.digest[:16]}, delete=True)
    (store.root / "partial" / f"x-{'0' * 16}").symlink_to(precious)
    with pytest.raises(ProbeError, match="symbolic link"):
        store.gc(set(), delete=True)
    assert artifact.path.exists() and (precious / "file").exists()


def test_gc_of_a_store_that_is_not_there(store: Store) -> None:
    assert store.gc(set(), delete=True) == [] and store.artifacts() == [] and not store.root.exists()
