"""What does one GRPO round (1 generation + its updates) cost here and in TRL, on the same work?

    python benchmarks/grpo_round.py --trl-python PATH [--case NAME ...] [--pairs N] [--json FILE]

PATH is the Python of an environment with trl==1.16.0 and the torch and transformers of this one. Two processes, one per
trainer, one thread each, take turns: while one does a round the other is blocked on a read. They start from the same
weights (their checksums are compared) and see the same prompts. Token ids are drawn from the whole vocabulary and EOS
lies outside it, so every response has exactly `new` tokens on both sides. fp32, every parameter trained, Adam, gradient
norm 1, TRL's default loss (dapo, clip .2), no reference model. All rows are in their update; TRL is `trainer.train()`
itself with bf16, gradient checkpointing and printing off.

The third thing that takes its turn is bare matrix multiplication: the operand shapes and strides of every mm, addmm and
bmm of one of our rounds are recorded, and `torch.mm(out=...)` replays them in their order, no more. The products inside
the attention kernels are counted (`attention_gflop`) and not replayed.

Ratios are TRL / ours, pair by pair, of CPU seconds (user + system); the wall is next to it. A round of ours includes
rewards, advantages and all metrics but `kl`, which TRL has no counterpart of. `skip` is our round with half of the
groups left out of the updates, as groups of one reward may be: less work than TRL does, so no part of the ratio.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

WARM_UP = 2
LR = 1e-3
ROOT = Path(__file__).parents[1]


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


# ---------------------------------------------------------------------------------------------------------- workers


def serve_ours(case: Case, commands: Iterator[str], reply: Callable[[Any], None]) -> None:
    """Do what each line says (round, skip, matmul) and answer with its seconds."""
    model = build_model(case)
    reply(describe(model))
    run, clock = our_round(case, model), Clock()
    work = {"round": run, "skip": lambda: run(skip=True), "matmul": replayer(record(run))}
    for command in commands:
        clock.start()
        facts = work[command]()
        reply(clock.read() | facts)


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
    problems = [Problem(str(i), text, "", "bench") for i, text in enumerate(build_prompts(case.prompts * 64))]
    pool = questions(problems, {p.id: "" for p in problems}, tokenizer)
    optimizer = torch.optim.Adam(policy.tensors.values(), lr=recipe.lr, betas=recipe.betas)
    work = {"n_samples": case.samples, "max_new": case.new, "temperature": 1.0, "seed": 0}
    rounds = iter(range(10**9))

    def run(skip: bool = False) -> dict[str, Any]:
        batch = next(rounds)
        start = batch * case.prompts % len(pool)
        asked = pool[start : start + case.prompts]
        experience = collect(policy, asked, tokenizer, recipe.reward, recipe.advantage, **work, batch=batch)
        if skip:
            kept = torch.arange(case.rows) // case.samples % 2 == 0
            experience = replace(experience, advantages=replace(experience.advantages, keep=kept))
        order = torch.randperm(case.rows, generator=torch_rng("minibatches", 0, batch))
        parts = order.chunk(case.updates) if case.split else [order] * case.updates
        metrics = update_metrics([update(policy, policy, optimizer, experience, rows, recipe) for rows in parts])
        metrics |= rollout_metrics(experience)
        return {"tokens": int(experience.samples.lengths.sum()), "reward": metrics["reward"]}

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
            reply(clock.read() | {"tokens": int(seen["tokens"]), "reward": seen["reward"]})
            control.should_training_stop = next(commands, None) is None
            clock.start()

    seen: dict[str, float] = {}

    def reward(prompts: list[str], completions: list[str], **columns: Any) -> list[float | None]:
        scores = digits(prompts, completions)
        seen.update(tokens=sum(len(ids) for ids in columns["completion_ids"]), reward=statistics.fmean(scores))
        return scores

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
            train_dataset=Dataset.from_list([{"prompt": p} for p in build_prompts(case.prompts * 64)]),
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
    torch.set_num_threads(1)
    lines = (line.strip() for line in iter(sys.stdin.readline, ""))
    WORKERS[trainer](case, lines, lambda answer: print(json.dumps(answer), file=answers))


# ------------------------------------------------------------------------------------------ bare matrix multiplication


@dataclass(frozen=True)
class Products:
    """Every product of a round, in order: (shape, strides) of its two operands; and the FLOPs of attention kernels."""

    operands: list[tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]]
    attention_flop: int


def record(run: Callable[[], Any]) -> Products:
    """The matrix products of one round, forward and backward."""
    from torch.utils._python_dispatch import TorchDispatchMode

    found: list[Any] = []
    attention: list[int] = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = func._schema.name
            if name in ("aten::linear", "aten::matmul", "aten::scaled_dot_product_attention"):  # inference mode
                with self:
                    return func.decompose(*args, **(kwargs or {}))
            if name in ("aten::mm", "aten::bmm", "aten::addmm"):
                found.append(tuple((tuple(a.shape), a.stride()) for a in args[-2:]))
            elif "flash_attention" in name:
                q, k = args[1:3] if "backward" in name else args[:2]
                attention.append((10 if "backward" in name else 4) * q.numel() * k.shape[2])
            return func(*args, **(kwargs or {}))

    with Recorder():
        run()
    return Products(found, sum(attention))


def replayer(products: Products) -> Callable[[], dict[str, Any]]:
    """A function that does the same products on other numbers, into outputs that exist already."""
    import torch

    places: dict[Any, Any] = {}
    calls, flop = [], 0
    for pair in products.operands:
        if pair not in places:
            a, b = (torch.empty_strided(shape, stride).normal_() for shape, stride in pair)
            places[pair] = (torch.bmm if a.ndim == 3 else torch.mm, a, b, a @ b)
        calls.append(places[pair])
        flop += 2 * places[pair][1].numel() * places[pair][2].shape[-1]

    def replay() -> dict[str, Any]:
        for product, a, b, out in calls:
            product(a, b, out=out)
        return {"gflop": flop / 1e9, "attention_gflop": products.attention_flop / 1e9, "products": len(calls)}

    return replay


# --------------------------------------------------------------------------------------------------------------- parent


class Worker:
    """One trainer in a process of its own. `ask` sends a line and waits for the answer."""

    def __init__(self, name: str, python: str, case: str) -> None:
        env = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        env["PYTHONPATH"] = str(ROOT)
        command = [python, __file__, "--worker", name, "--case", case]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=env
        )
        self.facts = self._answer()

    def ask(self, command: str) -> dict[str, Any]:
        self._stdin.write(command + "\n")
        self._stdin.flush()
        return self._answer()

    def close(self) -> None:
        self._stdin.close()
        self.process.wait()

    @property
    def _stdin(self) -> IO[str]:
        assert self.process.stdin is not None
        return self.process.stdin

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            sys.exit(f"{self.process.args} ended early:\n{self.log.read()[-3000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure(name: str, pairs: int, trl_python: str) -> dict[str, Any]:
    """The raw seconds of one case: `pairs` rounds of each, turn by turn, the first of a pair alternating."""
    case = CASES[name]
    ours, trl = Worker("ours", sys.executable, name), Worker("trl", trl_python, name)
    if ours.facts != trl.facts:
        sys.exit(f"the two environments do not hold the same model: {ours.facts} and {trl.facts}")
    turns = [(ours, "round", "ours"), (trl, "round", "trl"), (ours, "matmul", "matmul"), (ours, "skip", "skip")]
    seen: dict[str, list[dict[str, Any]]] = {label: [] for _, _, label in turns}
    for i in range(WARM_UP + pairs):
        for worker, command, label in turns if i % 2 else reversed(turns):
            answer = worker.ask(command)
            if i >= WARM_UP:
                seen[label].append(answer)
    for worker in (ours, trl):
        worker.close()
    tokens = {a["tokens"] for label in ("ours", "trl") for a in seen[label]}
    if tokens != {case.rows * case.new}:
        sys.exit(f"the work was not the same: {tokens} tokens, not {case.rows * case.new}")
    return {"case": asdict(case), **ours.facts, **summary(seen), "raw": rounded(seen)}


def summary(seen: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Median, smallest and largest of the seconds and of the pair-wise ratios."""
    def ratios(top: str, bottom: str, unit: str) -> dict[str, float]:
        return spread([a[unit] / b[unit] for a, b in zip(seen[top], seen[bottom], strict=True)])

    facts = {key: seen["matmul"][0][key] for key in ("gflop", "attention_gflop", "products")}
    return {
        "n": len(seen["ours"]),
        "trl_over_ours": {unit: ratios("trl", "ours", unit) for unit in ("cpu", "wall")},
        "matmul_share": {"cpu": ratios("matmul", "ours", "cpu")},
        "seconds": {
            label: {unit: spread([a[unit] for a in answers]) for unit in ("cpu", "wall")}
            for label, answers in seen.items()
        },
        **facts,
    }


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 4), "min": round(min(values), 4), "max": round(max(values), 4)
    }  # fmt: skip


def rounded(seen: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, list[float]]]:
    return {
        label: {unit: [round(a[unit], 4) for a in answers] for unit in ("cpu", "wall")}
        for label, answers in seen.items()
    }


def line(name: str, result: dict[str, Any]) -> str:
    def show(s: dict[str, float], digits: int = 2) -> str:
        return f"{s['median']:.{digits}f} ({s['min']:.{digits}f}-{s['max']:.{digits}f})"

    seconds, ratio = result["seconds"], result["trl_over_ours"]
    return (
        f"{name}: {result['parameters']} parameters, n = {result['n']}; CPU s a round: TRL {show(seconds['trl']['cpu'])}"
        f", ours {show(seconds['ours']['cpu'])}, ratio {show(ratio['cpu'])} (wall {show(ratio['wall'])}); bare matmul "
        f"{show(seconds['matmul']['cpu'], 3)}, {show(result['matmul_share']['cpu'])} of ours; half the groups skipped "
        f"{show(seconds['skip']['cpu'])}"
    )


def main() -> None:
    """Measure the cases named and print a line for each; with --json keep the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", default=sys.executable, help="Python of an environment with TRL")
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--pairs", type=int, default=15, help="timed pairs of rounds")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return serve(args.worker, CASES[args.case[0]])
    results = {}
    for name in args.case:
        results[name] = measure(name, args.pairs, args.trl_python)
        print(line(name, results[name]), flush=True)
    if args.json:
        record = {"machine": {"system": platform.system(), "arch": platform.machine(), "cpus": os.cpu_count()}}
        args.json.write_text(json.dumps(record | {"cases": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
