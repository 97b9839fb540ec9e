"""What a newcomer meets: `probe` alone, the line after each command, names that the shell completes."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from probe.cli import app, complete
from probe.cli.app import places
from probe.cli.next_steps import NEXT, Telling, next_step
from probe.measures import measures
from probe.models.loading.manifest import load_manifest
from probe.plots import figures
from probe.rewards import rewards
from probe.rl.variants import variants
from probe.studies import studies

ROOT = Path(__file__).parents[1]
PROBE = f"#!/bin/sh\nexec {sys.executable} -c 'from probe.cli import main; main()' \"$@\"\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PROBE_REAL_DATA", "PROBE_STORE", "PROBE_QUIET"):
        monkeypatch.delenv(name, raising=False)


def commands() -> dict[str, Any]:
    """Every command by its name, those of groups as "group command"."""
    found: dict[str, Any] = {}
    for name, each in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(each, "commands", None)
        found |= {name: each} if inner is None else {f"{name} {other}": inner[other] for other in inner}
    return found


def test_probe_alone_says_where_to_begin() -> None:
    done = CliRunner().invoke(app, [])
    lines = done.stdout.splitlines()
    assert done.exit_code == 0 and 5 <= len(lines) <= 8 and max(map(len, lines)) <= 80 and done.stderr == ""
    assert set(re.findall(r"^  probe ([a-z-]+)", done.stdout, re.MULTILINE)) - {"--help"} <= set(places)
    assert "Commands:" in CliRunner().invoke(app, ["--help"]).stdout


def test_every_command_knows_what_comes_next() -> None:
    known = commands()
    assert set(NEXT) == set(GIVEN) == set(known) and all(isinstance(each, Telling) for each in known.values())


def typed(*words: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def outputs(name: str) -> Path:
    rows = [{"problem": f"p{i}", "answer": "1", "text": f"\\boxed{{{i % 2}}}"} for i in range(6)]
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Path(name)


GIVEN: dict[str, tuple[tuple[str, ...], str]] = {
    "ls": ((), "two of these side by side: probe compare BEFORE AFTER"),
    "check": (("raw",), "probe sample raw"),
    "train": (("raw", "format", "--out", "x y"), "probe compare raw 'x y'"),
    "export": (("trl", "run", "--out", "there"), "there/launch.sh, then probe compare run FOLDER"),
    "sample": (("raw", "--limit", "2", "--samples", "3"), "probe inspect raw --out logs --limit 2 --samples 3"),
    "inspect": (("raw", "--out", "logs"), "inspect view --log-dir logs"),
    "score": (("f", "--scorer", "raw", "--out", "t"),
              "two models on one text, token by token: probe report BEFORE AFTER"),
    "compare": (("a", "b c", "--dtype", "bfloat16", "--prompts", "none"),
                "all of it on one page: probe report a 'b c' --dtype bfloat16"),
    "report": (("a", "b", "--pairs", "3"), "what is inside: probe probes a b"),
    "explain": (("a", "b"), "all of it on one page: probe report a b"),
    "forecast": (("raw",), "probe train raw REWARD --out FOLDER"),
    "prefix": (("raw",), "the same without words: probe steer raw AFTER"),
    "contamination": (("a", "b", "--store", "s"), "probe explain a b --store s"),
    "probes": (("a", "b"), "probe steer a b"),
    "steer": (("a", "b"), "probe patch a b"),
    "patch": (("a", "b"), "probe cross-sample a b"),
    "cross-sample": (("a", "b"), "all of it on one page: probe report a b"),
    "weights": (("a", "b"), "the way they went: probe weight-path RUN"),
    "weight-path": (("run",), "the same on six bases, beside walks: probe run paths"),
    "features": (("a", "b"), "probe adapter a b"),
    "adapter": (("a", "b"), "all of it on one page: probe report a b"),
    "dictionary fit": (("a", "--out", "d"), "probe dictionary show d"),
    "dictionary show": (("d",), "what RL did to its latents: probe features BEFORE AFTER"),
    "dictionary neuronpedia": (("a", "--out", "n"), "import the files in n where your Neuronpedia runs"),
    "fetch": (("math500",), "probe ls datasets"),
    "import-rollouts": (("f", "--out", "o.eval", "--to", "inspect"), "inspect view --log-dir ."),
    "audit-reward": (("python", "raw"), "train under it: probe train NAME python --out FOLDER"),
    "grade": (("f",), "two such files: probe compare-rollouts BEFORE AFTER"),
    "compare-rollouts": (("a", "b", "--grading", "probe"), "all of it on one page: probe report a b --grading probe"),
    "explain-rollouts": (("set",), "all of it on one page: probe report set"),
    "run": (("tiny",), "probe report tiny"),
    "figure": (("variants",), "what it was made from: probe why variants"),
    "why": (("variants",), "draw it again: probe figure variants"),
    "mend": ((), "probe check"),
    "gc": ((), "probe gc --delete removes what is listed"),
}  # fmt: skip


def context(name: str, *words: str) -> Any:
    """Of a command that was typed, and not run."""
    at, found = None, typer.main.get_command(app)
    for part in ("probe", *name.split()):
        found = found if at is None else found.get_command(at, part)  # type: ignore[attr-defined]
        given = list(words) if not hasattr(found, "commands") else ["x"]
        at = found.make_context(part, given, parent=at)
    return at


@pytest.mark.parametrize("name", GIVEN)
def test_what_comes_next_follows_from_what_was_typed_and_can_be_typed(name: str) -> None:
    words, expected = GIVEN[name]
    assert next_step(context(name, *words)) == expected
    line = re.search(r"probe ([a-z].*)", expected)
    if line:
        first, *rest = shlex.split(line[1].removesuffix(" removes what is listed"))
        n = 1 if first == "dictionary" else 0
        assert context(" ".join([first, *rest[:n]]), *rest[n:]).params


def test_a_page_that_is_there_is_told() -> None:
    page = Path("reports") / "a--b" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("")
    assert next_step(context("compare", "a", "b")).endswith(f"probe report a b (one is at {page})")
    assert next_step(context("compare", "a", "b", "--json")) == ""


def test_it_is_not_said_where_quiet_is_asked_for_or_the_command_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "next: two of these side by side" in typed("ls", "rewards").stderr
    monkeypatch.setenv("PROBE_QUIET", "1")
    assert typed("ls", "rewards").stderr == ""
    monkeypatch.setenv("PROBE_QUIET", "0")
    assert "next:" not in typed("grade", "nothing.jsonl", code=2).stderr
    assert next_step(context("run", "tiny", "--dry")) == "the same without --dry makes it"


def test_odd_names_come_back_clean() -> None:
    out = "x\x1b[2J\u202e y.parquet"
    told = typed("import-rollouts", outputs("a.jsonl"), "--out", out)
    assert "next: probe compare-rollouts BEFORE 'x\ufffd[2J\ufffd y.parquet'" in told.stderr
    assert "\x1b" not in told.output and "\u202e" not in told.output


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("rewards", rewards.names),
        ("studies", studies.names),
        ("figures", figures.names),
        ("variants", variants.names),
        ("measures", measures.names),
        ("checkpoints", lambda: sorted(load_manifest().entries())),
        ("datasets", lambda: sorted(load_manifest().datasets)),
        ("templates", lambda: sorted(load_manifest().templates)),
    ],
)
def test_what_is_completed_is_what_there_is(kind: str, theirs: Any) -> None:
    assert sorted(complete.known(kind)) == theirs()


def test_a_manifest_that_cannot_be_read_or_trusted_completes_nothing(tmp_path: Path) -> None:
    odd = 'organisms: {a: {}, "x\\e[2J": {}, "$(touch y)": {}, "b c": {}, ok-1: {}}'
    for text, found in (("a: [", []), ("- 1", []), ('organisms: "x"', []), (odd, ["a", "ok-1"])):
        Path("checkpoints_manifest.yaml").write_text(text)
        complete.known.cache_clear()
        assert complete.names_of("checkpoints")("") == found
    complete.known.cache_clear()


COMPLETED = {
    "probe comp": {"compare", "compare-rollouts"},
    "probe compare latent-code-tiny-0-f": {"latent-code-tiny-0-format-0"},
    "probe train latent-code-tiny-0 ground": {"ground_truth"},
    "probe run rea": {"real", "real-lm"},
    "probe figure response_c": {"response_curves"},
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_names_after_installing(tmp_path: Path) -> None:
    """With the script that `--install-completion bash` writes, in a shell of its own."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "probe").write_text(PROBE)
    (tmp_path / "bin" / "probe").chmod(0o755)
    shutil.copy(ROOT / "checkpoints_manifest.yaml", tmp_path)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    own = {
        "HOME": str(tmp_path),
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    subprocess.run(["probe", "--install-completion", "bash"], env=os.environ | own, check=True, capture_output=True)
    assert "probe" in (tmp_path / ".bashrc").read_text()
    lines = [f"source {tmp_path}/.bash_completions/probe.sh"]
    for words in COMPLETED:
        n = len(words.split()) - 1
        lines += [
            f"COMP_WORDS=({words}); COMP_CWORD={n}; COMPREPLY=(); _probe_completion probe",
            'echo "${COMPREPLY[*]}"',
        ]
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], env=os.environ | own, capture_output=True, text=True, check=True
    )
    found = dict(zip(COMPLETED, (set(line.split()) for line in done.stdout.splitlines()), strict=True))
    assert found == COMPLETED, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completing_loads_nothing_that_computes(shell: str, tmp_path: Path) -> None:
    code = """
import sys
from probe.cli import main
try:
    main()
except SystemExit:
    pass
heavy = ("torch", "transformers", "numpy", "pyarrow", "matplotlib", "scipy")
print("LOADED", [name for name in heavy if name in sys.modules], file=sys.stderr)
"""
    asked = {"_PROBE_COMPLETE": f"complete_{shell}", "COMP_WORDS": "probe train raw ran", "COMP_CWORD": "3"}
    asked |= {"_TYPER_COMPLETE_ARGS": "probe train raw ran", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    own = os.environ | asked | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=own, check=True)
    assert "random" in done.stdout and done.stderr.splitlines()[-1] == "LOADED []"
