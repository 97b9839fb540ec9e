"""probe: what did the reward change inside the model, and why does it help this model and not that one?

    load_manifest()                 the checkpoints that are known                    probe.models.loading.manifest
    resolve(name, manifest)         one of them, NAME@STEP of a run, or a folder      probe.checkpoints.resolve
    compare(before, after, store)   every measure of a pair                           probe.experiments.compare.job
    run_studies(targets, store, ...) make, measure and draw whole studies              probe.experiments.study
    Store(root)                     where everything that was made is kept            probe.store

Importing this loads none of them: each is imported when it is first asked for.
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    "Store": "probe.store",
    "compare": "probe.experiments.compare.job",
    "load_manifest": "probe.models.loading.manifest",
    "resolve": "probe.checkpoints.resolve",
    "run_studies": "probe.experiments.study",
}

__all__ = ["Store", "__version__", "compare", "load_manifest", "resolve", "run_studies"]


def __getattr__(name: str) -> object:
    """One of the public names, imported now."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'probe' has no attribute {name!r}; public are {', '.join(__all__)}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_PUBLIC]
