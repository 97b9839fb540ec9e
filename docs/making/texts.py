"""How does a docstring, or a page of the repository, read on the site?

Docstrings are plain text: paragraphs, lists, and indented blocks whose alignment says something. The first two are
escaped, so that no character of a formula becomes markup; blocks stand as they are. arXiv ids, names of the package and
commands become links.
"""

import inspect
import re
from collections.abc import Callable, Container

FENCE = re.compile(r"^(```+).*?^\1$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`[^`\n]+`")
ARXIV = re.compile(r"(?<![\w./\[\\])(\d{4}\.\d{5})(?![\w\]])")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\([^)]*\)")
Links = Callable[[str], str]  # what stands between backticks -> Markdown


def first_line(doc: str | None) -> str:
    """The question that a docstring opens with, in one line."""
    return " ".join(inspect.cleandoc(doc or "").partition("\n\n")[0].split())


def escaped(text: str, links: Links = lambda span: f"`{span}`") -> str:
    """A line of prose: markup characters are themselves, but for backticks around names, URLs and arXiv ids."""
    kept: list[str] = []

    def keep(markdown: str) -> str:
        kept.append(markdown)
        return f"\0{len(kept) - 1}\0"

    text = SPAN.sub(lambda found: keep(links(found[0][1:-1])), text)
    text = re.sub(r"https?://[^\s)>,;]+[^\s)>,;.]", lambda found: keep(f"<{found[0]}>"), text)
    text = ARXIV.sub(lambda found: keep(f"[{found[1]}](https://arxiv.org/abs/{found[1]})"), text)
    text = re.sub(r"([\\`*_{}\[\]<>#|$~^])", r"\\\1", text)
    text = re.sub(r"^(\d+)([.)]) ", r"\1\\\2 ", re.sub(r"^([-+=:])", r"\\\1", text))
    return re.sub(r"\0(\d+)\0", lambda found: kept[int(found[1])], text)


def markdown(doc: str | None, links: Links = lambda span: f"`{span}`") -> str:
    """A docstring as Markdown."""
    out: list[str] = []
    kind = ""
    for line in inspect.cleandoc(doc or "").splitlines():
        indented, item = line.startswith("  "), re.match(r"[*-] ", line)
        if not line.strip():
            out.append("")
            kind = kind if kind == "block" else ""
        elif indented and kind == "item":
            out[-1] += " " + line.strip()
        elif indented:
            if kind != "block":
                out += ["", "\1"]
            out.append("\2" + line)
            kind = "block"
        else:
            if kind == "block":
                out += ["\1", ""]
            if item or kind != "text":
                out += [] if item and kind == "item" else [""]
                out.append(line)
            else:
                out[-1] += " " + line
            kind = "item" if item or kind == "item" else "text"
    if kind == "block":
        out.append("\1")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_rendered(out, links))).strip()


def _rendered(lines: list[str], links: Links) -> list[str]:
    """Marked lines as Markdown: \\1 opens or closes a block, \\2 stands before a line of one."""
    done, inside, block = [], False, list[str]()
    for line in lines:
        if line == "\1":
            if inside:
                done += ["```text", *inspect.cleandoc("\n" + "\n".join(block)).splitlines(), "```"]
                block = []
            inside = not inside
        elif inside:
            block.append(line.removeprefix("\2"))
        elif re.match(r"[*-] ", line):
            done.append("* " + escaped(line[2:], links))
        else:
            done.append(escaped(line, links))
    return done


def page(text: str, paths: Callable[[str, bool], str], commands: Container[str], to: str = "") -> str:
    """A page of the repository on the site: links by `paths`, commands and arXiv ids as links; `to`: its root."""
    kept: list[str] = []

    def keep(markdown: str) -> str:
        kept.append(markdown)
        return f"\0{len(kept) - 1}\0"

    def link(found: re.Match[str]) -> str:
        shown, _, target = found[0].rpartition("](")
        return keep(f"{shown}]({paths(target[:-1], shown.startswith('!'))})")

    def span(found: re.Match[str]) -> str:
        named = re.match(r"`probe\s+([a-z-]+)", found[0])
        linked = named is not None and named[1] in commands
        return keep(f"[{found[0]}]({to}commands/{named[1]}.md)" if named and linked else found[0])

    text = FENCE.sub(lambda found: keep(found[0]), text)
    text = LINK.sub(link, text)
    text = re.sub(r"`[^`]+`", span, text)
    text = ARXIV.sub(r"[\1](https://arxiv.org/abs/\1)", text)
    while "\0" in text:
        text = re.sub(r"\0(\d+)\0", lambda found: kept[int(found[1])], text)
    return text
