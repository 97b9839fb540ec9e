"""Are two formulas equal? math-verify in a worker process that can be killed.

math-verify burns its whole timeout on `9^{9^{9^9}}`, `10000000!` or forty parentheses, raises off the main thread, and
its TimeoutException is no Exception. So it runs in a child (`verify_worker.py`), which dies at `timeout` seconds of
processor time; the next question starts a new one (about a second). Answers cross as JSON: nothing is unpickled.

    died of its own timer, or says that its own memory limit was reached     `timeout`
    killed from outside, or silent (stopped, starved)     the same question again; after ATTEMPTS an error that names it
    crashed (a fault in C code)                           again; after ATTEMPTS `unparsed`: no reader can read that
"""

import signal
from pathlib import Path

from probe.data import Outcome
from probe.engine.child import Child, Ended
from probe.errors import ProbeError

OWN_LIMIT = int(getattr(signal, "SIGPROF", 0))  # the signal of the worker's timer
CRASHES = frozenset(
    int(getattr(signal, name)) for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE") if hasattr(signal, name)
)
WORKER = Path(__file__).with_name("verify_worker.py")
ATTEMPTS = 3
MAX_CHARS = 2000  # of a formula that is handed to sympy; twice the longest answer that is read
WALL_FACTOR = 10.0  # the child limits its processor time; this is for a child that is stopped or starved


class Verifier:
    """One lazily started worker. Safe to share between threads; a forked process starts its own."""

    def __init__(self, timeout: float = 2.0) -> None:
        self.timeout = timeout
        self.child = Child(WORKER, "math_verify (pip install math-verify)")

    def ask(self, prediction: str, gold: str) -> Outcome:
        """math-verify's verdict on two extracted answers; `timeout` if the worker ran into its own limits.

        ProbeError names the answers on which it was killed again and again.
        """
        if max(len(gold), len(prediction)) > MAX_CHARS:
            return Outcome.gold_unparsed if len(gold) > MAX_CHARS else Outcome.unparsed
        request = {"gold": gold, "prediction": prediction, "seconds": self.timeout}
        ends: list[int | None] = []
        while len(ends) < ATTEMPTS:
            try:
                return Outcome(self.child.ask(request, self.timeout * WALL_FACTOR)["outcome"])
            except Ended as end:
                if end.code == -OWN_LIMIT:
                    return Outcome.timeout
                ends.append(end.code)
        if all(code is not None and -code in CRASHES for code in ends):
            return Outcome.unparsed
        raise _lost(prediction, gold, ends)

    def close(self) -> None:
        """End the worker. A later question starts another."""
        self.child.close()


def _lost(prediction: str, gold: str, ends: list[int | None]) -> ProbeError:
    how = ", ".join("silent" if end is None else f"signal {-end}" if end < 0 else f"exit {end}" for end in ends)
    return ProbeError(
        f"the grading worker was lost {len(ends)} times on the same answer ({how})",
        where=f"prediction {prediction[:200]!r}, gold {gold[:200]!r}",
        do="see whether the machine is out of memory (signal 9); leave that response out if it is the cause",
    )
