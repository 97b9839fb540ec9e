"""`probe grade`: rules by verdicts, extractors counted, policies made strict."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from probe.cli import app

ROWS = [
    ("\\boxed{5}", "5"),
    ("\\boxed{6}", "5"),
    ("\\boxed{5 \\text{ cm}}", "5"),
    ("The final answer is $x+1$. I hope it is correct.", "1+x"),
    ("no answer", "5"),
    ("\\boxed{5} and \\boxed{", "5"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "responses.jsonl"
    rows = [{"problem": str(n), "text": text, "answer": gold} for n, (text, gold) in enumerate(ROWS)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def told(file: Path, *words: str) -> dict[str, object]:
    done = CliRunner().invoke(app, ["grade", str(file), "--json", *words])
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_every_verdict_has_its_rule(file: Path) -> None:
    found = told(file)
    assert found["right"] == pytest.approx(4 / 6)
    assert found["extractors"] == {"boxed": 4, "minerva": 1, "nothing": 1}
    assert {(each["rule"], each["outcome"], each["n"]) for each in found["rules"]} == {  # type: ignore[attr-defined]
        ("string", "right", 2),
        ("number", "wrong", 1),
        ("missing_unit", "right", 1),
        ("verify", "right", 1),
        ("extract", "unparsed", 1),
    }


def test_a_policy_is_made_strict_by_name(file: Path) -> None:
    assert told(file, "--strict", "missing_unit")["right"] == pytest.approx(3 / 6)


def test_explain_prints_rules_by_verdicts(file: Path) -> None:
    done = CliRunner().invoke(app, ["grade", str(file), "--explain"])
    assert done.exit_code == 0
    lines = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert {"rule", "string", "number", "missing_unit", "verify", "extract"} <= lines
