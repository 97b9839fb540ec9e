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
# read, fit, steer, compare with random directions, train, and ask how much of RL's gain steering had already given.

# %%
# %matplotlib inline
import warnings

import torch

warnings.filterwarnings("ignore", message="IProgress not found")  # no widgets needed
torch.set_num_threads(1)

# %% [markdown]
# ## The cell to change
#
# `SITE`: `resid.1` is between the two blocks, `resid.2` behind both. `WHERE`: `"fork"` is the prompt's last token
# alone, `"new"` every new token too, `"all"` the prompt as well. A coefficient of 1 is the distance from the mean state
# of prose to the mean state of code.

# %%
FAMILY, SEED = "latent-code", 3
SITE, WHERE = "resid.2", "fork"
COEFFICIENTS = (-6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0)
RANDOM_DIRECTIONS = 20
REWARD = "format"  # ground_truth, format, python, random, ...

# %% [markdown]
# ## 1. A model with a latent strategy

# %%
from probe.experiments.steering.directions import ask_about
from probe.models.loading.load import Loaded
from probe.rl.pretrain import pretrain
from probe.rollouts.sample_job import CHAIN
from probe.tasks.chain import chain_problems

model, tokenizer = pretrain(FAMILY, "tiny", SEED)
base = Loaded(model, tokenizer)
fit_on, steer_on = chain_problems(128, "train", 0), chain_problems(128, "test", 0)


def ask(problems, samples=2):
    """The same prompts and the same addressed draws, whatever is done to the model."""
    return ask_about(base, CHAIN, problems, samples, temperature=1.0, seed=0, batch=256)


# %% [markdown]
# ## 2. Where do code and prose part?
#
# Sample the model on the training problems, read the residual stream at the last token of each prompt (before a word is
# written), and take the difference of the means: states that went on in code minus states that went on in prose. A
# `Direction` remembers what it was fitted on and refuses to be scored there.

# %%
import numpy as np

from probe.activations.direction import direction
from probe.activations.linear import Examples
from probe.interventions.steering import answer
from probe.models.hooks.forward_hooks import read
from probe.models.hooks.sites import site
from probe.stats import auroc

samples = 4
went = answer(base, ask(fit_on, samples)).code_share
repeated = np.repeat([p.id for p in fit_on], samples)


def states(problems):
    ids = torch.tensor([list(prompt) for prompt in ask(problems).prompts])
    return read(model, ids, [site("resid.1"), site("resid.2")])


at = states(fit_on)
found = {}
for where, x in at.items():
    last = x[:, -1]
    found[where] = direction(where, Examples(last.repeat_interleave(samples, 0).numpy(), went.ravel(), repeated))
    norm = float(last.norm(dim=1).mean())
    print(f"{where}: code and prose are {found[where].scale:.2f} apart; a state is {norm:.1f} long (n {went.size})")

# %% [markdown]
# Does it tell the two apart on problems it has not seen? The null is .5.

# %%
from probe.stats import clustered_bootstrap

held_out = states(steer_on)
new = answer(base, ask(steer_on, samples)).code_share
names = np.repeat([p.id for p in steer_on], samples)
for where, d in found.items():
    score = d.score(held_out[where][:, -1].double(), np.array([p.id for p in steer_on])).numpy().repeat(samples)
    columns, rank = {"s": score, "y": new.ravel().astype(float)}, np.argsort(np.argsort(score)) / len(score)
    columns["s"] = rank
    e = clustered_bootstrap(
        lambda c: auroc(c["s"], c["y"]), columns, names, name="AUROC", address=("notebook", str(where)), n_boot=200
    )
    print(f"{where}: AUROC {e.value:.3f} [{e.lo:.3f}, {e.hi:.3f}]  n {e.n} on {e.n_problems} problems, null .5")

# %% [markdown]
# ## 3. Dose-response, against random directions
#
# Add c times the direction and let the model write. Every coefficient has the same draws, so what differs is the edit
# alone. The null: random directions of the same length, at the same place.

# %%
from probe.interventions.steering import random_vectors, rank_p, steer
from probe.stats import clustered_mean

here = found[site(SITE)]
v = (here.scale * here.vector).float()
asked = ask(steer_on)
problems = np.repeat([p.id for p in steer_on], asked.samples)


def mean(values, name, **about):
    return clustered_mean(values.ravel().astype(float), problems, name=name, **about)


doses = steer(base, asked, v, here.site, COEFFICIENTS, where=WHERE)
vectors = random_vectors(v, RANDOM_DIRECTIONS, "notebook")
nonzero = [c for c in COEFFICIENTS if c]
random = [steer(base, asked, r, here.site, nonzero, where=WHERE) | {0.0: doses[0.0]} for r in vectors]

plain = doses[0.0].code_share.mean()
for c, scores in doses.items():
    share, right = mean(scores.code_share, "code share"), mean(scores.accuracy, "accuracy")
    null = [r[c].code_share.mean() for r in random]
    p = rank_p(share.value - plain, [x - plain for x in null])
    print(
        f"c {c:+.0f}  code {share.value:.2f} [{share.lo:.2f}, {share.hi:.2f}]  "
        f"right {right.value:.2f} [{right.lo:.2f}, {right.hi:.2f}]  n {share.n}  "
        f"random code {min(null):.2f} to {max(null):.2f}, p {p:.3f}"
    )

# %%
from matplotlib import pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(7, 2.5), layout="constrained", sharey=True)
for panel, measure, label in zip(axes, ("code_share", "accuracy"), ("code share", "accuracy"), strict=True):
    told = [mean(getattr(scores, measure), measure) for scores in doses.values()]
    for r in random:
        curve = {c: getattr(scores, measure).mean() for c, scores in r.items()}
        panel.plot(sorted(curve), [curve[c] for c in sorted(curve)], color="grey", linewidth=0.5, alpha=0.6)
    panel.fill_between(list(doses), [e.lo for e in told], [e.hi for e in told], color="#0072B2", alpha=0.16)
    panel.plot(list(doses), [e.value for e in told], "o-", color="#0072B2", markersize=3.5)
    panel.set_xlabel("coefficient c")
    panel.set_ylabel(label)
axes[0].set_title("Blue: code − prose; grey: random directions of its length", loc="left", fontsize=9)
plt.show()

# %% [markdown]
# ## 4. How much of RL is that?
#
# Train the same model with GRPO, then put three numbers side by side, on problems that chose nothing: what RL gained,
# how much of it steering the untrained base recovers, and how much is removed when the direction is taken out of the
# trained model. A share of a gain that may be 0 would be `nan`, with the reason.

# %%
import copy
import tempfile
from pathlib import Path

from probe.rewards import rewards
from probe.rl.rollout import questions
from probe.rl.train import GRPO, load_overlay, train

pool = chain_problems(256, "train", 0)
recipe = GRPO(rewards.get(REWARD)(), batches=15, save_every=15, seed=100)
run = Path(tempfile.mkdtemp())
train(model, tokenizer, questions(pool, {p.id: p.answer for p in pool}, tokenizer), recipe, run)
after = Loaded(load_overlay(copy.deepcopy(model), run / "step-015.safetensors").eval(), tokenizer)

# %%
from probe.interventions.recovery import Gap, recovery
from probe.interventions.steering import ABLATIONS, ablating_edit, nearest_dose, part_of

trained = answer(after, asked)
choosing = np.array([part_of(p.id) == "choose" for p in steer_on])
base_mean = at[here.site][:, -1].mean(0)


def closest(found, target):
    """The coefficient that brings the share of code closest to the target's, on the half that is not told."""
    return nearest_dose(
        {c: s.code_share[choosing].mean() for c, s in found.items()}, target.code_share[choosing].mean()
    )


def ablated(how):
    """The trained model without the direction, and then without each random one."""
    return [answer(after, asked, ablating_edit(here.site, r, base_mean, how, WHERE)) for r in (v, *vectors)]


forth = closest(doses, trained)
back = closest(steer(after, asked, v, here.site, COEFFICIENTS, where=WHERE), doses[0.0])
changed = {
    f"recovered, c {forth:+.0f}": [found[forth] for found in (doses, *random)],
    **{f"removed, {how}": ablated(how) for how in ABLATIONS},
    f"removed, c {back:+.0f}": [steer(after, asked, r, here.site, [back], where=WHERE)[back] for r in (v, *vectors)],
}
kept = np.repeat([p.id for p, chose in zip(steer_on, choosing, strict=True) if not chose], asked.samples).tolist()


def rows(scores, measure):
    return getattr(scores, measure)[~choosing].ravel().astype(float)


for measure in ("code_share", "accuracy"):
    start, end = rows(doses[0.0], measure), rows(trained, measure)
    gain = clustered_mean(end - start, kept, name="gain", null=0.0, bounds=(-1.0, 1.0))
    print(f"{measure}: RL gains {gain.value:+.3f} [{gain.lo:+.3f}, {gain.hi:+.3f}]  n {gain.n}, null 0")
    for label, (own, *null) in changed.items():
        gap = Gap(start, end, kept) if label.startswith("recovered") else Gap(end, start, kept)
        e = recovery(rows(own, measure), gap, name=label, draws=[rows(other, measure) for other in null])
        told = f"n {e.n}, null (random) {e.null:+.2f}, p {e.p:.3f} {e.params.get('reason', '')}"
        print(f"  {label:22s} {e.value:+.2f} [{e.lo:+.2f}, {e.hi:+.2f}]  {told}")

# %% [markdown]
# Steering the untrained model gives nearly all of RL's change of *strategy*, and with it what that change is worth in
# accuracy. (Under `ground_truth` RL does more than that, such as boxing every answer, and the share of accuracy is
# smaller.) Taking the direction out of the trained model removes next to nothing: this RL trained the output head
# alone, which no longer needs the direction to choose code. That steering does what RL did is not to say that RL did it
# by moving along the direction.
#
# ## Where next
#
# * Change the cell at the top: `SITE = "resid.1"` (earlier), `WHERE = "new"` (the arithmetic suffers), another family
#   or reward.
# * `probe steer latent-code-tiny-0 latent-code-tiny-0-format-0` does this for any two checkpoints, and keeps it in the
#   store.
