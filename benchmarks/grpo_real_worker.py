"""One trainer of any causal LM in a process of its own: a round of GRPO for each line it reads, and its seconds.

    PYTHONPATH=. python benchmarks/grpo_real_worker.py ours|trl CASE        (`grpo_real.py` starts two of these)

As `grpo_worker.py`; ours is `CausalPolicy`, the policy of models from outside, and not that of organisms. The first
line may be `given 0`: the updates on a batch that is drawn here, not sampled, and their losses and gradient norms.
"""

import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
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
    lr: float = LR
    folder: str | None = None  # of a real model, whose shape it then is; below the store

    @property
    def rows(self) -> int:
        return self.prompts * self.samples

    def loss(self) -> dict[str, Any]:
        """What both sides minimise: TRL's default."""
        return {"aggregation": "dapo", "clip_low": 0.2, "clip_high": 0.2}


SMOLLM2 = {"folder": "published/smollm2-135m", "vocab": 49152, "prompts": 4, "samples": 4, "new": 32, "micro": 4}
SMALL = {"hidden": 64, "layers": 2, "mlp": 192, "vocab": 200, "prompts": 4, "samples": 4, "new": 16, "micro": 4}
CASES = {
    "all": RealCase(None),
    "lora": RealCase(16),
    "smollm2-all": RealCase(None, lr=1e-6, **SMOLLM2),  # type: ignore[arg-type]
    "smollm2-lora": RealCase(16, lr=1e-5, **SMOLLM2),  # type: ignore[arg-type]
    "all-try": RealCase(None, **SMALL),  # type: ignore[arg-type]
    "lora-try": RealCase(16, **SMALL),  # type: ignore[arg-type]
}


def model_and_tokenizer(case: RealCase) -> tuple[Any, Any]:
    """Random weights, or those of a real folder in fp32; no token of the model ends a response."""
    if case.folder is None:
        return build_model(case), build_tokenizer(case.vocab)
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    folder = Path(os.environ.get("PROBE_STORE") or ".probe") / case.folder
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32", attn_implementation="sdpa")
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokenizer.add_special_tokens({"eos_token": "<no token of the model>"})
    assert tokenizer.eos_token_id == case.vocab == model.get_input_embeddings().weight.shape[0]
    ends = {"eos_token_id": case.vocab, "pad_token_id": tokenizer.pad_token_id}
    model.config.eos_token_id, model.generation_config = case.vocab, GenerationConfig(**ends)
    return model, tokenizer


def start_alike(tensors: dict[str, Any]) -> None:
    """Draw A of every LoRA anew, the same on both sides: by name, without that of the adapter, which peft puts in."""
    import torch

    rng = torch.Generator().manual_seed(0)
    by_name = {name.replace(".default", ""): tensor for name, tensor in tensors.items() if ".lora_A." in name}
    for name in sorted(by_name):
        tensor = by_name[name].data
        tensor.copy_(torch.randn(tensor.shape, generator=rng) / tensor.shape[1] ** 0.5)


def given(case: RealCase) -> tuple[list[list[int]], list[float]]:
    """Token ids [row new] and rewards [row], all drawn.

    Of one length, as in the rounds: dapo divides here by the tokens of the update, in TRL by their mean over the
    updates of a generation.
    """
    draw = random.Random(1)
    rows = [[draw.randrange(2, case.vocab) for _ in range(case.new)] for _ in range(case.rows)]
    return rows, [draw.random() for _ in rows]


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
    (model, tokenizer), clock = model_and_tokenizer(case), Clock()
    reply(describe(model))
    lora = None if case.lora is None else Lora(case.lora, 2.0 * case.lora)
    longest = 16 + case.new  # a prompt has 12 tokens at most
    memory = causal_policy.Memory(tokens=case.micro * longest, rows=case.rows)
    policy = causal_policy.CausalPolicy(Loaded(model, tokenizer), lora=lora, memory=memory)
    start_alike(policy.tensors)
    recipe = GRPO(digits, GroupNormalised(eps=1e-4), Loss(**case.loss()), "all", lr=case.lr, betas=(0.9, 0.999))
    problems = [Problem(str(i), text, "", "bench") for i, text in enumerate(build_prompts(case.prompts * POOL))]
    pool = questions(problems, {p.id: "" for p in problems}, tokenizer)
    optimizer = torch.optim.Adam(policy.tensors.values(), lr=recipe.lr, betas=recipe.betas)
    how = {"n_samples": case.samples, "max_new": case.new, "temperature": 1.0, "seed": 0}
    for command in commands:
        name, number, *rest = command.split(maxsplit=2)
        batch = int(number)
        start = batch * case.prompts % len(pool)
        asked = pool[start : start + case.prompts]
        if name == "given":
            experience = given_experience(case, policy, asked, tokenizer, recipe)
            parts = [torch.tensor(rows) for rows in json.loads(rest[0])]
            said = [update(policy, None, optimizer, experience, rows, recipe) for rows in parts]
            reply({what: [each[what] for each in said] for what in ("loss", "grad_norm")})
            continue
        clock.start()
        experience = collect(policy, asked, tokenizer, recipe.reward, recipe.advantage, **how, batch=batch)
        order = torch.randperm(case.rows, generator=torch_rng("minibatches", 0, batch))
        update_metrics(
            [update(policy, None, optimizer, experience, rows, recipe) for rows in order.chunk(case.updates)]
        )
        rollout_metrics(experience)
        done = work_done([q.problem.prompt for q in asked], experience.samples.lengths.tolist())
        reply(clock.read() | done | trained(policy.tensors.values()))


def given_experience(case: RealCase, policy: Any, asked: list[Any], tokenizer: Any, recipe: Any) -> Any:
    """The given batch under the policy as it is."""
    import torch

    from probe.models.sampling.organism_sampler import Samples
    from probe.rl.advantage import reward_table
    from probe.rl.rollout import Experience

    rows, rewards = given(case)
    ids, lengths = torch.tensor(rows), torch.full((case.rows,), case.new)
    none, prompts = torch.zeros(ids.shape), [question.ids for question in asked]
    samples = Samples(ids, lengths, torch.zeros(case.rows, dtype=torch.bool), none, none.clone(), None)
    with torch.no_grad():
        for part in policy.parts(prompts, samples, torch.arange(case.rows)):
            samples.logprob[part], samples.entropy[part] = policy.score(prompts, samples, part, 1.0)
    table = reward_table(rewards, case.samples)
    texts, problems = tokenizer.batch_decode(rows), tuple(question.problem for question in asked)
    return Experience(problems, prompts, samples, texts, table, recipe.advantage(table))


class Given:
    """Lets TRL's trainer go through the given batch as if it had sampled it, and hears what its updates were."""

    def __init__(self, case: RealCase, trainer: Any) -> None:
        self.case, self.trainer = case, trainer
        self.ids, self.rewards = given(case)
        self.real = trainer._generate_single_turn, trainer._compute_loss, trainer.accelerator.clip_grad_norm_
        self.row_of = {tuple(row): at for at, row in enumerate(self.ids)}
        self.rows: list[list[int]] = [[]]
        self.losses, self.norms = [0.0], list[float]()
        trainer._generate_single_turn = lambda *_: (self.ids, None)
        trainer._compute_loss, trainer.accelerator.clip_grad_norm_ = self._compute_loss, self._clip

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        loss = self.real[1](model, inputs)
        if len(self.norms) == len(self.losses):
            self.losses.append(0.0)
            self.rows.append([])
        self.losses[-1] += loss.item()
        self.rows[-1] += [self.row_of[tuple(ids)] for ids in inputs["completion_ids"].tolist()]
        return loss

    def _clip(self, *args: Any, **more: Any) -> Any:
        norm = self.real[2](*args, **more)
        self.norms.append(float(norm))
        return norm

    def end(self) -> dict[str, Any]:
        """What the updates were; the trainer samples again."""
        trainer = self.trainer
        trainer._generate_single_turn, trainer._compute_loss, trainer.accelerator.clip_grad_norm_ = self.real
        return {"rows": self.rows, "loss": self.losses, "grad_norm": self.norms}


def serve_trl(case: RealCase, commands: Iterator[str], reply: Callable[[Any], None]) -> None:
    """Train; before each round wait for a line, after it answer with its seconds."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    (model, tokenizer), clock = model_and_tokenizer(case), Clock()
    reply(describe(model))
    done: dict[str, Any] = {}
    on_given: list[Given] = []

    class Turns(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if next(commands).startswith("given"):
                on_given.append(Given(case, trainer))
            clock.start()

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if state.global_step % case.updates:
                return
            facts = trained(p for p in rest["model"].parameters() if p.requires_grad)
            reply(on_given.pop().end() if on_given else clock.read() | done | facts)
            control.should_training_stop = next(commands, None) is None
            clock.start()

    def reward(prompts: list[str], completions: list[str], **columns: Any) -> list[float | None]:
        done.update(work_done(prompts, [len(ids) for ids in columns["completion_ids"]]))
        return on_given[0].rewards if on_given else digits(prompts, completions)

    each = case.rows // case.updates // case.micro  # micro-batches of an update
    lora = {"r": case.lora, "lora_alpha": 2 * (case.lora or 0), "target_modules": "all-linear", "lora_dropout": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder, report_to="none", use_cpu=True, bf16=False, gradient_checkpointing=False,
            save_strategy="no", disable_tqdm=True, logging_steps=case.updates, shuffle_dataset=False,
            per_device_train_batch_size=case.micro, gradient_accumulation_steps=each,
            steps_per_generation=each * case.updates, num_iterations=1, num_generations=case.samples,
            max_completion_length=case.new, learning_rate=case.lr, lr_scheduler_type="constant", max_grad_norm=1.0,
            loss_type=case.loss()["aggregation"], epsilon=0.2, beta=0.0, max_steps=10**6,
        )  # fmt: skip
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=reward,
            args=config,
            train_dataset=Dataset.from_list([{"prompt": p} for p in build_prompts(case.prompts * POOL)]),
            processing_class=tokenizer,
            callbacks=[Turns()],
            peft_config=None if case.lora is None else LoraConfig(task_type="CAUSAL_LM", **lora),
        )
        start_alike(dict(trainer.model.named_parameters()))
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
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    lines = (line.strip() for line in iter(sys.stdin.readline, ""))
    WORKERS[trainer](case, lines, lambda answer: print(json.dumps(answer), file=answers))


if __name__ == "__main__":
    serve(sys.argv[1], CASES[sys.argv[2]])
