"""Nothing that a file, a model or a folder is called moves a cursor, and every terminal gets letters that it has."""

import io
import logging
import os
import re
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.progress import Progress as Bar
from rich.progress import TextColumn
from rich.table import Table
from toy_jobs import Toy
from typer.testing import CliRunner

from probe.cli import app
from probe.engine.plan import plan
from probe.engine.progress import Progress
from probe.store import Store
from probe.terminal import Terminal, guarded, printable, spelled

ROOT = Path(__file__).parents[1]
HOSTILE = "\x1b]0;t\x07\x1b[2Ja\rb\x08\x9b3Jc\x85\u202ed\u2066e\u2028f\udc80\u200fg\x00h\x7f"
MANIFEST = 'version: 1\ntemplates: {none: {text: "caf\u00e9 \u2192 \\e[2J {prompt}"}}\n'


def is_clean(text: str) -> bool:
    return all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") or char == "\n" for char in text)


class Screen(io.StringIO):
    """A terminal of some encoding, which cannot write other letters."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def write(self, text: str) -> int:
        text.encode(self._encoding)
        return super().write(text)

    def isatty(self) -> bool:
        return True


def only_rich_codes(text: str) -> bool:
    """Whether what is left without colours, cursor moves and ends of lines of rich's own is clean."""
    return is_clean(re.sub(r"\x1b\[[0-9;?]*[mKAhl]|\r", "", text))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(st.characters(codec=None), max_size=40))
def test_any_text_is_printable_and_can_be_written(text: str) -> None:
    assert is_clean(printable(text))
    assert len(printable(text)) == len(text)
    for encoding in ("ascii", "latin-1", "utf-8"):
        spelled(printable(text), encoding).encode(encoding)


def test_ordinary_text_is_left_alone() -> None:
    assert printable("caf\u00e9 \u2192 x\n\u65e5\u672c") == "caf\u00e9 \u2192 x\n\u65e5\u672c"
    assert printable("a\tb\u00a0c") == "a b c"
    assert spelled("caf\u00e9 \u2192", "latin-1") == "caf\u00e9 ?"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_whatever_is_drawn_its_text_is_clean(encoding: str) -> None:
    screen = Screen(encoding)
    console = Terminal(file=screen, force_terminal=True, width=80)
    drawn = Table(HOSTILE, title=HOSTILE)
    drawn.add_row(HOSTILE)
    console.print(HOSTILE, markup=False)
    console.print(drawn)
    with Bar(TextColumn("{task.description}", markup=False), console=console) as bar:
        bar.add_task(HOSTILE, total=2)
        console.print(HOSTILE, markup=False)
        bar.refresh()
    with console.status(HOSTILE):
        console.print("done")
    assert only_rich_codes(screen.getvalue())
    assert "\x1b[2J" not in screen.getvalue() and "\x1b]" not in screen.getvalue()


def test_the_live_bar_of_a_run_shows_labels_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Toy, "label", HOSTILE)
    screen, store, job = Screen(), Store(tmp_path), Toy(1)
    with Progress(Terminal(file=screen, force_terminal=True, width=200), store, 1) as progress:
        progress.on_plan(plan([job], store))
        (store.root / "partial" / job.recipe.folder).mkdir(parents=True)
        assert "now " in progress.line()
        progress._bar.refresh()
    assert "now \ufffd]0;t" in screen.getvalue()
    assert only_rich_codes(screen.getvalue())


def test_what_libraries_print_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen("ascii")
    monkeypatch.setattr(sys, "stderr", screen)
    with guarded():
        logging.StreamHandler().emit(logging.makeLogRecord({"msg": f"lost {HOSTILE}\u00e9"}))
        sys.stderr.write(warnings.formatwarning(HOSTILE, UserWarning, HOSTILE, 1))
        print(f"\r50% {HOSTILE}", end="", file=sys.stderr)  # noqa: T201 - as tqdm does
    told = screen.getvalue()
    assert "lost ?]0;t" in told and "UserWarning" in told
    assert told.count("\r") == 1 and is_clean(told.replace("\r", ""))
    assert sys.stderr is screen


@pytest.mark.parametrize(
    "words", [[HOSTILE], [f"--{HOSTILE}"], ["ls", HOSTILE], ["ls", "--manifest", HOSTILE], ["sample", HOSTILE]]
)
def test_words_of_the_command_line_come_back_clean(words: list[str]) -> None:
    result = CliRunner().invoke(app, [word.replace("\udc80", "").replace("\0", "") for word in words])
    assert result.exit_code == 2
    assert is_clean(result.output)


def test_names_that_are_no_text_are_told_early(tmp_path: Path) -> None:
    done = command(tmp_path, b"ls", b"--manifest", b"caf\xe9.yaml")
    assert done.returncode == 2
    assert b"error: a name that is not UTF-8: caf" in done.stderr and b"where: command line 3" in done.stderr
    by_name = command(tmp_path, b"ls", PROBE_STORE=b"caf\xe9")
    assert by_name.returncode == 2 and b"where: PROBE_STORE" in by_name.stderr
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    inside = command(Path(os.fsdecode(folder)), b"ls")
    assert inside.returncode == 2 and b"where: working directory" in inside.stderr


@pytest.mark.parametrize(
    "surroundings", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}]
)
def test_a_terminal_without_the_letters_gets_others(tmp_path: Path, surroundings: dict[str, str]) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST, encoding="utf-8")
    for words in ((b"ls", b"templates", b"--manifest", b"m.yaml"), (b"ls", "caf\u00e9\u2192".encode()), (b"--help",)):
        done = command(tmp_path, *words, **surroundings)
        assert done.returncode == (2 if len(words) == 2 else 0), done.stderr
        assert b"Traceback" not in done.stderr and b"\x1b" not in done.stdout + done.stderr
    assert b"?" in command(tmp_path, b"ls", b"templates", b"--manifest", b"m.yaml", **surroundings).stdout


def command(folder: Path, *words: bytes, **more: str | bytes) -> "subprocess.CompletedProcess[bytes]":
    """`probe` as a process of its own."""
    environment = {os.fsencode(k): os.fsencode(v) for k, v in (os.environ | {"PYTHONPATH": str(ROOT)}).items()}
    environment |= {os.fsencode(k): os.fsencode(v) for k, v in more.items()}
    start = [os.fsencode(sys.executable), b"-c", b"from probe.cli import main; main()"]
    return subprocess.run([*start, *words], capture_output=True, cwd=folder, env=environment, check=False)
