"""What goes wrong while weights from outside are trained is told, and what was kept stays: the same command goes on."""

import re
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from outside_checkpoints import byte_tokenizer, save_tiny
from outside_policies import LORA, loaded, uneven
from store_cases import tree
from test_outside_runs import TINY, WHERE, kept, without
from test_outside_runs import run as command
from test_outside_training import contents, how, run
from torch import Tensor, nn

from probe.errors import ProbeError
from probe.models.hooks.anatomy import anatomy
from probe.models.loading.load import Loaded
from probe.rl.faults import scored
from probe.rl.kept import METRICS, STATE, read_metrics
from probe.rl.lora import Lora
from probe.rl.step_folders import step_folder
from probe.store import DiskFull, Store

Fault = Callable[[Tensor], Tensor]


class Breaks:
    """A model whose first block does `fault` once the second batch is there, while `wanted()`; and its reward."""

    def __init__(self, made: Loaded, fault: Fault, wanted: Callable[[], bool] = torch.is_grad_enabled) -> None:
        self.fault, self.wanted, self.batch, self.rewarded = fault, wanted, -1, False
        anatomy(made.model).blocks[0].register_forward_hook(self)

    def __call__(self, block: nn.Module, inputs: Any, output: Any) -> Any:
        if self.batch != 0 or not self.wanted():
            return None
        return (self.fault(output[0]), *output[1:]) if isinstance(output, tuple) else self.fault(output)

    def __deepcopy__(self, memo: object) -> "Breaks":
        return self  # policies are made on copies of the model

    def log(self, batch: int, metrics: dict[str, float]) -> None:
        self.batch, self.rewarded = batch, False

    def reward(self, **info: Any) -> list[float | None]:
        self.rewarded = True
        return uneven(**info)


def full(states: Tensor) -> Tensor:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def full_cpu(states: Tensor) -> Tensor:
    raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")


def no_number(states: Tensor) -> Tensor:
    return states * float("nan")


def no_slope(states: Tensor) -> Tensor:
    states.register_hook(lambda gradient: gradient * float("nan"))
    return states


ADVICE = r"batch 1\].*--micro-tokens.*--batch.*--recompute.*--lora.*goes on from the last kept step"
FAULTS: dict[str, tuple[Fault, str]] = {
    "a GPU is full": (full, f"no room in memory for an update.*{ADVICE}"),
    "the machine is full": (full_cpu, f"no room in memory for an update.*{ADVICE}"),
    "a loss that is NaN": (no_number, r"the loss became nan \[GRPO, batch 1\].*lower lr"),
    "a gradient that is NaN": (no_slope, r"gradient's norm became nan \[GRPO, batch 1\].*lower lr"),
}


def breaks_and_goes_on(tmp_path: Path, fault: Fault, said: str, lora: Lora | None = LORA, **when: Any) -> None:
    """Told in the second batch; the first stays, and the run then ends as one that nothing happened to."""
    made = loaded()
    broken = Breaks(made, fault)
    if when:
        broken.wanted = lambda: not torch.is_grad_enabled() and broken.rewarded == when["rewarded"]
    with pytest.raises(ProbeError, match=f"(?s){said}"):
        run(made, tmp_path / "broken", replace(how(), reward=broken.reward), lora, log=broken.log)
    assert len(read_metrics(tmp_path / "broken" / METRICS)) == 1 and (tmp_path / "broken" / STATE).exists()
    assert (tmp_path / "broken" / step_folder(1)).exists() and not (tmp_path / "broken" / step_folder(2)).exists()
    run(loaded(), tmp_path / "broken", how(), lora)
    run(loaded(), tmp_path / "whole", how(), lora)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_an_update_is_told_and_the_run_goes_on(tmp_path: Path, name: str) -> None:
    breaks_and_goes_on(tmp_path, *FAULTS[name], None if "NaN" in name else LORA)


@pytest.mark.parametrize(
    ("rewarded", "said"),
    [
        (False, r"a single row of \d+ tokens does not fit"),
        (True, f"no room in memory for the KL to the base.*{ADVICE}"),
    ],
    ids=["sampling", "KL"],
)
def test_a_full_memory_beside_the_updates_is_told(tmp_path: Path, rewarded: bool, said: str) -> None:
    breaks_and_goes_on(tmp_path, full, said, rewarded=rewarded)


def test_after_a_full_memory_the_command_goes_on_with_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    base, backward, calls = save_tiny("qwen3", tmp_path / "base"), torch.Tensor.backward, list[int]()

    def second_batch_is_full(*args: Any, **more: Any) -> None:
        calls.append(1)
        if len(calls) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        backward(*args, **more)

    monkeypatch.setattr(torch.Tensor, "backward", second_batch_is_full)
    told = " ".join(command("train", base, "random", *TINY, *WHERE, code=1).stderr.split())
    assert re.search(r"no room in memory for an update .*batch 1.*--micro-tokens", told) and not kept()
    monkeypatch.setattr(torch.Tensor, "backward", backward)
    command("train", base, "random", *TINY, "--micro-tokens", 64, "--recompute", *WHERE)
    (made,) = kept()
    assert made.spec["resumed"] and len(read_metrics(made.file(METRICS))) == 2


# ---- rewards


def picky(*, completions: list[str], **info: Any) -> list[float | None]:
    if any("\x1b" in text for text in completions):
        raise ValueError("no answer")
    return [1.0 for _ in completions]


def asked(*texts: str) -> dict[str, list[Any]]:
    n = len(texts)
    return {"completions": list(texts), "prompts": ["p"] * n, "answers": ["a"] * n, "group": [0] * n}


def test_a_reward_that_raises_says_on_which_response() -> None:
    with pytest.raises(ProbeError) as caught:
        scored(picky, asked("fine", "fine", "\x1b[2J\u202eoh\n" + "x" * 300, "\x1b"), 2, 7)
    assert caught.value.what.startswith(
        "the reward picky raised ValueError: no answer; on response 2, '\\x1b[2J\\u202eoh\\nxxx"
    )
    assert caught.value.what.endswith("x'...") and len(caught.value.what) < 300
    assert caught.value.where == "GRPO, batch 7" and "goes on from the last kept step" in caught.value.do
    assert scored(picky, asked("a", "b"), 2, 0).value.tolist() == [[1.0, 1.0]]


WRONG: dict[str, tuple[Callable[..., Any], str]] = {
    "together alone": (lambda completions, **_: [1.0][len(completions) - 1 :] or 1 / 0, "raised ZeroDivisionError"),
    "too few": (lambda completions, **_: [1.0] * (len(completions) // 2), "2 scores for 4 responses"),
    "words": (lambda completions, **_: ["good"] * len(completions), "no scores: could not convert string.*'good'"),
    "nothing": (lambda completions, **_: None, "no scores: 'NoneType'"),
    "raises on all": (lambda completions, **_: {}["x"], "raised KeyError: 'x'; on response 0, 'a'"),
    "not finite": (lambda completions, **_: [1.0, float("inf")] * 2, "2 rewards are NaN or infinite"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_score_for_each_response_is_refused(name: str) -> None:
    reward, said = WRONG[name]
    with pytest.raises(ProbeError, match=said) as caught:
        scored(reward, asked("a", "b", "c", "d"), 2, 0)
    assert ("on response" in caught.value.what) == (name == "raises on all")


# ---- full and read-only places


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Within it no file may be larger [bytes], as under a quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [2000, 20000], ids=["no room for the step", "no room for what goes on from it"])
def test_a_disk_that_fills_up_while_a_step_is_kept_loses_nothing(tmp_path: Path, room: int) -> None:
    made, out = loaded(), tmp_path / "out"
    run(made, tmp_path / "whole", how())
    step, state = (tmp_path / "whole" / name for name in ("step-002/adapter_model.safetensors", STATE))
    assert (step.stat().st_size > room) == (room == 2000) and state.stat().st_size > room
    with ExitStack() as limits:

        def fills_up(batch: int, metrics: dict[str, float]) -> None:
            if batch == 1:
                limits.enter_context(largest_file(room))

        with pytest.raises(DiskFull, match="no space left in"):
            run(made, out, how(), log=fills_up)
    assert (out / step_folder(1) / "README.md").exists()
    run(made, out, how())
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize("words", [(), ("--all-weights",)], ids=["lora", "all"])
def test_a_full_store_is_told_and_the_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    base = save_tiny("llama", tmp_path / "base")
    with largest_file(20000):
        told = command("train", base, "random", *TINY, *words, *WHERE, code=1).stderr
    assert "no space left in" in told and "free some space there and run the same command again" in " ".join(
        told.split()
    )
    assert not kept()
    command("train", base, "random", *TINY, *words, *WHERE)
    command("train", base, "random", *TINY, *words, *WHERE[:3], "other")
    (one,), (two,) = (Store(name).artifacts("outside-run") for name in ("s", "other"))
    assert tree(one.path) == tree(two.path)


# ---- tokenizers


def test_a_base_with_more_rows_than_its_tokenizer_has_tokens_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of what a random model writes is then no token of its tokenizer."""
    monkeypatch.chdir(tmp_path)
    base = save_tiny("qwen2", tmp_path / "base", vocab_size=2 * len(byte_tokenizer()))
    command("train", base, "random", *TINY, "--out", tmp_path / "lora", *WHERE)
    (made,) = kept()
    assert all(row["entropy"] > 1 for row in read_metrics(made.file(METRICS)))


def test_tokenizers_that_cannot_be_used_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    base = save_tiny("llama", tmp_path / "plain")
    (base / "chat_template.jinja").unlink(missing_ok=True)
    without(base, "chat_template")
    told = command("train", base, "random", *TINY, "--template", "chat", *WHERE, code=2).stderr
    assert "this checkpoint has no chat template" in " ".join(told.split())
    command("train", base, "random", *TINY, "--batches", 1, *WHERE)
    small = save_tiny("llama", tmp_path / "small", vocab_size=len(byte_tokenizer()) - 1)
    told = command("train", small, "random", *TINY, *WHERE, code=2).stderr
    assert re.search(r"the tokenizer has \d+ tokens, the embedding \d+ rows", " ".join(told.split()))
    assert len(kept()) == 1
