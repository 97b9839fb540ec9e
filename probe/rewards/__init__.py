"""Which scores can a response be given? One file per reward, found by discovery.

    @rewards.register("python")
    @dataclass(frozen=True)
    class Python:
        informative: ClassVar[bool] = False
        is_null: ClassVar[bool] = False
        def __call__(self, *, completions: Sequence[str], **info: Any) -> list[float | None]: ...

Every entry is a frozen dataclass with plain fields: `rewards.get("random")(gamma=0.5)` is a reward, and its fields are
its identity (`probe.rewards.compose.spec`). A reward is called with keywords and one value per response:

    prompts      the problem as text, not what a decoder made of it
    completions  the response alone, plain text
    answers      the label to compare with (None: no label, the reward abstains); where labels come from is another
                 choice, `probe.rl.labels`
    group        which responses answer the same prompt, any hashable (majority_online)
    address      where its random draw lies, e.g. (step, problem id, sample), plain ints and strings (random)

`informative` says whether the score tells which answer is right (figures call the others spurious), `is_null` whether
it is the same for every response, so that nothing can be learnt from it.

It returns one float per response, or None where it abstains. TRL's trainer can call it as it is (dataset columns become
keywords), verl through a one-line function. A reward sees no log-probs and no other state: same input, same score.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from probe.errors import BadInput
from probe.registry import Registry


@runtime_checkable
class Reward(Protocol):
    """Scores of a batch of responses; each implementation names the keywords it reads."""

    def __call__(
        self, *, prompts: Sequence[str], completions: Sequence[str], answers: Sequence[str | None], **info: Any
    ) -> list[float | None]: ...


@runtime_checkable
class DeclaredReward(Reward, Protocol):
    """A registered reward: it also says what it is."""

    @property
    def informative(self) -> bool: ...

    @property
    def is_null(self) -> bool: ...


def declared(reward: Reward) -> DeclaredReward:
    """The reward, once it says what it is. BadInput names one that does not."""
    if isinstance(reward, DeclaredReward) and {type(reward.informative), type(reward.is_null)} == {bool}:
        return reward
    name = getattr(reward, "__name__", type(reward).__name__)
    do = "give its class both: informative: ClassVar[bool] = False, is_null: ClassVar[bool] = False"
    raise BadInput(f"the reward {name} does not say whether it is informative and is_null", do=do)


UNSAID = {"unsaid": True}  # metadata of a field that came later: recipes leave its default out, so theirs stay

rewards: Registry[Callable[..., DeclaredReward]] = Registry("reward", "probe.rewards")


def per_response(name: str, values: Sequence[Any] | None, completions: Sequence[str], reward: str) -> Sequence[Any]:
    """`values`, checked to hold one entry per response; BadInput names the reward and the missing or ragged input."""
    if values is None or len(values) != len(completions):
        got = "none were given" if values is None else f"got {len(values)} for {len(completions)} responses"
        raise BadInput(f"the reward {reward!r} needs one {name} per response: {got}", do=f"pass {name}=[...]")
    return values
