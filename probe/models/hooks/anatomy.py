"""Where in this model are the blocks, attention, MLPs, the final norm and the output head?

Found by looking at the modules, not by a list of architectures: Qwen2 and 3, Llama, OLMo 2, Gemma 2 and 3, Mistral and
whatever is built like them. Every measurement that needs logits takes them from the final hidden states:

    logits = c tanh((s (h W^T + b)) / c)      h [batch pos d_model] after the final norm, W [d_vocab d_model]

with b, the softcap c (Gemma 2) and the scale s (Cohere, Granite) only where the model has them. Where norms stand
within a block, softcaps of attention and scaled embeddings do not matter: the model's own modules compute h.
`probe.models.loading.self_test` holds a loaded model to this equation. Left out: encoder-decoders, heads that are no
matrix.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from probe.errors import BadInput

ATTENTION = ("attention",)  # what the name of a class says, in lower case
MLP = ("mlp", "feedforward", "moe")


@dataclass(frozen=True)
class Anatomy:
    """The modules of a causal language model, as they are: hooks on them are hooks on the model."""

    decoder: nn.Module  # ids to final hidden states, without logits
    blocks: tuple[nn.Module, ...]
    attention: tuple[nn.Module, ...]  # one a block
    mlp: tuple[nn.Module, ...]  # one a block
    final_norm: nn.Module
    head_weight: Float[Tensor, "d_vocab d_model"]  # the model's own parameter, maybe tied to the embedding
    head_bias: Float[Tensor, "d_vocab"] | None
    softcap: float | None
    scale: float

    def logits(self, hidden: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_vocab"]:
        """The equation above, in the dtype and on the device of `hidden`: large, so for a few positions at a time."""
        weight, bias = self.head_weight.to(hidden), None if self.head_bias is None else self.head_bias.to(hidden)
        logits = nn.functional.linear(hidden, weight, bias)
        logits = logits if self.scale == 1 else logits * self.scale
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)


def anatomy(model: PreTrainedModel) -> Anatomy:
    """The parts of `model`. BadInput names the part that it does not have exactly once."""
    decoder = decoder_of(model)
    blocks = _blocks(decoder)
    head = model.get_output_embeddings()
    weight = getattr(head, "weight", None)
    if weight is None or weight.ndim != 2:
        raise _strange(model, "output head that is a matrix")
    if weight.is_meta:
        do = "give it devices with room for all weights, or a smaller dtype"
        raise BadInput("the output head is offloaded: it cannot be read here", where=type(model).__name__, do=do)
    norms = [part for part in decoder.children() if "norm" in type(part).__name__.lower()]
    if not blocks or not norms:
        raise _strange(model, "final norm" if blocks else "list of blocks")
    return Anatomy(
        decoder=decoder,
        blocks=blocks,
        attention=tuple(_part(model, block, ATTENTION) for block in blocks),
        mlp=tuple(_part(model, block, MLP) for block in blocks),
        final_norm=norms[-1],
        head_weight=weight,
        head_bias=getattr(head, "bias", None),
        softcap=getattr(model.config.get_text_config(), "final_logit_softcapping", None),
        scale=_scale(model),
    )


def decoder_of(model: PreTrainedModel) -> nn.Module:
    """What turns ids into final hidden states. BadInput where that is the whole model."""
    decoder = model.get_decoder()
    if decoder is model or decoder is None:
        raise _strange(model, "decoder under its head")
    return decoder


def final_hidden(
    model: PreTrainedModel, ids: Int[Tensor, "batch pos"], mask: Int[Tensor, "batch pos"] | None = None
) -> Float[Tensor, "batch pos d_model"]:
    """States after the final norm, in the model's dtype; no logits are computed. `mask` is 0 on padding, either side.

    `ids` are on the device of the embedding. States at padded positions mean nothing.
    """
    where = {} if mask is None else {"attention_mask": mask, "position_ids": positions(mask)}
    return decoder_of(model)(input_ids=ids, use_cache=False, **where).last_hidden_state


def positions(mask: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
    """How many real tokens stand before each one, whichever side is padded."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def _blocks(decoder: nn.Module) -> tuple[nn.Module, ...]:
    """The longest list of modules; a list within another (experts of a block) does not count."""
    lists = {name: part for name, part in decoder.named_modules() if isinstance(part, nn.ModuleList)}
    outer = [tuple(part) for name, part in lists.items() if not any(name.startswith(f"{other}.") for other in lists)]
    return max(outer, key=len, default=())


def _part(model: PreTrainedModel, block: nn.Module, words: tuple[str, ...]) -> nn.Module:
    matches = list(_outermost(block, words))
    if len(matches) != 1:
        names = ", ".join(type(part).__name__ for part in matches) or "none"
        raise _strange(model, f"{words[0]} in every block once (found: {names})")
    return matches[0]


def _outermost(block: nn.Module, words: tuple[str, ...]) -> Iterator[nn.Module]:
    for child in block.children():
        name = type(child).__name__.lower()
        other = "norm" in name or (words is MLP and "attention" in name)  # Qwen2MoeAttention is no mixture of experts
        if any(word in name for word in words) and not other:
            yield child
        else:
            yield from _outermost(child, words)


def _scale(model: PreTrainedModel) -> float:
    """Cohere multiplies its logits by `logit_scale`, Granite divides by `logits_scaling`."""
    config = model.config.get_text_config()
    return float(getattr(config, "logit_scale", None) or 1) / float(getattr(config, "logits_scaling", None) or 1)


def _strange(model: PreTrainedModel, part: str) -> BadInput:
    do = "decoders with separate attention and MLP modules are known: Llama, Qwen, OLMo, Gemma, Mistral and their like"
    return BadInput(f"{type(model).__name__} has no {part}", where=str(model.config.name_or_path), do=do)
