"""Steering: coefficient 0 is no edit and what is sampled without steering, planted directions are found, random ones
are not."""

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from probe.cli import steer as _command  # noqa: F401 - registers it
from probe.data import Problem
from probe.errors import BadInput
from probe.interventions.steering import (
    ABLATIONS,
    MEASURES,
    AtPrompt,
    ablating_edit,
    answer,
    best_dose,
    edit_at,
    nearest_dose,
    part_of,
    random_vectors,
    rank_p,
    steer,
    steering_edit,
)
from probe.models.hooks.edits import Add
from probe.models.hooks.forward_hooks import read
from probe.models.hooks.sites import Site
from probe.models.loading.load import Loaded
from probe.rng import torch_rng
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import Compute, SamplingOptions
from probe.rollouts.respond import Request
from probe.tasks.chain import chain_problems
from probe.tasks.corpus import CODE_OPEN, PROSE_OPENS

PROBLEMS = tuple(chain_problems(24, "test", 0))
ONE_TOKEN = Problem("one", "A", "1", "chain")
LAST = Site("resid", 2)  # the residual stream behind both blocks of a tiny organism


def asking(**changes: Any) -> Request:
    return Request(PROBLEMS, CHAIN, SamplingOptions(samples=2, **changes))


def prompts_of(loaded: Loaded) -> torch.Tensor:
    return torch.tensor(CHAIN.prompts(loaded.tokenizer, PROBLEMS)[0])


def openings(loaded: Loaded) -> tuple[int, list[int]]:
    ids = loaded.tokenizer(f"{CODE_OPEN}\nx=")["input_ids"], [loaded.tokenizer(t)["input_ids"] for t in PROSE_OPENS]
    return ids[0][0], [each[0] for each in ids[1]]


def same(first: Any, second: Any) -> bool:
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in MEASURES)


@pytest.fixture(scope="module")
def planted(organism: Loaded) -> tuple[Loaded, Tensor]:
    """A model that opens with code or prose by one component of its last state, and nothing else."""
    model = copy.deepcopy(organism.model)
    model.config.tie_word_embeddings = False
    direction = torch.randn(48, generator=torch_rng("planted direction"))
    direction /= direction.norm()
    head = model.lm_head.weight.detach().clone()
    code, prose = openings(organism)
    head[code], head[prose[0]], head[prose[1]] = 2 * direction, -2 * direction, -2 * direction
    model.lm_head.weight = torch.nn.Parameter(head)
    return Loaded(model, organism.tokenizer), direction


def test_coefficient_0_is_no_edit(organism: Loaded) -> None:
    asked = asking()
    plain = answer(organism, asked)
    v = torch.randn(48, generator=torch_rng("any"))
    assert steering_edit(LAST, v, 0.0, "fork") == []
    assert same(steer(organism, asked, v, LAST, [0.0])[0.0], plain)
    assert same(answer(organism, asked, [edit_at(LAST, Add(v, 0.0), "all")]), plain)


def test_batches_do_not_matter_and_draws_are_shared(organism: Loaded) -> None:
    v = torch.randn(48, generator=torch_rng("any"))
    both = (replace(asking(), compute=Compute(batch)) for batch in (7, 64))
    one, other = (steer(organism, asked, v, LAST, [0.0, 3.0], where="new") for asked in both)
    assert all(same(one[c], other[c]) for c in one)
    greedy = answer(organism, asking(temperature=0.0))
    assert (greedy.code_share[:, 0] == greedy.code_share[:, 1]).all()


def test_an_edit_of_the_fork_leaves_later_tokens_alone() -> None:
    change = AtPrompt(Add(torch.ones(3), 2.0))
    prompt, token = torch.zeros(2, 5, 3), torch.zeros(2, 1, 3)
    assert (change(prompt) == 2).all()
    assert change(token) is token


def test_a_planted_direction_moves_the_strategy_and_random_ones_do_not(planted: tuple[Loaded, Tensor]) -> None:
    loaded, direction = planted
    asked, v = asking(), 4 * direction
    doses = (-16.0, -8.0, -2.0, 0.0, 2.0, 8.0, 16.0)
    shares = [scores.code_share.mean() for scores in steer(loaded, asked, v, LAST, doses).values()]
    assert np.diff(shares).min() > -0.05  # it rises; where it is flat, by what 48 responses allow
    assert shares[0] < 0.2
    assert shares[-1] > 0.9
    moves = []
    for random in random_vectors(v, 20, "test"):
        orthogonal = random - (random @ direction) * direction
        moves.append(abs(steer(loaded, asked, orthogonal, LAST, (2.0,))[2.0].code_share.mean() - shares[3]))
    assert max(moves) < 0.2
    assert np.mean(moves) < 0.1


def test_random_directions_are_as_long_addressed_and_isotropic() -> None:
    v = 3 * torch.eye(40)[0]
    draws = random_vectors(v, 400, "a")
    torch.testing.assert_close(draws.norm(dim=1), torch.full((400,), 3.0))
    assert torch.equal(draws, random_vectors(v, 400, "a"))
    assert not torch.equal(draws[:5], random_vectors(v, 5, "b"))
    cosines = draws @ v / 9
    assert abs(float(cosines.mean())) < 4 / math.sqrt(40 * 400)
    assert float(cosines.var()) == pytest.approx(1 / 40, rel=0.3)


def test_ablation_leaves_nothing_along_or_what_the_base_has(organism: Loaded) -> None:
    ids = prompts_of(organism)
    plain = read(organism.model, ids, [LAST])[LAST]
    v = 5 * torch.randn(48, generator=torch_rng("ablate"))
    unit, mean = v / v.norm(), plain[:, -1].mean(0)
    wanted = {"project out": 0.0, "clamp": float(mean @ unit)}
    for how in ABLATIONS:
        found = read(organism.model, ids, [LAST], edits=ablating_edit(LAST, v, mean, how, "fork"))[LAST]
        along = found[:, -1] @ unit
        torch.testing.assert_close(along, torch.full_like(along, wanted[how]), atol=1e-4, rtol=0)
        assert torch.equal(found[:, :-1], plain[:, :-1])
        across = found - (found @ unit)[..., None] * unit
        torch.testing.assert_close(across, plain - (plain @ unit)[..., None] * unit, atol=1e-4, rtol=0)


def test_doses_halves_and_ranks_by_hand() -> None:
    assert nearest_dose({-2.0: 0.1, 0.0: 0.5, 1.0: 0.8, 2.0: 0.8}, 0.9) == 1.0
    assert best_dose({-1.0: 0.5, 0.0: 0.4, 1.0: 0.5, 2.0: 0.5}) == -1.0
    assert rank_p(-0.5, [0.1, -0.2, 0.5, 0.0]) == pytest.approx(2 / 5)
    assert rank_p(0.9, [0.1] * 20) == pytest.approx(1 / 21)
    assert math.isnan(rank_p(0.9, []))
    halves = [part_of(f"chain/{i}") for i in range(400)]
    assert 150 < halves.count("choose") < 250
    assert halves == [part_of(f"chain/{i}") for i in range(400)]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda o: SamplingOptions(samples=0), "samples"),
        (lambda o: SamplingOptions(temperature=-1.0), "temperature"),
        (lambda o: SamplingOptions(temperature=math.nan), "temperature"),
        (lambda o: Request(()), "nothing is asked"),
        (lambda o: steer(o, Request((ONE_TOKEN,)), torch.ones(48), LAST, [1.0]), "single token"),
        (lambda o: steering_edit(LAST, torch.ones(48), math.nan, "fork"), "nan"),
        (lambda o: edit_at(LAST, Add(torch.ones(48)), "last"), "last"),
        (lambda o: ablating_edit(LAST, torch.ones(48), torch.ones(48), "zero", "fork"), "zero"),
        (lambda o: steer(o, asking(), torch.ones(48), Site("resid", 3), [1.0]), "resid.3"),
        (lambda o: steer(o, asking(), torch.ones(47), LAST, [1.0]), "47"),
    ],
)
def test_bad_input_is_named(organism: Loaded, wrong: Any, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        wrong(organism)
    assert words in f"{caught.value.what} {caught.value.do}"
