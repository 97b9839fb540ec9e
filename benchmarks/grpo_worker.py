"""One trainer in a process of its own: does a round of GRPO for each line it reads and answers with its seconds.

    PYTHONPATH=. python benchmarks/grpo_worker.py ours|trl CASE        (`grpo_round.py` starts two of these)

Lines in: what to do and the number of the round, which says which prompts: `round 3`; for ours also `skip 3` (half of
the groups left out of the updates) and `matmul 3` (the bare products of a round). Lines out: JSON, first what the two
processes must agree on.
"""

import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

LR = 1e-3
POOL = 64  # rounds until the prompts come again


@dataclass(frozen=True)
class Case:
    """A model and the work of a round. `split`: one pass in `updates` parts; else `updates` passes over all rows."""

    kind: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    mlp: int
    vocab: int
    prompts: int
    samples: int
    new: int
    updates: int
    split: bool

    @property
    def rows(self) -> int:
        return self.prompts * self.samples


CASES = {
    "0.81M": Case("qwen2", 128, 4, 4, 2, 384, 200, 16, 8, 64, 2, False),
    "0.1M": Case("qwen2", 64, 2, 4, 2, 192, 200, 16, 8, 64, 2, False),
    "organism": Case("llama", 48, 2, 3, 3, 144, 46, 32, 16, 20, 8, True),
}


def build_prompts(n: int) -> list[str]:
    """6 to 12 characters each, a character a token."""
    draw = random.Random(0)
    return [f"Q:{draw.randint(0, 9999)}+{draw.randint(0, 9999)}=" for _ in range(n)]


def digits(prompts: list[str], completions: list[str], **columns: Any) -> list[float | None]:
    """The share of digits: a reward that varies within the groups of a random model."""
    return [sum(c.isdigit() for c in text) / max(1, len(text)) for text in completions]


def build_tokenizer(vocab: int) -> Any:
    """One token per character. EOS is `vocab`, one past the last id the model can draw."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = ["<pad>", "<unk>", *"0123456789Q:+="]
    tokens = [*known, *(chr(0x4E00 + i) for i in range(vocab - len(known))), "<eos>"]
    inner = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    inner.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )


def build_model(case: Case) -> Any:
    """Random weights, the same in both processes."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        case.kind, vocab_size=case.vocab, hidden_size=case.hidden, num_hidden_layers=case.layers,
        num_attention_heads=case.heads, num_key_value_heads=case.kv_heads, intermediate_size=case.mlp,
        max_position_embeddings=256, tie_word_embeddings=True, pad_token_id=0, eos_token_id=case.vocab,
        bos_token_id=None,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").float()


def describe(model: Any) -> dict[str, Any]:
    """What the two processes must agree on."""
    import torch
    import transformers

    weights = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "weights": hashlib.sha256(weights).hexdigest()[:16],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


class Clock:
    """CPU (all threads of this process, user + system) and wall seconds since `start`."""

    def start(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        return {"cpu": time.process_time() - self.cpu, "wall": time.perf_counter() - self.wall}


def serve_ours(case: Case, commands: Iterator[str], reply: Callable[[Any], None]) -> None:
    """Do what each line says (round, skip, matmul) and answer with its seconds."""
    model = build_model(case)
    reply(describe(model))
    from products import record, replayer

    run, clock = our_round(case, model), Clock()
    work = {"round": run, "skip": lambda batch: run(batch, skip=True), "matmul": replayer(record(lambda: run(0)))}
    for command in commands:
        name, batch = command.split()
        clock.start()
        facts = work[name](int(batch))
        reply(clock.read() | facts)


def work_done(prompts: list[str], lengths: list[int]) -> dict[str, Any]:
    """What a pair must have in common: which prompts (a checksum), and how many tokens were sampled."""
    names = "".join(sorted(set(prompts)))
    return {"prompts": hashlib.sha256(names.encode()).hexdigest()[:16], "tokens": sum(lengths)}


def our_round(case: Case, model: Any) -> Callable[..., dict[str, Any]]:
    """A function that does one round with the package's own parts, as `probe.rl.train` strings them together."""
    from dataclasses import replace

    import torch

    from probe.data import Problem
    from probe.rl.advantage import GroupNormalised
    from probe.rl.loss import Loss
    from probe.rl.metrics import rollout_metrics
    from probe.rl.policy import FullPolicy
    from probe.rl.rollout import collect, questions
    from probe.rl.train import GRPO, update, update_metrics
    from probe.rng import torch_rng

    recipe = GRPO(digits, GroupNormalised(eps=1e-4), Loss(aggregation="dapo"), "all", lr=LR, betas=(0.9, 0.999))
    tokenizer, policy = build_tokenizer(case.vocab), FullPolicy(model)
    problems = [Problem(str(i), text, "", "bench") for i, text in enumerate(build_prompts(case.prompts * POOL))]
    pool = questions(problems, {p.id: "" for p in problems}, tokenizer)
    optimizer = torch.optim.Adam(policy.tensors.values(), lr=recipe.lr, betas=recipe.betas)
    work = {"n_samples": case.samples, "max_new": case.new, "temperature": 1.0, "seed": 0}

    def run(batch: int, skip: bool = False) -> dict[str, Any]:
        start = batch * case.prompts % len(pool)
        asked = pool[start : start + case.prompts]
        experience = collect(policy, asked, tokenizer, recipe.reward, recipe.advantage, **work, batch=batch)
        if skip:
            kept = torch.arange(case.rows) // case.samples % 2 == 0
            experience = replace(experience, advantages=replace(experience.advantages, keep=kept))
        order = torch.randperm(case.rows, generator=torch_rng("minibatches", 0, batch))
        parts = order.chunk(case.updates) if case.split else [order] * case.updates
        update_metrics([update(policy, policy, optimizer, experience, rows, recipe) for rows in parts])
        rollout_metrics(experience)
        return work_done([q.problem.prompt for q in asked], experience.samples.lengths.tolist())

    return run


def serve_trl(case: Case, commands: Iterator[str], reply: Callable[[Any], None]) -> None:
    """Train; before each round wait for a line, after it answer with its seconds."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    model, clock = build_model(case), Clock()
    reply(describe(model))

    class Turns(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            next(commands)
            clock.start()

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if state.global_step % case.updates:
                return
            reply(clock.read() | done)
            control.should_training_stop = next(commands, None) is None
            clock.start()

    done: dict[str, Any] = {}

    def reward(prompts: list[str], completions: list[str], **columns: Any) -> list[float | None]:
        done.update(work_done(prompts, [len(ids) for ids in columns["completion_ids"]]))
        return digits(prompts, completions)

    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder, report_to="none", use_cpu=True, bf16=False, gradient_checkpointing=False,
            save_strategy="no", disable_tqdm=True, logging_steps=case.updates, shuffle_dataset=False,
            per_device_train_batch_size=case.rows // case.updates if case.split else case.rows,
            steps_per_generation=case.updates if case.split else 1, num_iterations=1 if case.split else case.updates,
            num_generations=case.samples, max_completion_length=case.new, learning_rate=LR,
            lr_scheduler_type="constant", max_grad_norm=1.0, max_steps=10**6,
        )  # fmt: skip
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=reward,
            args=config,
            train_dataset=Dataset.from_list([{"prompt": p} for p in build_prompts(case.prompts * POOL)]),
            processing_class=build_tokenizer(case.vocab),
            callbacks=[Turns()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()


WORKERS = {"ours": serve_ours, "trl": serve_trl}


def serve(trainer: str, case: Case) -> None:
    """Answers go to the stdout this process was started with; whatever else prints goes to stderr."""
    import torch

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    lines = (line.strip() for line in iter(sys.stdin.readline, ""))
    WORKERS[trainer](case, lines, lambda answer: print(json.dumps(answer), file=answers))


if __name__ == "__main__":
    serve(sys.argv[1], CASES[sys.argv[2]])
