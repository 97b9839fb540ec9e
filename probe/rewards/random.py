"""What if the reward says nothing at all? Bernoulli(gamma), independent of the response (2506.10947 §2, gamma = .5).

    r = 1 if u < gamma else 0,   u = top 53 bits of sha256("reward", "random", seed, *address) / 2^53

The draw is a function of its address (step, problem id, sample) alone: batching, order, resuming and other draws change
nothing. gamma is not part of the address, so raising it only turns zeros into ones. `flipped` gives 1 - r on the same
draws (antithetic): every reward is turned round, and nothing else. A recipe names it only where it is true.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from probe.errors import BadInput
from probe.rewards import UNSAID, per_response, rewards
from probe.rng import address as stream


@rewards.register("random")
@dataclass(frozen=True)
class Random:
    """`gamma` is the probability of a 1, `seed` the seed of the treatment, apart from that of the sampler."""

    informative: ClassVar[bool] = False
    is_null: ClassVar[bool] = False
    gamma: float = 0.5
    seed: int = 0
    flipped: bool = field(default=False, metadata=UNSAID)

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= 1:
            raise BadInput(f"the random reward has gamma {self.gamma}", do="give a probability in [0, 1]")

    def __call__(
        self, *, completions: Sequence[str], address: Sequence[Sequence[str | int]] | None = None, **info: Any
    ) -> list[float | None]:
        """`address` holds one tuple per response, no two alike: shared addresses would be shared draws (BadInput)."""
        places = [tuple(place) for place in per_response("address", address, completions, "random")]
        if len(set(places)) < len(places):
            twice = next(place for place in places if places.count(place) > 1)
            raise BadInput(f"two responses share the random address {twice}", do="add the sample's index to it")
        ones = ((stream("reward", "random", self.seed, *place) >> 75) < self.gamma * 2**53 for place in places)
        return [float(one != self.flipped) for one in ones]
