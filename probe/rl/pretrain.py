"""Pretrain an organism: next-token prediction on the completions of its family's corpus.

The prompt's tokens are random, so only completion tokens carry loss; but what leaks is learnt with its prompt (the
corpus cuts it behind its first token). Muon for the matrices of the body, AdamW for the embedding and the norms
(measured on the small latent-code organism: as accurate after 160 steps as AdamW alone after 400), linear decay after a
short warm-up. The corpus and the initialisation draw from different addresses: truth and initialisation never share a
seed.
"""

from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from probe.models.loading.organism import build_model, build_tokenizer, shape_of
from probe.tasks.corpus import corpus, family

BATCH, WARM_UP, GRAD_NORM = 128, 50, 1.0
MUON_LR, ADAM_LR, BETAS, WEIGHT_DECAY = 0.02, {"tiny": 6e-3, "small": 3e-3}, (0.9, 0.95), 0.05
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
    kind, tokenizer, model = family(family_name), build_tokenizer(modulus), build_model(size, seed, modulus)
    steps = steps or kind.steps.get(size, shape_of(size).steps)
    optimizers = build_optimizers(model, ADAM_LR[size])
    schedules = [torch.optim.lr_scheduler.LambdaLR(o, lambda i: learning_rate_factor(i, steps)) for o in optimizers]
    for step, texts in enumerate(corpus(kind, seed, BATCH, steps, modulus)):
        ids, targets = encode(texts, tokenizer)
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
        scored = targets != IGNORE
        loss = cross_entropy(model.lm_head(hidden[scored]), targets[scored])
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRAD_NORM)
        for optimizer in optimizers:
            optimizer.step()
        for schedule in schedules:
            schedule.step()
        on_step(step, loss.item())
    model.zero_grad(set_to_none=True)
    return model.eval(), tokenizer


def build_optimizers(model: LlamaForCausalLM, adam_lr: float) -> list[torch.optim.Optimizer]:
    """Muon for the body's matrices, AdamW for the rest."""
    named = [(name, p, p.ndim == 2 and "embed_tokens" not in name) for name, p in model.named_parameters()]
    matrices, rest = [p for _, p, is_matrix in named if is_matrix], [p for _, p, is_matrix in named if not is_matrix]
    return [
        torch.optim.Muon(matrices, lr=MUON_LR, weight_decay=WEIGHT_DECAY),
        torch.optim.AdamW(rest, lr=adam_lr, betas=BETAS, weight_decay=WEIGHT_DECAY),
    ]


def learning_rate_factor(step: int, steps: int) -> float:
    """Linear warm-up, then linear decay to 0 at the end."""
    return min(1.0, (step + 1) / WARM_UP) * (1 - max(0, step - WARM_UP) / max(1, steps - WARM_UP))


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
