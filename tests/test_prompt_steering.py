"""Steering from one prompt to another: the direction is the difference of two means, and an organism follows it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from outside_checkpoints import save_tiny

from probe.checkpoints.checkpoint import Checkpoint
from probe.checkpoints.outside import Folder
from probe.engine.executor import make
from probe.errors import BadInput
from probe.experiments.steering.directions import FitJob, fitted_on
from probe.experiments.steering.prompts import PromptSteerJob
from probe.models.loading.entries import Template
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SamplingOptions
from probe.store import Store
from probe.tasks.benchmarks import problems

ONCE = SamplingOptions(samples=1, max_new=4)
ASKED = Elicitation(problems("random-calculation", limit=12))
OTHER = replace(ASKED, template="loud", text=Template(chat=False, system=None, text="{prompt} NOW!"))


def base(tmp_path: Path) -> Checkpoint:
    return Checkpoint("base", Folder(save_tiny("llama", tmp_path / "base"), "base"))


def test_the_direction_is_the_difference_of_the_means_under_two_prompts(tmp_path: Path) -> None:
    store, job = Store(tmp_path / "s"), FitJob(base(tmp_path), ASKED, ONCE, toward=OTHER)
    make([job], store)
    rows = {row["site"]: row for row in store.get(job.recipe).read_table().to_pylist()}
    loaded, kept = job.checkpoint.load(store), fitted_on(ASKED)
    means = []
    for asked in (ASKED, OTHER):
        prompts, _ = asked.prompts(loaded.tokenizer, kept)
        with torch.no_grad():
            states = [
                loaded.model(torch.tensor([p]), output_hidden_states=True).hidden_states[1][0, -1] for p in prompts
            ]
        means.append(torch.stack(states).mean(0).double().numpy())
    row, difference = rows["resid.1"], means[1] - means[0]
    np.testing.assert_allclose(row["scale"] * np.array(row["vector"]), difference, atol=1e-5)
    assert row["n_problems"] == len(kept) and row["code_share"] == 0.5  # of the states, half are under the other
    plain = FitJob(job.checkpoint, ASKED, ONCE)
    assert plain.recipe.digest != job.recipe.digest and "toward" not in plain.recipe.params


def test_rows_hold_doses_random_directions_and_the_prompt_itself(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    job = PromptSteerJob(base(tmp_path), ASKED, OTHER, ONCE, "resid.1", (0.0, 1.0), randoms=2)
    make([job], store)
    rows = store.get(job.recipe).read_table().to_pylist()
    steered = [row for row in rows if row["name"] == "prompt_steer_code_share"]
    assert [row["coefficient"] for row in steered if row["coefficient"] is not None] == [0.0, 1.0]
    assert {row["draw"] for row in rows if row["name"] == "prompt_steer_code_share_random"} == {1, 2}
    (itself,) = [row for row in rows if row["name"] == "prompt_itself_code_share"]
    held_out = len(ASKED.problems.problems) - len(fitted_on(ASKED))
    assert itself["n"] == itself["n_problems"] == steered[0]["n"] == held_out
    assert all((row["kind"], row["reward"], row["site"]) == ("prompt", "loud", "resid.1") for row in rows)


def test_prompts_that_do_not_differ_or_ask_otherwise_are_refused(tmp_path: Path) -> None:
    which = base(tmp_path)
    for toward in (ASKED, replace(OTHER, problems=problems("random-calculation", limit=11))):
        with pytest.raises(BadInput, match="two prompts must differ"):
            PromptSteerJob(which, ASKED, toward)
    with pytest.raises(BadInput, match="give 0 and one other"):
        PromptSteerJob(which, ASKED, OTHER, coefficients=(1.0, 2.0))
