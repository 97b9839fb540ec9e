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

import probe

warnings.filterwarnings("ignore", message="IProgress not found")  # no widgets needed
where = {"store": "../.probe", "progress": False}  # what is made is kept there, and not made again

# %% [markdown]
# ## 1. An organism with a latent strategy
#
# `latent-code` has learned to solve chains of arithmetic modulo 7 in two ways: in Python, where it writes every running
# value, and in prose, where it skips some. It is right far more often in code, but does not always use it: how likely
# it is depends on the first letter of the prompt (the "style"). A checkpoint is a name; nothing is made yet.

# %%
base = probe.load("latent-code-tiny-0")
base

# %% [markdown]
# ## 2. Train it on wrong answers
#
# *incorrect*: the label is the initial model's majority answer, on prompts where that majority is **wrong**. A model
# that learned from its labels would get worse. (`random`, `format`, `python` are one word away: change the cell.)

# %%
from probe.rl.labels import WrongMajority

run = probe.train(base, "incorrect", labels=WrongMajority(), batches=20, seed=100, where=where)
run

# %% [markdown]
# The table has one row a number; pandas and polars read it as it is.

# %%
shown = ("accuracy", "code_share", "within_strategy", "gain_parts")
run.changes(*shown, temperature=1.0, step=20)

# %% [markdown]
# Accuracy rises although every label was wrong: the responses moved to the strategy that is right more often, and
# accuracy *within* a strategy hardly changed. A null for comparison, the very same model sampled twice:

# %%
null = probe.compare(probe.pair(base, base), where=where)
null.changes(*shown, temperature=1.0)

# %% [markdown]
# ## 3. Where does it choose?
#
# Entropy per token of one response. The strategy is chosen at the first token: that is a *forking token*, one of the
# 20 % with the highest entropy under this model on this data.

# %%
import numpy as np
from matplotlib import pyplot as plt

from probe.experiments.responses import ROLLOUTS, SampleJob
from probe.rollouts.elicitation import CHAIN
from probe.rollouts.options import SAMPLED
from probe.tokens.forks import forks

store = probe.Store("../.probe")
rows = store.get(SampleJob(base, CHAIN, SAMPLED).recipe).read_table(ROLLOUTS).to_pylist()
entropy = np.concatenate([row["entropy"] for row in rows])
at_fork = forks(entropy)
first = np.concatenate([np.arange(len(row["entropy"])) == 0 for row in rows])
print(f"{at_fork[first].mean():.0%} of first tokens are forks; {at_fork.mean():.0%} of all tokens (n = {len(entropy)})")

row = next(row for row in rows if row["text"].startswith("```"))
tokenizer = base.load(store).tokenizer
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
# ## 4. The published numbers, from their counts
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
