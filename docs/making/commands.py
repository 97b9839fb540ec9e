"""Which question does each command answer, and with which figure? A page a command, from the command line itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.making.gallery import Figure, committed
from docs.making.texts import escaped, first_line, markdown


def commands() -> dict[str, Any]:
    """Every command in the order of `probe --help`, by its name."""
    from typer.main import get_command

    from probe.cli import app

    group: Any = get_command(app)
    return {name: group.get_command(None, name) for name in group.list_commands(None)}


def drawn_by(command: str) -> tuple[str, ...]:
    """Figures that the command draws of what it was asked about."""
    from probe.experiments import experiments
    from probe.experiments.result import PAIR_FIGURES

    if command == "compare":
        return PAIR_FIGURES
    names = experiments.get(command).FIGURES if command in experiments.names() else ()
    return tuple(names)


def pages() -> dict[str, str]:
    """Path on the site -> Markdown, of every command and of the index."""
    figures = {each.name: each for each in committed()}
    every = commands()
    made = {f"commands/{name}.md": _page(name, command, figures) for name, command in every.items()}
    toctree = ["```{toctree}", ":hidden:", "", *every, "```", ""]
    return {"commands/index.md": "\n".join(["# Every command", "", *table(every, ""), "", *toctree])} | made


def table(every: dict[str, Any], to: str) -> list[str]:
    """One row a command: its question, and the figure it draws where one is committed; `to` leads to the pages."""
    held = {each.name: each for each in committed()}
    lines = ["| command | what it does | draws |", "|---|---|---|"]
    for name, command in every.items():
        figures = [held[figure] for figure in drawn_by(name) if figure in held][:1]
        shown = [f"[![{each.name}]({each.image}){{width=140px}}]({each.link})" for each in figures]
        lines.append(f"| [`probe {name}`]({to}{name}.md) | {escaped(first_line(command.help))} | {' '.join(shown)} |")
    return lines


def _page(name: str, command: Any, figures: dict[str, Figure]) -> str:
    lines = [f"# probe {name}", ""]
    for words, each in _parts(f"probe {name}", command):
        if each is not command:
            lines += [f"## {words}", ""]
        lines += _told(words, each)
    return "\n".join([*lines, *_figures(name, figures)])


def _parts(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    """A command, then those inside it."""
    yield words, command
    for name, each in getattr(command, "commands", {}).items():
        yield f"{words} {name}", each


def _told(words: str, command: Any) -> list[str]:
    context = command.context_class(command, info_name=words)
    usage = " ".join([words, *command.collect_usage_pieces(context)])
    lines = [markdown(command.help), "", "```text", usage, "```", ""]
    records = [(each.param_type_name, each.get_help_record(context)) for each in command.get_params(context)]
    for kind, title in (("argument", "Arguments"), ("option", "Options")):
        held = [record for of, record in records if of == kind and record]
        if held:
            lines += [f"| {title} | |", "|---|---|"]
            lines += [f"| {_code(what)} | {escaped(' '.join(about.split()))} |" for what, about in held] + [""]
    return lines


def _code(text: str) -> str:
    """In a cell of a table, where a bar would end the cell."""
    return "`" + text.replace("|", "\\|") + "`"


def _figures(name: str, figures: dict[str, Figure]) -> list[str]:
    from probe.plots import figures as known

    names = drawn_by(name)
    lines = ["## What it draws", ""] if names else []
    for each in names:
        if each in figures:
            lines += [*figures[each].shown(), ""]
        else:
            question = first_line(__import__("sys").modules[known.get(each).__module__].__doc__)
            lines += [f"`{each}` (none is committed): {escaped(question)}", ""]
    return lines


def write(out: Path) -> None:
    """Every page, below `out`."""
    (out / "commands").mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (out / name).write_text(text, encoding="utf-8")
