"""The child process of `probe.tasks.verify`: asks math-verify whether two answers are equal. Run as a script.

Protocol: a JSON object a line. Out, once: {"ready": version}. In: {"gold", "prediction", "seconds"}. Out: {"outcome"}.

Both answers arrive extracted, so parsing is strict: the whole string is one formula, math-verify's own hunt through
prose (which credits "The answer is 42") never runs, and its fallback to comparing strings is dropped. Added to what it
decides: i is the imaginary unit, and an equation is equal to its multiples.
The limit is processor time, so that a loaded machine gives the same outcome: an interval timer with no handler, which
kills this process whatever C code it is in. No signal is caught and none of math-verify's own timeouts is on.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from probe.engine.with_parent import follow_parent

MEMORY = 3 << 30  # bytes of address space: a factorial must not take the machine with it


def main() -> None:
    """Answer requests until standard input closes."""
    follow_parent()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a stray print of a library must not break the protocol
    _limit_memory()
    compare = _comparer()
    compare("x + 1", "\\frac{1}{2}")  # what is built at the first question must not count against it
    _say(out, {"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        _arm(request["seconds"])
        outcome = compare(request["gold"], request["prediction"])
        _arm(0)
        _say(out, {"outcome": outcome})


def _say(out: Any, message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # no limit where the system has none
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _arm(seconds: float) -> None:
    with contextlib.suppress(ImportError, AttributeError):
        import signal

        signal.setitimer(signal.ITIMER_PROF, seconds)


def _comparer() -> Callable[[str, str], str]:
    from math_verify import LatexExtractionConfig, parse, verify
    from sympy import Basic, Eq, Expr, I, MatrixBase, cancel, together

    config = [LatexExtractionConfig(boxed_match_priority=-1)]

    def read(answer: str) -> Any:
        parsed = parse(f"${answer}$", config, fallback_mode="no_fallback", parsing_timeout=None)
        found = next((item for item in parsed if isinstance(item, Basic | MatrixBase)), None)
        imaginary = {symbol: I for symbol in getattr(found, "free_symbols", ()) if symbol.name == "i"}
        return found.subs(imaginary) if found is not None and imaginary else found

    def is_multiple(wanted: Any, given: Any) -> bool:
        """Whether two equations differ by a constant factor: 2x + 4y = 3 and y = -x/2 + 3/4."""
        if not (isinstance(wanted, Eq) and isinstance(given, Eq) and wanted.free_symbols == given.free_symbols):
            return False
        left, right = wanted.lhs - wanted.rhs, given.lhs - given.rhs
        if not (isinstance(left, Expr) and isinstance(right, Expr)) or right == 0:
            return False
        ratio = cancel(together(left / right))
        return bool(ratio.is_number and ratio != 0)

    def compare(gold: str, prediction: str) -> str:
        try:
            if (wanted := read(gold)) is None:
                return "gold_unparsed"
            if (given := read(prediction)) is None:
                return "unparsed"
            same = verify(wanted, given, timeout_seconds=None) or is_multiple(wanted, given)
            return "right" if same else "wrong"
        except MemoryError:
            return "timeout"  # out of memory is out of budget
        except Exception:
            return "unparsed"

    return compare


if __name__ == "__main__":
    main()
