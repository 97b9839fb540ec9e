"""One application: how its errors are told, and what it exits with.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted. An error is at most three lines on stderr: what, where, and
what to do. PROBE_DEBUG=1 shows the traceback instead.
"""

import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from probe import __version__
from probe.cli.show import complain, messages
from probe.errors import ProbeError

INTERRUPTED = 130
LAST = 1000
places: dict[str, int] = {}  # of commands in the list of them, as each says for itself


class Probe(TyperGroup):
    """The group of all commands (typer wants a subclass): every error of every command passes here."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which they are met."""
        return sorted(super().list_commands(ctx), key=lambda name: (places.get(name, LAST), name))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command of ours, else that of an experiment registered under this name."""
        found = super().get_command(ctx, cmd_name)
        if found is None and not cmd_name.startswith("-"):
            from probe.cli.experiment_command import registered

            return registered(cmd_name)
        return found

    def invoke(self, ctx: Any) -> Any:
        """Run the command; errors become messages and exit codes."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as err:
            messages().print(
                "interrupted: finished work is kept, and the same command goes on from there", markup=False
            )
            raise typer.Exit(INTERRUPTED) from err
        except ProbeError as err:
            if debugging():
                raise
            complain(err.what, err.where, err.do)
            raise typer.Exit(err.exit_code) from err
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except OSError as err:
            if debugging():
                raise
            complain(
                f"cannot use a file: {err.strerror or err}", str(err.filename or ""), "check the path and your rights"
            )
            raise typer.Exit(1) from err
        except Exception as err:
            if debugging() or _is_usage(err):
                raise
            complain(f"{type(err).__name__}: {err}", "", "this is a fault of probe: PROBE_DEBUG=1 shows where it is")
            raise typer.Exit(1) from err


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return os.environ.get("PROBE_DEBUG", "") not in ("", "0")


def _is_usage(err: Exception) -> bool:
    """Whether typer reports the error itself (unknown option, missing argument)."""
    return hasattr(err, "exit_code") and hasattr(err, "format_message")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"probe {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Probe,
    name="probe",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]},
)


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """What did the reward change inside the model, and why does it help this model and not that one?"""
