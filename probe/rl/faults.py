"""What is said when a batch fails? A full memory: what to give less of. A reward that raises: which, on what text.

Nothing of such a batch is kept, and what was kept before stays: the same command goes on from there.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from probe.errors import ProbeError
from probe.models.sampling.batches import is_full
from probe.rewards import Reward
from probe.rl.advantage import RewardTable, reward_table

SHOWN = 200  # letters of a response
GOES_ON = "the same command goes on from the last kept step"


@contextlib.contextmanager
def full_memory_told(doing: str, batch: int) -> Iterator[None]:
    """Within it, a full memory (of a GPU or not) is a ProbeError that says what to give less of."""
    try:
        yield
    except (RuntimeError, MemoryError) as err:
        if not is_full(err):
            raise
        do = f"give fewer --micro-tokens, a smaller --batch, --recompute, or --lora; {GOES_ON}"
        raise ProbeError(f"no room in memory for {doing}", where=f"GRPO, batch {batch}", do=do) from err


def scored(reward: Reward, asked: Mapping[str, Sequence[Any]], n_samples: int, batch: int) -> RewardTable:
    """What the reward gives each response; `asked` are its keywords, one value a response.

    ProbeError where it raises, with the first response it raises on alone, or where it gives no number to each.
    """
    n, where, do = len(asked["completions"]), f"GRPO, batch {batch}", f"mend it; {GOES_ON}"
    named = f"the reward {name_of(reward)}"
    try:
        found = reward(**asked)
    except ProbeError:
        raise
    except Exception as err:
        what = f"{named} raised {type(err).__name__}: {err}{_on_which(reward, asked, err)}"
        raise ProbeError(what, where=where, do=do) from err
    try:
        numbers = [None if each is None else float(each) for each in found]
    except (TypeError, ValueError) as err:
        raise ProbeError(f"{named} gave what are no scores: {err}", where=where, do=do) from err
    if len(numbers) != n:
        raise ProbeError(f"{named} gave {len(numbers)} scores for {n} responses", where=where, do=do)
    return reward_table(numbers, n_samples)


def name_of(reward: Reward) -> str:
    """Of a function or a class."""
    return str(getattr(reward, "__name__", type(reward).__name__))


def _on_which(reward: Reward, asked: Mapping[str, Sequence[Any]], err: Exception) -> str:
    """The first response on which it raises such an error alone, escaped; nothing where only all of them do."""
    for row, text in enumerate(asked["completions"]):
        try:
            reward(**{name: values[row : row + 1] for name, values in asked.items()})
        except type(err):
            more = "..." if len(text) > SHOWN else ""
            return f"; on response {row}, {text[:SHOWN]!r}{more}"
        except Exception:  # not what it raised on all of them
            continue
    return ""
