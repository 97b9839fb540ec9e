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
# # Which model will respond? A forecast before any RL
#
# Qwen2.5-Math rises under rewards that know nothing; Llama does not. Can that be told from the base alone? Under one
# small step of policy gradient the mean of any trait z of the responses moves by Cov(A, z) within the groups of samples
# of one problem (Price's equation), A being the advantage a reward would give. So sixteen samples a problem say, for
# every reward, what moves first, and which way.

# %%
# %matplotlib inline
import warnings

import pandas as pd

import probe

warnings.filterwarnings("ignore", message="IProgress not found")  # no widgets needed
pd.options.display.float_format = "{:+.3f}".format
where = {"store": "../.probe", "progress": False}  # what is made is kept there, and not made again

# %% [markdown]
# ## 1. Two organisms
#
# `latent-code` can answer in code, where it is better, and often does not. `no-code` has one way to answer.

# %%
found = {name: probe.forecast(f"{name}-tiny-0", where=where) for name in ("latent-code", "no-code")}
for name, forecast in found.items():
    print(f"{name}: {forecast.verdict}")

# %% [markdown]
# ## 2. What each reward would change
#
# Change per unit step, with its interval over problems. The grey band is the null: the same advantages, shuffled within
# each group.

# %%
found["latent-code"].figure("forecast")

# %%
found["latent-code"].changes("forecast/accuracy", part="by strategy")

# %% [markdown]
# ## 3. Does it come true?
#
# Train under one of them, and look at the first batches.

# %%
run = probe.train("latent-code-tiny-0", "python", batches=4, save_every=2, seed=100, where=where)
run.changes("accuracy", "code_share", temperature=1.0)

# %% [markdown]
# `probe run forecasts` does this for 52 organisms under five rewards; `figures/forecast_realised.png` and
# `figures/responders.png` say how often the forecasts came true. `probe forecast --rollouts FILE` needs no weights:
# several responses to each problem, of any model, are enough.
