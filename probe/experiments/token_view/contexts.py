"""Where is each thing that is shown strongest, and what stands around it? One place a problem, over both sides' texts.

    {problem, sample, side, pos, at, pieces, values}     `at`: which of `pieces` it is; a value for each token of the
                                                         answer, none for those of the question in front of it

A direction's places are looked for in the states of the model that wrote the text. Pieces are a model's text: data.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from probe.experiments.dictionaries.cards import AROUND
from probe.experiments.token_view.beside import LATENT, UNTRAINED, Columns
from probe.models.loading.loaded import Loaded
from probe.tokens.pieces import pieces

CONTEXTS = 6
Rollouts = Sequence[Mapping[str, Any]]
Place = tuple[float, str, int, int]  # how strong, side, text, token


def contexts(
    written: Mapping[str, Rollouts], values: Mapping[str, Sequence[Columns]], loaded: Loaded
) -> dict[str, list[dict[str, Any]]]:
    """By thing, at most CONTEXTS, the strongest first."""
    known: dict[int, str] = {}
    names = next((columns for texts in values.values() for columns in texts), {})
    found = {}
    for thing in dict.fromkeys(map(thing_of, names)):
        best: dict[str, Place] = {}
        for place in sorted(_places(thing, values), key=lambda place: -place[0]):
            best.setdefault(written[place[1]][place[2]]["problem"], place)
        found[thing] = [
            _context(written[side][text], values[side][text][column_of(thing, side)].tolist(), side, at, loaded, known)
            for _, side, text, at in list(best.values())[:CONTEXTS]
        ]
    return found


def thing_of(column: str) -> str:
    """What a column is of: a latent has one column, a direction one a model."""
    return column if _has_one(column) else column.partition(":")[0]


def column_of(thing: str, side: str) -> str:
    """Its column of that model's states."""
    return thing if _has_one(thing) else f"{thing}:{side}"


def _has_one(name: str) -> bool:
    return name.startswith((f"{LATENT}:", f"{UNTRAINED}:"))


def _places(thing: str, values: Mapping[str, Sequence[Columns]]) -> Iterator[Place]:
    """The strongest token of every text; none where a latent never fires."""
    for side, texts in values.items():
        for text, columns in enumerate(texts):
            column = columns[column_of(thing, side)]
            if column.max() > 0 or not _has_one(thing):
                yield float(column.max()), side, text, int(column.argmax())


def _context(
    row: Mapping[str, Any], column: Sequence[float], side: str, pos: int, loaded: Loaded, known: dict[int, str]
) -> dict[str, Any]:
    asked = pieces(loaded.tokenizer, row["prompt_ids"][-AROUND:], known)
    spelled = [*asked, *pieces(loaded.tokenizer, row["completion_ids"], known)]
    numbers = [*[None] * len(asked), *(float(f"{value:.4g}") for value in column)]
    start, here = max(0, len(asked) + pos - AROUND), len(asked) + pos
    window = slice(start, here + AROUND + 1)
    about = {"problem": row["problem"], "sample": row["sample"], "side": side, "pos": pos, "at": here - start}
    return about | {"pieces": spelled[window], "values": numbers[window]}
