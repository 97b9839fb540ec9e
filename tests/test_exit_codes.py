"""Whose fault was it? Bad input is 2 at every command and option that takes a path; what really failed is 1."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from test_cli import Place
from tokenizers import normalizers
from typer.testing import CliRunner

from probe.cli import app
from probe.cli.faults import told
from probe.errors import PLACES, BadInput, ProbeError
from probe.store.files import disk_errors

REAL = ("ENOSPC", "EDQUOT", "EIO", "EMFILE", "ENFILE", "ENOMEM", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH", "ESTALE")
NEEDED = {  # what a command must be given besides the path in question
    "train": ("raw",),
    "sample": ("raw", "--limit", "2", "--samples", "1"),
    "score": ("rows.parquet", "--scorer", "raw", "--out", "tokens.parquet"),
    "compare": ("raw", "raw", "--limit", "2"),
    "explain": ("raw", "raw", "--limit", "2"),
    "prefix": ("raw", "--limit", "2"),
    "forecast": ("raw", "--limit", "2"),
    "contamination": ("raw", "raw", "--limit", "2"),
    "probes": ("raw", "raw", "--limit", "2"),
    "steer": ("raw", "raw", "--limit", "2"),
    "patch": ("raw", "raw", "--limit", "2"),
    "weights": ("raw", "raw"),
    "run": ("tiny",),
    "figure": ("response_curves",),
    "why": ("response_curves",),
    "import-rollouts": ("rows.jsonl", "--out", "rows"),
    "compare-rollouts": ("rows.jsonl", "rows.jsonl"),
    "explain-rollouts": ("rows.jsonl", "rows.jsonl"),
    "fetch": ("rlcr_math500",),
    "export": ("trl", "run", "--out", "there"),
}
DRY = ("compare", "explain", "prefix", "forecast", "contamination", "probes", "steer", "patch", "weights", "run")
NAMES = ("name", "before", "after", "base", "study", "scorer")  # arguments that may name a path, too


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PROBE_REAL_DATA", "PROBE_STORE"):
        monkeypatch.delenv(name, raising=False)
    Path("file").write_text("no parquet, no JSON")
    Path("folder").mkdir()
    Path("loop").symlink_to("loop")
    Path("rows.jsonl").write_text('{"problem": "1", "answer": "1", "text": "\\\\boxed{1}"}\n')


def paths() -> Iterator[tuple[str, str, str]]:
    """Every command with each of its options and arguments that takes a path."""
    for name, command in sorted(typer.main.get_command(app).commands.items()):  # type: ignore[attr-defined]
        for each in command.params:
            if "path" in str(each.bare_type()).lower() or each.name in NAMES:
                yield name, each.name, next((word for word in each.opts if word.startswith("--")), "")


MADE, CAN_BE_MADE = ("store", "figures", "out"), ("absent", "no file", "empty", "odd")
BAD = {
    "absent": "gone/x",
    "under a file": "file/x",
    "a loop": "loop",
    "under a loop": "loop/x",
    "too long": "x" * 300,
    "too long in all": "/".join(["x" * 200] * 30),
    "not writable": "/proc/nothing/x",
    "no file": "folder",
    "another file": "file",
    "empty": "",
    "nobody's home": "~nobody-at-all/x",
    "odd": "\x1b[2J\u202e\n",
}


def drawn() -> list[tuple[str, str, str, str]]:
    """Two bad paths for each, so that every kind of path meets every kind of option."""
    found = []
    for i, place in enumerate(sorted(set(paths()))):
        kinds = [kind for kind in BAD if place[1] not in MADE or kind not in CAN_BE_MADE]
        found += [(*place, kinds[(2 * i + j) % len(kinds)]) for j in range(2)]
    return found


@pytest.mark.parametrize(("name", "parameter", "option", "bad"), drawn())
def test_a_bad_path_is_bad_input(place: Place, name: str, parameter: str, option: str, bad: str) -> None:
    given = [*NEEDED.get(name, ())]
    if option:
        given += [option, BAD[bad]]
    else:
        given = [BAD[bad], *given[1:]]
    known = {each.name for each in typer.main.get_command(app).commands[name].params}  # type: ignore[attr-defined]
    given += ["--dry"] if name in DRY else []
    if parameter != "manifest" and "manifest" in known:
        given += ["--manifest", str(place.manifest)]
    if parameter != "store" and "store" in known:
        given += ["--store", str(place.store.root)]
    result = CliRunner().invoke(app, [name, *given])
    allowed = (0, 1, 2) if name == "check" and parameter != "manifest" else (0, 2)  # `check` says 1 of what it finds
    assert result.exit_code in allowed, (given, result.output, result.exception)
    assert "fault of probe" not in result.output and "Traceback" not in result.output


def test_errors_of_the_system_are_told_apart() -> None:
    for number in PLACES:
        found = told(OSError(number, os.strerror(number), "there"))
        assert (type(found), found.where) == (BadInput, "there")
    for name in REAL:
        assert type(told(OSError(getattr(errno, name), "x", "there"))) is ProbeError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), 2),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "bad"), 2),
        (RecursionError("deep"), 2),
        (BadInput("x"), 2),
        (MemoryError(), 1),
        (ProbeError("x"), 1),
        (KeyError("x"), 1),
        (OSError("no number"), 1),
    ],
)
def test_every_error_has_its_code(error: Exception, code: int) -> None:
    assert told(error).exit_code == code
    assert ("fault of probe" in told(error).do) == isinstance(error, KeyError)


def test_a_panic_of_a_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def panicking(*_: object) -> None:
        normalizers.Precompiled(b"\4\0\0\0\xff\xff\xff\xff").normalize_str("zz")  # an index out of bounds

    monkeypatch.setattr("probe.models.loading.manifest.load_manifest", panicking)
    result = CliRunner().invoke(app, ["ls", "checkpoints"])
    assert result.exit_code == 2 and "makes its library give up" in result.stderr


def test_a_folder_that_may_not_be_written_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot write in"), disk_errors(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "x"))
    with pytest.raises(ProbeError, match="no space left") as caught, disk_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x"))
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("dry", [(), ("--dry",)])
@pytest.mark.parametrize("command", [("sample",), ("probes",)])
def test_what_no_machine_could_finish_is_refused_with_its_cost(
    place: Place, command: tuple[str, ...], dry: tuple[str, ...]
) -> None:
    names = ("raw",) if command == ("sample",) else ("raw", str(place.folder))
    result = place.made(*command, *names, "--limit", 6, "--samples", 10**11, *dry, code=2)
    assert "600,000,000,000 responses of up to 20 tokens, 240,000 GB" in result.stderr
