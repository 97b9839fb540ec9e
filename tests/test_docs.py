"""Are the pages whole? Commands that exist, with options that exist; links that lead somewhere; code that runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
STANDS_FOR = {"PAIR": "before after", "RUN": "run"}  # words of the pages that stand for others


def blocks(language: str) -> list[tuple[str, str]]:
    """Of all pages: the page and the code."""
    return [(page, code) for page, text in PAGES.items() for kind, code in BLOCK.findall(text) if kind == language]


def typed() -> list[list[str]]:
    """The words of every `probe ...` line of the shell blocks."""
    lines = [line for _, code in blocks("bash") for line in code.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    found = [each[each.index("probe") + 1 :] for each in words if "probe" in each[:2]]
    return [[part for word in each for part in STANDS_FOR.get(word, word).split()] for each in found]


@pytest.fixture(scope="module")
def application() -> Any:
    from typer.main import get_command

    from probe.cli import app

    return get_command(app)


def test_what_is_typed_in_the_pages_is_understood(application: Any) -> None:
    lines = typed()
    assert len(lines) >= 60
    for name, *words in lines:
        command = application.get_command(None, name)
        assert command, name
        if hasattr(command, "commands"):
            command, *words = command.commands[words[0]], *words[1:]
        context = command.context_class(command, info_name=name)
        _, left, _ = command.make_parser(context).parse_args(words)
        assert not left, f"probe {name} {shlex.join(words)}: what is {left}?"


def test_every_command_is_in_the_pages(application: Any) -> None:
    text = " ".join(PAGES.values())
    missing = [name for name in application.list_commands(None) if not re.search(rf"probe {name}\b", text)]
    assert not missing


def test_links_between_pages_lead_somewhere() -> None:
    for page, text in PAGES.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", text)):
            path, _, anchor = target.partition("#")
            if target.startswith("https://"):
                assert re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]+/\S+", target), (page, target)
                continue
            to = (ROOT / page).parent / path if path else ROOT / page
            assert to.exists(), f"{page} links to {target}"
            titles = re.findall(r"^#+ (.*)$", to.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
            assert not anchor or anchor in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in titles}


def test_every_page_is_linked_from_the_readme() -> None:
    missing = [page for page in PAGES if page.startswith("docs/") and f"]({page})" not in PAGES["README.md"]]
    assert not missing


def test_python_in_the_pages_names_what_is_public() -> None:
    import probe

    found = blocks("python")
    assert len(found) >= 4
    for page, code in found:
        compile(code, page, "exec")
        assert set(re.findall(r"\bprobe\.(\w+)\(", code)) <= set(probe.__all__), page


def test_files_that_the_pages_show_are_what_they_say(tmp_path: Path) -> None:
    """A reward and a family in files of one's own, as written in the pages, under the names that the pages use."""
    files = {}
    for _, code in blocks("python"):
        name = re.match(r"# (\w+)\.py\n", code)
        if name:
            files[name[1]] = code
            (tmp_path / f"{name[1]}.py").write_text(code)
    asked = (
        "from probe.rewards import rewards; from probe.families import families;"
        "print(rewards.get('brief')(most=3)(completions=['four', 'six']), families.get('half-code')().p_code)"
    )
    surroundings = os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}", "PROBE_PLUGINS": ",".join(files)}
    ran = subprocess.run([sys.executable, "-c", asked], env=surroundings, capture_output=True, text=True, timeout=120)
    assert ran.stdout == "[0.0, 1.0] (0.5, 0.5, 0.5, 0.5)\n", ran.stderr
