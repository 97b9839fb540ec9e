"""Cards, KL at forks and other words of latents under real models: by hand, planted, none where nothing changed."""

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from probe.activations.shards import Rows as Places
from probe.data import Estimate
from probe.dictionaries.activation import TopK
from probe.dictionaries.audits.controls import random_directions
from probe.dictionaries.audits.stability import matches
from probe.dictionaries.dictionary import Dictionary
from probe.experiments.dictionaries.cards import BINS, CONTEXTS, Read, card_rows, cards_of, unembedding
from probe.experiments.dictionaries.fork_parts import at_forks, fork_kl_of, prefixes
from probe.experiments.dictionaries.readings import Labels, text_of
from probe.experiments.dictionaries.reworded import in_other_words, kept_shares
from probe.experiments.dictionaries.under_models import Answers, states_of
from probe.measurements import MARKED, RowKey, row_of
from probe.models.hooks.sites import site
from probe.models.loading.load import Loaded
from probe.tasks.chain import parse_prompt
from probe.tasks.corpus import PROSE_OPENS, corpus, family
from probe.tokens.score import kl

LATENTS, D = 64, 48
KEYS = ("side", "k", "latent", "group", "bin", "part")


@pytest.fixture(scope="module")
def answers(organism: Loaded) -> Answers:
    """What the corpus would have it write, in both strategies, twice a problem."""
    rows: list[dict[str, Any]] = []
    for sample, batch in enumerate(corpus(family("latent-code"), 3, 60, 2)):
        for prompt, answer in batch:
            ids = [organism.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, answer)]
            problem = parse_prompt(prompt).problem().id
            rows.append({"problem": problem, "sample": sample, "prompt_ids": ids[0], "completion_ids": ids[1]})
    text = [organism.tokenizer.decode(row["completion_ids"]) for row in rows]
    return Answers(rows, np.array(["```python" in each for each in text]))


def changed(organism: Loaded, module: str, by: float = 1.5) -> Loaded:
    other = copy.deepcopy(organism)
    with torch.no_grad():
        dict(other.model.named_modules())[module].weight.mul_(by)
    return Loaded(other.model, organism.tokenizer)


def dictionary(*address: str, moved: Sequence[int] = ()) -> Dictionary:
    """Random directions, the same before and after but for the latents that moved; 8 of them active a row."""
    d = random_directions(LATENTS, D, ("feature audits", *address))
    W_dec = d[:, None].repeat(1, 2, 1)
    W_dec[list(moved), 1] += random_directions(len(moved), D, ("moved", *address))
    W_enc = d.T[None].repeat(2, 1, 1) / 2
    zero = torch.zeros(2, D)
    return Dictionary(
        site("resid.2"), ("before", "after"), TopK(8), W_enc, torch.zeros(LATENTS), W_dec, zero, torch.ones(2)
    )


def told(found: Sequence[Estimate], name: str, **where: Any) -> list[Estimate]:
    same = [each for each in found if each.name == name]
    return [each for each in same if all(each.params.get(key) == value for key, value in where.items())]


# KL at forks


def test_the_kl_at_forks_is_that_of_the_models_and_the_parts_sum_to_it(organism: Loaded, answers: Answers) -> None:
    """resid.2 is the last residual: with the head as it was, all of the KL goes through it."""
    after = changed(organism, "model.layers.1.mlp.down_proj")
    texts = prefixes(organism, answers, 0)[:50]
    found = at_forks(dictionary("sum", moved=(1, 2, 3)), (organism, after), texts).carried
    ids = [list(ids) for _, ids in texts]
    by_hand = kl(organism.model, after.model, ids, [[0]] * len(ids))  # of what comes next
    np.testing.assert_allclose(found.kl.numpy(), by_hand, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.explained, found.kl, atol=2e-3, rtol=0.03)


def test_what_the_head_alone_does_is_above_the_site(organism: Loaded, answers: Answers) -> None:
    other = copy.deepcopy(organism.model)
    with torch.no_grad():
        other.model.norm.weight.mul_(1.4)
    models = (organism, Loaded(other, organism.tokenizer))
    found = list(fork_kl_of(dictionary("head", moved=range(64)), models, answers, [5], 0))
    cells = {each.params["cell"]: each.value for each in told(found, "fork_kl")}
    assert cells["all"] > 0.01
    assert cells["above"] == pytest.approx(cells["all"], rel=1e-4)
    assert set(cells) == {"all", "above"}  # what latents are said to carry would be the fit's own error
    assert not told(found, "latent_kl") and not told(found, "latent_set_kl")


def test_nothing_is_carried_between_a_model_and_itself(organism: Loaded, answers: Answers) -> None:
    found = list(fork_kl_of(dictionary("null"), (organism, organism), answers, [5], 0))
    assert {each.name for each in found} == {"fork_kl"}
    assert max(abs(each.value) for each in found) < 1e-6


def test_a_latent_that_carries_the_change_is_beyond_its_nulls(organism: Loaded, answers: Answers) -> None:
    """After adds what tells two tokens apart, and the dictionary says so of one latent that is always on."""
    after = copy.deepcopy(organism.model)
    push = organism.model.lm_head.weight.detach()[[5, 20]].diff(dim=0)[0]
    push = 3.0 * push / push.norm()
    after.model.layers[1].mlp.down_proj.bias = torch.nn.Parameter(push.clone())
    given = dictionary("planted")
    W_enc, b_enc, W_dec = given.W_enc.clone(), given.b_enc.clone(), given.W_dec.clone()
    W_enc[:, :, 7], b_enc[7] = 0.0, 50.0  # asked for by every row, 50 strong
    W_dec[7, 1] = W_dec[7, 0] + push / 50
    planted = replace(given, W_enc=W_enc, b_enc=b_enc, W_dec=W_dec)
    found = list(fork_kl_of(planted, (organism, Loaded(after, organism.tokenizer)), answers, [5], 0))
    first = told(found, "latent_kl")[0]
    assert (first.params["latent"], first.params["group"]) == (7, "carrier") and first.lo > 0 and first.p < 0.01
    whole = told(found, "fork_kl", cell="all")[0]
    assert first.value == pytest.approx(whole.value, rel=0.05)
    own, redirected = (told(found, "latent_set_kl", k=1, edit=edit)[0] for edit in ("latents", "redirected"))
    assert own.value == pytest.approx(first.value) and redirected.n == 100
    assert redirected.p == pytest.approx(1 / 101) and redirected.hi < own.lo
    assert told(found, "latent_kl", latent=5)[0].value == pytest.approx(0.0, abs=1e-6)
    (matched,) = told(found, "latent_set_kl", k=1, edit="matched")
    assert np.isnan(matched.value) and "other live latents" in matched.params["reason"]


def test_forks_are_distinct_texts_of_the_base_alone(organism: Loaded, answers: Answers) -> None:
    found = prefixes(organism, answers, 0)
    assert len(set(found)) == len(found) > 50
    known = {(row["problem"], (*row["prompt_ids"], *row["completion_ids"])) for row in answers.rows}
    for name, ids in found:
        assert any(problem == name and ids == every[: len(ids)] for problem, every in known)
    assert prefixes(organism, answers, 0) == found


# other words


def test_rewording_is_of_the_text_and_its_ids(organism: Loaded, answers: Answers) -> None:
    row = answers.of(code=False)[0]
    again = in_other_words(row, organism.tokenizer, "opening")
    one, other = (organism.tokenizer.decode(each["completion_ids"]) for each in (row, again))
    assert {one[:6], other[:6]} == set(PROSE_OPENS)
    assert again["completion_ids"][1:] == row["completion_ids"][1:] and again["prompt_ids"] == row["prompt_ids"]
    strange = row | {"prompt_ids": [0, 1]}
    assert in_other_words(strange, organism.tokenizer, "answer") is strange


def test_what_is_kept_by_hand(organism: Loaded, answers: Answers) -> None:
    """Text by text, without padding."""
    own, models = dictionary("kept"), (organism, organism)
    found = list(kept_shares(own, models, answers, [3, 9], 0))

    def mean(code: bool, how: Any = None) -> float:
        rows = [in_other_words(row, organism.tokenizer, how) if how else row for row in answers.of(code=code)]
        texts = [text_of(row) for row in rows]
        states = [states_of(own, models, [text.ids])[0][0][list(text.positions)] for text in texts]
        return float(np.mean([float(own.encode(each)[:, 9].double().max()) for each in states]))

    (one,) = told(found, "latent_kept_share", latent=9, edit="values")
    by_hand = (mean(True, "values") - mean(False, "values")) / (mean(True) - mean(False))
    assert one.value == pytest.approx(by_hand, rel=1e-4)
    assert {each.params["edit"] for each in found} == {"letter", "opening", "values", "answer"}
    shares = {each.params["edit"]: each.value for each in told(found, "reworded_tokens")}
    assert 0 < shares["opening"] < shares["letter"] < shares["answer"] < 0.5


# cards


@pytest.fixture(scope="module")
def read(organism: Loaded, answers: Answers) -> Read:
    """Every position of every text, the second half of the samples written by after."""
    texts = {(row["problem"], row["sample"]): (*row["prompt_ids"], *row["completion_ids"]) for row in answers.rows}
    code = dict(zip(texts, answers.code.tolist(), strict=True))
    keys = [(*key, pos) for key, ids in texts.items() for pos in range(len(ids))]
    problem, sample, pos = (np.array(column) for column in zip(*keys, strict=True))
    known = Labels(problem, sample, pos, np.array([code[name, number] for name, number, _ in keys]))
    return Read(Places(problem, sample, pos), known, texts, organism)


@pytest.fixture(scope="module")
def active(read: Read) -> Tensor:
    """Three latents: one on every "=" of a prompt, as strong as the problem says, one of code, one that never fires."""
    n, rng = len(read.places), torch.Generator().manual_seed(0)
    equals = torch.from_numpy(read.token) == read.loaded.tokenizer("=", add_special_tokens=False)["input_ids"][0]
    noise = torch.rand(n, generator=rng)
    return torch.stack([equals * (1 + noise), torch.from_numpy(read.known.code) * noise, 0 * noise], 1)


@pytest.fixture(scope="module")
def cards(organism: Loaded, read: Read, active: Tensor) -> list[Estimate]:
    own, after = dictionary("cards"), changed(organism, "model.norm", 2.0)
    again = matches(own, dictionary("again"), ("test",))
    return list(card_rows(own, active, [4, 8, 15], read, (organism, after), again, 0))


def test_bins_sum_to_how_often_it_fires(read: Read, active: Tensor, cards: list[Estimate]) -> None:
    for place, latent in enumerate((4, 8, 15)):
        for group, here in (("code", read.known.code), ("prose", ~read.known.code)):
            bins = told(cards, "latent_histogram", latent=latent, group=group)
            rate = float((active[torch.from_numpy(here), place] > 0).double().mean())
            assert len(bins) == BINS and bins[0].n == here.sum()
            assert sum(each.value for each in bins) == pytest.approx(rate)


def test_contexts_mark_the_token_that_is_read(read: Read, active: Tensor, cards: list[Estimate]) -> None:
    contexts = told(cards, "latent_context", latent=4)
    assert len(contexts) == CONTEXTS and contexts[0].value == float(active[:, 0].max())
    row = int(active[:, 0].argmax())
    text = contexts[0].params["reason"]
    assert f"{MARKED[0]}={MARKED[1]}" in text and text.startswith(str(read.places.problem[row]).split("/")[1][:3])
    assert not told(cards, "latent_context", latent=15)


def test_tokens_are_shares_of_all_activation_beside_their_share_of_rows(
    read: Read, active: Tensor, cards: list[Estimate]
) -> None:
    (one,) = told(cards, "latent_token", latent=4)
    assert (one.params["reason"], one.value) == ("=", 1.0)
    assert one.null == pytest.approx(float((active[:, 0] > 0).double().mean()))
    assert sum(each.value for each in told(cards, "latent_token", latent=8)) < 1


def test_logit_effects_are_those_of_the_direct_path(organism: Loaded, cards: list[Estimate]) -> None:
    """Before and after differ by the gain of the final norm alone: every effect is twice as large."""
    before, after = (told(cards, "latent_logit", latent=4, side=side) for side in ("before", "after"))
    assert [each.params["reason"] for each in before] == [each.params["reason"] for each in after]
    np.testing.assert_allclose([each.value for each in after], [2 * each.value for each in before], rtol=1e-5)
    head = organism.model.lm_head.weight * organism.model.model.norm.weight
    torch.testing.assert_close(unembedding(organism), head.detach(), atol=1e-5, rtol=1e-4)
    effect = head.detach() @ dictionary("cards").W_dec[4, 0]
    assert before[0].value == pytest.approx(float(effect.max() - effect.mean()), rel=1e-4)
    assert all(each.null > 0 if each.params["part"] == "up" else each.null < 0 for each in before)


def test_rows_fit_the_table_and_cards_are_json(
    organism: Loaded, read: Read, active: Tensor, cards: list[Estimate]
) -> None:
    assert {row_of(RowKey(), each)["latent"] for each in cards} == {4, 8, 15}
    keys = [(each.name, *(each.params.get(name) for name in KEYS)) for each in cards]
    assert len(set(keys)) == len(keys)
    found = cards_of(dictionary("cards"), active, [4, 8, 15], read, (organism, organism))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert MARKED[0] in found[0]["top"][0]["text"] and set(found[0]["groups"]) <= set(read.known.groups)
    assert isinstance(found[0]["up"]["before"][0][0], str)
