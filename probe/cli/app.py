"""One application: how its errors are told, and what it exits with.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted. An error is at most three lines on stderr: what, where, and
what to do. PROBE_DEBUG=1 shows the traceback instead.
"""

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from probe import __version__
from probe.cli.begin import BEGIN
from probe.cli.faults import is_panic, not_text, told
from probe.cli.show import complain, messages
from probe.errors import ProbeError
from probe.terminal import guarded

INTERRUPTED = 130
LAST = 1000
elsewhere: list[Callable[[str], Any]] = [lambda name: None]  # asked for a command that none of our files registers
places: dict[str, int] = {}  # of commands in the list of them, as each says for itself


class Probe(TyperGroup):
    """The group of all commands (typer wants a subclass): every error of every command passes here."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which they are met."""
        return sorted(super().list_commands(ctx), key=lambda name: (places.get(name, LAST), name))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command of ours, else that of an experiment registered under this name."""
        found = super().get_command(ctx, cmd_name)
        return found or elsewhere[0](cmd_name)

    def main(self, args: Any = None, *more: Any, **about: Any) -> Any:
        """From the words of the command line to an exit code; nothing but clean text is written on the way."""
        with guarded():
            given = list(sys.argv[1:] if args is None else args)
            error = not_text({"command line " + str(i): word for i, word in enumerate(given, 1)} | _surroundings())
            if error:
                sys.exit(_complained(error))
            return super().main(given, *more, **about)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; errors become messages and exit codes."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as err:
            messages().print(
                "interrupted: finished work is kept, and the same command goes on from there", markup=False
            )
            raise typer.Exit(INTERRUPTED) from err
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except BaseException as err:
            ours = isinstance(err, Exception) or is_panic(err)
            if not ours or debugging() or _is_usage(err):
                raise
            raise typer.Exit(_complained(told(err))) from err


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return os.environ.get("PROBE_DEBUG", "") not in ("", "0")


def _complained(err: ProbeError) -> int:
    complain(err.what, err.where, err.do)
    return err.exit_code


def _surroundings() -> dict[str, str]:
    """What else names files: our own variables, and the folder we are in."""
    own = {name: value for name, value in os.environ.items() if name.startswith("PROBE_")}
    try:
        return own | {"working directory": os.getcwd()}
    except OSError:  # it is gone: whoever needs it says so
        return own


def _is_usage(err: BaseException) -> bool:
    """Whether typer reports the error itself (unknown option, missing argument)."""
    return hasattr(err, "exit_code") and hasattr(err, "format_message")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"probe {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Probe,
    name="probe",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]},
)


@app.callback()
def main(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """What did the reward change inside the model, and why does it help this model and not that one?"""
    if ctx.invoked_subcommand is None:
        typer.echo(BEGIN)
