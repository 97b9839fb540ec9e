"""No command lets text of a model or a file move the cursor: every word that goes out passes one place."""

import ast
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from probe.cli import app
from probe.cli.waiting import worked_off

ROOT = Path(__file__).parents[1]
HOSTILE = "\x1b]0;t\x07\x1b[2J\x9b3J\ra\x08\u202eb\u2066c\u200f [bold]x[/]"
SHOWS = ("show.py", "app.py", "loggers.py", "terminal.py")  # stdout and stderr are named in these alone


def is_clean(text: str) -> bool:
    return all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") or char == "\n" for char in text)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PROBE_REAL_DATA", "PROBE_STORE"):
        monkeypatch.delenv(name, raising=False)
    rows = [
        {"problem": f"{HOSTILE}{i}", "answer": f"{i % 2}", "text": f"{HOSTILE}\\boxed{{{i % 3}{HOSTILE[-14:]}}}"}
        for i in range(6)
    ]
    for name in ("a.jsonl", f"{HOSTILE.replace('/', '')}.jsonl"):
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("m.yaml").write_text(f"version: 1\ntemplates: {{none: {{text: {json.dumps(HOSTILE + '{prompt}')}}}}}\n")
    Path("figures").mkdir()


ODD = f"{HOSTILE.replace('/', '')}.jsonl"
WAYS: dict[str, tuple[str, ...]] = {
    "grade": ("grade", ODD, "--explain"),
    "import": ("import-rollouts", ODD, "--out", "o.parquet", "--grade", "boxed"),
    "import as a log": ("import-rollouts", ODD, "--out", "o.eval", "--to", "inspect"),
    "inspect": ("inspect", "a.jsonl", ODD, "--out", HOSTILE.replace("/", ""), "--store", "s"),
    "audit": ("audit-reward", "python", "--rollouts", ODD, "--store", "s"),
    "templates": ("ls", "templates", "--manifest", "m.yaml"),
    "a figure": ("why", HOSTILE),
    "a study": ("run", HOSTILE),
    "a checkpoint": ("sample", HOSTILE),
    "a reward": ("audit-reward", HOSTILE, "--rollouts", "a.jsonl"),
}


@pytest.mark.parametrize("name", WAYS)
def test_what_a_command_prints_of_hostile_text_is_clean(name: str) -> None:
    done = CliRunner().invoke(app, list(WAYS[name]))
    assert done.exit_code in (0, 2) and (done.exit_code == 0 or name.startswith("a ")), done.output
    assert done.output and is_clean(done.output)


def test_nothing_but_the_terminal_writes() -> None:
    """`print` is refused by the linter; here: consoles of rich's own, and the streams themselves."""
    found = set()
    for path in (ROOT / "probe").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = getattr(node, "func", None)
            named = getattr(called, "id", getattr(called, "attr", ""))
            stream = isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr", "__stdout__", "__stderr__")
            if named in ("Console", "secho", "echo") or (stream and getattr(node.value, "id", "") == "sys"):  # type: ignore[attr-defined]
                found.add(path.name)
    assert found <= {*SHOWS}, found


def test_work_outside_the_engine_is_worked_off_whole(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("probe.cli.waiting.EVERY", 0.0)
    assert [list(part) for part in worked_off(range(5), 2, "responses")] == [[0, 1], [2, 3], [4]]
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in told] == ["2 of 5 responses", "4 of 5 responses"]
    assert all("left" in line for line in told) and list(worked_off([], 2, "responses")) == []
