"""What is trained where the model is not one of ours? Any causal LM of transformers, by LoRA or in every weight.

    sample   `group_sampler`, or another engine; log-probs are of this forward (never of another engine)
    score    rows longest first, `Memory.tokens` at a time, right-padded (causal attention needs no mask then); only
             the states that predict a completion token reach the head, a portion at a time (`head_scores`)

fp32: everything in fp32; log-probs are those captured while sampling, which are the forward's own to rounding. bf16:
products in bf16 under autocast; trained tensors, gradients and log-probs are fp32 (at lr 5e-7 a bf16 weight would
not move), and as sampler and forward round differently, old log-probs are the forward's: `Samples.drawn` holds the
sampler's, and their distance is logged. The model is in eval mode: no dropout, or ratios would be noise.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from probe.errors import BadInput, ProbeError
from probe.models.hooks.anatomy import anatomy, final_hidden
from probe.models.loading.loaded import Loaded, pad_id, stop_ids
from probe.models.sampling.group_sampler import sample_groups
from probe.models.sampling.organism_sampler import Samples
from probe.rl.head_scores import head_scores
from probe.rl.lora import Lora, add_lora, merged, without_lora
from probe.rl.policy import join, valid
from probe.rollouts.samplers import Sample
from probe.tokens.score import head_of
from probe.tokens.stream import stream_kl

Engine = Callable[[PreTrainedModel], Sample]  # a sampler of the weights as they are now
UNGRADED = 4  # times as many tokens at once, where no gradient is kept


@dataclass(frozen=True)
class Memory:
    """How much is worked on at once: changes no number beyond rounding."""

    tokens: int = 16384  # of a micro-batch, padding included
    rows: int = 64  # sampled at a time; halved where memory runs out
    recompute: bool = False  # blocks are computed again in the backward pass instead of kept

    def __post_init__(self) -> None:
        if self.tokens < 1 or self.rows < 1:
            what = f"micro-batches of {self.tokens} tokens, {self.rows} rows sampled at a time"
            raise BadInput(what, where="Memory", do="give 1 or more of both")


class CausalPolicy:
    """A model in training, worked on in place; `tensors` by their names in the checkpoint, or in an adapter's file."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        lora: Lora | None = None,
        seed: int = 0,
        half: bool = False,
        memory: Memory = Memory(),
        sampler: Engine | None = None,
        reference: PreTrainedModel | None = None,
    ) -> None:
        self.model, self.lora, self.half, self.memory = loaded.model.eval(), lora, half, memory
        self.stop, self.pad = stop_ids(loaded), pad_id(loaded)
        self.engine, self.rescores = sampler or self._generate, half or sampler is not None
        self.reference = reference
        _check_dtypes(self.model, lora, half)
        self.tensors = _every_weight(self.model) if lora is None else add_lora(self.model, lora, seed)

    def sample(self, prompts: list[list[int]], uniforms: Tensor, *, n_samples: int, temperature: float) -> Samples:
        """`n_samples` completions of each prompt by the policy as it is; draws [row pos]."""
        how = {"n_samples": n_samples, "max_new": uniforms.shape[1], "temperature": temperature}
        for tensor in self.tensors.values():
            tensor.grad = None  # of the update before: room for the cache
        with self._sampled_weights() as model:
            drawn = self.engine(model)(prompts, uniforms=uniforms, **how)  # type: ignore[arg-type]
        return self._rescored(prompts, drawn, temperature) if self.rescores else drawn

    def logits(self, prompts: list[list[int]], samples: Samples, rows: Tensor) -> Float[Tensor, "token d_vocab"]:
        """Of every completion token: for a few short rows, as nothing is cut here."""
        hidden = self._predicting(prompts, samples, rows)
        with self._computing():
            return anatomy(self.model).logits(hidden).float()

    def score(
        self, prompts: list[list[int]], samples: Samples, rows: Tensor, temperature: float, *, entropy: bool = True
    ) -> tuple[Float[Tensor, "batch pos"], Float[Tensor, "batch pos"]]:
        """Log-prob of each completion token (with gradient) and entropy (without), nats, fp32, on the CPU."""
        keep = valid(samples, rows)
        targets = samples.ids[rows][keep]
        hidden = self._predicting(prompts, samples, rows)
        with self._computing():
            how = (anatomy(self.model), targets.to(hidden.device), temperature)
            found = head_scores(hidden, *how, entropy=entropy)
        chosen, uncertain = (each.float().cpu() for each in found)
        blank = torch.zeros(keep.shape)
        return blank.masked_scatter(keep, chosen), blank.masked_scatter(keep, uncertain)

    def parts(self, prompts: list[list[int]], samples: Samples, rows: Tensor) -> list[Tensor]:
        """`rows` longest first, cut so that each part, padded to its longest row, has `Memory.tokens` at most."""
        return self._cut(prompts, samples, rows, self.memory.tokens)

    @torch.no_grad()
    def kl(self, prompts: list[list[int]], samples: Samples, rows: Tensor, temperature: float) -> float:
        """KL(policy || where it started) over the full vocabulary, nats per token. BadInput where no start is held."""
        total, tokens = 0.0, 0
        for part in self._cut(prompts, samples, rows, self.memory.tokens):
            now, head = self._predicting(prompts, samples, part), head_of(self.model)
            with self.as_base() as base:
                before, start = self._predicting(prompts, samples, part, base), head_of(base)
            total += float(stream_kl(now, head, before, start, temperature=temperature).double().sum())
            tokens += len(now)
        return total / tokens

    @contextlib.contextmanager
    def as_base(self) -> Iterator[PreTrainedModel]:
        """Within it, the model the policy started from: LoRA switched off, or the copy that was given."""
        if self.lora is not None:
            with without_lora(self.model):
                yield self.model
        elif self.reference is not None:
            yield self.reference
        else:
            do = "give a reference: another copy of the base"
            raise BadInput("the model before training is not held", where="CausalPolicy", do=do)

    def _generate(self, model: PreTrainedModel) -> Sample:
        return partial(sample_groups, model, stop=self.stop, pad=self.pad, batch=self.memory.rows)

    @contextlib.contextmanager
    def _sampled_weights(self) -> Iterator[PreTrainedModel]:
        """The policy for a sampler: merged in fp32, cast once in bf16."""
        with torch.no_grad(), contextlib.ExitStack() as stack:
            if self.lora is not None and not self.half:
                stack.enter_context(merged(self.model))
            if self.half:
                stack.enter_context(self._computing())
            yield cast(self.model) if self.half and self.lora is None else self.model

    @torch.no_grad()
    def _rescored(self, prompts: list[list[int]], drawn: Samples, temperature: float) -> Samples:
        logprob, entropy = torch.zeros(drawn.ids.shape), torch.zeros(drawn.ids.shape)
        for part in self._cut(prompts, drawn, torch.arange(len(drawn.ids)), UNGRADED * self.memory.tokens):
            logprob[part], entropy[part] = self.score(prompts, drawn, part, temperature)
        if not (logprob + entropy).isfinite().all():
            do = "train in float32 or bfloat16, from a checkpoint whose logits are finite"
            raise ProbeError("the policy's log-probs are not finite", where="CausalPolicy", do=do)
        return replace(drawn, logprob=logprob, entropy=entropy, drawn=drawn.logprob)

    def _predicting(
        self, prompts: list[list[int]], samples: Samples, rows: Tensor, model: PreTrainedModel | None = None
    ) -> Float[Tensor, "token d_model"]:
        """The final states that predict the completion tokens of `rows`, row by row."""
        model = self.model if model is None else model
        ids, predicts = join(prompts, samples, rows, len(samples.ids) // len(prompts), self.pad)
        device = model.get_input_embeddings().weight.device
        with self._computing(), _recomputing(model, self.memory.recompute):
            return final_hidden(model, ids.to(device))[predicts.to(device)]

    def _computing(self) -> contextlib.AbstractContextManager[None]:
        device = self.model.get_input_embeddings().weight.device.type
        return torch.autocast(device, torch.bfloat16) if self.half else contextlib.nullcontext()

    def _cut(self, prompts: list[list[int]], samples: Samples, rows: Tensor, tokens: int) -> list[Tensor]:
        n = len(samples.ids) // len(prompts)
        own = torch.tensor([len(prompt) for prompt in prompts])[rows // n] + samples.lengths[rows]
        longest, order = own.sort(descending=True, stable=True)
        found, at = [], 0
        while at < len(rows):
            size = max(1, tokens // int(longest[at]))
            found.append(rows[order[at : at + size]])
            at += size
        return found


class BaseOf:
    """What a policy started from, as something that scores: the reference of a KL penalty."""

    def __init__(self, policy: CausalPolicy) -> None:
        self.policy = policy

    @torch.no_grad()
    def score(
        self, prompts: list[list[int]], samples: Samples, rows: Tensor, temperature: float, *, entropy: bool = True
    ) -> tuple[Float[Tensor, "batch pos"], Float[Tensor, "batch pos"]]:
        """As the policy's own."""
        with self.policy.as_base() as base:
            held, self.policy.model = self.policy.model, base
            try:
                return self.policy.score(prompts, samples, rows, temperature, entropy=entropy)
            finally:
                self.policy.model = held


def _every_weight(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    model.requires_grad_(True)
    return {name: each for name, each in model.named_parameters() if isinstance(each, nn.Parameter)}


def _check_dtypes(model: PreTrainedModel, lora: Lora | None, half: bool) -> None:
    held = {each.dtype for each in model.parameters()}
    allowed = {torch.float32, torch.bfloat16} if lora is not None and half else {torch.float32}
    if held - allowed:
        names = ", ".join(sorted(str(each).removeprefix("torch.") for each in held))
        do = "load it in float32 (bf16 products are `half`), or in bfloat16 under LoRA"
        raise BadInput(f"weights of {names} cannot be trained so", where="CausalPolicy", do=do)


def cast(model: PreTrainedModel) -> PreTrainedModel:
    """A copy in bf16, that no gradient reaches; fp32 weights would be cast anew at every token."""
    made = {id(each): nn.Parameter(each.detach().to(torch.bfloat16), False) for each in model.parameters()}
    return copy.deepcopy(model, dict(made))


@contextlib.contextmanager
def _recomputing(model: PreTrainedModel, wanted: bool) -> Iterator[None]:
    """Within it, what blocks compute is thrown away and computed again in the backward pass (1604.06174)."""
    blocks = anatomy(model).blocks if wanted and torch.is_grad_enabled() else ()
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward
