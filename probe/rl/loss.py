"""What does one GRPO update minimise? The policy loss as a pure function of tensors, every variant an argument.

    r = pi / pi_old;  L = -min(r A, clip(r, 1 - low, 1 + high) A), at A < 0 no more than dual |A|
    loss = aggregate(selected L + beta kl)

Shapes: log-probs, entropy and mask are [batch pos], completion tokens only, True where a token counts; the advantage is
[batch], or [batch pos]. What lies under a False mask has no effect, NaN included. Nats throughout.

The clip rule is in `clip`. Other surrogates: "cispo" (2506.13585), "sapo" (2511.20347), "vespo" (2602.10693);
sequence ratio: GSPO (2507.18071). Values and gradients are those of TRL 1.16, GRPOTrainer._compute_loss
(benchmarks/trl_golden.py). TRL ties an aggregation to each surrogate (cispo and vespo: dapo; sapo: grpo); here they
are free. `dual` is TRL's `delta` wherever the upper side clips. Where it does not, TRL's bounds A > 0 and leaves A < 0
free, the reverse of what dual clip is for; this one does not follow it. Left out: entropy bonus, off-policy sequence
masks, sampler mismatch corrections.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probe.errors import BadInput
from probe.rl.clip import clipped_gain

Surrogate = Literal["clip", "reinforce", "cispo", "sapo", "vespo"]
Aggregation = Literal["grpo", "bnpo", "dr_grpo", "dapo", "luspo"]
CHOICES = {
    "surrogate": get_args(Surrogate),
    "aggregation": get_args(Aggregation),
    "ratio": ("token", "sequence"),
    "entropy_side": ("top", "bottom"),
    "normalise_over": ("all", "selected"),
}
# field -> (holds?, what it must be). 1 - clip_low >= 0, or the lower side could never clip.
RANGES = {
    "clip_low": (lambda x: x is None or 0 <= x < 1, "None or in [0, 1)"),
    "clip_high": (lambda x: x is None or 0 <= x < float("inf"), "None or finite and >= 0"),
    "entropy_quantile": (lambda x: 0 < x <= 1, "in (0, 1]"),
    "kl_beta": (lambda x: 0 <= x < float("inf"), "finite and >= 0"),
    "cispo_max": (lambda x: x > 0, "> 0"),
    "sapo_tau_pos": (lambda x: x > 0, "> 0"),
    "sapo_tau_neg": (lambda x: x > 0, "> 0"),
}


@dataclass(frozen=True)
class Loss:
    """One variant of the policy loss. Every field can change a number, so every field belongs in a recipe."""

    surrogate: Surrogate = "clip"
    clip_low: float | None = 0.2  # "clip" only, below 1; None: this side never clips
    clip_high: float | None = 0.2  # "clip" only, above 1
    dual: float | None = None  # "clip" only: the largest ratio that still pushes a token of A < 0 down
    ratio: Literal["token", "sequence"] = "token"  # sequence: exp of the mean log-ratio of the sequence
    aggregation: Aggregation = "grpo"
    entropy_quantile: float = 1.0  # share of the tokens that carry the policy term; 1: all
    entropy_side: Literal["top", "bottom"] = "top"  # bottom q: exactly the tokens that top 1 - q leaves out
    normalise_over: Literal["all", "selected"] = "all"  # TRL: all. 2506.01939: selected (the KL is then over them too)
    kl_beta: float = 0.0  # weight of the k3 estimate of KL(policy || reference)
    kl_bias_correction: bool = True  # weight the KL by the ratio (TRL's default)
    cispo_max: float = 5.0  # the largest weight itself, not an offset from 1 (TRL's epsilon_high)
    sapo_tau_pos: float = 1.0
    sapo_tau_neg: float = 1.05
    vespo_k_pos: float = 2.0
    vespo_lambda_pos: float = 3.0
    vespo_k_neg: float = 3.0
    vespo_lambda_neg: float = 2.0

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise BadInput(f"loss.{name} is {getattr(self, name)!r}", do=f"use one of {', '.join(allowed)}")
        for name, (holds, needed) in RANGES.items():
            if not holds(getattr(self, name)):
                raise BadInput(f"loss.{name} is {getattr(self, name)!r}", do=f"it must be {needed}")
        if self.dual is not None and not self.dual > 1 + (self.clip_high or 0):
            raise BadInput(
                f"loss.dual is {self.dual!r}, with clip_high {self.clip_high!r}",
                do="dual is a bound on the ratio itself and must lie above 1 + clip_high, e.g. 3.0",
            )


def policy_loss(
    logprob: Float[Tensor, "batch pos"],
    old_logprob: Float[Tensor, "batch pos"],
    advantage: Float[Tensor, " batch"] | Float[Tensor, "batch pos"],
    mask: Bool[Tensor, "batch pos"],
    *,
    loss: Loss,
    entropy: Float[Tensor, "batch pos"] | None = None,
    reference_logprob: Float[Tensor, "batch pos"] | None = None,
    n_tokens: int | None = None,
    max_length: int | None = None,
    n_sequences: int | None = None,
    threshold: float | None = None,
) -> Float[Tensor, ""]:
    """The loss to descend; gradients flow through `logprob` alone.

    A batch cut into micro-batches sums to the loss of the whole when each call is given the totals of the whole:
    `n_sequences` (grpo, dr_grpo, luspo; None: the rows of this call), `n_tokens` (dapo: the tokens that are normalised
    over) and `threshold` (`entropy_threshold`; None: the quantile of this call, as TRL does). bnpo is by definition the
    mean over the tokens of one call. `max_length` is dr_grpo's constant divisor in tokens.

    BadInput on shapes that do not match, an empty batch, an advantage that is not finite, or an input the variant needs
    and was not given.
    """
    check_batch(logprob, {"old_logprob": old_logprob, "mask": mask}, advantage)
    n_sequences = len(logprob) if n_sequences is None else n_sequences
    logprob, old_logprob = logprob.where(mask, 0.0), old_logprob.detach().where(mask, 0.0)
    advantage = advantage[:, None] if advantage.ndim == 1 else advantage.where(mask, 0.0)
    log_ratio = logprob - (logprob.detach() if loss.surrogate == "reinforce" else old_logprob)
    ratio = ratio_of(log_ratio, mask, loss)
    term = _surrogate(logprob, log_ratio, ratio, advantage, loss)
    counted = mask
    if loss.entropy_quantile < 1:
        chosen = entropy_mask(_needed(entropy, logprob, "entropy", "entropy_quantile < 1"), mask, loss, threshold)
        term = torch.where(chosen, term, 0.0)
        counted = chosen if loss.normalise_over == "selected" else mask
    if loss.kl_beta:
        reference = _needed(reference_logprob, logprob, "reference_logprob", "kl_beta > 0").detach().where(mask, 0.0)
        kl = (reference - logprob).exp() - (reference - logprob) - 1
        term = term + loss.kl_beta * (kl * ratio if loss.kl_bias_correction else kl)
    divisor = _divisor(counted, loss, n_tokens, n_sequences, max_length)
    return (torch.where(counted, term, 0.0) / divisor).sum()


def entropy_threshold(entropy: Float[Tensor, "batch pos"], mask: Bool[Tensor, "batch pos"], loss: Loss) -> float:
    """The entropy in nats that cuts these tokens at the loss's quantile (fp32, linear interpolation, as TRL)."""
    level = 1 - loss.entropy_quantile if loss.entropy_side == "top" else loss.entropy_quantile
    values = entropy.detach()[mask].float()
    return values.quantile(level).item() if values.numel() else float("inf")


def entropy_mask(
    entropy: Float[Tensor, "batch pos"], mask: Bool[Tensor, "batch pos"], loss: Loss, threshold: float | None = None
) -> Bool[Tensor, "batch pos"]:
    """The tokens that carry the policy term: at or above the threshold (top), or strictly below it (bottom)."""
    cut = entropy_threshold(entropy, mask, loss) if threshold is None else threshold
    above = entropy.detach().float() >= cut
    return mask & (above if loss.entropy_side == "top" else ~above)


def normalised_over(
    entropy: Float[Tensor, "batch pos"], mask: Bool[Tensor, "batch pos"], loss: Loss
) -> Bool[Tensor, "batch pos"]:
    """The tokens that a mean of the loss is over: the selected ones, or all. Their number is dapo's `n_tokens`."""
    selected = loss.normalise_over == "selected" and loss.entropy_quantile < 1
    return entropy_mask(entropy, mask, loss) if selected else mask


def ratio_of(log_ratio: Tensor, mask: Tensor, loss: Loss) -> Float[Tensor, "batch pos"] | Float[Tensor, "batch 1"]:
    """pi / pi_old of every token, or one for the whole sequence."""
    if loss.ratio == "sequence":
        log_ratio = (log_ratio.sum(1) / mask.sum(1).clamp(min=1))[:, None]
    return log_ratio.exp()


def _surrogate(logprob: Tensor, log_ratio: Tensor, ratio: Tensor, advantage: Tensor, loss: Loss) -> Tensor:
    """The loss per token [batch pos], or [batch 1] where a sequence has one ratio."""
    match loss.surrogate:
        case "cispo":
            return -ratio.clamp(max=loss.cispo_max).detach() * advantage * logprob
        case "sapo":
            tau = torch.where(advantage > 0, loss.sapo_tau_pos, loss.sapo_tau_neg)
            return -torch.sigmoid(tau * (ratio - 1)) * 4 / tau * advantage
        case "vespo":
            return -_vespo_weight(log_ratio.detach(), advantage, loss) * advantage * logprob
        case "reinforce":
            return -ratio * advantage
        case _:
            return -clipped_gain(ratio, advantage, loss.clip_low, loss.clip_high, loss.dual)


def _vespo_weight(log_ratio: Tensor, advantage: Tensor, loss: Loss) -> Tensor:
    """phi(w) = e^lambda w^k e^(-lambda w) of the whole sequence's ratio w, with phi(1) = 1; bounds as in TRL."""
    log_w = log_ratio.clamp(-20.0, 20.0).sum(1, keepdim=True).clamp(-18.420680743952367, 20.0)  # log 1e-8
    k = torch.where(advantage >= 0, loss.vespo_k_pos, loss.vespo_k_neg)
    lam = torch.where(advantage >= 0, loss.vespo_lambda_pos, loss.vespo_lambda_neg).clamp(min=1e-4)
    return (lam + k * log_w - lam * log_w.exp()).exp().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def _divisor(
    counted: Tensor, loss: Loss, n_tokens: int | None, n_sequences: int, max_length: int | None
) -> Int[Tensor, "batch 1"] | Int[Tensor, ""] | int:
    """What each token's term is divided by."""
    match loss.aggregation:
        case "grpo":
            return counted.sum(1, keepdim=True).clamp(min=1) * n_sequences
        case "luspo":
            return n_sequences
        case "bnpo":
            return counted.sum().clamp(min=1)
        case "dapo":
            return max(1, _total(n_tokens, "n_tokens", "the number of tokens in the whole batch, e.g. int(mask.sum())"))
        case _:
            return n_sequences * _total(max_length, "max_length", "the longest completion allowed, in tokens")


def _total(value: int | None, name: str, meaning: str) -> int:
    if value is None or value < 0:
        raise BadInput(f"this aggregation needs {name}, and got {value}", where="policy_loss", do=f"give {meaning}")
    return value


def _needed(tensor: Tensor | None, like: Tensor, name: str, why: str) -> Tensor:
    if tensor is None or tensor.shape != like.shape:
        got = "none was given" if tensor is None else f"its shape is {list(tensor.shape)}"
        raise BadInput(f"{why} needs {name}, and {got}", where="policy_loss", do=f"give it as {list(like.shape)}")
    return tensor


def check_batch(logprob: Tensor, others: dict[str, Tensor], advantage: Tensor) -> None:
    """BadInput on shapes that do not match, an empty batch, or an advantage that is not finite."""
    for name, tensor in others.items():
        if tensor.shape != logprob.shape:
            raise BadInput(f"{name} is {list(tensor.shape)} and logprob {list(logprob.shape)}", do="give [batch pos]")
    if not logprob.numel():
        raise BadInput(f"the batch is empty: logprob is {list(logprob.shape)}", do="skip an update without tokens")
    if advantage.shape not in (logprob.shape[:1], logprob.shape):
        raise BadInput(f"advantage is {list(advantage.shape)}", do=f"give one per row ({len(logprob)}) or per token")
    if advantage.ndim == 1 and not advantage.isfinite().all():
        rows = (~advantage.isfinite()).nonzero().flatten().tolist()
        raise BadInput(f"the advantage is not finite in rows {rows[:8]}", do="mend the reward that gave them")
