"""The pages that the code writes: every command, figure and public name is in them, and every link leads somewhere."""

import csv
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from docs.making import annotations, commands, findings, gallery, names, notebooks, site, texts

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that Sphinx reads."""
    out = tmp_path_factory.mktemp("site") / "pages"
    site.write(out)
    return out


@pytest.fixture(scope="module")
def described() -> dict[str, names.Name]:
    return {each.path: each for module in names.modules() for each in module.names}


def test_no_public_name_is_undocumented(described: dict[str, names.Name]) -> None:
    assert len(described) > 1500
    assert not [path for path, each in described.items() if not each.doc]
    assert not [each.name for each in names.modules() if not each.doc]


def test_every_public_name_has_a_page(source: Path, described: dict[str, names.Name]) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (source / "api").glob("*.md"))
    found = re.findall(r"^`{6}\{py:\w+\} (\w+).*\n:module: ([\w.]+)$", text, re.MULTILINE)
    assert {f"{module}.{name}" for name, module in found} == set(described)
    assert len(found) == len(described)


def test_what_users_import_and_extensions_register_is_described(described: dict[str, names.Name]) -> None:
    """As the running program names it, and not as the files were read."""
    import probe

    public = [getattr(probe, name) for name in probe.__all__ if name != "__version__"]
    for where in ("rewards", "measures", "plots.figures", "families", "studies", "experiments"):
        package, _, name = where.partition(".")
        registry = getattr(importlib.import_module(f"probe.{package}"), name or package)
        public += [thing for _, thing in registry.items()]
    held = {module.name for module in names.modules()}
    local = {each.__module__ for each in public if "<locals>" in each.__qualname__}  # made in a loop, by one file
    paths = [f"{each.__module__}.{each.__qualname__}" for each in public if each.__module__ not in local]
    assert len(paths) > 120
    assert local <= held
    assert not [path for path in paths if path not in described]


def test_every_command_has_a_page_with_every_option(source: Path) -> None:
    every = commands.commands()
    start = (source / "index.md").read_text(encoding="utf-8")
    assert len(every) >= 30
    for name, command in every.items():
        text = (source / "commands" / f"{name}.md").read_text(encoding="utf-8")
        parts = [command, *getattr(command, "commands", {}).values()]
        options = [each for part in parts for option in part.params for each in option.opts if each.startswith("--")]
        assert not [each for each in options if f"{each}" not in text], name
        assert texts.escaped(texts.first_line(command.help)) in text
        assert f"(commands/{name}.md)" in start


def test_every_committed_figure_is_in_the_gallery(source: Path) -> None:
    text = (source / "figures.md").read_text(encoding="utf-8")
    committed = sorted(path.stem for path in (ROOT / "figures").glob("*.csv"))
    assert committed == [each.name for each in gallery.committed()]
    for name in committed:
        assert f"![{name}](/drawn/{name}.png)" in text
        assert f"</drawn/{name}.csv>" in text
        assert all((source / "drawn" / f"{name}.{end}").exists() for end in ("csv", "png", "svg", "json"))


def test_a_figure_says_which_study_makes_it() -> None:
    makers = {each.name: each.makers for each in gallery.committed()}
    assert makers["response_law"] == ("probe run why",)
    assert makers["response_curves"] == ("probe run tiny",)
    assert makers["real_outcomes"] == ("probe run real",)
    assert all(makers.values())


def test_predictions_are_those_of_the_tables() -> None:
    text = findings.predictions()
    for path in (ROOT / "figures").glob("*predictions.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            means = [row for row in csv.DictReader(file) if row["mark"] == "mean"]
        part = text[text.index(f"## {texts.escaped(path.stem)}\n") :].split("\n## ")[0]
        assert len(re.findall(r"\| (holds|fails|undecided) \|$", part, re.MULTILINE)) == len(means)
        assert sum(f"| {row['verdict']} |" in part for row in means) == len(means)


def test_every_notebook_is_there_with_its_pictures(source: Path) -> None:
    for name in notebooks.names():
        text = (source / "notebooks" / f"{name}.md").read_text(encoding="utf-8")
        pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
        assert text.startswith("# ")
        assert pictures
        assert all((source / "notebooks" / picture).stat().st_size > 1000 for picture in pictures)


def test_no_page_names_a_machine(source: Path) -> None:
    for path in source.rglob("*.md"):
        named = re.findall(r"(?<![\w.:/])/(?:home|root|work|Users|tmp|opt)/\w+", path.read_text(encoding="utf-8"))
        assert not named, path.name


def test_a_docstring_reads_as_it_is_written() -> None:
    doc = """Is x_i < 1 for *every* i (2506.10947)?

    Where `probe.stats` says so:
        low    the lower
          and more
        high   the upper
    * one [a] that
      goes on
    * two
    """
    expected = (
        "Is x\\_i \\< 1 for \\*every\\* i ([2506.10947](https://arxiv.org/abs/2506.10947))?\n\n"
        "Where `probe.stats` says so:\n\n```text\nlow    the lower\n  and more\nhigh   the upper\n```\n\n"
        "* one \\[a\\] that goes on\n* two"
    )
    assert texts.markdown(doc) == expected


def test_links_of_a_page_lead_to_the_site() -> None:
    block = "```bash\nprobe why x\n```"
    pictures = "[x](../figures/cues.png), ![y](../figures/cues.png)"
    text = f"`probe\nexplain A` of {pictures} (2504.13837) and [2504.13837](https://a.b/c)\n{block}"
    shown = texts.page(text, site.paths_from("docs"), {"explain", "why"})
    assert shown == (
        "[`probe\nexplain A`](commands/explain.md) of [x](/figures.md#cues), ![y](/drawn/cues.png) "
        "([2504.13837](https://arxiv.org/abs/2504.13837)) and [2504.13837](https://a.b/c)\n" + block
    )


def test_names_in_signatures_are_whole() -> None:
    import ast

    tree = ast.parse(
        "from pathlib import Path\nfrom probe.checkpoints.pair import Pair as P\nclass Own: ...\n"
        "def f(a: P, b: 'Own | None', c: Path, d: Float[Tensor, 'batch pos'] = 1, *e: int, f: Literal['P'])"
        " -> list['P']: ..."
    )
    node = tree.body[-1]
    assert isinstance(node, ast.FunctionDef)
    assert annotations.signature(node, annotations.known_names(tree, "probe.here", "probe")) == (
        "(a: probe.checkpoints.pair.Pair, b: probe.here.Own | None, c: Path, d: Float[Tensor, 'batch pos']=1, *e: int, "
        "f: Literal['P']) -> list[probe.checkpoints.pair.Pair]"
    )


class Links(HTMLParser):
    """What a page holds: ids to link to, links, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.to, self.loaded = set[str](), list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One tag."""
        held = dict(attrs)
        self.ids |= {str(held["id"])} if held.get("id") else set()
        self.to += [str(held["href"])] if tag == "a" and held.get("href") else []
        self.loaded += [str(held[key]) for key in ("src", "href") if tag in ("img", "script", "link") and held.get(key)]


def dead(pages: dict[Path, Links]) -> Iterator[tuple[str, str]]:
    """Links and loaded files that are not there."""
    for path, page in pages.items():
        for target in (*page.to, *page.loaded):
            if target.startswith(("https://", "mailto:")):
                if target in page.loaded:
                    yield path.name, f"{target} is loaded from elsewhere"
                continue
            file, _, anchor = unquote(target).partition("#")
            to = (path.parent / file.split("?")[0]).resolve() if file else path
            if not to.exists() or (anchor and to in pages and anchor not in pages[to].ids):
                yield path.name, target


@pytest.mark.skipif(not all(map(find_spec, ("sphinx", "furo", "myst_parser"))), reason='pip install -e ".[docs]"')
def test_the_site_builds_without_a_warning_and_works_from_disk(source: Path, described: dict[str, Any]) -> None:
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", str(ROOT / "docs"), str(source)]
    built = source.parent / "built"
    ran = subprocess.run([*words, str(built)], capture_output=True, text=True, timeout=600)
    assert (ran.returncode, ran.stderr) == (0, "")
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in built.resolve().rglob("*.html")}
    assert not list(dead(pages))
    ids = {each for path, page in pages.items() if path.parent.name == "api" for each in page.ids}
    assert set(described) <= ids
