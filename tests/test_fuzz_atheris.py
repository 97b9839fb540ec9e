"""The readers of text under atheris, which looks for inputs that reach new code: a bounded number of runs each.

FUZZ_RUNS and FUZZ_SEED draw more and others. Skipped where atheris does not install.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")

RUNS, SEED = os.environ.get("FUZZ_RUNS", "10000"), os.environ.get("FUZZ_SEED", "1")
SEEDS = {
    "texts": [
        "So \\boxed{\\frac{1}{2}}. #### 12 The answer is $3 \\text{ cm}^2$. ```python\nprint(1)\n```",
        "<answer>1,000</answer> 3+4=7 \\(x=5\\) The final answer is $\\sqrt{2}$. I hope it is correct.",
    ],
    "manifest": ["version: 1\ncheckpoints:\n  a: {id: o/n, revision: null, licence: MIT, family: f, template: none}\n"],
    "json": ['{"a": [1, 2.5, "\\ud83d\\ude00", null], "b": {"c": true}}'],
    "csv": ["problem,text,answer\np,\\boxed{1},1\n"],
    "jsonl": ['{"problem": "p", "text": "t", "answer": "1", "right": null}\n'],
}


@pytest.mark.parametrize("target", SEEDS)
def test_a_reader_gives_a_value_or_bad_input(target: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, text in enumerate(SEEDS[target]):
        (corpus / f"seed{number}").write_text(text, encoding="utf-8")
    script = Path(__file__).with_name("atheris_target.py")
    # libFuzzer reads the peak of a process, which a child inherits: the script limits its own memory instead
    options = [f"-runs={RUNS}", f"-seed={SEED}", "-max_len=4096", "-timeout=60", "-verbosity=0", "-rss_limit_mb=0"]
    done = subprocess.run(
        [sys.executable, str(script), target, *options, f"-artifact_prefix={tmp_path}/", str(corpus)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=900,
    )
    found = [file.read_bytes()[:500] for file in tmp_path.glob("crash-*")]
    assert done.returncode == 0, (found, done.stderr[-3000:])
