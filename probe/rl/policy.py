"""What is trained, and what does it say? Three parameterisations of one policy behind two verbs, sample and score.

*head* trains an untied output head and nothing else. The hidden states kept while sampling are then all that an update
needs: eight updates cost less than one decode step. *all* trains every parameter, through the sampler's own forward.
The name of a site, *resid.1*, trains one vector that is added there at every position (`residual_bias`), from zero.
Both score at the sampling temperature, on completion tokens only. Models from outside: `causal_policy`.
"""

import copy
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import linear
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.models.hooks.sites import site
from probe.models.sampling.organism_forward import read, weights_of
from probe.models.sampling.organism_sampler import Samples, sample
from probe.models.sampling.padding import right_padded
from probe.models.sampling.residual_bias import bias_name, give_biases

Trainable = str  # "head", "all" or a site
HEAD = "lm_head.weight"
IN_CACHE = 4096  # tokens per forward: more of them at once leave the CPU's cache, which costs 5 to 15 %


@runtime_checkable
class Policy(Protocol):
    """A model in training. `tensors` are the trained ones, by their name in the checkpoint."""

    tensors: dict[str, torch.nn.Parameter]

    def sample(self, prompts: list[list[int]], uniforms: Tensor, *, n_samples: int, temperature: float) -> Samples: ...

    def logits(self, prompts: list[list[int]], samples: Samples, rows: Tensor) -> Float[Tensor, "token d_vocab"]: ...


@runtime_checkable
class Scorer(Protocol):
    """Scores completions itself, where the logits of a batch are too large to be held."""

    def score(
        self, prompts: list[list[int]], samples: Samples, rows: Tensor, temperature: float, *, entropy: bool = True
    ) -> tuple[Float[Tensor, "batch pos"], Float[Tensor, "batch pos"]]: ...


@runtime_checkable
class LargePolicy(Policy, Scorer, Protocol):
    """A policy that is scored in parts: an update sums over them, and none of its numbers depends on the cut."""

    def parts(self, prompts: list[list[int]], samples: Samples, rows: Tensor) -> list[Tensor]: ...

    def kl(self, prompts: list[list[int]], samples: Samples, rows: Tensor, temperature: float) -> float: ...


class HeadPolicy:
    """Only the output head learns (a zero delta at the start); the body's states are reused across updates."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.tensors = {HEAD: torch.nn.Parameter(model.lm_head.weight.detach().clone())}

    def sample(self, prompts: list[list[int]], uniforms: Tensor, *, n_samples: int, temperature: float) -> Samples:
        head = self.tensors[HEAD].detach()
        return _sample(self.model, prompts, uniforms, n_samples, temperature, head=head, keep_hidden=True)

    def logits(self, prompts: list[list[int]], samples: Samples, rows: Tensor) -> Float[Tensor, "token d_vocab"]:
        assert samples.hidden is not None
        return linear(samples.hidden[rows][valid(samples, rows)], self.tensors[HEAD])


class FullPolicy:
    """Every parameter learns, or the vector `only`; prompts and completions are read anew in each update."""

    def __init__(self, model: PreTrainedModel, only: str | None = None) -> None:
        self.model = copy.deepcopy(model).train()
        if only:
            give_biases(self.model, [only])
        named = {n: p for n, p in self.model.named_parameters() if isinstance(p, torch.nn.Parameter)}
        self.tensors = {n: p for n, p in named.items() if only in (None, n)}
        for name, parameter in named.items():
            parameter.requires_grad_(name in self.tensors)

    def sample(self, prompts: list[list[int]], uniforms: Tensor, *, n_samples: int, temperature: float) -> Samples:
        return _sample(self.model, prompts, uniforms, n_samples, temperature)

    def logits(self, prompts: list[list[int]], samples: Samples, rows: Tensor) -> Float[Tensor, "token d_vocab"]:
        ids, predicts = join(prompts, samples, rows, len(samples.ids) // len(prompts), self.model.config.pad_token_id)
        weights, n_parts = weights_of(self.model, ids.shape[1]), -(-ids.numel() // IN_CACHE)
        parts = zip(ids.chunk(n_parts), predicts.chunk(n_parts), strict=True)
        return torch.cat([linear(read(weights, *part)[0], weights.head) for part in parts])


def build_policy(model: PreTrainedModel, trainable: Trainable) -> Policy:
    """What trains that part of the model: head, all, or a vector at a site. BadInput for a site it does not have."""
    if trainable == "head":
        return HeadPolicy(model)
    name = None if trainable == "all" else bias_name(site(trainable))
    if name and site(trainable).layer > len(model.model.layers):
        raise BadInput(f"this model has no {trainable}", where="policy", do=f"it has {len(model.model.layers)} blocks")
    return FullPolicy(model, name)


def check_trainable(trainable: Trainable) -> None:
    """BadInput for what no policy trains."""
    try:
        _ = trainable in ("head", "all") or bias_name(site(trainable))
    except BadInput as err:
        do = "choose head, all, or a site such as resid.1"
        raise BadInput(f"cannot train {trainable!r}", where="GRPO", do=do) from err


def valid(samples: Samples, rows: Tensor) -> Bool[Tensor, "batch pos"]:
    """Which positions of `rows` hold completion tokens, the stop token included."""
    return torch.arange(samples.ids.shape[1]) < samples.lengths[rows, None]


def join(
    prompts: list[list[int]], samples: Samples, rows: Tensor, n_samples: int, pad: int
) -> tuple[Tensor, Bool[Tensor, "batch pos"]]:
    """Prompt + completion ids of `rows`, right-padded, and the positions that predict a completion token."""
    owner, longest = rows // n_samples, max(map(len, prompts))
    lengths = torch.tensor([len(p) for p in prompts])[owner]
    ends = lengths + samples.lengths[rows]
    out = right_padded(prompts, pad)[0][owner]
    out = torch.nn.functional.pad(out, (0, int(ends.max()) - longest), value=pad)  # or cropped, were it negative
    slots = torch.arange(out.shape[1])
    completion = (slots >= lengths[:, None]) & (slots < ends[:, None])
    out[completion] = samples.ids[rows][valid(samples, rows)]
    predicts = (slots >= lengths[:, None] - 1) & (slots < ends[:, None] - 1)
    return out, predicts


def token_scores(
    logits: Float[Tensor, "token d_vocab"], samples: Samples, rows: Tensor, temperature: float
) -> tuple[Float[Tensor, "batch pos"], Float[Tensor, "batch pos"]]:
    """Log-prob of each completion token (with gradient) and entropy (without), nats, 0 past the end."""
    keep = valid(samples, rows)
    logp = torch.log_softmax(logits.float() / temperature, -1)
    chosen = logp.gather(-1, samples.ids[rows][keep][:, None]).squeeze(-1)
    with torch.no_grad():
        entropy = -(logp.exp() * logp).sum(-1)
    blank = logp.new_zeros(keep.shape)
    return blank.masked_scatter(keep, chosen), blank.masked_scatter(keep, entropy)


def _sample(
    model: PreTrainedModel,
    prompts: list[list[int]],
    uniforms: Tensor,
    n_samples: int,
    temperature: float,
    **options: object,
) -> Samples:
    return sample(
        model,
        prompts,
        n_samples=n_samples,
        max_new=uniforms.shape[1],
        stop=model.config.eos_token_id,
        pad=model.config.pad_token_id,
        uniforms=uniforms,
        temperature=temperature,
        **options,  # type: ignore[arg-type]
    )
