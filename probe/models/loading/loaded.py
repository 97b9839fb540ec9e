"""A model with its tokenizer, and which tokens end a response or fill a batch."""

from dataclasses import dataclass
from typing import Any, TypeGuard

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from probe.errors import BadInput


@dataclass(frozen=True)
class Loaded:
    """A model in eval mode and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def stop_ids(loaded: Loaded) -> list[int]:
    """Every token that ends a response: those of generation_config.json, of config.json and of the tokenizer.

    A tuned model often has two (end of turn, end of text), a base model one. BadInput where there is none.
    """
    model = loaded.model
    configs = (model.generation_config, model.config, model.config.get_text_config())
    named = [*(getattr(config, "eos_token_id", None) for config in configs), loaded.tokenizer.eos_token_id]
    ids: list[Any] = [each for one in named for each in (one if isinstance(one, list) else [one])]
    stops = [each for each in dict.fromkeys(ids) if _is_token(each, loaded.model)]
    if not stops:
        do = "name eos_token_id in generation_config.json"
        raise BadInput("no token ends a response", where=str(model.config.name_or_path), do=do)
    return stops


def pad_id(loaded: Loaded) -> int:
    """A token to fill batches with: the pad token, else one that ends a response. It is masked wherever it stands."""
    named = (loaded.tokenizer.pad_token_id, getattr(loaded.model.config.get_text_config(), "pad_token_id", None))
    pads = [each for each in named if _is_token(each, loaded.model)]
    return (pads or stop_ids(loaded))[0]


def n_rows(model: PreTrainedModel) -> int:
    """Of the embedding: ids below it have a vector."""
    return model.get_input_embeddings().weight.shape[0]


def _is_token(number: object, model: PreTrainedModel) -> TypeGuard[int]:
    return type(number) is int and 0 <= number < n_rows(model)
