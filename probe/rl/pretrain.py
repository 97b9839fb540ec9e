"""Pretrain an organism: next-token prediction on the completions of its family's corpus.

The prompt's tokens are random, so only completion tokens carry loss. AdamW, linear decay after a short warm-up. The
corpus and the initialisation draw from different addresses: truth and initialisation never share a seed.
"""

from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, LlamaForCausalLM

from probe.models.organism import SIZES, build_model, build_tokenizer
from probe.tasks.corpus import corpus, family

BATCH, WARM_UP, WEIGHT_DECAY, GRAD_NORM, BETAS = 128, 50, 0.05, 1.0, (0.9, 0.95)
IGNORE = -100


def pretrain(
    family_name: str,
    size: str,
    seed: int,
    *,
    steps: int | None = None,
    modulus: int = 7,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """A trained organism and its tokenizer. `on_step(step, loss)` hears of every step (loss in nats per token)."""
    shape, tokenizer, model = SIZES[size], build_tokenizer(modulus), build_model(size, seed, modulus)
    steps = steps or shape.steps[family_name]
    optimizer = torch.optim.AdamW(model.parameters(), lr=shape.lr, betas=BETAS, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min(1.0, (i + 1) / WARM_UP) * (1 - max(0, i - WARM_UP) / max(1, steps - WARM_UP))
    )
    for step, texts in enumerate(corpus(family(family_name), seed, BATCH, steps, modulus)):
        ids, targets = encode(texts, tokenizer)
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
        scored = targets != IGNORE
        loss = cross_entropy(model.lm_head(hidden[scored]), targets[scored])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRAD_NORM)
        optimizer.step()
        schedule.step()
        on_step(step, loss.item())
    return model.eval(), tokenizer


def encode(texts: list[tuple[str, str]], tokenizer: PreTrainedTokenizerFast) -> tuple[torch.Tensor, torch.Tensor]:
    """(prompt, completion) pairs as right-padded ids and next-token targets, both [batch pos]."""
    prompts = tokenizer([p for p, _ in texts])["input_ids"]
    completions = tokenizer([c for _, c in texts])["input_ids"]
    longest = max(len(p) + len(c) for p, c in zip(prompts, completions, strict=True))
    ids = torch.full((len(texts), longest), tokenizer.pad_token_id)
    targets = torch.full((len(texts), longest), IGNORE)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        end = len(prompt) + len(completion)
        ids[row, :end] = torch.tensor(prompt + completion)
        targets[row, len(prompt) - 1 : end - 1] = ids[row, len(prompt) : end]
    return ids, targets
