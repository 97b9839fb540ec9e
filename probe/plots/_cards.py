"""What is printed on a card: contexts as text with their token marked, tokens, and which audits a latent passed.

    passed   the audit's own rule says yes          failed   it says no          open   neither, or it is no test:
             not run, or what was changed comes behind the one place where the latent fires, and the interval is a point

    tells code           AUROC's interval leaves .5 out, after Holm
    beside a direction   as far from .5 as the lower limit of the difference of means, the cheapest probe
    the token alone      first words of code, put into prose, bring no more than half of its class difference
    other words          more than half of the difference stays where the answers of both classes are reworded
    another letter       the same where the prompts' style letter is another, which sets how likely code is
    other seed           another dictionary seed has a latent with cosine .7 or more

Text is a model's: ends of lines become signs, what cannot be drawn becomes "?", and dollars stay dollars (`_words`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from probe.measurements import MARKED, Row
from probe.plots._replicates import SAME, pick
from probe.plots._words import interval, number, plain

Said = Literal["passed", "failed", "open"]
SIGNS: dict[Said, str] = {"passed": "✓", "failed": "✗", "open": "?"}
COLOURS: dict[Said, str] = {"passed": "#00684B", "failed": "#B2471D", "open": "#555555"}
BEFORE, BEHIND = 22, 14  # characters of a context on either side of its token
MATCHED = 0.7
EDITS = {"answer": "in other words keeps", "letter": "under another letter of the prompt keeps"}  # that are judged
NO_DIFFERENCE = "no class difference"
INJECTED: dict[str, Said] = {"not the token alone": "passed", "fires on the token": "failed"}
REWORDED: dict[str, Said] = {"stays in other words": "passed", "goes with the words": "failed"}


@dataclass(frozen=True)
class Audit:
    """One line: what was said, and in words."""

    said: Said
    text: str

    @property
    def line(self) -> str:
        """As it is printed."""
        return f"{SIGNS[self.said]} {self.text}"


def visible(text: object, longest: int) -> str:
    """A model's text in one line, cut at its end."""
    spaced = str(text).replace("\r", "").replace("\n", "↵").replace("\t", "⇥")
    line = plain(spaced.replace(" ", "·") if spaced.strip() == "" else spaced, 10**6)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def context(text: object) -> str:
    """The same around its marked token, cut at the far ends."""
    start, _, rest = str(text).partition(MARKED[0])
    here, _, end = rest.partition(MARKED[1])
    before, behind = (visible(part, 10**6) if part else "" for part in (start, end))
    before = f"…{before[1 - BEFORE :]}" if len(before) > BEFORE else before
    behind = f"{behind[: BEHIND - 1]}…" if len(behind) > BEHIND else behind
    return f"{before}{MARKED[0]}{visible(here, BEHIND)}{MARKED[1]}{behind}"


def audits(rows: Sequence[Row], latent: int) -> list[Audit]:
    """Of one latent of one pair, whose rows these are."""
    (told, line), own = (pick(rows, name=name) for name in ("latent_auroc", "direction_auroc")), {"latent": latent}
    auroc = next(iter(pick(told, **own)), None)
    found = [_tells(auroc), _beside(auroc, line[0] if line else None)]
    found.append(
        _by_verdict(pick(rows, name="latent_token_share", **own), INJECTED, "code's first words in prose bring")
    )
    kept = {edit: pick(rows, name="latent_kept_share", edit=edit, **own) for edit in EDITS}
    found += [_by_verdict(kept[edit], REWORDED, text) for edit, text in EDITS.items()]
    return [*found, _matched(pick(rows, name="latent_match", **own))]


def _tells(row: Row | None) -> Audit:
    if row is None:
        return Audit("open", "AUROC for code: not told")
    clear = not row["lo"] <= 0.5 <= row["hi"] and (row.get("p") is None or row["p"] < 0.05)
    return Audit("passed" if clear else "failed", f"AUROC for code {_estimate(row)}")


def _beside(row: Row | None, line: Row | None) -> Audit:
    if row is None or line is None:
        return Audit("open", "no direction beside it")
    reach = max(row["value"], 1 - row["value"])
    said: Said = "passed" if reach >= max(line["lo"], 1 - line["hi"]) else "failed"
    return Audit(said, f"as good as the difference of means, {_estimate(line)}")


def _by_verdict(rows: Sequence[Row], verdicts: dict[str, Said], text: str) -> Audit:
    if not rows:
        return Audit("open", f"{text}: not told")
    if rows[0]["reason"] == NO_DIFFERENCE:
        return Audit("open", f"{text}: {NO_DIFFERENCE}")
    if rows[0]["hi"] - rows[0]["lo"] < SAME:
        return Audit("open", f"{text} {number(rows[0]['value'])}: it fires before the answer")
    return Audit(verdicts.get(str(rows[0]["reason"]), "open"), f"{text} {_estimate(rows[0])}")


def _matched(rows: Sequence[Row]) -> Audit:
    if not rows:
        return Audit("open", "other dictionary seed: not told")
    value, chance = rows[0]["value"], rows[0]["null"]
    said: Said = "passed" if value >= MATCHED else "failed"
    return Audit(said, f"other dictionary seed: cosine {number(value)} (chance {number(chance)})")


def _estimate(row: Row) -> str:
    return f"{number(row['value'])} {interval(row['lo'], row['hi'])}".replace("-", "−")
