r"""CoT decoding: paths and confidences by hand, either sampler, which tokens spell an answer, bad input."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from probe.errors import BadInput
from probe.models.loading.load import Loaded
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import Compute
from probe.rollouts.samplers import organism_sampler, transformers_sampler
from probe.tasks.answers import boxed
from probe.tokens.cot_decoding import Path, answer_tokens, cot_paths, surest

MAX_NEW = 24


def prompts_of(organism: Loaded, n: int) -> list[list[int]]:
    """Of the first problems, of several lengths."""
    return CHAIN.prompts(organism.tokenizer, CHAIN.problems.problems[:n])[0]


@torch.no_grad()
def by_hand(organism: Loaded, prompt: list[int], rank: int) -> tuple[list[int], float]:
    """One path: a forward of the whole text a token, and the lead of the first choice over the second in the box."""
    ids, leads = list(prompt), []
    while len(ids) < len(prompt) + MAX_NEW and ids[-1] != organism.tokenizer.eos_token_id:
        p = organism.model(torch.tensor([ids])).logits[0, -1].softmax(-1)
        top = p.topk(2).values
        leads.append(float(top[0] - top[1]))
        ids.append(int(p.argsort(descending=True)[rank if len(ids) == len(prompt) else 0]))
    new = ids[len(prompt) :]
    texts = [organism.tokenizer.decode([token]) for token in new]
    starts = [place for place, text in enumerate(texts) if text == "\\boxed{"]
    if not starts or "}" not in texts[starts[-1] :]:
        return new, math.nan
    inside = range(starts[-1] + 1, texts.index("}", starts[-1]))
    return new, float(np.mean([leads[place] for place in inside])) if inside else math.nan


def test_paths_and_confidences_by_hand(organism: Loaded) -> None:
    prompts = prompts_of(organism, 6)
    found = cot_paths(organism, organism_sampler(organism), prompts, max_new=MAX_NEW, k=5)
    assert [len(paths) for paths in found] == [5] * 6
    boxes = 0
    for prompt, paths in zip(prompts, found, strict=True):
        for rank, path in enumerate(paths):
            ids, sure = by_hand(organism, prompt, rank)
            assert path.ids == ids
            assert path.stopped == (ids[-1] == organism.tokenizer.eos_token_id)
            assert path.confidence == pytest.approx(sure, abs=1e-5, nan_ok=True)
            boxes += not math.isnan(sure)
    assert boxes > 6
    assert len({path.confidence for paths in found for path in paths}) > 10


def test_any_sampler_gives_the_same_paths(organism: Loaded) -> None:
    prompts = prompts_of(organism, 4)
    ways = (organism_sampler(organism), transformers_sampler(organism, Compute()))
    ours, theirs = (cot_paths(organism, way, prompts, max_new=MAX_NEW, k=3) for way in ways)
    assert [[path.ids for path in paths] for paths in ours] == [[path.ids for path in paths] for paths in theirs]


def test_one_branch_is_greedy_decoding(organism: Loaded) -> None:
    prompts = prompts_of(organism, 4)
    greedy = organism_sampler(organism)(prompts, n_samples=1, max_new=MAX_NEW, uniforms=None, temperature=1.0)
    rows = [row[:n] for row, n in zip(greedy.ids.tolist(), greedy.lengths.tolist(), strict=True)]
    found = cot_paths(organism, organism_sampler(organism), prompts, max_new=MAX_NEW, k=1)
    assert [surest(paths).ids for paths in found] == rows


def test_the_surest_path_is_the_answer() -> None:
    none, low, high, as_high = (Path([i], True, c) for i, c in enumerate((math.nan, 0.1, 0.7, 0.7)))
    assert surest([none, low, high, as_high]) is high  # of equals the likelier first token
    assert surest([none, replace(none, ids=[9])]) is none
    assert surest([none, replace(low, confidence=0.0)]).confidence == 0.0


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("so =3 \\boxed{3}.", ["3"]),
        ("\\boxed{1}. so =4 \\boxed{2}.", ["2"]),  # the last box
        ("so =5.", []),
        ("\\boxed{}", []),
        ("", []),
    ],
)
def test_which_tokens_spell_the_answer(organism: Loaded, text: str, spelled: list[str]) -> None:
    tokenizer = organism.tokenizer
    ids = tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
    ended = [*ids, tokenizer.eos_token_id]
    chosen = answer_tokens(tokenizer, ended, [tokenizer.eos_token_id])
    assert chosen.shape == (len(ended),) and not chosen[-1]
    assert [tokenizer.decode([ended[place]]) for place in np.flatnonzero(chosen)] == spelled
    assert "".join(spelled) == (boxed(tokenizer.decode(ids) if ids else "") or "")


@pytest.mark.parametrize(("k", "max_new"), [(0, 8), (10_000, 8), (2, 1)])
def test_impossible_branches_are_refused(organism: Loaded, k: int, max_new: int) -> None:
    with pytest.raises(BadInput, match="CoT decoding"):
        cot_paths(organism, organism_sampler(organism), prompts_of(organism, 1), max_new=max_new, k=k)
