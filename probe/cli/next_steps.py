"""What does one look at after a command? One line on stderr, where the command is through.

    NEXT    command -> what is said, from the words of the command line; `Said.again` repeats the options given here

Nothing is said with --json, and where $PROBE_QUIET is set. A command without an entry says nothing (those of plug-ins).
"""

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from probe.cli.show import say

QUIET = "PROBE_QUIET"
REPEATED = (
    *("problems", "limit", "template", "max_new", "samples", "temperature", "prefix", "grading", "dtype"),
    *("device_map", "store", "manifest"),
)


@dataclass(frozen=True)
class Said:
    """What was typed: a command and its context."""

    context: Any

    def __getitem__(self, name: str) -> Any:
        """The value of an argument or option; None where the command has none of that name."""
        return self.context.params.get(name)

    def word(self, name: str, otherwise: str = "") -> str:
        """The same as a word of a command line."""
        value = self[name]
        return otherwise if value is None else shlex.quote(str(value))

    def again(self, command: str, *words: str) -> str:
        """Another command on these, with those of the options given here that it has too."""
        root = self.context.find_root()
        other = root.command.get_command(root, command)
        options = {each.name: next(word for word in each.opts if word.startswith("--")) for each in other.params
                   if each.opts[0].startswith("--")}  # fmt: skip
        typed = [name for name in REPEATED if name in options and self._is_typed(name)]
        said = [f"{options[name]} {self.word(name)}" for name in typed]
        return " ".join([f"probe {command}", *filter(None, words), *said])

    def pair(self, command: str) -> str:
        """The same command line for another command on this pair."""
        return self.again(command, self.word(self.first), self.word("after", "" if self.first == "path" else "AFTER"))

    @property
    def first(self) -> str:
        """What this command calls the one before."""
        return next(name for name in ("before", "path", "name") if name in self.context.params)

    def _is_typed(self, name: str) -> bool:
        source = self.context.get_parameter_source(name)
        return source is not None and source.name == "COMMANDLINE" and self[name] is not None


def _trained(said: Said) -> str:
    name, out = said.word("name"), said["out"]
    if out is not None:
        lora = (Path(out) / "adapter_config.json").is_file()
        return said.again("compare", name, f"{name}+{said.word('out')}" if lora else said.word("out"))
    if said["reward"] is not None:
        return "--out FOLDER writes it to a folder that other commands take by its path"
    return said.again("forecast", name)


def _fetched(said: Said) -> str:
    from probe.cli.settings import open_store
    from probe.tasks.published_data import fetched_at

    name = said.word("name")
    if any(fetched_at(said["name"], open_store(said["store"]).root).glob("data-*.arrow")):
        return said.again("compare-rollouts", name)
    return "probe ls datasets" if said["wheel"] is None and not _is_checkpoint(said) else said.again("check", name)


def _is_checkpoint(said: Said) -> bool:
    from probe.models.loading.manifest import load_manifest

    return said["name"] in load_manifest(said["manifest"]).checkpoints


def _paged(said: Said) -> str:
    """After a page: what is inside the pair, where there is one."""
    if said["after"] is None:
        return "each of its figures, and what it was made from: probe ls figures, probe why FIGURE"
    if Path(said["before"]).is_file():
        return said.pair("explain-rollouts")
    return f"what is inside: {said.pair('probes')}"


def _imported(said: Said) -> str:
    if said["to"] == "inspect":
        return f"inspect view --log-dir {shlex.quote(str(Path(said['out']).parent))}"
    return f"probe compare-rollouts BEFORE {said.word('out')}"


def _page(said: Said) -> str:
    """How the page of this pair is made; one that is there may be of other options."""
    from probe.pages.embed import PAGE, folder_of

    page = folder_of(_named(str(said[name])) for name in (said.first, "after") if said[name]) / PAGE
    there = f" (one is at {page})" if page.is_file() else ""
    return f"all of it on one page: {said.pair('report')}{there}"


def _named(what: str) -> str:
    """What a page calls it."""
    from probe.experiments.published_outputs.files import system_name

    return system_name(Path(what)) if Path(what).is_file() else Path(what).name


NEXT: dict[str, Callable[[Said], str]] = {
    "ls": lambda said: "two of these side by side: probe compare BEFORE AFTER",
    "check": lambda said: said.again("sample", said.word("name")) if said["name"] else "probe ls",
    "train": _trained,
    "export": lambda said: f"{said.word('out')}/launch.sh, then probe compare {said.word('name')} FOLDER",
    "sample": lambda said: said.again("inspect", said.word("name"), "--out logs"),
    "inspect": lambda said: f"inspect view --log-dir {said.word('out')}",
    "score": lambda said: "two models on one text, token by token: probe report BEFORE AFTER",
    "compare": _page,
    "report": _paged,
    "explain": _page,
    "forecast": lambda said: f"probe train {said.word('name', 'NAME')} REWARD --out FOLDER",
    "prefix": lambda said: f"the same without words: {said.pair('steer')}",
    "contamination": lambda said: said.pair("explain"),
    "probes": lambda said: said.pair("steer"),
    "steer": lambda said: said.pair("patch"),
    "patch": lambda said: said.pair("cross-sample"),
    "cross-sample": _page,
    "weights": lambda said: "the way they went: probe weight-path RUN",
    "weight-path": lambda said: "the same on six bases, beside walks: probe run paths",
    "features": lambda said: said.pair("adapter"),
    "adapter": _page,
    "dictionary fit": lambda said: f"probe dictionary show {said.word('out')}" if said["out"] else "--out keeps it",
    "dictionary show": lambda said: "what RL did to its latents: probe features BEFORE AFTER",
    "dictionary neuronpedia": lambda said: f"import the files in {said.word('out')} where your Neuronpedia runs",
    "fetch": _fetched,
    "import-rollouts": _imported,
    "audit-reward": lambda said: f"train under it: probe train NAME {said.word('reward', 'REWARD')} --out FOLDER",
    "grade": lambda said: "two such files: probe compare-rollouts BEFORE AFTER",
    "compare-rollouts": _page,
    "explain-rollouts": _page,
    "run": lambda said: "probe ls figures" if said["study"] == "all" else said.again("report", said.word("study")),
    "figure": lambda said: f"what it was made from: probe why {said.word('name', 'FIGURE')}",
    "why": lambda said: f"draw it again: probe figure {said.word('figure')}",
    "mend": lambda said: "probe check",
    "gc": lambda said: "probe check" if said["delete"] else "probe gc --delete removes what is listed",
}


def next_step(context: Any) -> str:
    """What to look at after the command of this context; nothing where there is nothing to say."""
    said = Said(context)
    name = context.command_path.partition(" ")[2]
    if name not in NEXT or said["as_json"] or os.environ.get(QUIET, "") not in ("", "0"):
        return ""
    return "the same without --dry makes it" if said["dry"] else NEXT[name](said)


class Telling(TyperCommand):
    """A command (typer wants a subclass) that ends by saying what comes next."""

    def invoke(self, ctx: Any) -> Any:
        """Run it, then say so."""
        done = super().invoke(ctx)
        text = next_step(ctx)
        if text:
            say(f"next: {text}")
        return done
