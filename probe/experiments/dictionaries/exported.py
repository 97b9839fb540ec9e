"""A dictionary in the store as the files that Neuronpedia imports: a folder a model, and the direction of code.

Beside the features of `dashboards`, vectors.jsonl holds the difference of the means of code and prose at the forks of
the first writer's answers, as each model has it there: a unit vector, its strength the distance between the means, so
that a default dose goes from the one to the other. It is left out where one strategy alone was written, and behind the
last block, where their API takes no vector.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from probe.activations.linear import fit
from probe.activations.shards import Activations
from probe.dictionaries.exchange.hook_names import hook_of
from probe.dictionaries.exchange.neuronpedia import CREATOR, Release, Vector, vector, write_source, write_vectors
from probe.experiments.budget import blocks_of
from probe.experiments.dictionaries.cards import Read
from probe.experiments.dictionaries.dashboards import features, fired
from probe.experiments.dictionaries.estimates import Forks, forks_of
from probe.experiments.dictionaries.fit_job import DictionaryJob, dictionary_of
from probe.experiments.dictionaries.readings import labels
from probe.store import Store, write_atomic

ABOUT = "export.json"  # shows that a folder was exported here
VECTORS = "vectors.jsonl"


def export_neuronpedia(
    job: DictionaryJob, store: Store, ids: Sequence[str], folder: Path, created: str, creator: str = CREATOR
) -> dict[str, Any]:
    """Write it into an empty folder and say what was written; `ids` are Neuronpedia's of the models, `created` is ISO
    8601. The dictionary and its readings have been made. BadInput for an id that they cannot have."""
    dictionary, source, reading = dictionary_of(store, job), job.source(store), job.readings[0]
    held, written = Activations(store.get(reading.recipe).path), reading.written
    known, hook = labels(held, store, written), hook_of(dictionary.site)[0]
    found, forks, asked = fired(dictionary, source), forks_of(source, known), written[0].elicitation.problems
    vectors, contexts = list[Vector](), 0
    for place, (side, name) in enumerate(zip(dictionary.models, ids, strict=True)):
        checkpoint = job.readings[place].checkpoint
        loaded, blocks = checkpoint.load(store), blocks_of(checkpoint)
        release = Release(
            name, f"probe-{dictionary.site.kind}-{dictionary.n_latents}", hook, job.label, asked.name,
            len(asked.problems), created, layers=blocks, width=dictionary.d, creator=creator,
        )  # fmt: skip
        read = Read.of(held.rows(), known, store, written, loaded)
        every = list(features(dictionary, found, side, loaded, source, held.rows(), read.ids))
        write_source(release, every, folder)
        contexts += sum(len(each.contexts) for each in every)
        if dictionary.site.kind == "resid" and dictionary.site.layer < blocks and forks.told_apart:
            vectors.append(_towards_code(release, dictionary.site.layer, forks, place))
    write_vectors(vectors, folder / VECTORS)
    told = {"models": list(ids), "hook": hook, "latents": dictionary.n_latents, "activations": contexts}
    told |= {"vectors": len(vectors), "dictionary": job.recipe.digest}
    write_atomic(folder / ABOUT, json.dumps(told, indent=1).encode())
    return told


def _towards_code(release: Release, layer: int, forks: Forks, place: int) -> Vector:
    """Of the half of the problems that choose, as everywhere."""
    half = forks.chosen
    x = forks.x[torch.from_numpy(half)][:, place].double().numpy(force=True)
    weight = torch.from_numpy(fit("difference", x, forks.code[half].astype(float)).weight)
    length = float(weight.norm())
    return vector(release, layer, (weight / length).tolist(), length, f"code minus prose in {release.model}")
