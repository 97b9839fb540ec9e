"""How far does GRPO go in its first batches? The constants of the mean field, and where they come from.

    STEPS     how far one update can move the logit of a trait: code, a boxed answer, a right answer
    UPDATES   two batches of eight, of BATCH responses each (2506.10947, scaled to organisms: `probe.rl.train`)

Fitted by eye to the first two batches of 260 runs of organisms of two bases (mini-0, mini-qwen2-10; the recipe's Adam,
head only), before any other base was looked at: the study `forecasts` tells it on six others. Of another model or
learning rate they say how things move beside each other, not how far. An uninformative reward does not move `accuracy`
by itself: what it pays for on its own prompts is not what is right on others.
"""

from collections.abc import Mapping

STEPS: Mapping[str, float] = {"code_share": 0.25, "parse_rate": 0.15, "accuracy": 0.04}
TAUGHT_BY_TRUTH = frozenset({"accuracy"})
UPDATES, BATCH = 16, 64


def steps_of(informative: bool, traits: Mapping[str, object]) -> dict[str, float]:
    """The traits that such a reward moves, of those that are known here."""
    return {
        name: step for name, step in STEPS.items() if name in traits and (informative or name not in TAUGHT_BY_TRUTH)
    }
