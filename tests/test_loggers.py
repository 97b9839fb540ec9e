"""Metrics of a run where others look for them: under TRL's names beside ours, and read back by the packages."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from grpo_cases import pool, recipe
from transformers.integrations.integration_utils import rewrite_logs

from probe.cli.loggers import FOLDER, PROJECT, Log, extra_logger
from probe.models.loading.load import Loaded
from probe.models.loading.organism import build_model, build_tokenizer
from probe.rl.train import train
from probe.rl.trl_names import GAP, NAMES, PREFIX, STEP, under_trl_names

ROOT = Path(__file__).parents[1]
# what GRPOTrainer 1.16 and the Trainer behind it hand to a callback, of what a run under the clip without tools has
TRL_LOGS = {
    *("loss", "grad_norm", "learning_rate", "epoch", "step_time", "num_tokens"),
    *(f"completions/{end}_{what}" for end in ("mean", "min", "max") for what in ("length", "terminated_length")),
    *("completions/clipped_ratio", "reward", "reward_std", "frac_reward_zero_std", "entropy", "kl"),
    *("rewards/reward/mean", "rewards/reward/std", f"{GAP}/mean", f"{GAP}/max"),
    *("clip_ratio/low_mean", "clip_ratio/low_min", "clip_ratio/high_mean", "clip_ratio/high_max"),
    "clip_ratio/region_mean",
}
OURS = {
    "reward": 0.5, "reward_std": 0.25, "frac_reward_zero_std": 0.125, "kl": 0.01, "entropy": 1.5, "loss": -0.5,
    "grad_norm": 2.0, "completions/mean_length": 12.0, "completions/clipped_ratio": 0.0, "clip_ratio/low_mean": 0.03,
    "clip_ratio/high_mean": 0.02, "clip_ratio/region_mean": 0.05, "accuracy": 0.75, "strategy/python": 0.625,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))


def test_the_names_are_those_that_a_callback_of_transformers_writes() -> None:
    theirs = {name: OURS[ours] for ours, names in NAMES.items() if ours in OURS for name in names}
    found = under_trl_names(2, OURS, updates=8, lr=1e-3)
    assert found == rewrite_logs(theirs | {"learning_rate": 1e-3}) | {STEP: 24.0}
    assert "train/accuracy" not in found and {name for names in NAMES.values() for name in names} <= TRL_LOGS


def test_every_name_stands_for_a_metric_that_a_run_logs(tmp_path: Path) -> None:
    untrained = Loaded(build_model("tiny", 0), build_tokenizer())
    seen: list[dict[str, float]] = []
    how = recipe("format", batches=1)
    train(untrained.model, untrained.tokenizer, pool(untrained), how, tmp_path, log=lambda _, said: seen.append(said))
    assert {ours for ours in NAMES if not ours.startswith(GAP)} <= set(seen[0])
    found = under_trl_names(0, seen[0], how.updates, how.lr)
    assert found[STEP] == how.updates and found["train/reward"] == found["train/rewards/reward/mean"]


def test_trls_source_logs_these_names() -> None:
    spec = importlib.util.find_spec("trl")
    if spec is None or spec.origin is None:
        pytest.skip("trl is not installed")
    text = (Path(spec.origin).parent / "trainer" / "grpo_trainer.py").read_text(encoding="utf-8")
    logged = set(re.findall(r'_metrics\[(?:mode|"train")\]\[f?"([^"]+)"\]', text))
    logged |= {name.replace("{reward_func_name}", "reward") for name in logged}
    of_the_trainer = {"loss", "grad_norm"}
    ours = {name for names in NAMES.values() for name in names} - of_the_trainer
    assert ours <= logged | {f"{GAP}/mean", f"{GAP}/max"} and GAP in text


def test_batches_that_were_made_earlier_are_told_as_new_ones_are() -> None:
    told: list[tuple[int, dict[str, float], dict[str, float]]] = []
    log = Log(lambda *said: told.append(said), updates=2, lr=0.1)
    log.replay([{"batch": 0, **OURS}])
    log(1, OURS)
    assert [(batch, theirs[STEP]) for batch, _, theirs in told] == [(0, 2.0), (1, 4.0)]
    assert told[0][1] == told[1][1] == OURS


def written(kind: str) -> None:
    log = extra_logger(kind, "a run", updates=4, lr=0.01)
    for batch in range(3):
        log(batch, OURS | {"reward": batch / 2})
    log.close()


def test_tensorboard_reads_both_names_back() -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    written("tensorboard")
    read = EventAccumulator(str(FOLDER / "a-run"))
    read.Reload()
    assert [(each.step, each.value) for each in read.Scalars("reward")] == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert [(each.step, each.value) for each in read.Scalars("train/reward")] == [(4, 0.0), (8, 0.5), (12, 1.0)]
    assert {name for name in read.Tags()["scalars"] if name.startswith(PREFIX)} == set(under_trl_names(0, OURS, 1, 0))


def test_trackio_reads_both_names_back(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed")
    from trackio.sqlite_storage import SQLiteStorage

    written("trackio")
    rows: list[dict[str, Any]] = SQLiteStorage.get_logs(PROJECT, "a run")
    assert [(row["step"], row["reward"], row["train/reward"]) for row in rows] == [(0, 0, 0), (1, 0.5, 0.5), (2, 1, 1)]
    assert [row[STEP] for row in rows] == [4, 8, 12] and rows[0]["strategy/python"] == 0.625
    assert capsys.readouterr().out == ""
