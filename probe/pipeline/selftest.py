"""Does this checkpoint behave as everything downstream assumes? Three identities on real prompts.

shapes    logits are [batch pos d_vocab] and finite
padding   right-padding a prompt beside longer ones changes none of its logits
decoding  our sampler, greedy, gives the very tokens of transformers' `generate`
"""

from dataclasses import dataclass

import torch

from probe.models.decode import sample
from probe.models.load import Loaded
from probe.models.organism import MAX_NEW_TOKENS
from probe.tasks.chain import chain_problems

PROMPTS = 8
TOLERANCE = 1e-4  # of a logit


@dataclass(frozen=True)
class Check:
    """One identity: its name, whether it holds, and what was found."""

    name: str
    holds: bool
    found: str


def self_test(loaded: Loaded) -> list[Check]:
    """The three checks, in order."""
    prompts = loaded.tokenizer([p.prompt for p in chain_problems(PROMPTS, "test", 0)])["input_ids"]
    with torch.inference_mode():
        return [_shapes(loaded, prompts), _padding(loaded, prompts), _decoding(loaded, prompts)]


def _shapes(loaded: Loaded, prompts: list[list[int]]) -> Check:
    logits = loaded.model(input_ids=torch.tensor(prompts[:1])).logits
    wanted = (1, len(prompts[0]), loaded.model.config.vocab_size)
    holds = tuple(logits.shape) == wanted and bool(logits.isfinite().all())
    return Check("shapes", holds, f"logits {list(logits.shape)}")


def _padding(loaded: Loaded, prompts: list[list[int]]) -> Check:
    longest = max(map(len, prompts)) + 3
    ids = torch.full((len(prompts), longest), loaded.model.config.pad_token_id)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)], mask[row, : len(prompt)] = torch.tensor(prompt), 1
    together = loaded.model(input_ids=ids, attention_mask=mask).logits
    alone = [loaded.model(input_ids=torch.tensor([prompt])).logits[0] for prompt in prompts]
    far = max((together[row, : len(each)] - each).abs().max().item() for row, each in enumerate(alone))
    return Check("padding", far <= TOLERANCE, f"logits differ by at most {far:.1e}")


def _decoding(loaded: Loaded, prompts: list[list[int]]) -> Check:
    config = loaded.model.config
    ends = {"stop": config.eos_token_id, "pad": config.pad_token_id}
    ours = sample(loaded.model, prompts, n_samples=1, max_new=MAX_NEW_TOKENS, uniforms=None, **ends)
    wrong = 0
    for row, prompt in enumerate(prompts):
        ids = torch.tensor([prompt])
        theirs = loaded.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=MAX_NEW_TOKENS, do_sample=False
        )
        wrong += ours.ids[row, : ours.lengths[row]].tolist() != theirs[0, len(prompt) :].tolist()
    return Check("decoding", wrong == 0, f"{len(prompts) - wrong} of {len(prompts)} greedy answers are generate's")
