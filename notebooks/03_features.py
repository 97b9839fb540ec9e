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
# # Did RL write new features, or turn up old ones?
#
# A crosscoder is a sparse dictionary of two models at once: one set of latents, and for each a decoder direction in
# the model before RL and one in the model after. A latent that only one of them writes looks like a new feature. Most
# of the time it is not one: the same recipe finds such latents between two halves of the base's own problems. So
# `probe.features` fits those dictionaries too, and shows every number beside them.

# %%
# %matplotlib inline
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")  # no widgets needed

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

import probe
from probe.activations.shards import Activations
from probe.dictionaries.diffing.norms import relative_norm
from probe.dictionaries.fitting.options import Fit
from probe.experiments.dictionaries.fit_job import dictionary_of

pd.options.display.float_format = "{:.3f}".format
where = {"store": "../.probe", "progress": False}  # what is made is kept there, and not made again
store = probe.Store("../.probe")

# %% [markdown]
# ## 1. A pair in which RL trained every weight
#
# `latent-code` can answer in code, where it is better, and often does not. The reward pays for code and nothing else.
# The fit is shorter than that of `probe features`, to be quick.

# %%
pair = probe.pair("latent-code-tiny-0", "latent-code-tiny-0-python_all-0")
found = probe.features(pair, fit=Fit(96, 4, steps=500, batch=512, held=1024, dead_after=10_000), where=where)
table = found.table.to_pandas()


def told(name, *columns):
    return table[table["name"] == name][[*columns, "value", "lo", "hi", "n"]].reset_index(drop=True)


# %% [markdown]
# ## 2. Latents that one side alone has, beside the nulls
#
# `itself` is the base twice, `walk` the base with its weights moved as far as RL moved them, in random directions, and
# `halves` the base over two halves of the problems: there the rows are no pairs, and the dictionary is full of latents
# that one "model" alone has. None of them is a feature that anything learned.

# %%
told("exclusive_latents", "part", "side")

# %%
for _, row in table[table["name"] == "exclusive_verdict"].iterrows():
    print(f"latents of {row['side']} alone: {row['reason']}")

# %%
fig, axes = plt.subplots(1, 3, figsize=(9, 2.4), sharey=True)
for axis, name in zip(axes, ("rl", "walk", "halves"), strict=True):
    r = relative_norm(dictionary_of(store, found.job.comparisons.dictionaries[name]))
    axis.hist(r.numpy(), bins=np.linspace(0, 1, 21), color="#0072B2" if name == "rl" else "#999999")
    axis.set(title=name, xlabel="relative decoder norm\n(0 before alone, 1 after alone)")
axes[0].set_ylabel("latents")
plt.show()

# %% [markdown]
# ## 3. What carries the change?
#
# Over the same texts, x_after - x_before is a sum over latents. `turned` latents point the same way in both models and
# have another strength, `rotated` ones point another way, `new` and `lost` ones stand in one model alone.

# %%
told("change_share", "part", "cell").pivot(index="cell", columns="part", values="value")

# %% [markdown]
# ## 4. Which latents tell code from prose, before a token is written?
#
# Chosen on one half of the problems, told on the other; beside them the cheapest probe there is, the difference of the
# mean states.

# %%
pd.concat([told("latent_auroc", "latent"), told("direction_auroc", "latent")])

# %% [markdown]
# How often do they fire in each model's own answers? What changed may be the model, or no more than what it writes.

# %%
told("latent_rate", "latent", "group", "side").pivot(index=["latent", "group"], columns="side", values="value").head(8)

# %% [markdown]
# ## 5. A card of each
#
# What is known of the best latents: audits, how often they fire, where most, which tokens they push. Beside them the
# direction of code, the best latent of a dictionary that was never trained, and a random direction.

# %%
probe.cards(found, where=where)

# %% [markdown]
# ## 6. The dictionary itself
#
# `encode` gives the latents of any rows `[row model d]`; here the problems on which the best latent fires most.

# %%
own = found.job.comparisons.dictionaries["rl"]
dictionary, source = dictionary_of(store, own), own.source(store)
latent = int(told("latent_auroc", "latent")["latent"][0])
f = torch.cat(
    [dictionary.encode(source.read(np.arange(i, min(i + 4096, len(source))))) for i in range(0, len(source), 4096)]
)
rows = Activations(store.get(own.readings[0].recipe).path).rows()
fires = pd.DataFrame({"problem": rows.problem, "position": rows.pos, "activation": f[:, latent].numpy()})
fires.sort_values("activation", ascending=False).drop_duplicates("problem").head(8)
