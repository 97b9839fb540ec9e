"""Crossing: nothing swapped is the writer's own sample, everything the other's; a budget swaps what diverges most."""

import copy
import math

import pytest
import torch
from outside_checkpoints import KINDS, tiny

from probe.errors import BadInput
from probe.interventions.cross_sampling import Crossed, Swap, cross_sample
from probe.interventions.cross_sampling import threshold_for as threshold
from probe.models.loading.load import Loaded
from probe.models.loading.loaded import pad_id, stop_ids
from probe.models.sampling.organism_sampler import sample
from probe.rng import uniforms
from probe.rollouts.elicitation import CHAIN

Other = torch.nn.Module
PROBLEMS = CHAIN.problems.problems[:24]
NEW = 20


@pytest.fixture(scope="module")
def other(organism: Loaded) -> torch.nn.Module:
    """The organism with a noisy head of its own."""
    model = copy.deepcopy(organism.model)
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())
        model.config.tie_word_embeddings = False
        model.lm_head.weight += 0.02 * torch.randn(model.lm_head.weight.shape, generator=rng)
    return model


def crossed(organism: Loaded, other: Other, *, greedy: bool = False, batch: int = 64, **how: object) -> Crossed:
    prompts, _ = CHAIN.prompts(organism.tokenizer, PROBLEMS)
    about = {"max_new": NEW, "stop": stop_ids(organism), "pad": pad_id(organism), "batch": batch}
    about |= {"cached": how.pop("cached", True)}
    u = None if greedy else draws()
    return cross_sample(organism.model, other, prompts, u, Swap(**how), **about)  # type: ignore[arg-type]


def threshold_for(text: Crossed, budget: float) -> float:
    return threshold([one for row in text.parted() for one in row], budget)


def draws() -> torch.Tensor:
    return torch.stack([torch.from_numpy(uniforms(NEW, "cross", problem.id)) for problem in PROBLEMS])


def sampled(model: torch.nn.Module, organism: Loaded, u: torch.Tensor | None) -> list[list[int]]:
    prompts, _ = CHAIN.prompts(organism.tokenizer, PROBLEMS)
    ends = {"stop": organism.tokenizer.eos_token_id, "pad": organism.tokenizer.pad_token_id}
    found = sample(model, prompts, n_samples=1, max_new=NEW, uniforms=u, **ends)  # type: ignore[arg-type]
    return [row[:length] for row, length in zip(found.ids.tolist(), found.lengths.tolist(), strict=True)]


def test_nothing_swapped_is_the_writers_own_text_everything_the_others(organism: Loaded, other: Other) -> None:
    own, its = crossed(organism, other), crossed(organism, other, threshold=0.0)
    assert own.texts() == sampled(organism.model, organism, draws())
    assert its.texts() == sampled(other, organism, draws())
    assert (own.share, its.share) == (0.0, 1.0)
    assert own.texts() != its.texts()


def test_a_model_crossed_with_itself_changes_nothing(organism: Loaded) -> None:
    found = crossed(organism, organism.model, threshold=0.0)
    assert found.texts() == sampled(organism.model, organism, draws())
    assert found.divergence.abs().max() < 1e-5


def test_a_budget_swaps_about_as_many_tokens_those_that_diverge_most(organism: Loaded, other: Other) -> None:
    own = crossed(organism, other)
    shares = [crossed(organism, other, threshold=threshold_for(own, budget)).share for budget in (0.05, 0.2, 0.6)]
    assert shares == pytest.approx([0.05, 0.2, 0.6], abs=0.12)
    assert shares == sorted(shares)
    cut = threshold_for(own, 0.2)
    few = crossed(organism, other, threshold=cut)
    places = torch.arange(few.ids.shape[1]) < few.lengths[:, None]
    assert (few.divergence[few.swapped] >= cut).all()
    assert (few.divergence[places & ~few.swapped] < cut).all()
    assert (threshold_for(own, 0.0), threshold_for(own, 1.0)) == (math.inf, 0.0)


def test_the_null_swaps_as_many_at_places_that_know_nothing(organism: Loaded, other: Other) -> None:
    places = torch.stack([torch.from_numpy(uniforms(NEW, "null", problem.id)) for problem in PROBLEMS])
    found = crossed(organism, other, places=places, share=0.3)
    assert found.share == pytest.approx(0.3, abs=0.08)
    assert crossed(organism, other, places=places, share=0.0).texts() == sampled(organism.model, organism, draws())
    alive = torch.arange(found.ids.shape[1]) < found.lengths[:, None]
    assert torch.equal(found.swapped, (places[:, : found.ids.shape[1]] < 0.3) & alive)


def test_greedy_needs_no_draws(organism: Loaded, other: Other) -> None:
    assert crossed(organism, other, greedy=True).texts() == sampled(organism.model, organism, None)


@pytest.mark.parametrize("kind", ["organism", *KINDS])
def test_the_cache_and_the_batch_change_nothing(organism: Loaded, other: Other, kind: str) -> None:
    """Of every architecture, prompts of unequal length: the same tokens and swaps as read anew for each token."""
    prompts = [[5, 6, 7, 8, 9, 10, 11, 12, 5], [9, 5, 6], [12, 11, 7, 6, 5, 9, 9, 8, 8, 7, 6, 5]]
    pair = (organism.model, other) if kind == "organism" else tuple(tiny(kind, 40, seed=seed) for seed in (0, 1))
    u = torch.stack([torch.from_numpy(uniforms(12, "cached", row)) for row in range(3)])
    how = {"max_new": 12, "stop": [0, 1], "pad": 0}
    swap = Swap(threshold_for(cross_sample(*pair, prompts, u, **how, cached=False), 0.313))  # type: ignore[arg-type]
    found = [
        cross_sample(*pair, prompts, u, swap, **how, cached=cached, batch=batch)  # type: ignore[arg-type]
        for cached, batch in ((False, 64), (True, 64), (True, 1))
    ]
    for each in found[1:]:
        assert each.texts() == found[0].texts()
        assert torch.equal(each.swapped, found[0].swapped)
        torch.testing.assert_close(each.divergence, found[0].divergence, atol=1e-4, rtol=1e-3)
    assert 0 < found[0].share < 1


def test_each_row_may_have_a_threshold_of_its_own(organism: Loaded, other: Other) -> None:
    own, its = crossed(organism, other).texts(), crossed(organism, other, threshold=0.0).texts()
    mixed = crossed(organism, other, threshold=torch.tensor([math.inf, 0.0] * 12), batch=5).texts()
    assert mixed == [own[row] if row % 2 == 0 else its[row] for row in range(24)]


def test_where_two_models_agree_nothing_is_swapped(organism: Loaded) -> None:
    own = crossed(organism, organism.model)
    assert threshold_for(own, 0.5) > 0
    assert crossed(organism, organism.model, threshold=threshold_for(own, 0.5)).share == 0.0


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"threshold": math.nan}, "threshold nan"),
        ({"places": torch.zeros(2, 3), "share": 0.1}, "draws of shape"),
    ],
)
def test_bad_input_is_refused(organism: Loaded, other: Other, how: dict[str, object], match: str) -> None:
    with pytest.raises(BadInput, match=match):
        crossed(organism, other, **how)


def test_a_budget_is_a_share(organism: Loaded, other: Other) -> None:
    with pytest.raises(BadInput, match="a budget of 1.5"):
        threshold_for(crossed(organism, other), 1.5)
