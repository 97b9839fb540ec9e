"""Clips at the fork: counted by hand, adding up to what the loop logs, and watching changes no run."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from plot_rows_fork_clips import watched

from probe.checkpoints.organism_job import OrganismJob, load_organism
from probe.checkpoints.run_job import RunJob
from probe.experiments.fork_clips.counts import BINS, PLACES, counts, fork_report
from probe.experiments.fork_clips.job import ForkClipsJob, shares
from probe.experiments.result import run
from probe.plots import figures
from probe.plots.save import csv_bytes
from probe.rewards import rewards
from probe.rl.clip_report import clipped
from probe.rl.labels import Gold
from probe.rl.loss import Loss
from probe.rl.train import GRPO, METRICS, read_metrics
from probe.store import Store
from probe.tasks.corpus import CODE_FIRST

SHORT = GRPO(rewards.get("random")(seed=7), loss=Loss(dual=3.0), batches=2, prompts=8, samples=8, seed=7)


def test_counts_by_hand() -> None:
    old = torch.tensor([[0.05, 0.3, 0.9], [0.6, 0.3, 0.9]]).log()
    mask = torch.tensor([[True, True, False], [True, True, True]])
    cut = {"low": torch.tensor([[True, True, True], [False, False, False]]), "high": torch.zeros(2, 3).bool()}
    cut["high"][1, 2] = True
    found = counts(cut, old, mask, torch.tensor([True, False]))
    assert found["code/tokens/0"] == found["code/low/0"] == 1
    assert found["prose/tokens/2"] == 1
    assert found["prose/low/2"] == 0
    assert (found["later/tokens/1"], found["later/low/1"]) == (2, 1)  # what lies behind the end is not counted
    assert (found["later/tokens/3"], found["later/high/3"]) == (1, 1)
    assert sum(found[f"{place}/tokens/{each}"] for place in PLACES for each in range(BINS)) == mask.sum()


def test_shares_by_hand() -> None:
    log = [{"code/tokens/1": 3.0, "code/high/1": 1.0, "loss": 9.0}, {"code/tokens/1": 1.0, "code/tokens/2": 4.0}]
    by = {(each.params["part"], each.params.get("pi_low")): each for each in shares(log, updates=8)}
    assert by["high", None].value == pytest.approx(1 / 8)
    assert by["high", 0.1].value == pytest.approx(1 / 4)
    assert (by["high", 0.1].n, by["high", 0.1].n_problems) == (32, 2)
    assert by["low", 0.5].value == 0
    assert ("high", 0.0) not in by  # no token there: no share, not 0


def test_watching_changes_no_run_and_adds_up(tmp_path: Path) -> None:
    store, organism = Store(tmp_path), OrganismJob("latent-code", "tiny", 0)
    asked = RunJob("random", organism, SHORT, Gold())
    job = ForkClipsJob("test", "0.2", asked)
    table = run(job, store).table.to_pylist()
    code = load_organism(store, organism).tokenizer.convert_tokens_to_ids(CODE_FIRST)
    logs, weights = [], []
    for report in (clipped, fork_report(code)):
        with tempfile.TemporaryDirectory() as folder:
            asked.make(store, Path(folder), report=report)
            logs.append(read_metrics(Path(folder) / METRICS))
            weights.append((Path(folder) / "step-002.safetensors").read_bytes())
    assert weights[0] == weights[1]
    plain, watching = logs
    for side in ("low", "high"):
        tokens = sum(row[f"{place}/tokens/{each}"] for row in watching for place in PLACES for each in range(BINS))
        cut = sum(row[f"{place}/{side}/{each}"] for row in watching for place in PLACES for each in range(BINS))
        logged = sum(row[f"clip_ratio/{side}_mean"] for row in plain) / len(plain)
        assert cut / tokens == pytest.approx(logged, rel=0.05)  # the log weighs updates alike
    assert max(row["value"] for row in table) > 0
    assert {row["strategy"] for row in table} == {"code", "prose", None}


def test_a_clip_that_is_off_cuts_nothing(tmp_path: Path) -> None:
    organism = OrganismJob("latent-code", "tiny", 0)
    loss = replace(SHORT.loss, clip_low=None, clip_high=None)
    job = ForkClipsJob("test", "none", RunJob("random", organism, replace(SHORT, loss=loss, batches=1), Gold()))
    values = [row["value"] for row in run(job, Store(tmp_path)).table.to_pylist()]
    assert values
    assert set(values) == {0.0}


def test_the_figure_says_whose_pushes_are_cut() -> None:
    drawing = figures.get("fork_clips")(watched())
    assert b"high pi_old_0.1_0.5 forks" in csv_bytes(drawing.table)
    title = drawing.figure.texts[0].get_text().replace("\n", " ")
    assert title.startswith("Cut above at clip .2: at prior .65")
    assert ".12 in prose" in title
