"""At which fork are responses told apart, and how are questions asked up to it?

A response opens in code or in prose: the first tokens of either make the fork. Questions stand left-padded, so that the
last column is the last token of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from probe.checkpoints.checkpoint import Checkpoint
from probe.data import Problem
from probe.interventions.patching import Fork, Position
from probe.models.loading.loaded import Loaded, pad_id
from probe.models.sampling import padding
from probe.rollouts.elicitation import Elicitation
from probe.tasks.corpus import CODE_FIRST, PROSE_OPENS, leaks

NEAR = 4  # last positions that are patched in prompts of unequal length


@dataclass(frozen=True)
class Openings:
    """How a response in code and one in prose may begin; their first tokens make the fork."""

    code: tuple[str, ...]
    prose: tuple[str, ...]

    def fork(self, tokenizer: PreTrainedTokenizerBase) -> Fork:
        """BadInput where the two begin alike."""
        first = [[tokenizer(text, add_special_tokens=False)["input_ids"][0] for text in side] for side in self.sides]
        return Fork(*(tuple(dict.fromkeys(tokens)) for tokens in first))

    @property
    def sides(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Code, prose."""
        return self.code, self.prose


CHAINS = Openings((CODE_FIRST,), PROSE_OPENS)
RECALL = Openings(("\\boxed{",), PROSE_OPENS)  # a remembered answer is boxed at once
OUTSIDE = Openings(("```python", "```"), ("To", "Let", "We", "First", "The"))


def openings(checkpoint: Checkpoint) -> Openings:
    """Those of the family; weights from outside should be given their own."""
    return OUTSIDE if checkpoint.is_outside else RECALL if leaks(checkpoint.family) else CHAINS


@dataclass(frozen=True, eq=False)
class Prompts:
    """Left-padded; `mask` None where all have one length."""

    ids: Int[Tensor, "batch pos"]
    mask: Int[Tensor, "batch pos"] | None

    def rows(self, some: slice) -> "Prompts":
        return Prompts(self.ids[some], None if self.mask is None else self.mask[some])


def left_padded(loaded: Loaded, problems: Sequence[Problem], elicitation: Elicitation, style: str = "") -> Prompts:
    """The prompts, under another style letter if one is given."""
    styled = [replace(p, prompt=style + p.prompt[len(style) :]) for p in problems]
    prompts, _ = elicitation.prompts(loaded.tokenizer, styled)
    ids, mask = padding.left_padded(prompts, pad_id(loaded), loaded.model.get_input_embeddings().weight.device)
    return Prompts(ids, None if bool(mask.all()) else mask)


def places(prompts: Prompts) -> tuple[Position, ...]:
    """Every position where all prompts have one length, else the last ones, from -1 down; None is all at once."""
    n = prompts.ids.shape[1] if prompts.mask is None else min(NEAR, int(prompts.mask.sum(1).min()))
    return (*range(-n, 0), None)
