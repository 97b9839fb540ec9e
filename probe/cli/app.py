"""One application: how its errors are told, and what it exits with.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted. An error is at most three lines on stderr: what, where, and
what to do. PROBE_DEBUG=1 shows the traceback instead.
"""

import os
from typing import Any

import typer
from typer.core import TyperGroup

from probe.errors import ProbeError
from probe.cli.show import complain, messages

INTERRUPTED = 130


class Probe(TyperGroup):
    """The group of all commands (typer wants a subclass): every error of every command passes here."""

    def invoke(self, ctx: typer.Context) -> Any:
        """Run the command; errors become messages and exit codes."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as err:
            messages().print("interrupted: finished work is kept, and the same command goes on from there", markup=False)
            raise typer.Exit(INTERRUPTED) from err
        except ProbeError as err:
            if debugging():
                raise
            complain(err.what, err.where, err.do)
            raise typer.Exit(err.exit_code) from err
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
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


app = typer.Typer(
    cls=Probe,
    name="probe",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    help="What did the reward change inside the model, and why does it help this model and not that one?",
)
