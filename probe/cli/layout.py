"""How does a table stand in a terminal that is too narrow for it? Numbers whole, words wrapped, else in several parts.

1. It fits as it is.  2. Columns of words are narrowed, the widest first, as long as each keeps LEAST characters.
3. Else the columns are laid out in parts below each other; the leading words, which say what a row is, start each part.
Pure: widths in, widths out, in characters of a terminal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

GAP = 2  # between columns
LEAST = 12  # characters that a narrowed column of words keeps
WISHED = 24  # and what it is given, where a part has to be begun for it
KEY_SHARE = 3  # the leading words take this part of the room at most, where a table stands in parts


@dataclass(frozen=True)
class Part:
    """The columns that stand beside each other, by their places, and how wide each is."""

    columns: tuple[int, ...]
    widths: tuple[int, ...]


def parts(widths: Sequence[int], numbers: Sequence[bool], room: int) -> list[Part]:
    """`widths` of the columns as they are, which of them are numbers, and the characters of a line."""
    every = tuple(range(len(widths)))
    whole = _fitted(every, widths, numbers, room)
    if whole is not None:
        return [whole]
    n_keys = max(1, next((place for place in every if numbers[place]), 1))
    keys, rest = every[:n_keys], every[n_keys:]
    key_room = min(widths[0], room // 2) if numbers[0] else max(LEAST * n_keys, room // KEY_SHARE)
    key_widths = dict(zip(keys, filled([widths[place] for place in keys], key_room - GAP * (n_keys - 1)), strict=True))
    left = room - sum(key_widths.values()) - GAP * n_keys
    found, now, used = [], list[int](), 0
    for place in rest:
        need = min(widths[place] if numbers[place] else min(widths[place], WISHED), left)
        if now and used + need + GAP > left:
            found.append(now)
            now, used = [], 0
        used += need + (GAP if now else 0)
        now.append(place)
    found += [now] if now or not found else []
    return [_part(key_widths, columns, widths, numbers, left) for columns in found]


def _fitted(places: tuple[int, ...], widths: Sequence[int], numbers: Sequence[bool], room: int) -> Part | None:
    """All of these columns beside each other, or None where a column of words would get too narrow."""
    words = [place for place in places if not numbers[place]]
    left = room - GAP * (len(places) - 1) - sum(widths[place] for place in places if numbers[place])
    narrow = dict(zip(words, filled([widths[place] for place in words], max(left, 0)), strict=True))
    if left < 0 or any(narrow[place] < min(widths[place], LEAST) for place in words):
        return None
    return Part(places, tuple(narrow.get(place, widths[place]) for place in places))


def _part(keys: dict[int, int], columns: list[int], widths: Sequence[int], numbers: Sequence[bool], left: int) -> Part:
    """The keys and some columns; words share what numbers leave."""
    fixed = {place: min(widths[place], left) for place in columns if numbers[place]}
    words = [place for place in columns if not numbers[place]]
    for_words = left - GAP * (len(columns) - 1) - sum(fixed.values())
    fixed |= dict(zip(words, filled([widths[place] for place in words], for_words), strict=True))
    return Part((*keys, *columns), (*keys.values(), *(fixed[place] for place in columns)))


def filled(widths: Sequence[int], room: int) -> list[int]:
    """The widths cut to one largest width so that they take `room` in all, each one character at least."""
    if sum(widths) <= room or not widths:
        return list(widths)
    cap, left = 1, room
    for place, width in enumerate(sorted(widths)):
        cap = max(1, left // (len(widths) - place))
        if width > cap:
            break
        left -= width
    return [min(width, cap) for width in widths]
