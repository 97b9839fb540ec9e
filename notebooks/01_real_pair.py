# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A real pair: before and after RL
#
# Three ways to look at two real checkpoints, from what needs least to what needs most:
#
# 1. **outputs only**: published answers of Qwen2.5-7B before and after RLVR on MATH-500 (500 problems, paired);
# 2. **weights, here**: the whole comparison, end to end, on a random-weight pair of Qwen2's architecture;
# 3. **weights, 7B**: what to type, and the memory and GPU-hours it takes.

# %%
# %matplotlib inline
import tempfile
import warnings
from pathlib import Path

import torch

import probe

warnings.filterwarnings("ignore", message="IProgress not found")  # no widgets needed
store = probe.Store("../.probe")
where = {"store": store, "progress": False}

# %% [markdown]
# ## 1. Published outputs
#
# The authors' own labels, problem by problem (arXiv 2507.16806). RLVR here was trained on HotpotQA, not on mathematics:
# a control for "any RL raises MATH-500". They are brought by `probe fetch rlcr_math500`.

# %%
from probe.api import run_here
from probe.experiments.published_outputs.job import published_job
from probe.studies.real import real_folder

folder = real_folder(store.root)
if folder is None:
    print("the published outputs are not here: probe fetch rlcr_math500")
else:
    outputs = run_here(published_job([folder]), **where)
    display(outputs.changes("accuracy", "brier", "ece", "code_share", "parse_rate"))

# %% [markdown]
# Both right, only before, only after, neither: most of the change is exchange, so a difference of two accuracies would
# hide how much RL moved.

# %%
if folder is not None:
    display(outputs.figure("real_outcomes"), outputs.figure("real_calibration"))

# %% [markdown]
# ## 2. The whole comparison, on weights
#
# Two random-weight checkpoints of Qwen2's architecture, saved as transformers saves them: sharded safetensors and a
# tokenizer. They know nothing, so nothing may come out but nulls: what is shown here is the path, not a finding.
# Problems are generated now (*RandomCalculation*, arXiv 2507.10532), so no model can have seen them.

# %%
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from transformers.utils import logging

from probe.rng import torch_rng


def random_pair(folder):
    """Two checkpoints whose weights differ by a little noise: a null pair of real layout."""
    alphabet = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    inner = Tokenizer(models.BPE(vocab=alphabet | {"<|endoftext|>": len(alphabet)}, merges=[]))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|endoftext|>", pad_token="<|endoftext|>")
    heads = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = Qwen2Config(vocab_size=288, hidden_size=64, intermediate_size=128, eos_token_id=256, **heads)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # transformers draws its initial weights from the ambient stream
        model = Qwen2ForCausalLM(config)
    logging.disable_progress_bar()
    for name in ("before", "after"):
        model.save_pretrained(folder / name, max_shard_size="100KB")
        tokenizer.save_pretrained(folder / name)
        for i, p in enumerate(model.parameters()):
            p.data += 0.01 * torch.randn(p.shape, generator=torch_rng("random pair", i))
    return probe.pair(str(folder / "before"), str(folder / "after"))


pair = random_pair(Path(tempfile.mkdtemp()))
pair

# %% [markdown]
# A checkpoint is tested when it is loaded: do shapes, hooks and padding behave as everything downstream assumes?

# %%
from probe.models.loading.self_test import self_test

for check in self_test(pair.before.load(store)):
    print("ok " if check.holds else "NO ", check.name, "-", check.detail)

# %%
ask = {"problems": "random-calculation", "limit": 24, "max_new": 24, "samples": 2}
found = probe.compare(pair, prompts=("boxed", "nonsense"), where=where, **ask)
found.changes("accuracy", "parse_rate", "entropy_shift")

# %% [markdown]
# Accuracy is 0 before and after, with its n; what moved is what the noise in the weights moved. On a real base the rows
# named after a prompt say what a better prompt gives without any RL, and `... over best prompt` what is left for RL to
# explain.

# %% [markdown]
# ## 3. The 7B pair
#
#     probe compare qwen2.5-math-7b qwen2.5-math-7b-ground_truth-150 \
#         --problems math500 --dtype bfloat16 --device-map auto --batch 256
#
# fetches both checkpoints, asks both 500 problems (8 samples at T = 1 and one greedy), asks the base under its other
# prompts, scores the text of the second under both, and keeps everything in the store; killed, it goes on where it was.
# `--dry` works out what it takes, before anything is fetched (here on problems that are generated now):

# %%
from probe.api import asked
from probe.cli.dry_run import announce
from probe.experiments.compare.job import CompareJob
from probe.rollouts.options import Compute

names = ("qwen2.5-math-7b", "qwen2.5-math-7b-ground_truth-150")
real = probe.pair(*(probe.load(name, dtype="bfloat16") for name in names))
job = CompareJob(real, *asked(real.before, problems="random-calculation"), compute=Compute(batch=256))
announce([job], store, None, f"{real.label}, {len(job.elicitation.problems.problems)} problems", as_json=False)
