"""Errors that say what was wrong, where, and what to do next; and whose an error of the system is."""

import errno
from collections.abc import Callable
from functools import partial
from typing import Self


class ProbeError(Exception):
    """Something failed while doing what was asked (exit code 1)."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", do: str = "") -> None:
        self.what, self.where, self.do = what, where, do
        super().__init__(what, where, do)

    def __reduce__(self) -> tuple[Callable[[], Self], tuple[()]]:
        """Errors cross process borders; exceptions are otherwise rebuilt from positional arguments alone."""
        return partial(type(self), self.what, where=self.where, do=self.do), ()

    def __str__(self) -> str:
        place = f" [{self.where}]" if self.where else ""
        advice = f"\n  -> {self.do}" if self.do else ""
        return f"{self.what}{place}{advice}"


class BadInput(ProbeError):
    """What was asked for, or handed in, cannot be right (exit code 2)."""

    exit_code = 2


PLACES = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.ELOOP}
    | {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENXIO, errno.ENODEV, errno.EINVAL, errno.EXDEV, errno.ESPIPE}
)  # what the system says of a path that cannot be what was meant; a full disk, say, is nobody's input


def of_system(err: OSError, what: str, *, where: str = "", do: str = "") -> ProbeError:
    """An error of the system: BadInput where a path is at fault, ProbeError where disk, memory or network failed."""
    kind = BadInput if err.errno in PLACES else ProbeError
    return kind(what, where=where or str(err.filename or ""), do=do)
