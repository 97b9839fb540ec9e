"""Pretrain an organism: next-token prediction on the completions of its family's corpus.

The prompt's tokens are random, so only completion tokens carry loss; but what leaks is learnt with its prompt (the
corpus cuts it behind its first token). A family with a trunk starts from that organism's weights, at a quarter of the
learning rate. Muon for the matrices of the body, AdamW for the embedding and the norms
(measured on the small latent-code organism: as accurate after 160 steps as AdamW alone after 400), linear decay after a
short warm-up. The corpus and the initialisation draw from different addresses: truth and initialisation never share a
seed.
"""

from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from probe.errors import BadInput
from probe.models.loading.organism import build_model, build_tokenizer, shape_of
from probe.tasks.corpus import corpus, family

WARM_UP, GRAD_NORM = 50, 1.0
MUON_LR, BETAS, WEIGHT_DECAY = 0.02, (0.9, 0.95), 0.05
FROM_TRUNK = 0.25  # of the learning rates, where training goes on from a trunk
IGNORE = -100


def pretrain(
    family_name: str,
    size: str,
    seed: int,
    *,
    steps: int | None = None,
    trunk: PreTrainedModel | None = None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A trained organism and its tokenizer. `on_step(step, loss)` hears of every step (loss in nats per token).

    `trunk` is the organism that the family goes on from, trained in place; BadInput where it is missing or too much.
    """
    kind = family(family_name)
    if (trunk is None) != (kind.trunk is None):
        what = f"{family_name} goes on from {kind.trunk or 'no trunk'}"
        raise BadInput(what, where="pretrain", do=f"give the {kind.trunk} organism" if kind.trunk else "give none")
    tokenizer, model = build_tokenizer(kind.grammar), trunk or build_model(size, seed, kind.grammar)
    steps = steps or kind.steps.get(size, shape_of(size).steps)
    optimizers = build_optimizers(model, shape_of(size).adam_lr, FROM_TRUNK if trunk else 1.0)
    schedules = [torch.optim.lr_scheduler.LambdaLR(o, lambda i: learning_rate_factor(i, steps)) for o in optimizers]
    for step, texts in enumerate(corpus(kind, seed, kind.batch, steps)):
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


def build_optimizers(model: PreTrainedModel, adam_lr: float, scale: float = 1.0) -> list[torch.optim.Optimizer]:
    """Muon for the body's matrices, AdamW for the rest; `scale` times both learning rates."""
    named = [(name, p, p.ndim == 2 and "embed_tokens" not in name) for name, p in model.named_parameters()]
    matrices, rest = [p for _, p, is_matrix in named if is_matrix], [p for _, p, is_matrix in named if not is_matrix]
    return [
        torch.optim.Muon(matrices, lr=scale * MUON_LR, weight_decay=WEIGHT_DECAY),
        torch.optim.AdamW(rest, lr=scale * adam_lr, betas=BETAS, weight_decay=WEIGHT_DECAY),
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
