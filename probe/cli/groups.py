"""Options that several commands share come in groups: a parameter whose type is a group takes all of its options.

@dataclass(frozen=True)
class Weights:
    dtype: Annotated[str, typer.Option(...)] = "float32"

@command("steer", place=100)
def steer(name: ..., run: Weights) -> None: ...      # probe steer NAME --dtype bfloat16
"""

import copy
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, get_args

from typer.models import ParameterInfo

from probe.cli.app import LAST, app, places
from probe.cli.complete import completer
from probe.cli.next_steps import Telling


def command(name: str, place: int = LAST) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as `probe NAME`, its groups unfolded into options; `place` orders the list of commands."""

    def register(body: Callable[..., None]) -> Callable[..., None]:
        app.command(name, cls=Telling)(unfolded(body, name))
        places[name] = place
        return body

    return register


def unfolded(body: Callable[..., None], name: str = "") -> Callable[..., None]:
    """The function with one parameter an option; it puts the groups together and calls `body` of that command."""
    own = inspect.signature(body).parameters
    groups: dict[str, Any] = {name: each.annotation for name, each in own.items() if is_dataclass(each.annotation)}

    def called(**given: Any) -> None:
        made = {name: group(**{f.name: given.pop(f.name) for f in fields(group)}) for name, group in groups.items()}
        body(**given, **made)

    parameters = [each for one in own for each in (_options(groups[one]) if one in groups else [_own(own[one])])]
    called.__name__, called.__doc__, called.__module__ = body.__name__, body.__doc__, body.__module__
    called.__signature__ = inspect.Signature([_completed(each, name) for each in parameters])  # type: ignore[attr-defined]
    called.__annotations__ = {}
    return called


def _completed(parameter: inspect.Parameter, command: str) -> inspect.Parameter:
    """With the names that the shell offers for it, where there are any."""
    offered, parts = completer(command, parameter.name), get_args(parameter.annotation)
    if offered is None or len(parts) != 2 or not isinstance(parts[1], ParameterInfo):
        return parameter
    said = copy.copy(parts[1])
    said.autocompletion = offered
    return parameter.replace(annotation=Annotated[parts[0], said])


def _own(parameter: inspect.Parameter) -> inspect.Parameter:
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _options(group: Any) -> list[inspect.Parameter]:
    return [_option(each) for each in fields(group)]


def _option(each: "Field[Any]") -> inspect.Parameter:
    default = inspect.Parameter.empty if each.default is MISSING else each.default
    return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=each.type)
