"""Only files that end are opened: pipes, sockets, devices, folders, loops of links and endless files are refused."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from probe.errors import BadInput
from probe.store.regular import read_regular, regular

Make = Callable[[Path], object]


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


SPECIAL: list[tuple[Make, str]] = [
    (os.mkfifo, "a pipe, no file"),
    (Path.mkdir, "a folder, no file"),
    (listening, "a socket, no file"),
    (lambda path: path.symlink_to("/dev/zero"), "a device, no file"),
    (lambda path: path.symlink_to(path), "cannot be looked at"),
    (lambda path: path.symlink_to(path.parent / "absent"), "no such file"),
    (huge, "larger than the 10 bytes"),
]


@pytest.mark.parametrize(("make", "says"), SPECIAL, ids=[says for _, says in SPECIAL])
@pytest.mark.parametrize("ask", [regular, read_regular])
def test_what_is_no_file_is_refused_unopened(make: Make, says: str, ask: Callable[..., object], tmp_path: Path) -> None:
    make(tmp_path / "it")
    with pytest.raises(BadInput, match=says) as caught:
        ask(tmp_path / "it", 10)
    assert caught.value.where == str(tmp_path / "it")
    assert caught.value.do


@pytest.mark.parametrize("name", ["absent", "x" * 300, "a\0b"])
def test_names_that_lead_nowhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        regular(tmp_path / name, 10)


def test_files_are_read_up_to_their_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("a")
    assert regular(tmp_path / "link", 10) == tmp_path / "link"
    assert read_regular(str(tmp_path / "link"), 10) == b"0123456789"
    with pytest.raises(BadInput, match="larger than the 9 bytes"):
        read_regular(tmp_path / "a", 9)


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="no /proc here")
def test_a_file_that_claims_to_be_empty_and_never_ends(tmp_path: Path) -> None:
    assert regular("/proc/self/pagemap", 4096)
    with pytest.raises(BadInput, match="larger than the 4,096 bytes"):
        read_regular("/proc/self/pagemap", 4096)
