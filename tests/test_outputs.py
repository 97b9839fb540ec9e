"""A named output loses nothing: what stands there, what is read, links, devices, and what comes in between stay."""

import os
import stat
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from probe.errors import BadInput, ProbeError
from probe.store.outputs import named_output

Make = Callable[[Path], object]


def snapshot(folder: Path) -> dict[str, object]:
    """What every path below a folder is: its kind, its link, its bytes."""

    def one(path: Path) -> object:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            return ("link", os.readlink(path))
        return path.read_bytes() if stat.S_ISREG(mode) else stat.S_IFMT(mode)

    return {str(path.relative_to(folder)): one(path) for path in sorted(folder.rglob("*"))}


def old(path: Path) -> None:
    path.write_bytes(b"old")


def linked(path: Path) -> None:
    (path.parent / "in.txt").touch()
    os.link(path.parent / "in.txt", path)


NEVER: dict[str, Make] = {
    "device": lambda path: path.symlink_to("/dev/null"),
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "loop": lambda path: path.symlink_to(path.name),
    "the input, linked": lambda path: path.symlink_to("in.txt"),
    "the input, a hard link": linked,
    "a file in the input folder": lambda path: path.symlink_to("data/part.txt"),
    "a link into no folder": lambda path: path.symlink_to("absent/x"),
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "in.txt").write_bytes(b"in")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "part.txt").write_bytes(b"part")
    return tmp_path


@pytest.mark.parametrize(("what", "overwrite"), list(product(NEVER, (False, True))))
def test_what_is_never_replaced(what: str, overwrite: bool, here: Path) -> None:
    NEVER[what](here / "out")
    before = snapshot(here)
    with pytest.raises(BadInput) as caught:
        named_output(here / "out", inputs=[here / "in.txt", here / "data"], overwrite=overwrite)
    assert caught.value.where and caught.value.do
    assert snapshot(here) == before


@pytest.mark.parametrize("chain", [0, 1, 3])
def test_a_file_is_replaced_only_where_that_is_said_and_links_stay(chain: int, here: Path) -> None:
    old(here / "out0")
    for i in range(chain):
        (here / f"out{i + 1}").symlink_to(f"out{i}")
    (here / "out0").chmod(0o640)
    named, before = here / f"out{chain}", snapshot(here)
    with pytest.raises(BadInput, match="in the way"):
        named_output(named)
    assert snapshot(here) == before
    named_output(named, overwrite=True).write_bytes(b"new")
    assert snapshot(here) == before | {"out0": b"new"}
    assert stat.S_IMODE((here / "out0").stat().st_mode) == 0o640


def test_a_new_file_and_a_link_to_none_yet(here: Path) -> None:
    (here / "link").symlink_to("data/new")
    named_output(here / "link").write_bytes(b"1")
    named_output(here / "plain").write_bytes(b"2")
    assert (here / "link").is_symlink()
    assert ((here / "data" / "new").read_bytes(), (here / "plain").read_bytes()) == (b"1", b"2")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_failure_leaves_nothing_behind(overwrite: bool, error: type[BaseException], here: Path) -> None:
    if overwrite:
        old(here / "out")
    before = snapshot(here)

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise error

    with pytest.raises(error):
        named_output(here / "out", overwrite=overwrite).write(fail)
    assert snapshot(here) == before


@pytest.mark.parametrize("come", [old, os.mkfifo, Path.mkdir], ids=["file", "pipe", "folder"])
def test_what_comes_while_the_result_is_made_is_not_lost(come: Make, here: Path) -> None:
    out = named_output(here / "out")

    def make(path: Path) -> None:
        path.write_bytes(b"new")
        come(here / "out")

    with pytest.raises(BadInput, match="in the way"):
        out.write(make)
    assert "old" not in snapshot(here) and snapshot(here)["out"] != b"new"
    assert not list(here.glob(".*"))


def test_the_last_step_itself_replaces_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, link = named_output(here / "out"), os.link

    def late(source: Path, target: Path) -> None:
        old(here / "out")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(BadInput, match="in the way"):
        out.write_bytes(b"new")
    assert snapshot(here)["out"] == b"old" and not list(here.glob(".*"))


@pytest.mark.parametrize("name", ["absent/out", "x" * 300, "a\0b", "in.txt/out", "\udcff.parquet", ".", "..", "/"])
def test_names_that_cannot_be_written(name: str, here: Path) -> None:
    before = snapshot(here)
    with pytest.raises(BadInput) as caught:
        named_output(here / name)
    assert str(caught.value).encode("utf-8")
    assert snapshot(here) == before


def test_a_folder_that_cannot_be_written_to(here: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (here / "data").chmod(0o500)
    with pytest.raises(ProbeError, match="cannot be written"):
        named_output(here / "data" / "out")
