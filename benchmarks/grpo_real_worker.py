"""One trainer of any causal LM in a process of its own: a round of GRPO for each line it reads, and its seconds.

    PYTHONPATH=. python benchmarks/grpo_real_worker.py ours|trl CASE        (`grpo_real.py` starts two of these)

As `grpo_worker.py`; ours is `CausalPolicy`, the policy of models from outside, and not that of organisms.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from grpo_worker import LR, POOL, Clock, build_model, build_prompts, build_tokenizer, describe, digits, work_done


@dataclass(frozen=True)
class RealCase:
    """A model and the work of a round: `updates` steps, each on its share of the rows, `micro` rows at a time."""

    lora: int | None
    hidden: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    mlp: int = 768
    vocab: int = 4096
    prompts: int = 8
    samples: int = 8
    new: int = 64
    updates: int = 2
    micro: int = 8
    kind: str = "qwen2"

    @property
    def rows(self) -> int:
        return self.prompts * self.samples

    def loss(self) -> dict[str, Any]:
        """What both sides minimise: TRL's default."""
        return {"aggregation": "dapo", "clip_low": 0.2, "clip_high": 0.2}


SMALL = {"hidden": 64, "layers": 2, "mlp": 192, "vocab": 200, "prompts": 4, "samples": 4, "new": 16, "micro": 4}
CASES = {
    "all": RealCase(None),
    "lora": RealCase(16),
    "all-try": RealCase(None, **SMALL),  # type: ignore[arg-type]
    "lora-try": RealCase(16, **SMALL),  # type: ignore[arg-type]
}


def serve_ours(case: RealCase, commands: Iterator[str], reply: Callable[[Any], None]) -> None:
    """Answer each line with the seconds of a round, sampled and updated by the package's own parts."""
    import torch

    from probe.data import Problem
    from probe.models.loading.loaded import Loaded
    from probe.rl import causal_policy
    from probe.rl.advantage import GroupNormalised
    from probe.rl.lora import Lora
    from probe.rl.loss import Loss
    from probe.rl.metrics import rollout_metrics
    from probe.rl.rollout import collect, questions
    from probe.rl.train import GRPO, update, update_metrics
    from probe.rng import torch_rng

    causal_policy.stop_ids = lambda loaded: []  # EOS is no token of the model: every response has `new` tokens
    model, tokenizer, clock = build_model(case), build_tokenizer(case.vocab), Clock()
    reply(describe(model))
    lora = None if case.lora is None else Lora(case.lora, 2.0 * case.lora)
    longest = 16 + case.new  # a prompt has 12 tokens at most
    memory = causal_policy.Memory(tokens=case.micro * longest, rows=case.rows)
    policy = causal_policy.CausalPolicy(Loaded(model, tokenizer), lora=lora, memory=memory)
    recipe = GRPO(digits, GroupNormalised(eps=1e-4), Loss(**case.loss()), "all", lr=LR, betas=(0.9, 0.999))
    problems = [Problem(str(i), text, "", "bench") for i, text in enumerate(build_prompts(case.prompts * POOL))]
    pool = questions(problems, {p.id: "" for p in problems}, tokenizer)
    optimizer = torch.optim.Adam(policy.tensors.values(), lr=recipe.lr, betas=recipe.betas)
    how = {"n_samples": case.samples, "max_new": case.new, "temperature": 1.0, "seed": 0}
    for command in commands:
        batch = int(command.split()[1])
        clock.start()
        start = batch * case.prompts % len(pool)
        asked = pool[start : start + case.prompts]
        experience = collect(policy, asked, tokenizer, recipe.reward, recipe.advantage, **how, batch=batch)
        order = torch.randperm(case.rows, generator=torch_rng("minibatches", 0, batch))
        update_metrics(
            [update(policy, None, optimizer, experience, rows, recipe) for rows in order.chunk(case.updates)]
        )
        rollout_metrics(experience)
        done = work_done([q.problem.prompt for q in asked], experience.samples.lengths.tolist())
        reply(clock.read() | done | trained(policy.tensors.values()))


def serve_trl(case: RealCase, commands: Iterator[str], reply: Callable[[Any], None]) -> None:
    """Train; before each round wait for a line, after it answer with its seconds."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    model, clock = build_model(case), Clock()
    reply(describe(model))
    done: dict[str, Any] = {}

    class Turns(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            next(commands)
            clock.start()

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if state.global_step % case.updates:
                return
            reply(clock.read() | done | trained(p for p in rest["model"].parameters() if p.requires_grad))
            control.should_training_stop = next(commands, None) is None
            clock.start()

    def reward(prompts: list[str], completions: list[str], **columns: Any) -> list[float | None]:
        done.update(work_done(prompts, [len(ids) for ids in columns["completion_ids"]]))
        return digits(prompts, completions)

    each = case.rows // case.updates // case.micro  # micro-batches of an update
    lora = {"r": case.lora, "lora_alpha": 2 * (case.lora or 0), "target_modules": "all-linear", "lora_dropout": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder, report_to="none", use_cpu=True, bf16=False, gradient_checkpointing=False,
            save_strategy="no", disable_tqdm=True, logging_steps=case.updates, shuffle_dataset=False,
            per_device_train_batch_size=case.micro, gradient_accumulation_steps=each,
            steps_per_generation=each * case.updates, num_iterations=1, num_generations=case.samples,
            max_completion_length=case.new, learning_rate=LR, lr_scheduler_type="constant", max_grad_norm=1.0,
            loss_type=case.loss()["aggregation"], epsilon=0.2, beta=0.0, max_steps=10**6,
        )  # fmt: skip
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=reward,
            args=config,
            train_dataset=Dataset.from_list([{"prompt": p} for p in build_prompts(case.prompts * POOL)]),
            processing_class=build_tokenizer(case.vocab),
            callbacks=[Turns()],
            peft_config=None if case.lora is None else LoraConfig(task_type="CAUSAL_LM", **lora),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def trained(tensors: Any) -> dict[str, int]:
    """How many numbers are trained, which both sides must agree on."""
    return {"trained": sum(each.numel() for each in tensors)}


WORKERS = {"ours": serve_ours, "trl": serve_trl}


def serve(trainer: str, case: RealCase) -> None:
    """Answers go to the stdout this process was started with; whatever else prints goes to stderr."""
    import torch

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    torch.set_num_threads(1)
    lines = (line.strip() for line in iter(sys.stdin.readline, ""))
    WORKERS[trainer](case, lines, lambda answer: print(json.dumps(answer), file=answers))


if __name__ == "__main__":
    serve(sys.argv[1], CASES[sys.argv[2]])
