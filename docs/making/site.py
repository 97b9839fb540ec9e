"""What does Sphinx read? The pages of the repository, and those that the code writes, in one folder with a contents."""

import posixpath
import shutil
from collections.abc import Callable
from pathlib import Path

from docs.making import api, commands, findings, gallery, notebooks
from docs.making.names import ROOT
from docs.making.texts import page

HOW_TO = ("tour", "my_pair", "my_outputs", "my_reward", "my_organism", "real_run", "cluster")
FOUND = ("findings", "why", "inside", "real_lm", "claims", "predictions")
LOOK_UP = ("commands/index", "figures", "api/index", "sources", "terms", "tree", "contributing")


def write(out: Path) -> None:
    """Every page, in `out`, from nothing."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for part in (api, commands, gallery, findings, notebooks):
        part.write(out)
    for name, text in by_hand().items():
        (out / name).write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "docs" / "look", out / "look")


def by_hand() -> dict[str, str]:
    """Path on the site -> Markdown, of the README in two parts and of every page of docs/."""
    known = commands.commands()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = readme.index("## The tree")
    table = ["## Every command, and what it draws", "", *commands.table(known, "commands/"), ""]
    start = page(readme[:tree], paths_from(""), known) + "\n".join([*table, *_contents()])
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rest = page(readme[tree:], paths_from(""), known).removeprefix("#")
    made = {"index.md": start, "tree.md": rest, "contributing.md": page(contributing, paths_from(""), known)}
    for path in sorted((ROOT / "docs").glob("*.md")):
        made[path.name] = page(path.read_text(encoding="utf-8"), paths_from("docs"), known)
    return made


def paths_from(folder: str) -> Callable[[str, bool], str]:
    """Where a link of a page in that folder of the repository leads on the site; a figure may be `shown` instead."""

    def lead(target: str, shown: bool) -> str:
        if "://" in target or target.startswith("#"):
            return target
        path, mark, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(folder, path))
        stem = Path(path).stem
        if path.startswith("figures/"):
            return f"/drawn/{stem}.png" if shown else f"/figures.md#{stem}"
        to = {"docs": f"/{stem}.md", "notebooks": f"/notebooks/{stem}.md"}.get(posixpath.dirname(path), f"/{path}")
        return to.replace("/CONTRIBUTING.md", "/contributing.md").replace("/README.md", "/index.md") + mark + anchor

    return lead


def _contents() -> list[str]:
    lines = []
    rendered = tuple(f"notebooks/{each}" for each in notebooks.names())
    parts = {"How to": HOW_TO, "What was found": FOUND, "Look up": LOOK_UP, "Notebooks": rendered}
    for title, names in parts.items():
        lines += ["```{toctree}", ":hidden:", f":caption: {title}", "", *names, "```", ""]
    return lines
