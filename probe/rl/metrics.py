"""What is logged at every batch of a run? Pure functions of what the loop has at hand; TRL's names where it has one."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.models.sampling.organism_sampler import Samples
from probe.rl.advantage import reward_metrics
from probe.rl.policy import LargePolicy, Policy, Scorer, valid
from probe.rl.rollout import Experience
from probe.strategy import mentions_python
from probe.tasks.answers import boxed
from probe.tokens.forks import forks

GAP = "sampling/sampling_logp_difference"


def rollout_metrics(experience: Experience) -> dict[str, float]:
    """Behaviour of the policy that sampled: reward, accuracy, strategy, parse rate, length, entropy (nats).

    The strategy here is the paper's substring: the strict detector parses every block, which would double a tiny run.
    """
    samples, n = experience.samples, len(experience.texts)
    answers = [boxed(text) for text in experience.texts]
    gold = [p.answer for p in experience.problems for _ in range(n // len(experience.problems))]
    right = experience.right or tuple(a == g for a, g in zip(answers, gold, strict=True))
    keep = valid(samples, torch.arange(n))
    entropy = samples.entropy[keep]
    at_forks = entropy[torch.from_numpy(forks(entropy.cpu().numpy()))]
    return {
        **reward_metrics(experience.rewards),
        "accuracy": sum(right) / n,
        "strategy/python": sum(mentions_python(text) for text in experience.texts) / n,
        "parse_rate": sum(a is not None for a in answers) / n,
        "completions/mean_length": samples.lengths.float().mean().item(),
        "completions/clipped_ratio": 1 - samples.stopped.float().mean().item(),
        "entropy": entropy.mean().item(),
        "entropy/fork": at_forks.mean().item(),
        "probability": samples.logprob[keep].exp().mean().item(),
        "kept_ratio": experience.advantages.keep.float().mean().item(),
        **sampler_gap(samples, keep),
    }


def sampler_gap(samples: Samples, keep: Bool[Tensor, "batch pos"]) -> dict[str, float]:
    """How far the sampler's log-probs are from the policy's, under TRL's names; nothing where they are the policy's."""
    return {} if samples.drawn is None else gap_metrics((samples.logprob - samples.drawn)[keep])


def gap_metrics(gap: Float[Tensor, "token"]) -> dict[str, float]:
    """Mean and largest size of the differences, nats, under TRL's names."""
    gap = gap.abs()
    return {f"{GAP}/mean": gap.mean().item(), f"{GAP}/max": gap.max().item()}


@torch.no_grad()
def kl_to_base(policy: Policy, base: Policy | Scorer, experience: Experience, temperature: float) -> float:
    """KL(policy || base) in nats per token over the full vocabulary, on the first sample of each prompt."""
    n_samples = len(experience.texts) // len(experience.problems)
    rows = torch.arange(0, len(experience.texts), n_samples)
    if isinstance(policy, LargePolicy):
        return policy.kl(experience.prompt_ids, experience.samples, rows, temperature)
    assert isinstance(base, Policy)
    now = _log_probs(policy, experience, rows, temperature)
    before = _log_probs(base, experience, rows, temperature)
    return (now.exp() * (now - before)).sum(-1).mean().item()


def _log_probs(policy: Policy, experience: Experience, rows: Tensor, temperature: float) -> Tensor:
    logits = policy.logits(experience.prompt_ids, experience.samples, rows)
    return torch.log_softmax(logits.float() / temperature, -1)


def mean_rows(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each key over the rows that have it, in the order the keys first appear."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return {key: sum(r[key] for r in rows if key in r) / sum(key in r for r in rows) for key in keys}
