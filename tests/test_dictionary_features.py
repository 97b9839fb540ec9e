"""Rankings, minimal sets and cards: by hand, against the house's AUROC and autograd, planted and null."""

import json
import math

import numpy as np
import pytest
import torch
from planted_pairs import dictionary, features, sparse, written

from probe.dictionaries.causes.minimal_set import greedy, smallest_prefix
from probe.dictionaries.diffing.card import card, neighbours
from probe.dictionaries.diffing.ranking import attribution, aurocs, by_auroc, entropy_over, reason_scores, strongest
from probe.errors import BadInput
from probe.rng import numpy_rng, torch_rng
from probe.stats.ranking import ranked


def labels(seed: int, rows: int = 240) -> np.ndarray:
    return numpy_rng("labels", seed).integers(0, 2, rows)


def test_every_auroc_is_the_houses() -> None:
    f, yes = sparse(240, 12, "auroc"), labels(0)
    expected = [ranked(f[:, j].numpy(), yes)[0] for j in range(12)]
    assert aurocs(f, yes) == pytest.approx(np.array(expected))
    assert np.isnan(aurocs(f, np.ones(240))).all()


def test_a_latent_that_tells_the_label_comes_first() -> None:
    yes, problems = labels(1), np.repeat(np.arange(60), 4)
    f = sparse(240, 40, "label")
    f[:, 7] = torch.from_numpy(np.where(yes == 1, f[:, 7] + 0.4, f[:, 7]))
    f[:, 9] = torch.from_numpy(np.where(yes == 0, f[:, 9] + 0.3, f[:, 9]))
    f[:, 30] = 0
    found = by_auroc(f, yes, problems)
    assert [each.latent for each in found if each.holm < 0.05] == [7, 9]
    assert found[0].estimate.lo > 0.7 and found[1].estimate.hi < 0.4
    assert (found[-1].latent, found[-1].estimate.value) == (30, 0.5)
    asked = by_auroc(f, yes, problems, [3, 7])
    assert [each.latent for each in asked] == [7, 3] and asked[0].holm == pytest.approx(2 * asked[0].estimate.p)


def test_shuffled_labels_rank_nothing() -> None:
    problems = np.repeat(np.arange(60), 4)
    hits = [min(each.holm for each in by_auroc(sparse(240, 20, s), labels(s), problems)) < 0.05 for s in range(40)]
    assert sum(hits) <= 6


def test_attribution_is_the_derivative() -> None:
    """f_j times the derivative, by f_j, of a logit difference of the decoded rows."""
    truth = features(5, 8, "attribution")
    found = dictionary(written(truth, [[1, 2, 0, 1, 1], [1, 1, 1, 1, 0]]), scale=[0.5, 2.0])
    f = sparse(30, 5, "attribution", share=0.6).requires_grad_()
    head = torch.randn(2, 8, generator=torch_rng("head")).double()
    x = found.decode(f)[:, 1]
    x.retain_grad()
    ((x @ head[0]).tanh() - (x @ head[1]).tanh()).sum().backward()
    told = attribution(found, "after", f.detach(), x.grad)
    torch.testing.assert_close(told, f.detach() * f.grad, atol=1e-12, rtol=0)
    assert told[:, 4].abs().max() == 0  # after does not have it


def test_bad_attribution() -> None:
    found = dictionary(written(features(3, 4, "bad"), [[1] * 3, [1] * 3]))
    with pytest.raises(BadInput, match="no model is called"):
        attribution(found, "x", torch.ones(2, 3), torch.ones(2, 4))
    for f, gradient in ((torch.ones(2, 2), torch.ones(2, 4)), (torch.ones(2, 3), torch.ones(2, 5))):
        with pytest.raises(BadInput, match="a gradient of"):
            attribution(found, "after", f, gradient)
    with pytest.raises(BadInput, match="beside columns"):
        attribution(found, "after", torch.ones(2, 3), torch.ones(3, 4))


def test_reason_score_by_hand() -> None:
    f = torch.tensor([[1.0, 4, 0], [1, 0, 0], [0, 0, 3], [1, 0, 1]])
    inside, outside = np.array([1.0, 2, 0]), np.array([0.5, 0, 2])
    spread = np.array([1.0, 0, 0])  # over the two words: even, one alone, neither
    expected = inside / 3 * spread**0.7 - outside / 2.5
    assert reason_scores(f, ["wait", "so", "", ""]) == pytest.approx(expected)


def test_the_entropy_is_taken_to_the_power_of_the_paper() -> None:
    f = torch.tensor([[3.0, 1], [1, 1], [0, 1]])
    spread = (0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / math.log(2)
    assert reason_scores(f, ["a", "b", ""]) == pytest.approx([2 / 3 * spread**0.7, 1 / 3 - 1])
    assert reason_scores(f, ["a", "b", ""], alpha=0.0) == pytest.approx([2 / 3, 1 / 3 - 1])


def test_entropy_over_words() -> None:
    assert entropy_over(np.array([[1.0, 0, 3], [1, 2, 1], [1, 0, 0]])) == pytest.approx(
        [1, 0, (0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / math.log(3)]
    )


def test_reason_score_finds_a_planted_latent_and_is_flat_without() -> None:
    word = numpy_rng("words").choice(["", "", "wait", "so", "hence"], 600)
    f = sparse(600, 50, "words")
    flat = reason_scores(f, word)
    assert np.abs(flat).max() < 0.02  # each of 50 has a share of .02 of what fires
    f[:, 3] = torch.from_numpy(np.where(word != "", 1.0, 0.0))
    f[:, 4] = torch.from_numpy(np.where(word == "wait", 3.0, 0.0))  # one word alone: what it is not meant to rank
    scores = reason_scores(f, word)
    assert strongest(scores, 1) == [3] and scores[4] < 0.01


def test_bad_words() -> None:
    f = torch.ones(3, 2)
    for word in (["a", "a", ""], ["a", "b", "c"], ["", "", ""]):
        with pytest.raises(BadInput, match="words and"):
            reason_scores(f, word)
    with pytest.raises(BadInput, match="nothing fires"):
        reason_scores(f * 0, ["a", "b", ""])
    with pytest.raises(BadInput, match="beside columns"):
        reason_scores(f, ["a", "b"])


def test_strongest() -> None:
    assert strongest([0.1, -3, math.nan, 3, 0], 3) == [1, 3, 0]
    assert strongest(torch.tensor([1.0, 2.0]), 9) == [1, 0]


def test_smallest_prefix_by_hand() -> None:
    asked: list[int] = []

    def effect(chosen: tuple[int, ...]) -> float:
        asked.append(len(chosen))
        return len(set(chosen) & {4, 9, 2, 7, 5}) / 5

    found = smallest_prefix(effect, [4, 9, 2, 7, 5, 1, 0, 3, 6, 8], share=0.8)
    assert (found.latents, found.size, found.monotone) == ((4, 9, 2, 7), 4, True)
    assert asked == [0, 1, 2, 4, 3]
    assert found.curve == ((0, 0), (1, 0.2), (2, 0.4), (3, 0.6), (4, 0.8))


@pytest.mark.parametrize("n", [1, 2, 7, 64, 1000])
def test_smallest_prefix_of_any_size(n: int) -> None:
    for needed in {1, n // 2 + 1, n}:
        found = smallest_prefix(lambda chosen: len(chosen) / needed, range(n), share=1.0)  # noqa: B023
        assert found.size == needed and len(found.curve) <= 2 * math.log2(n + 1) + 3
    assert smallest_prefix(lambda _: 0.0, range(n)).latents is None
    assert smallest_prefix(lambda _: 1.0, range(n)).latents == ()


def test_a_curve_that_turns_back_is_told() -> None:
    effects = {0: 0.0, 1: 0.9, 2: 0.1, 4: 0.2, 8: 1.0, 6: 0.3, 7: 0.85, 5: 0.1}
    found = smallest_prefix(lambda chosen: effects[len(chosen)], range(8), share=0.95)
    assert (found.size, found.monotone) == (8, False)
    assert dict(found.curve) == {size: effects[size] for size in (0, 1, 2, 4, 6, 7, 8)}
    assert smallest_prefix(lambda chosen: effects[len(chosen)], range(8)).size == 1


def test_greedy_finds_what_a_ranking_hides() -> None:
    worth = {0: 0.1, 1: 0.5, 2: 0.4, 3: 0.0}
    found = greedy(lambda chosen: sum(worth[each] for each in chosen), [0, 1, 2, 3], share=0.85)
    assert (found.latents, found.curve) == ((1, 2), ((0, 0), (1, 0.5), (2, 0.9)))
    assert smallest_prefix(lambda chosen: sum(worth[each] for each in chosen), [0, 1, 2, 3], share=0.85).size == 3
    assert greedy(lambda chosen: sum(worth[each] for each in chosen), [0, 1, 2], share=0.85, most=1).latents is None
    assert greedy(lambda _: 0.0, [5, 6]).curve == ((0, 0), (1, 0), (2, 0))  # null: nothing reaches


def test_bad_sets() -> None:
    for search in (smallest_prefix, greedy):
        for ranking in ([], [1, 1]):
            with pytest.raises(BadInput, match="different"):
                search(len, ranking)
        with pytest.raises(BadInput, match="an effect of nan"):
            search(lambda _: math.nan, [1])


def test_a_card_by_hand() -> None:
    d = torch.tensor([[[1.0, 0], [2, 0]], [[0, 1], [1, 1]], [[1, 1], [0, 0]]])
    found = dictionary(d, W_enc=torch.zeros(2, 2, 3), scale=[1, 2])
    f = torch.tensor([0.0, 2, 1, 0, 2, 4])
    group = ["code", "code", "code", "prose", "prose", "code"]
    head = torch.tensor([[3.0, 0], [1, 0], [0, 0], [0, 5]])
    told = card(found, 0, f, group, {"after": head}, k=2, bins=4)
    assert told.edges == (0, 1, 2, 3, 4) and told.top == ((5, 4), (1, 2))
    code, prose = told.groups["code"], told.groups["prose"]
    assert (code.rows, code.rate, code.counts) == (4, 0.75, (0, 1, 1, 1)) and code.mean == pytest.approx(7 / 3)
    assert (prose.rows, prose.rate, prose.mean, prose.counts) == (2, 0.5, 2, (0, 0, 1, 0))
    assert told.up["after"] == ((0, 2), (1, 0)) and told.down["after"] == ((2, -1), (3, -1))  # 3 1 0 0, less 1
    assert told.neighbours["before"] == ((2, pytest.approx(0.5**0.5)), (1, 0))
    assert told.neighbours["after"][0] == (1, pytest.approx(0.5**0.5))
    assert neighbours(found, "after", 2) == ()  # no direction there
    assert json.loads(json.dumps(told.json(), allow_nan=False)) == told.json()


def test_a_card_of_a_latent_that_never_fires() -> None:
    found = dictionary(written(features(2, 3, "card"), [[1, 1], [1, 1]]))
    told = card(found, 1, torch.zeros(3), ["a", "b", "b"])
    assert told.top == () and told.groups["b"].mean is None and told.up == {}
    json.dumps(told.json(), allow_nan=False)


def test_bad_cards() -> None:
    found = dictionary(written(features(2, 3, "card"), [[1, 1], [1, 1]]))
    for latent, f, group, heads, match in (
        (2, [1.0], ["a"], {}, "latents"),
        (0, [-1.0], ["a"], {}, "f spans"),
        (0, [1.0], ["a", "b"], {}, "group has 2"),
        (0, [1.0], ["a"], {"x": torch.ones(4, 3)}, "no model is called"),
        (0, [1.0], ["a"], {"after": torch.ones(4, 2)}, "an unembedding of"),
    ):
        with pytest.raises(BadInput, match=match):
            card(found, latent, torch.tensor(f), group, heads)
