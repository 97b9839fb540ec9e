"""Is our policy loss TRL's? Value and full gradient on an off-policy batch, for every shared variant; golden values.

    python -m venv trl
    trl/bin/pip install torch==2.13.0 transformers==5.23.0 trl==1.16.0 accelerate datasets jaxtyping
    PYTHONPATH=. trl/bin/python benchmarks/trl_golden.py [--write]

For each variant TRL's own GRPOTrainer trains a random 2-layer Qwen2 for two updates on one rollout batch. At the second
(ratio != 1) two things are compared with `probe.rl.loss`, on TRL's own inputs:

    model    loss and gradient of every parameter, float32                         prints the relative errors
    golden   loss, gradient of the log-probs, clip metrics, float64, 4 x 6 tokens   --write: tests/data/trl_golden.json

The trainer is also given rewards of this package, so that this shows TRL can call them; its rewards and advantages are
compared with `GroupNormalised(eps=1e-4)`. `tests/test_loss.py` reads the golden file and needs no TRL.
"""

import argparse
import contextlib
import io
import json
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer

from probe.rewards.format import Format
from probe.rewards.ground_truth import GroundTruth
from probe.rl.advantage import GroupNormalised, reward_table
from probe.rl.clip_report import clip_report
from probe.rl.loss import Loss, policy_loss

GOLDEN = Path(__file__).parents[1] / "tests" / "data" / "trl_golden.json"
PROMPTS, GROUP, NEW = 4, 4, 48
OFF = 1e9  # TRL has no None: an epsilon this large never clips

SEQUENCE = {"importance_sampling_level": "sequence"}
# So narrow a clip leaves no gradient to compare once the ratio is outside of it: small steps for this one.
NARROW = SEQUENCE | {"epsilon": 3e-4, "epsilon_high": 4e-4, "learning_rate": 3e-6}
HALF = {"top_entropy_quantile": 0.5, "beta": 0.1}

# (name, TRL's loss_type, its other options, our Loss). The first 18 are the variants the suite shares with TRL.
CASES: list[tuple[str, str, dict[str, Any], Loss]] = [
    ("grpo", "grpo", {}, Loss()),
    ("bnpo", "bnpo", {}, Loss(aggregation="bnpo")),
    ("dr_grpo", "dr_grpo", {}, Loss(aggregation="dr_grpo")),
    ("dapo", "dapo", {}, Loss(aggregation="dapo")),
    ("sapo", "sapo", {}, Loss("sapo")),
    ("vespo", "vespo", {}, Loss("vespo", aggregation="dapo")),
    ("cispo", "cispo", {"epsilon_high": 2.0}, Loss("cispo", aggregation="dapo", cispo_max=2.0)),
    ("luspo", "luspo", SEQUENCE, Loss(ratio="sequence", aggregation="luspo")),
    ("gspo", "grpo", NARROW, Loss(clip_low=3e-4, clip_high=4e-4, ratio="sequence")),
    ("asymmetric", "dapo", {"epsilon_high": 0.28}, Loss(clip_high=0.28, aggregation="dapo")),
    ("dual", "dapo", {"delta": 1.5}, Loss(dual=1.5, aggregation="dapo")),
    ("no clip", "dapo", {"epsilon": OFF}, Loss(clip_low=None, clip_high=None, aggregation="dapo")),
    ("top entropy", "dapo", {"top_entropy_quantile": 0.2}, Loss(entropy_quantile=0.2, aggregation="dapo")),
    ("kl", "dapo", {"beta": 0.04}, Loss(kl_beta=0.04, aggregation="dapo")),
    (
        "kl uncorrected",
        "dapo",
        {"beta": 0.04, "use_bias_correction_kl": False},
        Loss(kl_beta=0.04, kl_bias_correction=False, aggregation="dapo"),
    ),
    ("unscaled", "dapo", {"scale_rewards": "none"}, Loss(aggregation="dapo")),
    ("truncated", "dapo", {"mask_truncated_completions": True}, Loss(aggregation="dapo")),
    ("temperature", "dapo", {"temperature": 0.7}, Loss(aggregation="dapo")),
    ("upper only", "grpo", {"epsilon": OFF, "epsilon_high": 0.2}, Loss(clip_low=None)),
    ("lower only", "grpo", {"epsilon_high": OFF}, Loss(clip_high=None)),
    ("reinforce", "grpo", {}, Loss("reinforce")),
    (
        "all at once",
        "bnpo",
        {"delta": 3.0, "epsilon": 0.05} | HALF,
        Loss(clip_low=0.05, clip_high=0.05, dual=3.0, entropy_quantile=0.5, kl_beta=0.1, aggregation="bnpo"),
    ),
    (
        "sequence kl entropy",
        "luspo",
        SEQUENCE | HALF,
        Loss(ratio="sequence", entropy_quantile=0.5, kl_beta=0.1, aggregation="luspo"),
    ),
]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token per printable character."""
    tokens = ["<pad>", "<eos>", "<unk>", *map(chr, range(32, 127))]
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """Random weights, 40k parameters, the same every time."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=48, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3,
        intermediate_size=96, max_position_embeddings=256, tie_word_embeddings=True, initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
    )  # fmt: skip
    return Qwen2ForCausalLM(config).float()


def digits(prompts: list[str], completions: list[str], **columns: Any) -> list[float | None]:
    """The share of digits: a reward that varies within the groups of a random model; one response abstains."""
    return [None if i == 5 else sum(c.isdigit() for c in t) / max(1, len(t)) for i, t in enumerate(completions)]


def our_loss(logprob: Tensor, inputs: dict[str, Any], loss: Loss, entropy: Tensor) -> Tensor:
    """`policy_loss` on the inputs TRL gives to its own."""
    mask, old = inputs["completion_mask"].bool(), inputs.get("old_per_token_logps")
    old = logprob.detach() if old is None else old
    totals = {"n_tokens": int(inputs["num_items_in_batch"]), "max_length": NEW}
    reference = inputs.get("ref_per_token_logps")
    return policy_loss(
        logprob, old, inputs["advantages"], mask, loss=loss, entropy=entropy, reference_logprob=reference, **totals
    )


def forward(model: torch.nn.Module, inputs: dict[str, Any], temperature: float) -> tuple[Tensor, Tensor]:
    """Log-prob of each completion token and entropy of its distribution, [batch pos], by plain log-softmax."""
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    seen = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
    n = inputs["completion_ids"].shape[1]
    logits = model(input_ids=ids, attention_mask=seen).logits[:, -n - 1 : -1].float() / temperature
    every = logits.log_softmax(-1)
    return every.gather(2, inputs["completion_ids"][..., None]).squeeze(2), -(every.exp() * every).sum(-1)


def compare(trainer: GRPOTrainer, model: torch.nn.Module, inputs: dict[str, Any], loss: Loss) -> dict[str, float]:
    """Both losses and the relative difference of their gradients over all parameters."""
    parameters = list(model.parameters())
    theirs = trainer._compute_loss(model, inputs)
    wanted = torch.cat([g.flatten() for g in torch.autograd.grad(theirs, parameters)])
    logprob, entropy = forward(model, inputs, trainer.args.temperature)
    ours = our_loss(logprob, inputs, loss, entropy)
    got = torch.cat([g.flatten() for g in torch.autograd.grad(ours, parameters)])
    return {
        "theirs": theirs.item(),
        "ours": ours.item(),
        "gradient_error": float((wanted - got).norm() / wanted.norm()),
        "norm": float(wanted.norm()),
    }


def golden_batch() -> dict[str, Tensor]:
    """4 x 6 tokens in float64 with ratios from 0.2 to 5: every side of every clip fires. The last row is masked."""
    generator = torch.Generator().manual_seed(1)
    u = torch.rand(4, 4, 6, generator=generator, dtype=torch.float64)
    old = -2.5 * u[0] - 0.01
    return {
        "old": old,
        "logprob": (old + 1.6 * (2 * u[1] - 1)).clamp(max=-1e-3),
        "reference": (old + 0.3 * (2 * u[2] - 1)).clamp(max=-1e-3),
        "entropy": (1.5 * u[3]).float().double(),  # TRL takes its quantile in float32: no rounding at a tie
        "mask": torch.tensor([6, 4, 5, 0])[:, None] > torch.arange(6),
        "advantage": torch.tensor([1.25, -0.75, -1.5, 1.0], dtype=torch.float64),
    }


def golden(trainer: GRPOTrainer, model: torch.nn.Module, loss: Loss) -> dict[str, Any]:
    """TRL's loss, gradient and clip metrics on the golden batch, its forward pass replaced by the batch's numbers."""
    batch = golden_batch()
    logprob = batch["logprob"].clone().requires_grad_()
    inputs = {
        "prompt_ids": torch.ones(4, 2, dtype=torch.long),
        "prompt_mask": torch.ones(4, 2, dtype=torch.long),
        "completion_ids": torch.ones(4, 6, dtype=torch.long),
        "completion_mask": batch["mask"].long(),
        "advantages": batch["advantage"],
        "old_per_token_logps": None if loss.surrogate == "reinforce" else batch["old"],
        "ref_per_token_logps": batch["reference"],
        "num_items_in_batch": torch.tensor(20),  # 5 tokens more than here: the batch has a second part elsewhere
    }
    trainer._get_per_token_logps_and_entropies = lambda *args, **kwargs: (logprob, batch["entropy"], None)
    value = trainer._compute_loss(model, inputs)
    del trainer._get_per_token_logps_and_entropies
    metrics = trainer._metrics["train"]
    names = [n for n in ("clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean") if metrics[n]]
    ours = logprob.detach().clone().requires_grad_()
    gradient = torch.autograd.grad(value, logprob)[0]
    mine = torch.autograd.grad(our_loss(ours, inputs, loss, batch["entropy"]), ours)[0]
    report = clip_report(ours, batch["old"], batch["advantage"], batch["mask"], loss)
    return {
        "loss": asdict(loss),
        "value": value.item(),
        "gradient": gradient.tolist(),
        "metrics": {name: metrics[name][-1] for name in names},
        "gradient_error": float((gradient - mine).norm() / gradient.norm()),
        "metric_error": max([abs(metrics[name][-1] - report[name]) for name in names], default=0.0),
    }


def run_case(folder: str, tokenizer: Any, options: dict[str, Any], loss: Loss) -> dict[str, Any]:
    """Train two updates with TRL and take both comparisons at the second."""
    config = GRPOConfig(
        output_dir=folder, report_to="none", use_cpu=True, bf16=False, gradient_checkpointing=False, max_steps=2,
        per_device_train_batch_size=PROMPTS * GROUP, num_generations=GROUP, max_completion_length=NEW,
        logging_steps=100, save_strategy="no", disable_tqdm=True, num_iterations=2,
        **{"epsilon": 0.2, "learning_rate": 3e-3} | options,
    )  # fmt: skip
    data = Dataset.from_list([{"prompt": f"Q:{i}+{7 * i % 13}=", "answers": str(i + 7 * i % 13)} for i in range(16)])
    trainer = GRPOTrainer(
        model=Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32),
        reward_funcs=[digits, GroundTruth(), Format()],
        args=config,
        train_dataset=data,
        processing_class=tokenizer,
    )
    result: dict[str, Any] = {}
    compute_loss, calculate = trainer.compute_loss, trainer._calculate_rewards

    def rewards_seen(*args: Any, **kwargs: Any) -> Tensor:
        table = calculate(*args, **kwargs)
        table[5] = float("nan")  # an abstention by every reward
        scores = table.nansum(1).tolist()
        result["rewards"] = [None if i == 5 else score for i, score in enumerate(scores)]
        return table

    def loss_seen(model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Tensor:
        if trainer._step == 1:
            probed = inputs | ({"old_per_token_logps": None} if loss.surrogate == "reinforce" else {})
            result["model"] = compare(trainer, model, probed, loss)
            result["golden"] = golden(trainer, model, loss)
            result["advantages"] = inputs["advantages"].tolist()
        return compute_loss(model, inputs, *args, **kwargs)

    trainer.compute_loss, trainer._calculate_rewards = loss_seen, rewards_seen
    with contextlib.redirect_stdout(io.StringIO()):
        trainer.train()
    return result


def advantage_error(result: dict[str, Any]) -> float:
    """TRL shuffles the rollouts after scoring them, so both sides are sorted."""
    ours = GroupNormalised(eps=1e-4)(reward_table(result["rewards"], GROUP)).value
    return float((ours.sort().values - torch.tensor(result["advantages"]).sort().values).abs().max())


def main() -> None:
    """Run every case, print the errors, and with --write renew the golden file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {GOLDEN.name}")
    write = parser.parse_args().write
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    tokenizer, results = build_tokenizer(), {}
    with tempfile.TemporaryDirectory() as folder:
        build_model(tokenizer).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        for name, kind, options, loss in CASES:
            results[name] = run_case(folder, tokenizer, {"loss_type": kind} | options, loss)
            m, g = results[name]["model"], results[name]["golden"]
            print(
                f"{name:20s} TRL {m['theirs']:+.6f} ours {m['ours']:+.6f} |g| {m['norm']:.3f}"
                f" gradient {m['gradient_error']:.1e}; golden {g['gradient_error']:.1e} clip {g['metric_error']:.1e}",
                flush=True,
            )
    errors = torch.tensor([[r[part]["gradient_error"] for part in ("model", "golden")] for r in results.values()])
    worst = errors.max()  # NaN, a gradient of zero, stays NaN
    print(f"worst relative gradient error: {worst:.1e}; of advantages: {advantage_error(results['grpo']):.1e}")
    if write:
        write_golden(results)


def write_golden(results: dict[str, Any]) -> None:
    """The inputs, and per case TRL's value, gradient and clip metrics; TRL's rewards and advantages of one batch."""
    first: dict[Loss, str] = {}
    for name, _, _, loss in CASES:
        first.setdefault(loss, name)  # some variants differ in the trainer only
    record = {
        "source": "trl 1.16.0, GRPOTrainer._compute_loss; made by benchmarks/trl_golden.py",
        "batch": {name: tensor.tolist() for name, tensor in golden_batch().items()},
        "n_tokens": 20,
        "max_length": NEW,
        "cases": {
            name: {key: results[name]["golden"][key] for key in ("loss", "value", "gradient", "metrics")}
            for name in first.values()
        },
        "rewards": results["grpo"]["rewards"],
        "group_size": GROUP,
        "advantages_sorted": sorted(results["grpo"]["advantages"]),
    }
    GOLDEN.write_text(json.dumps(record, indent=None, separators=(",", ":")).replace('},"', '},\n"') + "\n")
    print(f"wrote {GOLDEN.name}")


if __name__ == "__main__":
    main()
