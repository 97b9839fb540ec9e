"""How does a run lie on the disk, so that a kill loses no kept step and the rest ends with the same bits?

    metrics.jsonl              a line a batch
    step-010.safetensors       the trained tensors after 10 batches (organisms); folders of other models: `step_folders`
    scratch/state.safetensors  tensors, Adam's moments and how many batches are done: what a killed run goes on from

Each file with its digest (`probe.store.unfinished`); a step before the state that says that it is there.
"""

import json
from pathlib import Path
from typing import Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save, save_file

from probe.rl.policy import Policy
from probe.store import is_kept, keep, keep_log
from probe.store.unfinished import forget, keep_file, set_aside

METRICS, STATE = "metrics.jsonl", "scratch/state.safetensors"


class Keeper(Protocol):
    """How a kept step is written, and whether it is still what was written."""

    def keep(self, policy: Policy, out: Path, done: int) -> None: ...

    def is_kept(self, out: Path, done: int) -> bool: ...


class Overlays:
    """One file of trained tensors a step."""

    def keep(self, policy: Policy, out: Path, done: int) -> None:
        """Write it."""
        tensors = {name: p.detach().contiguous() for name, p in policy.tensors.items()}
        keep(_step_file(out, done), save(tensors, metadata={"batches": str(done)}))

    def is_kept(self, out: Path, done: int) -> bool:
        """Whether it is there and whole."""
        return is_kept(_step_file(out, done))


def save_state(policy: Policy, optimizer: torch.optim.Optimizer, out: Path, done: int, keeper: Keeper) -> None:
    """Keep the step, then the log, then what a killed run goes on from."""
    keeper.keep(policy, out, done)
    tensors = {name: p.detach().contiguous() for name, p in policy.tensors.items()}
    for name, p in policy.tensors.items():
        if p not in optimizer.state:  # no update was made yet, e.g. no response was kept
            continue
        state = optimizer.state[p]
        tensors[f"adam.m.{name}"], tensors[f"adam.v.{name}"] = state["exp_avg"], state["exp_avg_sq"]
        tensors[f"adam.step.{name}"] = state["step"]
    keep_log(out / METRICS)  # on the disk before the state that says these batches are done
    keep_file(out / STATE, lambda file: save_file(tensors, file, metadata={"batches": str(done)}))


def resume(policy: Policy, optimizer: torch.optim.Adam, out: Path, every: int, keeper: Keeper) -> int:
    """Take up the saved state, if there is one: parameters, Adam's moments, and the log cut to the same batch."""
    out.mkdir(parents=True, exist_ok=True)
    done = _done(out, every, keeper)
    if not done:
        forget(out / METRICS)
        return 0
    lines = (out / METRICS).read_bytes().splitlines(keepends=True)[:done]
    keep_log(out / METRICS, sum(map(len, lines)))
    with safe_open(out / STATE, "pt") as file, torch.no_grad():
        for name, p in policy.tensors.items():
            p.copy_(file.get_tensor(name))
            if f"adam.m.{name}" not in file.keys():  # noqa: SIM118 - safe_open is no dict
                continue
            optimizer.state[p] = {
                "step": file.get_tensor(f"adam.step.{name}"),
                "exp_avg": file.get_tensor(f"adam.m.{name}").to(p.device),
                "exp_avg_sq": file.get_tensor(f"adam.v.{name}").to(p.device),
            }
    return done


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.jsonl; a half-written last line (a killed writer) is left out."""
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _step_file(out: Path, done: int) -> Path:
    return out / f"step-{done:03d}.safetensors"


def _done(out: Path, every: int, keeper: Keeper) -> int:
    """How many batches are saved: 0 unless all that they left is what was written, as a kept step cannot be remade."""
    if not is_kept(out / STATE):
        return 0
    with safe_open(out / STATE, "pt") as file:
        done = int(file.metadata()["batches"])
    kept = [keeper.is_kept(out, step) for step in {*range(every, done + 1, every), done}]
    logged = len(read_metrics(out / METRICS)) if is_kept(out / METRICS) else 0
    if logged >= done and all(kept):
        return done
    set_aside(out / STATE, "a kept step or the log of its run is lost, so the run starts again")
    return 0
