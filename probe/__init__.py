"""probe: what did the reward change inside the model, and why does it help this model and not that one?

    load(name)                   a checkpoint: of the manifest, a folder, a hub id
    pair(before, after)          two of them, before RL and after
    train(organism, reward)      GRPO on a model organism, measured
    train_outside(base, reward)  GRPO on any causal language model
    compare(pair)                everything that differs
    explain(pair)                why accuracy changed: the verdict over rival explanations
    forecast(checkpoint)         what RL under each reward will change, before any RL
    steer(pair)                  does steering by hand do what RL did?
    report(pair)                 all of it on one page; token_view(pair): every token under both, in a notebook
    features(pair)               which features did RL write, and which did it turn up? cards(features(pair)): shown
    adapter(pair)                how few latents beside the MLPs of before make it behave like after?
    dictionary(name)             somebody's sparse dictionary, whoever made it
    probes, patch, weights       what the residual stream says, where the fork is decided, how the weights moved
    cross_sample(pair)           how few tokens carry what RL did?
    weight_path(run)             did its weights go along a line?
    Store(root)                  where everything that was made is kept

Each returns an object with `.table`, `.figure()` and a summary in a notebook (`probe.api`).
Importing this loads none of them: each is imported when it is first asked for.
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    **dict.fromkeys(("compare", "cross_sample", "load", "pair", "patch", "probes", "steer", "train"), "probe.api"),
    **dict.fromkeys(("weight_path", "weights"), "probe.api"),
    **dict.fromkeys(("explain", "forecast"), "probe.verdicts"),
    **dict.fromkeys(("cards", "report", "token_view"), "probe.reports"),
    **dict.fromkeys(("adapter", "dictionary", "features"), "probe.latents"),
    "Store": "probe.store",
    "train_outside": "probe.training",
}

__all__ = [
    "Store",
    "__version__",
    "adapter",
    "cards",
    "compare",
    "cross_sample",
    "dictionary",
    "explain",
    "features",
    "forecast",
    "load",
    "pair",
    "patch",
    "probes",
    "report",
    "steer",
    "token_view",
    "train",
    "train_outside",
    "weight_path",
    "weights",
]


def __getattr__(name: str) -> object:
    """One of the public names, imported now."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'probe' has no attribute {name!r}; public are {', '.join(__all__)}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_PUBLIC]
