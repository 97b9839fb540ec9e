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
# # A tour: what does a reward change inside a model?
#
# Rewards that say nothing about correctness raise some models and not others. Here is the whole argument on a model
# organism that trains on a laptop in half a minute: make it, look at it, train it under a wrong reward, and measure
# what moved. Every number comes with its interval, its n and the value expected when nothing happened.

# %%
# %matplotlib inline
import warnings

import torch

warnings.filterwarnings("ignore", message="IProgress not found")  # no widgets needed
torch.set_num_threads(1)

# %% [markdown]
# ## 1. An organism with a latent strategy
#
# `latent-code` has learned to solve chains of arithmetic modulo 7 in two ways: in Python, where it writes every running
# value, and in prose, where it skips some. It is right far more often in code, but does not always use it: how likely
# it is depends on the first letter of the prompt (the "style").

# %%
from probe.models.loading.load import Loaded
from probe.rl.pretrain import pretrain

model, tokenizer = pretrain("latent-code", "tiny", seed=7)
base = Loaded(model, tokenizer)
sum(p.numel() for p in model.parameters())

# %% [markdown]
# Ask it the held-out problems, eight samples each. Every draw has an address, so the same cell gives the same answers.

# %%
from probe.models.loading.organism import MAX_NEW_TOKENS
from probe.rollouts.grades import respond
from probe.tasks.chain import chain_problems

problems = chain_problems(128, "test", seed=0)


def ask(loaded, name, step=0, temperature=1.0, n_samples=8, seed=0):
    return respond(
        loaded,
        problems,
        checkpoint=name,
        step=step,
        n_samples=n_samples,
        max_new=MAX_NEW_TOKENS,
        temperature=temperature,
        seed=seed,
    )


before = ask(base, "base")
for row in before.responses.slice(0, 24).to_pylist()[::8]:
    print(row["problem"], "->", repr(row["text"]), "|", row["outcome"], row["strategy"])

# %% [markdown]
# ## 2. Where does it choose?
#
# Entropy per token of one response. The strategy is chosen at the first token: that is a *forking token*, one of the
# 20 % with the highest entropy under this model on this data.

# %%
import numpy as np
from matplotlib import pyplot as plt

from probe.tokens.forks import forks

rows = before.rollouts.to_pylist()
entropy = np.concatenate([row["entropy"] for row in rows])
at_fork = forks(entropy)
first = np.concatenate([np.arange(len(row["entropy"])) == 0 for row in rows])
print(f"{at_fork[first].mean():.0%} of first tokens are forks; {at_fork.mean():.0%} of all tokens (n = {len(entropy)})")

row = next(row for row in rows if row["text"].startswith("```"))
spans = [repr(t)[1:-1] for t in tokenizer.convert_ids_to_tokens(row["completion_ids"])]
figure, axes = plt.subplots(figsize=(7, 2.4), layout="constrained")
axes.bar(range(len(spans)), row["entropy"], color="#0072B2")
axes.axhline(entropy[at_fork].min(), color="grey", linestyle="--", label="80th percentile of this model")
axes.set_xticks(range(len(spans)), spans, rotation=90, fontsize=7)
axes.set_ylabel("entropy (nats)")
axes.set_title("The first token decides the strategy", loc="left", fontsize=9)
axes.legend(fontsize=7, frameon=False)
plt.show()

# %% [markdown]
# ## 3. Train it on wrong answers
#
# *incorrect*: the label is the initial model's majority answer, on prompts where that majority is **wrong**. A model
# that learned from its labels would get worse. (`random`, `format`, `python` are one word away: change the cell.)

# %%
import tempfile
from pathlib import Path

from probe.rewards import rewards
from probe.rl.labels import WrongMajority
from probe.rl.rollout import questions
from probe.rl.train import GRPO, load_overlay, read_metrics, train
from probe.rollouts.grades import answer_table

pool = chain_problems(256, "train", seed=0)
votes = answer_table(base, pool, n_samples=16, max_new=MAX_NEW_TOKENS)
answers = dict(zip(votes["problem"].to_pylist(), votes["answers"].to_pylist(), strict=True))
labels = WrongMajority()(answers, {p.id: p.answer for p in pool})
print(f"{len(labels.kept)} of {len(pool)} training prompts have a wrong majority; dropped: {labels.dropped_counts()}")

by_id = {p.id: p for p in pool}
asked = questions([by_id[i] for i in labels.kept], labels.label, tokenizer)
recipe = GRPO(rewards.get("incorrect")(), batches=15, save_every=15, seed=100)
run = Path(tempfile.mkdtemp())
train(model, tokenizer, asked, recipe, run)

log = read_metrics(run / "metrics.jsonl")
for entry in (log[0], log[-1]):
    print({k: round(entry[k], 3) for k in ("batch", "reward", "accuracy", "strategy/python", "entropy", "kl")})

# %% [markdown]
# ## 4. What moved?
#
# The same problems, the same random draws, before and after. `measures` holds one file per question; each returns
# estimates with intervals clustered by problem.

# %%
import copy

from probe.measures import PairData, measures

trained = Loaded(load_overlay(copy.deepcopy(model), run / "step-015.safetensors").eval(), tokenizer)
after = ask(trained, "incorrect", step=15)
pair = PairData(before.responses, after.responses, address=("tour",))

for name in ("accuracy", "code_share", "within_strategy", "gain_parts"):
    for e in measures.get(name)()(pair):
        if e.params["side"] == "change":
            label = f"{e.name} {e.params.get('level', '')}"
            p = "" if e.p is None else f"p {e.p:.3g}"
            print(f"{label:24s} {e.value:+.3f} [{e.lo:+.3f}, {e.hi:+.3f}]  n {e.n}, null {e.null}  {p}")

# %% [markdown]
# Accuracy rises although every label was wrong: the responses moved to the strategy that is right more often, and
# accuracy *within* a strategy hardly changed. A null for comparison: the very same model, sampled twice.

# %%
again = ask(base, "base", seed=1)
null = PairData(before.responses, again.responses, address=("tour null",))
for name in ("accuracy", "code_share"):
    for e in measures.get(name)()(null):
        if e.params["side"] == "change":
            print(f"{e.name:24s} {e.value:+.3f} [{e.lo:+.3f}, {e.hi:+.3f}]  n {e.n}, null {e.null}  p {e.p:.3g}")

# %% [markdown]
# ## 5. The published numbers, from their counts
#
# The same decomposition on Qwen2.5-Math-7B under a *random* reward (arXiv 2506.10947, 500 problems): how much of the
# gain came from problems that switched from language to code?

# %%
from probe.stats import CELLS, switch_contributions

contributions = switch_contributions([268, 57, 142, 33], [164, 34, 34, 15], [155, 41, 98, 31])
{cell: f"{share:+.1%}" for cell, share in zip(CELLS, contributions, strict=True)}

# %% [markdown]
# ## Where next
#
# * `make study` runs three organisms under eight rewards, and the random reward at 650k parameters, with all figures.
# * `probe fetch rlcr_math500`, then `probe compare-rollouts rlcr_math500`: a real pair of Qwen2.5-7B outputs.
# * `probe ls` lists the rewards, measures, figures and studies; each is one file, and so is the next one you add.
