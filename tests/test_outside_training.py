"""What a run on any causal LM leaves: folders that others read, and after a kill the same bits."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from grpo_cases import recipe
from outside_policies import KINDS, LORA, Reads, loaded, policy, questions, small, uneven

from probe.errors import BadInput, ProbeError
from probe.models.loading.adapter import load_adapter
from probe.models.loading.load import Loaded, load_folder, save_folder
from probe.rl.causal_policy import BaseOf, CausalPolicy
from probe.rl.kept import METRICS, STATE, read_metrics
from probe.rl.lora import Lora
from probe.rl.metrics import GAP
from probe.rl.step_folders import StepFolders, step_folder
from probe.rl.train import GRPO, train_policy
from probe.store.files import DIGESTS, SPOILT, TEMPORARY

HOW: dict[str, Any] = {"max_new": 8, "lr": 1e-2, "prompts": 2, "samples": 4}


def run(made: Loaded, out: Path, how: GRPO, lora: Lora | None = LORA, **options: Any) -> CausalPolicy:
    taught = policy(made, lora, memory=small(), **{k: options.pop(k) for k in ("half",) if k in options})
    keeper = StepFolders(made.tokenizer, "org/base", lambda step: f"# after {step}\n")
    base = BaseOf(taught) if lora else None
    return train_policy(taught, base, Reads(made), questions(made), how, out, keeper=keeper, **options)  # type: ignore[arg-type]


def contents(out: Path) -> dict[str, bytes]:
    """What becomes the artifact."""
    left = (TEMPORARY, DIGESTS, SPOILT)
    files = (p for p in sorted(out.rglob("*")) if p.is_file() and not any(p.match(kind) for kind in left))
    return {str(p.relative_to(out)): p.read_bytes() for p in files if "scratch" not in p.parts}


def how(**changes: Any) -> GRPO:
    return recipe(uneven, **{**HOW, **changes})


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks for what transformers has renamed
def test_an_adapter_is_read_by_us_and_by_peft(tmp_path: Path) -> None:
    made = loaded("llama")
    taught = run(made, tmp_path, how())
    assert sorted(contents(tmp_path)) == [
        METRICS,
        *(
            f"step-00{n}/{name}"
            for n in (1, 2)
            for name in ("README.md", "adapter_config.json", "adapter_model.safetensors")
        ),
    ]
    folder, ids = tmp_path / step_folder(2), torch.tensor([[5, 9, 40, 41, 7]])
    assert (folder / "README.md").read_text() == "# after 2\n"
    ours = load_adapter(loaded("llama"), folder).model
    theirs = peft.PeftModel.from_pretrained(loaded("llama").model, folder).eval()
    with torch.no_grad():
        trained, plain = taught.model(ids).logits, made.model(ids).logits
        for each in (ours, theirs):
            torch.testing.assert_close(each(ids).logits, trained, atol=1e-4, rtol=1e-4)
    assert (trained - plain).abs().max() > 0.01
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "org/base"
    with pytest.raises(BadInput, match="give the base it was trained on"):
        load_adapter(loaded("llama", hidden_size=64), folder)


@pytest.mark.parametrize("half", [False, True])
def test_a_whole_folder_is_an_ordinary_checkpoint(tmp_path: Path, half: bool) -> None:
    made = loaded("qwen3")  # its head is tied
    taught = run(made, tmp_path, how(batches=1), None, half=half)
    again = load_folder(tmp_path / step_folder(1), dtype="bfloat16" if half else "float32", self_test=not half)
    named = dict(again.model.named_parameters())
    assert set(named) == set(taught.tensors)
    assert all(torch.equal(named[name], p.to(named[name].dtype)) for name, p in taught.tensors.items())
    assert not any(torch.equal(p, made.model.get_parameter(name)) for name, p in taught.tensors.items())
    assert again.tokenizer.get_vocab() == made.tokenizer.get_vocab()


def test_what_is_logged(tmp_path: Path) -> None:
    made = loaded()
    run(made, tmp_path / "lora", how())
    run(made, tmp_path / "all", how(), None)
    rows, whole = (read_metrics(tmp_path / name / METRICS) for name in ("lora", "all"))
    assert [row["batch"] for row in rows] == [0, 1]
    assert {"reward", "accuracy", "entropy", "kl", "grad_norm", "loss", "clip_ratio/region_mean"} <= set(rows[0])
    assert rows[1]["kl"] > 0 and 0 < rows[1][f"{GAP}/mean"] <= rows[1][f"{GAP}/max"] < 2e-5  # rounding alone
    assert all("kl" not in row for row in whole)  # no second copy of the weights was held
    assert rows[0]["clip_ratio/region_mean/update_0"] == 0


@pytest.mark.parametrize("lora", [None, LORA], ids=["all", "lora"])
def test_a_constant_reward_changes_no_bit(tmp_path: Path, lora: Lora | None) -> None:
    made = loaded()
    taught = run(made, tmp_path, recipe("constant", **HOW), lora)
    fresh = policy(made, lora)
    assert all(torch.equal(p, fresh.tensors[name]) for name, p in taught.tensors.items())


def test_a_planted_reward_is_learnt(tmp_path: Path) -> None:
    """Paid for letters, a random model writes more of them."""
    made = loaded()

    def pays(**info: Any) -> list[float | None]:
        return [sum(c.isascii() and c.isalpha() for c in text) / max(1, len(text)) for text in info["completions"]]

    run(made, tmp_path, recipe(pays, **{**HOW, "batches": 9, "samples": 16, "updates": 4, "save_every": 9, "lr": 0.03}))
    paid = [row["reward"] for row in read_metrics(tmp_path / METRICS)]
    assert max(paid[:2]) < 0.5 and min(paid[-2:]) > 0.55


# ---- resuming


class Killed(Exception):
    """Raised where a run is to stop."""


def killer(at: int) -> Callable[[int, dict[str, float]], None]:
    def log(batch: int, metrics: dict[str, float]) -> None:
        if batch == at:
            raise Killed

    return log


@pytest.mark.parametrize(("lora", "half"), [(None, False), (LORA, False), (None, True)], ids=["all", "lora", "bf16"])
def test_a_stopped_run_goes_on_and_ends_with_the_same_bits(tmp_path: Path, lora: Lora | None, half: bool) -> None:
    made, three = loaded("gemma3" if half else "llama"), how(batches=3, save_every=2)
    run(made, tmp_path / "straight", three, lora, half=half)
    for at in range(3):
        with pytest.raises(Killed):
            run(made, tmp_path / "stopped", three, lora, half=half, log=killer(at))
    run(made, tmp_path / "stopped", three, lora, half=half)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "straight")


def test_a_lost_file_of_a_kept_step_starts_the_run_again(tmp_path: Path) -> None:
    made = loaded()
    run(made, tmp_path / "whole", how())
    run(made, tmp_path / "lost", how())
    (tmp_path / "lost" / step_folder(1) / "adapter_model.safetensors").unlink()
    run(made, tmp_path / "lost", how(), log=lambda batch, metrics: None)
    assert contents(tmp_path / "lost") == contents(tmp_path / "whole")


def test_a_reward_that_raises_later_loses_nothing(tmp_path: Path) -> None:
    made = loaded()

    def breaks(**info: Any) -> list[float | None]:
        if info["address"][0][1] == 1:
            raise ValueError("no label")
        return uneven(**info)

    with pytest.raises(
        ProbeError, match=r"(?s)the reward breaks raised ValueError: no label; on response 0.*batch 1.*last kept step"
    ):
        run(made, tmp_path / "broken", recipe(breaks, **HOW))
    assert (tmp_path / "broken" / step_folder(1) / "README.md").exists() and (tmp_path / "broken" / STATE).exists()
    run(made, tmp_path / "broken", how())
    run(made, tmp_path / "whole", how())
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


KILLS = """
import os, signal, sys
from pathlib import Path
import torch
from outside_policies import LORA
from test_outside_training import how, run
from probe.models.loading.load import load_folder

torch.set_num_threads(1)
root, lora = Path(sys.argv[1]), LORA if sys.argv[2] == "lora" else None

def attempt(base, out, kill_at):
    pid = os.fork()
    if pid == 0:
        seen = 0
        def audit(event, args):
            nonlocal seen
            if (event == "open" or event == "os.rename") and str(args[0]).startswith(str(out)):
                if seen == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                seen += 1
        sys.addaudithook(audit)
        run(load_folder(base, trusted=True), out, how(), lora)
        os._exit(0)
    return os.waitpid(pid, 0)[1]

for kind in sys.argv[4:]:
    base, out, kills, at = root / "base" / kind, root / kind, [], 0
    while attempt(base, out / f"{at}", at) == signal.SIGKILL:
        kills.append(at)
        at += int(sys.argv[3])
    assert [attempt(base, out / f"{n}", None) for n in kills] == [0] * len(kills)
    print(len(kills))
"""


@pytest.mark.parametrize(
    ("lora", "stride", "kinds"),
    [("lora", 11, ["qwen2"]), ("all", 29, ["qwen2"]), ("lora", 37, [kind for kind in KINDS if kind != "qwen2"])],
    ids=["lora", "all", "others"],
)
def test_a_sigkill_before_a_file_operation_changes_no_bit(
    tmp_path: Path, lora: str, stride: int, kinds: list[str]
) -> None:
    """Killed before every eleventh or so time that a run opens or renames a file, and then run again."""
    for kind in kinds:
        save_folder(loaded(kind), tmp_path / "base" / kind)
    command = [sys.executable, "-W", "ignore", "-c", KILLS, str(tmp_path), lora, str(stride), *kinds]
    here = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(command, capture_output=True, text=True, env=here, check=False)
    assert done.returncode == 0, done.stderr
    for kind, kills in zip(kinds, map(int, done.stdout.split()), strict=True):
        assert kills > 1
        made, straight = load_folder(tmp_path / "base" / kind, trusted=True), tmp_path / "straight" / kind
        run(made, straight, how(), LORA if lora == "lora" else None)
        for n in range(kills):
            assert contents(tmp_path / kind / str(n * stride)) == contents(straight), (kind, n)
