"""Whose fault is it? Whatever a command raises, as an error that says what, where and what to do.

What was given is BadInput (exit code 2): a path the system cannot use, text that is no text, what is nested too deeply,
a tokenizer that its library gives up on (a panic of its Rust code is no Exception). A full disk, memory that is out, a
network that fails are not (exit code 1); and what is left is a fault of probe.
"""

from probe.errors import BadInput, ProbeError, of_system

PANIC = "PanicException"  # pyo3 makes one such class per library, and exports none
OF_PATHLIB = ("Symlink loop", "Could not determine home")  # how pathlib says what it cannot resolve
TRACE = "PROBE_DEBUG=1 shows where it is"


def told(err: BaseException) -> ProbeError:
    """The error as one of ours."""
    if isinstance(err, ProbeError):
        return err
    if isinstance(err, OSError):
        return of_system(err, f"cannot use a file: {err.strerror or err}", do="check the path and your rights")
    if type(err) is RuntimeError and str(err).startswith(OF_PATHLIB):
        return BadInput(f"cannot use a path: {err}", do="check the path")
    if isinstance(err, UnicodeError):
        return BadInput(f"this is not UTF-8 text: {err}", do=f"give UTF-8; {TRACE}")
    if isinstance(err, RecursionError):
        return BadInput("what was given is nested too deeply", do=f"flatten it; {TRACE}")
    if isinstance(err, MemoryError):
        return ProbeError("no memory is left", do="give less at a time, or use a machine with more")
    if is_panic(err):
        return BadInput(f"a file makes its library give up: {err}", do=f"use another file; {TRACE}")
    return ProbeError(f"{type(err).__name__}: {err}", do=f"this is a fault of probe: {TRACE}")


def is_panic(err: BaseException) -> bool:
    """Whether Rust code has panicked below Python."""
    return type(err).__name__ == PANIC and not isinstance(err, Exception)


def not_text(words: dict[str, str]) -> BadInput | None:
    """The error of the first of these words that holds bytes which are no UTF-8; None where all are text."""
    for where, word in words.items():
        if any("\ud800" <= char <= "\udfff" for char in word):
            return BadInput(f"a name that is not UTF-8: {word}", where=where, do="rename the file, or mend the word")
    return None
