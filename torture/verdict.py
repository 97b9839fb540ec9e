"""What can go wrong in a case, and how it is told from what may happen."""

import re
from dataclasses import dataclass

HANG, CRASH, OWN_FAULT = "hang", "crash", "fault of probe"
CODE, ACCEPT, REFUSAL, SILENT = "wrong exit code", "wrong accept", "wrong refusal", "refused without a word"
CONTROL, LOST, LEFT = "control characters", "lost what was there", "processes left"
SEALED, DIFFER, BLOCKED = "sealed damage", "differing bytes", "blocked for ever"
HARNESS = "the harness failed"
KINDS = (
    *(HANG, CRASH, OWN_FAULT, CODE, ACCEPT, REFUSAL, SILENT, CONTROL, LOST, LEFT),
    *(SEALED, DIFFER, BLOCKED, HARNESS),
)

# What a terminal obeys: C0 but for line feed and tab, DEL, C1, and the marks that turn the direction of writing.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
BAD_INPUT = 2
CLIPPED = 400  # characters of a detail


@dataclass(frozen=True)
class Fault:
    """One thing that must not happen: its kind, and what was seen."""

    kind: str
    detail: str


@dataclass(frozen=True)
class Ran:
    """How a command ended. `code` is None where a signal ended it (`signal`) or the limit (`hung`)."""

    words: str
    code: int | None
    signal: int = 0
    hung: bool = False
    out: bytes = b""
    err: bytes = b""
    seconds: float = 0.0
    left: int = 0  # processes of its session that were still there afterwards
    terminal: bool = False

    @property
    def text(self) -> str:
        """Everything it said."""
        return (self.out + b"\n" + self.err).decode("utf-8", "replace")

    @property
    def refused(self) -> bool:
        """Whether it ended by itself with any other code than 0."""
        return self.code not in (None, 0)


def judge(ran: Ran, bad: bool | None, planted: str = "") -> list[Fault]:
    """What was wrong with it. `bad`: must be refused (True), must be done (False), may be either (None)."""
    found = [*_ending(ran), *_said(ran, planted)]
    if ran.left:
        found.append(Fault(LEFT, f"{ran.left} still there"))
    if any(fault.kind in (HANG, CRASH, OWN_FAULT) for fault in found):
        return found
    return [*found, *_answer(ran, bad)]


def _ending(ran: Ran) -> list[Fault]:
    if ran.hung:
        return [Fault(HANG, f"killed after {ran.seconds:.0f} s; it had said: {clip(ran.text)}")]
    if ran.signal:
        return [Fault(CRASH, f"signal {ran.signal}: {clip(ran.text)}")]
    if "Traceback (most recent call last)" in ran.text:
        return [Fault(CRASH, f"a traceback: {clip(ran.text[ran.text.rindex('Traceback') :][-CLIPPED:])}")]
    if "fault of probe" in ran.text:
        return [Fault(OWN_FAULT, clip(ran.text))]
    return []


def _said(ran: Ran, planted: str) -> list[Fault]:
    """Rich itself moves the cursor of a terminal: there, only what was planted is looked for."""
    if ran.terminal:
        return [Fault(CONTROL, f"{planted!r} reached the terminal")] if planted and planted in ran.text else []
    seen = OBEYED.search(ran.text)
    if seen is None:
        return []
    around = ran.text[max(0, seen.start() - 60) : seen.end() + 60]
    return [Fault(CONTROL, f"U+{ord(seen[0]):04X} in {around!r}")]


def _answer(ran: Ran, bad: bool | None) -> list[Fault]:
    if ran.code == 0:
        return [Fault(ACCEPT, f"done: {clip(ran.text)}")] if bad else []
    found = []
    if ran.code != BAD_INPUT:
        found.append(Fault(CODE, f"{ran.code}: {clip(ran.text)}"))
    if "error" not in ran.text.lower():
        found.append(Fault(SILENT, clip(ran.text)))
    if bad is False:
        found.append(Fault(REFUSAL, clip(ran.text)))
    return found


def clip(text: str) -> str:
    """The end of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= CLIPPED else f"...{line[-CLIPPED:]}"
