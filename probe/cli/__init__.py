"""The command line: `probe --help`. One file per group of commands; each loads what it needs when it runs."""

from probe.cli import compare, real, study  # noqa: F401 - importing registers the commands
from probe.cli.app import app


def main() -> None:
    """Entry point of the console script."""
    app()
