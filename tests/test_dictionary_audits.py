"""Audits: a claim passes its nulls or is refused; controls, seeds, sameness."""

import numpy as np
import pytest
import torch
from planted_pairs import dictionary, features, reading, sparse, written

from probe.dictionaries.activation import JumpReLU, TopK
from probe.dictionaries.audits.controls import random_decoder, random_directions, random_encoder, redirected, untrained
from probe.dictionaries.audits.exclusives import Exclusives, exclusives, judged
from probe.dictionaries.audits.stability import best_cosines, matches
from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.diffing.latent_scaling import latent_scaling
from probe.dictionaries.diffing.norms import decoder_cosine, relative_norm
from probe.dictionaries.diffing.sameness import asked_alike, asked_correlation, effect_cosine, logit_effects
from probe.errors import BadInput
from probe.rng import numpy_rng, torch_rng
from probe.stats.bootstrap import clustered_bootstrap
from probe.stats.intervals import wilson


def strength(n: int, before_only: int, after_only: int) -> list[list[float]]:
    both = n - before_only - after_only
    return [[1.0] * before_only + [0.0] * after_only + [1.0] * both, [0.0] * before_only + [1.0] * (n - before_only)]


def test_exclusives_by_hand() -> None:
    found = exclusives(dictionary(written(features(10, 12, "by hand"), strength(10, 1, 2))))
    assert (found.before, found.after, found.live) == ((0,), (1, 2), 10)
    assert [found.rate(side).value for side in ("before", "after", None)] == [0.1, 0.2, 0.3]
    assert (found.rate().lo, found.rate().hi) == wilson(3, 10)
    live = torch.ones(10, dtype=torch.bool)
    live[1] = live[9] = False
    kept = exclusives(dictionary(written(features(10, 12, "by hand"), strength(10, 1, 2))), live=live)
    assert (kept.after, kept.live) == ((2,), 8)


def test_latent_scaling_takes_away_what_is_an_artefact() -> None:
    """Latents 1 and 2 look like after's; feature 2 is in before all the same, shrunk out of its latent."""
    truth = features(10, 12, "artefact")
    real = strength(10, 1, 2)
    real[0][2] = 1.0
    found = dictionary(written(truth, strength(10, 1, 2)), activation=JumpReLU(torch.full((10,), 0.1)))
    x = torch.einsum("rn,nmd->rmd", sparse(300, 10, "artefact"), written(truth, real))
    # before's 2 is not read (its encoder is 0 there), so f is what after holds
    told = exclusives(found, latent_scaling(found, [x]))
    assert (told.before, told.after, told.live) == ((0,), (1,), 10)
    x = torch.einsum("rn,nmd->rmd", sparse(300, 10, "artefact") * (torch.arange(10) != 9), found.W_dec)
    assert exclusives(found, latent_scaling(found, [x])).live == 9  # the last never fired


def test_planted_exclusives_among_artefacts_and_noise() -> None:
    """40 features of each model alone; 40 of each that are half as strong there, of which its decoder says nothing."""
    n, d = 200, 256
    truth, kind = features(n, d, "many"), np.repeat(["before", "after", "shrunk before", "shrunk after", "shared"], 40)
    real, said = torch.ones(2, n), torch.ones(2, n)
    for side, here, other in (("before", 0, 1), ("after", 1, 0)):
        real[other, kind == side] = said[other, kind == side] = 0
        real[here, kind == f"shrunk {side}"], said[here, kind == f"shrunk {side}"] = 0.5, 0
    rng = torch_rng("noise of many")
    W_dec = written(truth, said.tolist()) + 0.004 * torch.randn(n, 2, d, generator=rng)
    f = sparse(600, n, "many", share=0.05)
    x = torch.einsum("rn,nmd->rmd", f, written(truth, real.tolist())) + 0.01 * torch.randn(600, 2, d, generator=rng)
    threshold = JumpReLU(torch.full((n,), 0.25))
    W_enc = reading(written(truth, said.tolist()))
    found = dictionary(W_dec, W_enc=W_enc, activation=threshold)
    by_norm, told = exclusives(found), exclusives(found, latent_scaling(found, x.split(128)))
    exclusive = {side: set(np.flatnonzero(kind == side).tolist()) for side in ("before", "after")}
    assert (set(told.before), set(told.after)) == (exclusive["before"], exclusive["after"])
    assert len(by_norm.before) == len(by_norm.after) == 80  # norms alone call the shrunk ones exclusive too


def test_a_claim_is_judged_beside_its_nulls() -> None:
    claim, same = Exclusives((), tuple(range(30)), 200), Exclusives((), (), 200)
    halves = Exclusives((1, 2), tuple(range(25)), 200)
    assert judged(claim, {"itself": same}).beyond
    told = judged(claim, {"itself": same, "disjoint halves": halves})
    assert not told.beyond and told.refused_by == ("disjoint halves",) and str(told) == "no more than disjoint halves"
    assert str(judged(claim, {"itself": same})) == "beyond its nulls"
    assert not judged(same, {"itself": same}).beyond
    assert not judged(claim, {}).beyond and str(judged(claim, {})) == "not judged: no null was run"
    assert judged(claim, {"itself": same}, "before").refused_by == ("itself",)
    assert judged(claim, {"itself": same}, again=[claim, halves]).beyond
    assert judged(claim, {"itself": same}, again=[claim, same]).refused_by == ("itself",)  # another seed finds none


def test_a_pair_of_one_model_has_no_exclusives() -> None:
    truth = features(20, 24, "null")
    found = dictionary(written(truth, [[1] * 20, [1] * 20]))
    x = torch.einsum("rn,nd->rd", sparse(200, 20, "null"), truth)[:, None].expand(-1, 2, -1)
    for scaling in (None, latent_scaling(found, [x])):
        told = exclusives(found, scaling)
        assert told.before == told.after == ()


def test_bad_exclusives() -> None:
    found = dictionary(written(features(3, 4, "bad"), strength(3, 1, 1)))
    for live in (torch.zeros(3, dtype=torch.bool), torch.zeros(1, dtype=torch.bool)):
        with pytest.raises(BadInput, match="no latent is live"):
            exclusives(found, live=live)
    with pytest.raises(BadInput, match="no side is 'both'"):
        exclusives(found).rate("both")


def some(seed: int = 0, n: int = 64, d: int = 16) -> Dictionary:
    truth = torch.randn(n, 2, d, generator=torch_rng("some", seed))
    W_enc = torch.randn(2, d, n, generator=torch_rng("some encoder", seed))
    return dictionary(truth, W_enc=W_enc, activation=JumpReLU(torch.ones(n)))


def test_controls_keep_shapes_and_sizes_and_what_they_should() -> None:
    given = some()
    decoder, encoder, both = (make(given, "seed", 1) for make in (random_decoder, random_encoder, untrained))
    assert decoder.W_enc.equal(given.W_enc) and encoder.W_dec.equal(given.W_dec)
    torch.testing.assert_close(encoder.W_enc.norm(dim=1), given.W_enc.norm(dim=1))
    norm = given.W_dec.norm(dim=-1)
    torch.testing.assert_close(decoder.W_dec.norm(dim=-1), norm.mean().expand_as(norm))
    assert both.W_enc.equal(both.W_dec.permute(1, 2, 0)) and not both.b_enc.any()
    for each in (decoder, encoder, both):
        assert each.activation is given.activation and each.b_dec.equal(given.b_dec)
    for each in (decoder, both):
        assert exclusives(each).rate().value == 0
        torch.testing.assert_close(relative_norm(each), torch.full((64,), 0.5).double())
        torch.testing.assert_close(decoder_cosine(each), torch.ones(64).double())


def test_controls_are_drawn_at_their_address() -> None:
    given = some()
    assert untrained(given, "a", 1).W_dec.equal(untrained(given, "a", 1).W_dec)
    for other in (("a", 2), ("b", 1)):
        assert not untrained(given, "a", 1).W_dec.equal(untrained(given, *other).W_dec)
    cosine = best_cosines(untrained(given, "a", 1).W_dec[:, 0], random_decoder(given, "b").W_dec[:, 0])[0]
    assert cosine.mean() < 0.75  # of 64 in 16 dimensions


def test_a_redirected_latent_fires_as_before_and_pushes_elsewhere() -> None:
    given = some(d=512)
    turned = redirected(given, [3, 60], "null", 1)
    rest = [j for j in range(64) if j not in (3, 60)]
    assert turned.W_dec[rest].equal(given.W_dec[rest]) and turned.W_enc.equal(given.W_enc)
    torch.testing.assert_close(turned.W_dec.norm(dim=-1), given.W_dec.norm(dim=-1))
    cosine = torch.cosine_similarity(turned.W_dec[[3, 60]], given.W_dec[[3, 60]], dim=-1)
    assert cosine.abs().max() < 0.2
    assert not redirected(given, [3], "null", 2).W_dec[3].equal(redirected(given, [3], "null", 1).W_dec[3])
    with pytest.raises(BadInput, match="latents"):
        redirected(given, [64], "null")


def test_random_directions_are_uniform() -> None:
    drawn = random_directions(4000, 3, ("sphere",), norm=2.0)
    torch.testing.assert_close(drawn.norm(dim=-1), torch.full((4000,), 2.0))
    assert drawn.mean(0).abs().max() < 0.1
    torch.testing.assert_close(drawn.square().mean(0), torch.full((3,), 4 / 3), atol=0.08, rtol=0)


def test_matches_by_hand() -> None:
    mine, theirs = torch.tensor([[1.0, 0], [0, 2], [0, 0], [3, 4]]), torch.tensor([[0.0, 5], [-1, 0], [1, 1]])
    cosine, partner = best_cosines(mine, theirs)
    assert cosine[[0, 1, 3]].tolist() == pytest.approx([0.5**0.5, 1, 7 / 5 * 0.5**0.5]) and cosine[2].isnan()
    assert partner[[0, 1, 3]].tolist() == [2, 0, 2]


def test_a_seed_that_finds_the_same_is_told_from_one_that_does_not() -> None:
    n, d = 64, 48
    truth = torch.randn(n, 2, d, generator=torch_rng("truth"))
    order = torch.from_numpy(numpy_rng("order").permutation(n))
    again = truth[order] * 3 + 0.2 * torch.randn(n, 2, d, generator=torch_rng("noise"))
    again[:16] = torch.randn(16, 2, d, generator=torch_rng("other"))
    one, two, other = (dictionary(each, W_enc=torch.zeros(2, d, n)) for each in (truth, again, some(9, n, d).W_dec))
    found = matches(one, two, ("chance",))
    assert found.share() == 48 / 64
    kept = torch.ones(n, dtype=torch.bool)
    kept[order[:16]] = False
    assert found.partner[kept].equal(order.argsort()[kept])
    null = matches(one, other, ("chance",))
    assert null.share() == 0 and null.mean == pytest.approx(null.chance, abs=0.02) and found.mean > 2 * null.mean
    assert matches(one, one, ("chance",), model="after").mean == pytest.approx(1)
    assert matches(one, two, ("chance",), live=kept).share() == 1
    assert matches(one, two, ("chance",), live=kept).cosine.isfinite().sum() == 48


def test_seeds_of_other_models_are_no_seeds() -> None:
    with pytest.raises(BadInput, match="and \\('before', 'after'\\) of width 16"):
        matches(some(d=8), some(), ("a",))


def shared_pair() -> tuple[Dictionary, torch.Tensor]:
    """Latent 0 is asked for by other rows after, latent 1 by nobody after; the rest by the same."""
    truth = features(6, 10, "same")
    W_dec = written(truth, [[1] * 6, [1, 0, 1, 1, 1, 1]])
    f = sparse(500, 6, "same")
    after = f.clone()
    after[:, 0] = sparse(500, 6, "same", "other")[:, 0]
    return dictionary(W_dec), torch.stack([f @ truth, after @ truth], dim=1)


def test_a_latent_that_other_rows_ask_for_is_not_the_same() -> None:
    found, x = shared_pair()
    told = asked_correlation(found, x.split(130))
    assert abs(float(told[0])) < 0.15 and told[1].isnan()
    torch.testing.assert_close(told[2:], torch.ones(4).double())
    z = x[:, :, None] @ found.W_enc  # [row model 1 latent]
    expected = np.corrcoef(z[:, 0, 0, 0], z[:, 1, 0, 0])[0, 1]
    assert float(told[0]) == pytest.approx(expected)
    with pytest.raises(BadInput, match="0 rows"):
        asked_correlation(found, [])


def test_problems_are_resampled_for_what_is_asked_alike() -> None:
    """The limits are those of resampling whole problems, row by row, on the same draws."""
    found, x = shared_pair()
    problem = np.array([f"p{i // 25}" for i in range(500)])
    read = [(part, names) for part, names in zip(x.split(130), np.split(problem, [130, 260, 390]), strict=True)]
    told = asked_alike(found, read, [0, 3, 1], ("here",), n_boot=200)
    assert [each.value for each in told[:2]] == pytest.approx(asked_correlation(found, [x])[[0, 3]].tolist())
    z = (x[:, :, None] @ found.W_enc)[:, :, 0, 0].double().numpy()
    columns = {"b": z[:, 0], "a": z[:, 1]}
    plain = clustered_bootstrap(
        lambda drawn: float(np.corrcoef(drawn["b"], drawn["a"])[0, 1]),
        columns, problem, name="by hand", address=("here",), n_boot=200,
    )  # fmt: skip
    assert (told[0].lo, told[0].hi) == pytest.approx((plain.lo, plain.hi))
    assert (told[0].n, told[0].n_problems, told[0].name) == (500, 20, "asked_alike")
    assert np.isnan([told[2].value, told[2].lo]).all()  # after never asks for it
    with pytest.raises(BadInput, match="0 rows"):
        asked_alike(found, [], [0], ("here",))


def test_logit_effects_by_hand() -> None:
    head = torch.tensor([[1.0, 0], [3, 0], [2, 6]])
    assert logit_effects(head, torch.tensor([[1.0, 0], [0, 1]])).tolist() == [[-1, 1, 0], [-2, -2, 4]]
    with pytest.raises(BadInput, match="an unembedding of"):
        logit_effects(head, torch.ones(1, 3))


def test_the_same_direction_under_another_head_is_another_effect() -> None:
    found, _ = shared_pair()
    head, other = (torch.randn(40, 10, generator=torch_rng("head", seed)).double() for seed in range(2))
    same = effect_cosine(found, [head, head + 5.0])  # the same for all tokens: no effect
    assert same[1].isnan()
    torch.testing.assert_close(same[[0, 2, 3, 4, 5]], torch.ones(5).double())
    assert effect_cosine(found, [head, other])[2:].abs().max() < 0.6
    with pytest.raises(BadInput, match="vocabularies"):
        effect_cosine(found, [head, other[:3]])


def test_topk_dictionaries_are_audited_too() -> None:
    truth = features(8, 12, "topk")
    found = dictionary(written(truth, strength(8, 1, 1)), activation=TopK(3))
    x = torch.einsum("rn,nmd->rmd", sparse(200, 8, "topk", share=0.15), found.W_dec)
    told = exclusives(found, latent_scaling(found, [x]))
    assert (told.before, told.after) == ((0,), (1,))
