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
# # Steering: can we do by hand what RL did?
#
# RL makes a model that sometimes reasons in code do so nearly always. If that choice lives along one direction of the
# residual stream, adding the direction should do it without any training. Here is the experiment on a model organism:
# train, read, steer beside random directions, and ask how much of RL's gain steering had already given.

# %%
# %matplotlib inline
import warnings

import probe

warnings.filterwarnings("ignore", message="IProgress not found")  # no widgets needed
store = probe.Store("../.probe")
where = {"store": store, "progress": False}

# %% [markdown]
# ## The cell to change
#
# `SITE`: `resid.1` is between the two blocks, `resid.2` behind both. A coefficient of 1 is the distance from the mean
# state of prose to the mean state of code.

# %%
ORGANISM, REWARD = "latent-code-tiny-0", "format"  # ground_truth, format, python, random, ...
SITE, COEFFICIENTS = "resid.2", (-6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0)

# %% [markdown]
# ## 1. What RL did
#
# GRPO trains the organism's output head, and both models answer the same 256 held-out problems with the same draws.

# %%
run = probe.train(ORGANISM, REWARD, batches=20, seed=100, where=where)
run.changes("accuracy", "code_share", temperature=1.0, step=20)

# %% [markdown]
# ## 2. Where do code and prose part?
#
# Probes read the residual stream at the last token of each question, before a word is written. Each stands beside the
# same probe on shuffled labels; `probe_selectivity` is the difference, and its null is 0.

# %%
read = probe.probes(probe.pair(run.pair.before), where=where)
table = read.table.to_pandas()
table = table[table["name"].isin(["probe_auroc", "probe_selectivity"]) & (table["target"] == "strategy")]
table[["name", "site", "probe", "value", "lo", "hi", "n", "n_problems", "null", "p"]]

# %% [markdown]
# ## 3. Steering, beside random directions
#
# Add c times the direction from prose to code and let the model write. Every coefficient has the same draws, so what
# differs is the edit alone. The null: random directions of the same length, at the same place. The direction is fitted
# on problems that are never steered on (here 96 of the held-out ones are).

# %%
steered = probe.steer(run.pair, site=SITE, coefficients=COEFFICIENTS, limit=96, where=where)
steered.figure()

# %% [markdown]
# ## 4. How much of RL is that?
#
# On problems that chose no coefficient: what RL gained, how much of it steering the untrained base recovers, and how
# much is removed when the direction is taken out of the trained model. A share of a gain that may be 0 is not a number.

# %%
parts = ("steer_gain_code_share", "steer_gain_accuracy")
parts += ("recovered_code_share", "recovered_accuracy", "removed_code_share", "removed_accuracy")
steered.changes(*parts)

# %% [markdown]
# Steering the untrained model gives nearly all of RL's change of *strategy*, and about two thirds of its gain in
# accuracy. (Under `ground_truth` RL does more than that, such as boxing every answer, and the share of accuracy is
# smaller.) Taking the direction out of the trained model removes next to nothing: this RL trained the output head
# alone, which no longer needs the direction to choose code. That steering does what RL did is not to say that RL did it
# by moving along the direction.
#
# ## 5. By hand
#
# Below the experiment lie small functions. A direction is a `Direction`, an edit is added while the prompt is read, and
# `answer` grades what the model then writes.

# %%
from probe.experiments.steering.directions import chosen
from probe.interventions.steering import answer, steering_edit
from probe.rollouts.options import SamplingOptions
from probe.rollouts.respond import Request

base = run.pair.before.load(store)
direction, _ = chosen(store.get(steered.job.fit.recipe).read_table(), SITE)
problems = tuple(p for p in steered.job.elicitation.problems.problems if p.id not in direction.fitted_on)[:64]
request = Request(problems, options=SamplingOptions(samples=2))
for c in (-3.0, 0.0, 3.0):
    vector = (direction.scale * direction.vector).float()
    scores = answer(base, request, steering_edit(direction.site, vector, c, "fork"))
    print(f"c {c:+.0f}: code share {scores.code_share.mean():.2f}, right {scores.accuracy.mean():.2f}, n {128}")

# %% [markdown]
# ## Where next
#
# * Change the cell at the top: `SITE = "resid.1"` (earlier), another family or reward.
# * `probe steer latent-code-tiny-0 latent-code-tiny-0-format-0` does this for any two checkpoints, and keeps it in the
#   store.
