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
# # Why did accuracy rise? A verdict over rival explanations
#
# A reward that knows nothing raised accuracy. Did the model move to a better *strategy* it already had, become *surer*
# of its tokens, *remember* leaked problems, write its answers where they can be *read*, or *learn* something? Each can
# be taken away by an experiment that needs no RL. `probe.explain` makes them all on one pair and says what is left.

# %%
# %matplotlib inline
import warnings

import pandas as pd

import probe
from probe.rl.labels import WrongMajority

warnings.filterwarnings("ignore", message="IProgress not found")  # no widgets needed
pd.options.display.float_format = "{:+.3f}".format
pd.options.display.max_colwidth = None
where = {"store": "../.probe", "progress": False}  # what is made is kept there, and not made again

# %% [markdown]
# ## 1. A gain from wrong labels
#
# The organism of the tour, trained on prompts where its majority answer is wrong, with that answer as the label.

# %%
base = probe.load("latent-code-tiny-0")
run = probe.train(base, "incorrect", labels=WrongMajority(), batches=20, seed=100, where=where)
run.changes("accuracy", "code_share", "parse_rate", step=20)

# %% [markdown]
# ## 2. What explains it?
#
# Both models are sampled on the same problems; the base also hotter and colder (it is matched to the trained model's
# token entropy: what is left is no sharpening), and both on fresh problems of the same kind (what is gained there
# cannot have leaked). Amounts are in units of accuracy. What two explanations account for alike stands under `common`.

# %%
found = probe.explain(run.pair, where=where)
print(found.verdict)
found.explanations[["alone", "common", "total", "lo", "hi", "verdict"]]

# %%
found.figure("verdict")

# %% [markdown]
# Undecided is an answer too: the table says what would decide it.

# %%
found.explanations.loc[found.explanations["verdict"] == "undecided", ["what would decide it"]]

# %% [markdown]
# ## 3. The null
#
# The very same weights, sampled twice: there is nothing to explain, and the verdict says so.

# %%
null = probe.explain(probe.pair(base, base), where=where)
print(null.verdict)

# %% [markdown]
# ## 4. How often is the verdict right?
#
# `probe run verdicts` asks it about pairs whose explanation was built in, on bases that were used for nothing else:
# organisms that differ by what they were taught last, and runs that could gain in one way alone. `figures/built_in.png`
# counts what it found; `probe run why` shows whether the explanation by strategies holds over many organisms.
