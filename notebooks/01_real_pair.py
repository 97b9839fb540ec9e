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
import os
import tempfile
import warnings
from pathlib import Path

import torch

warnings.filterwarnings("ignore", message="IProgress not found")  # no widgets needed
torch.set_num_threads(1)
store_folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## 1. Published outputs
#
# The authors' own labels, problem by problem (arXiv 2507.16806). RLVR here was trained on HotpotQA, not on mathematics:
# a control for "any RL raises MATH-500".

# %%
from probe.experiments.published_outputs.job import real_rows, real_source
from probe.store import Store
from probe.studies.real import real_folder

store = Store(store_folder)


def show(rows, names, **where):
    """The changes of a measurement table, each with interval, n and null."""
    for r in rows:
        if r["name"] in names and r["side"] == "change" and all(r[k] == v for k, v in where.items()):
            p = "" if r["p"] is None else f"p {r['p']:.3g}"
            label = f"{r['reward']}: {r['name']} {r['level']}"
            print(f"{label:44s} {r['value']:+.3f} [{r['lo']:+.3f}, {r['hi']:+.3f}]  n {r['n']}, null {r['null']}  {p}")


rows = []
outputs = real_folder(Path(os.environ.get("PROBE_STORE") or "../.probe"))  # fetched, or below $PROBE_REAL_DATA
if outputs is not None:
    rows = real_rows(real_source([outputs]), store)
    show(rows, ("accuracy", "brier", "ece", "code_share", "parse_rate"))
else:
    print("the published outputs are not here: probe fetch rlcr_math500")

# %% [markdown]
# Both right, only before, only after, neither: most of the change is exchange, so a difference of two accuracies would
# hide how much RL moved.

# %%
from matplotlib import pyplot as plt

from probe.plots import figures

for name in ("real_outcomes", "real_calibration"):
    drawing = figures.get(name)(rows)
    if drawing is not None:
        display(drawing.figure)
        plt.close(drawing.figure)

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
    config = Qwen2Config(
        vocab_size=288,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)  # transformers draws its initial weights from the ambient stream
        model = Qwen2ForCausalLM(config)
    logging.disable_progress_bar()
    for name in ("before", "after"):
        model.save_pretrained(folder / name, max_shard_size="100KB")
        tokenizer.save_pretrained(folder / name)
        for i, p in enumerate(model.parameters()):
            p.data += 0.01 * torch.randn(p.shape, generator=torch_rng("random pair", i))
    return folder / "before", folder / "after"


before, after = random_pair(Path(tempfile.mkdtemp()))
sorted(file.name for file in before.iterdir())

# %% [markdown]
# A checkpoint is tested when it is loaded: do shapes, hooks and padding behave as everything downstream assumes?

# %%
from probe import load_manifest, resolve
from probe.models.loading.self_test import self_test

manifest = load_manifest()
base, tuned = (resolve(str(folder), manifest) for folder in (before, after))
for check in self_test(base.load(store)):
    print("ok " if check.holds else "NO ", check.name, "-", check.found)

# %%
from probe import compare
from probe.rollouts.sample_job import How
from probe.tasks.benchmarks import problems

how = How(problems("random-calculation", limit=24), max_new=24)
tried = (("boxed", manifest.template("boxed")), ("nonsense", manifest.template("nonsense")))
found = compare(base, tuned, store, how=how, samples=2, prompts=tried).to_pylist()
show(found, ("accuracy", "parse_rate", "entropy_shift"))
for r in found:
    if r["name"] in ("kl_per_token", "fork_overlap"):
        print(f"{r['name']:44s} {r['value']:.4f} [{r['lo']:.4f}, {r['hi']:.4f}]  n {r['n']} tokens, null {r['null']:g}")

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
# `--dry` works out what it takes, before anything is fetched:

# %%
from probe.data import Problem
from probe.experiments.budget import budget
from probe.experiments.compare.job import CompareJob
from probe.tasks.benchmarks import ProblemSet

names = ("qwen2.5-math-7b", "qwen2.5-math-7b-ground_truth-150")
first, second = (resolve(name, manifest, dtype="bfloat16") for name in names)
stand_in = ProblemSet("math500", tuple(Problem(str(i), "", "", "math500") for i in range(500)), "public", "", "")
others = tuple((name, each) for name, each in manifest.templates.items() if name != "qwen-math")
job = CompareJob(first, second, How(stand_in, "qwen-math", max_new=3072), prompts=others, batch=256)
needed = budget(job)
print(f"one GPU, at the peak: {needed.memory / 1e9:.0f} GB (weights of both {needed.weights / 1e9:.0f} GB)")
print(f"at most {needed.hours:.0f} GPU-hours of an H100: every response is taken to run to its 3,072 tokens")
