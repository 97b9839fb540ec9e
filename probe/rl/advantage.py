"""How much more likely should each response become? From the rewards of groups to one advantage per response.

    group normalised  (r - mean) / (std + eps)                  2402.03300; eps 1e-9 in 2506.10947, 1e-4 in TRL; ddof 1
    centred           r - mean                                  2503.20783 (Dr. GRPO)
    RLOO              r - mean of the others = n/(n-1) (r - mean)   2402.14740
    positive only     r on correct responses, the rest left out     2506.01347 (PSR)
    negative only     r - 1 on wrong responses, the rest left out   2506.01347 (NSR)
    weighted          positive * r, or negative * (r - 1)           2506.01347 (W-REINFORCE: .1 and 1)

Rewards are [groups sample]: n responses to each prompt. A reward may abstain (None): that response is left out of its
group's mean and of the batch. Results are [batch], group by group. An advantage is a frozen dataclass of plain fields,
so `spec` names it in a recipe and `from_spec` reads it back. Left out: batch-wide scaling, and per-token advantages.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.errors import BadInput
from probe.registry import nearest


@dataclass(frozen=True)
class RewardTable:
    """`value` float64 [groups sample], 0 where the reward abstained; `given` False there."""

    value: Float[Tensor, "groups sample"]
    given: Bool[Tensor, "groups sample"]


@dataclass(frozen=True)
class Advantages:
    """`value` float32 [batch]; `keep` False on responses that are not part of the update (their value is 0).

    Nothing may be kept, e.g. positive-only where no response is correct: then there is no update to make.
    """

    value: Float[Tensor, " batch"]
    keep: Bool[Tensor, " batch"]


@runtime_checkable
class Advantage(Protocol):
    """A frozen dataclass that turns rewards into advantages."""

    def __call__(self, rewards: RewardTable) -> Advantages: ...


def reward_table(rewards: Sequence[float | None], group_size: int) -> RewardTable:
    """The rewards of consecutive groups as a table. BadInput on NaN or infinity (rows named), ragged or no groups."""
    if group_size < 1 or not rewards or len(rewards) % group_size:
        what = f"{len(rewards)} rewards do not make groups of {group_size}"
        raise BadInput(what, do="give every prompt's group in full, none of them empty")
    bad = [row for row, reward in enumerate(rewards) if reward is not None and not math.isfinite(reward)]
    if bad:
        raise BadInput(
            f"{len(bad)} rewards are NaN or infinite",
            where=", ".join(f"row {row} (group {row // group_size})" for row in bad[:5]),
            do="mend the reward function; a reward that cannot score a response returns None",
        )
    given = torch.tensor([reward is not None for reward in rewards])
    if not given.any():
        raise BadInput("the reward abstained on every response", do="check its labels: there is nothing to learn from")
    value = torch.tensor([0.0 if reward is None else float(reward) for reward in rewards], dtype=torch.float64)
    return RewardTable(value.view(-1, group_size), given.view(-1, group_size))


def reward_metrics(rewards: RewardTable) -> dict[str, float]:
    """Under TRL's names: mean and standard deviation (ddof 1) over responses, share of groups with one reward only."""
    scored = rewards.value[rewards.given]
    std = scored.std().item() if len(scored) > 1 else 0.0
    return {
        "reward": scored.mean().item(),
        "reward_std": std,
        "frac_reward_zero_std": _constant(rewards).double().mean().item(),
    }


@dataclass(frozen=True)
class GroupNormalised:
    """The defaults are the paper's; `eps=1e-4` is TRL's."""

    eps: float = 1e-9
    ddof: int = 1

    def __post_init__(self) -> None:
        if not self.eps >= 0 or self.ddof not in (0, 1):
            raise BadInput(f"group_normalised with eps={self.eps}, ddof={self.ddof}", do="use eps >= 0 and ddof 0 or 1")

    def __call__(self, rewards: RewardTable) -> Advantages:
        deviation, n = _deviation(rewards)
        std = ((deviation**2).sum(1, keepdim=True) / (n - self.ddof).clamp(min=1)).sqrt()
        return _advantages(torch.where(std > 0, deviation / (std + self.eps), 0.0), rewards.given)


@dataclass(frozen=True)
class Centred:
    """No division by the standard deviation, so easy and hard prompts are not weighted up."""

    def __call__(self, rewards: RewardTable) -> Advantages:
        return _advantages(_deviation(rewards)[0], rewards.given)


@dataclass(frozen=True)
class Rloo:
    """Leave-one-out baseline; 0 for the only response of a group."""

    def __call__(self, rewards: RewardTable) -> Advantages:
        deviation, n = _deviation(rewards)
        return _advantages(deviation * n / (n - 1).clamp(min=1), rewards.given)


@dataclass(frozen=True)
class PositiveOnly:
    """PSR. Needs rewards of 0 and 1."""

    def __call__(self, rewards: RewardTable) -> Advantages:
        correct = _correct(rewards)
        return _advantages(rewards.value, correct & rewards.given)


@dataclass(frozen=True)
class NegativeOnly:
    """NSR. Needs rewards of 0 and 1."""

    def __call__(self, rewards: RewardTable) -> Advantages:
        correct = _correct(rewards)
        return _advantages(rewards.value - 1, ~correct & rewards.given)


@dataclass(frozen=True)
class Weighted:
    """W-REINFORCE at its defaults: every response is kept. Needs rewards of 0 and 1."""

    positive: float = 0.1
    negative: float = 1.0

    def __call__(self, rewards: RewardTable) -> Advantages:
        value = torch.where(_correct(rewards), self.positive * rewards.value, self.negative * (rewards.value - 1))
        return _advantages(value, rewards.given)


ADVANTAGES: dict[str, type[Advantage]] = {
    "group_normalised": GroupNormalised,
    "centred": Centred,
    "rloo": Rloo,
    "positive_only": PositiveOnly,
    "negative_only": NegativeOnly,
    "weighted": Weighted,
}


def spec(advantage: Advantage) -> dict[str, Any]:
    """The plain dict of an advantage, e.g. {"advantage": "weighted", "positive": 0.1, "negative": 1.0}."""
    names = {kind: name for name, kind in ADVANTAGES.items()}
    return {"advantage": names[type(advantage)], **asdict(advantage)}  # type: ignore[call-overload]


def from_spec(spec: dict[str, Any]) -> Advantage:
    """The advantage of a plain dict; BadInput on an unknown name or field."""
    fields = dict(spec)
    name = fields.pop("advantage", None)
    if name not in ADVANTAGES:
        raise BadInput(f"there is no advantage named {name!r}", do=nearest(name, sorted(ADVANTAGES)))
    try:
        return ADVANTAGES[name](**fields)
    except TypeError as err:
        raise BadInput(f"advantage {name!r}: {err}", where=str(spec), do="give only the fields it has") from err


def _constant(rewards: RewardTable) -> Bool[Tensor, " groups"]:
    """Groups whose given rewards are all equal: exactly no information, whatever rounding makes of their mean."""
    highest = rewards.value.where(rewards.given, -math.inf).amax(1)
    lowest = rewards.value.where(rewards.given, math.inf).amin(1)
    return highest <= lowest


def _deviation(rewards: RewardTable) -> tuple[Float[Tensor, "groups sample"], Float[Tensor, "groups 1"]]:
    """(r - mean of the group's given rewards, their number); exactly 0 in constant groups (Adam would scale 1e-17)."""
    n = rewards.given.double().sum(1, keepdim=True)
    deviation = (rewards.value - rewards.value.sum(1, keepdim=True) / n.clamp(min=1)).where(rewards.given, 0.0)
    return deviation.where(~_constant(rewards)[:, None], 0.0), n


def _correct(rewards: RewardTable) -> Bool[Tensor, "groups sample"]:
    strange = rewards.value[(rewards.value != 0) & (rewards.value != 1)]
    if len(strange):
        raise BadInput(
            f"this advantage tells right from wrong by rewards of 1 and 0, and got {strange[0].item():g}",
            do="use a 0/1 reward, or group_normalised, centred or rloo",
        )
    return rewards.value == 1


def _advantages(value: Float[Tensor, "groups sample"], keep: Bool[Tensor, "groups sample"]) -> Advantages:
    return Advantages(value.where(keep, 0.0).flatten().float(), keep.flatten())
