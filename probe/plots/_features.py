"""Which pairs does a figure of dictionaries draw, and what are they called? One cell a family and way of training.

Within a cell base seeds are the replicates (`_pairs.over_seeds`); what varies between bases, such as the number of a
latent, is never averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from probe.measurements import Row, Rows
from probe.plots import _pairs
from probe.plots._captions import not_drawn
from probe.plots._frame import wrap
from probe.plots._pairs import run_look
from probe.plots._replicates import Mean, after_holm, last_step
from probe.plots._style import FAMILIES, REWARDS, SMALL, ordered
from probe.plots._words import plain

MOST = 5  # cells that fit


@dataclass(frozen=True)
class Cell:
    """One way of training of one family, and its rows."""

    family: str
    reward: str
    rows: tuple[Row, ...]
    among: tuple[str, ...]  # the rewards of its family

    @property
    def name(self) -> str:
        """In a sentence."""
        about = _pairs.base_name(self.rows[0])
        return f"{about}, {run_look(self.reward, self.among).label}" if self.reward else about

    def lines(self, room: float) -> str:
        """Beside a panel."""
        parts = (_pairs.base_name(self.rows[0]), plain(run_look(self.reward, self.among).label, 40))
        return "\n".join(line for part in parts for line in wrap(part, SMALL, room))

    def pick(self, **wanted: object) -> list[Row]:
        """Its rows with those values, without a number too."""
        return [row for row in self.rows if all(row.get(key) == value for key, value in wanted.items())]


def cells(rows: Rows, starts: tuple[str, ...]) -> list[Cell]:
    """Of the rows whose names start so, at the last step of each, in the fixed order; of one size a family."""
    known = [row for row in rows if str(row.get("name")).startswith(starts) and row.get("reward")]
    found = []
    for family in ordered((row.get("family") for row in known), FAMILIES):
        mine = [row for row in known if row.get("family") == family]
        mine = last_step([row for row in mine if row.get("size") == mine[0].get("size")], ("reward",))
        rewards = ordered((row["reward"] for row in mine), REWARDS)
        for reward in rewards:
            here = tuple(row for row in mine if row["reward"] == reward)
            found.append(Cell(str(family), str(reward), here, tuple(rewards)))
    return found


def left_out(found: Sequence[Cell]) -> str:
    """For the caption, of cells beyond MOST."""
    return not_drawn(len(found[MOST:]), "way of training")


def surviving(means: Sequence[Mean]) -> list[Mean]:
    """Holm over those of several runs; one run's own interval, over problems or latents, stands as it is."""
    held = iter(after_holm([mean for mean in means if len(mean.runs) > 1]))
    return [next(held) if len(mean.runs) > 1 else mean for mean in means]
