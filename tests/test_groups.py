"""A group of options becomes options of the command, in order, with their defaults and help; and one value again."""

import inspect
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from probe.cli import app as every_command
from probe.cli import groups
from probe.cli.groups import command, unfolded


@dataclass(frozen=True)
class Place:
    """Where things go."""

    folder: Annotated[str, typer.Option("--folder", help="Where it goes.")]
    deep: Annotated[int, typer.Option(min=1, help="How far down.")] = 2


@dataclass(frozen=True)
class Look:
    loud: Annotated[bool, typer.Option("--loud", help="Say more.")] = False
    names: Annotated[list[str] | None, typer.Option("--name", help="Repeat for more.")] = None


seen: list[dict[str, Any]] = []


def body(
    what: Annotated[str, typer.Argument(help="What is meant.")],
    place: Place,
    look: Look,
    last: Annotated[float, typer.Option(help="Told last.")] = 0.5,
) -> None:
    """Do a thing."""
    seen.append({"what": what, "place": place, "look": look, "last": last})


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """An application of two commands, `thing` with its groups."""
    made = typer.Typer(rich_markup_mode=None)
    monkeypatch.setattr(groups, "app", made)
    assert command("thing")(body) is body  # what is registered stays a function of groups
    command("other")(lambda: None)
    seen.clear()
    return made


def test_options_stand_where_their_group_stood() -> None:
    parameters = inspect.signature(unfolded(body)).parameters
    assert list(parameters) == ["what", "folder", "deep", "loud", "names", "last"]
    assert {each.kind for each in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    defaults = {name: each.default for name, each in parameters.items() if each.default is not inspect.Parameter.empty}
    assert defaults == {"deep": 2, "loud": False, "names": None, "last": 0.5}
    assert (unfolded(body).__name__, unfolded(body).__doc__) == ("body", "Do a thing.")


def test_groups_are_put_together_again() -> None:
    seen.clear()
    unfolded(body)(what="x", folder="f", deep=3, loud=True, names=["a"], last=1.0)
    assert seen == [{"what": "x", "place": Place("f", 3), "look": Look(True, ["a"]), "last": 1.0}]


def test_a_command_takes_the_options_of_its_groups(app: typer.Typer) -> None:
    words = ["thing", "x", "--folder", "f", "--deep", "3", "--loud", "--name", "a", "--name", "b", "--last", "2"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert CliRunner().invoke(app, ["thing", "y", "--folder", "f"]).exit_code == 0
    assert seen == [
        {"what": "x", "place": Place("f", 3), "look": Look(True, ["a", "b"]), "last": 2.0},
        {"what": "y", "place": Place("f"), "look": Look(), "last": 0.5},
    ]


def test_help_has_every_option_in_order_with_its_default(app: typer.Typer) -> None:
    told = CliRunner().invoke(app, ["thing", "--help"]).stdout
    assert "Do a thing." in told
    wanted = ("What is meant.", "Where it goes.", "How far down.", "Say more.", "Repeat for more.", "Told last.")
    assert sorted(wanted, key=told.index) == list(wanted)
    lines = {line.split()[0]: line for line in told.splitlines() if line.strip().startswith("--")}
    assert list(lines) == ["--folder", "--deep", "--loud", "--name", "--last", "--help"]
    assert "[required]" in lines["--folder"]
    assert "default: 2" in " ".join(told.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["thing", "x"], "Missing option '--folder'"),
        (["thing", "--folder", "f"], "Missing argument"),
        (["thing", "x", "--folder", "f", "--deep", "0"], "Invalid value for '--deep'"),
        (["thing", "x", "--folder", "f", "--place", "p"], "No such option"),
    ],
)
def test_what_is_wrong_is_told_of_the_option(app: typer.Typer, words: list[str], says: str) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert says in done.stderr
    assert seen == []


def test_no_command_names_an_option_twice() -> None:
    """Groups that one command takes must not share an option."""
    for name, each in typer.main.get_command(every_command).commands.items():  # type: ignore[attr-defined]
        options = [option for parameter in each.params for option in (*parameter.opts, *parameter.secondary_opts)]
        assert len(options) == len(set(options)), name
        assert all(getattr(parameter, "help", "") for parameter in each.params), name
