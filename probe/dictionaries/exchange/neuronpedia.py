"""How do features and vectors become files that Neuronpedia imports? The layout and the rows of its own exports.

    MODEL/LAYER-SET/release.jsonl, model.jsonl, sourceset.jsonl, source.jsonl     one row each
                    features/batch-0.jsonl.gz       Feature, a row a latent
                    activations/batch-0.jsonl.gz    Activation, a row a text
    vectors.jsonl   what POST /api/vector/new takes, a row a vector: it wants hook_resid_pre, a length up to MOST_VECTOR
                    and a strength within STRENGTH

Names and types are theirs: the models Neuron, Activation, Source, SourceSet, SourceRelease and Model of
apps/webapp/prisma/schema.prisma in hijohnnylin/neuronpedia at 008d5040ab97. The columns of a feature's row and the
folders are those of utils/neuronpedia-utils/neuronpedia_utils/export-data.py there at 1a80fe9b493b, and of its
converter from SAEDashboard. Histograms have a height a value. Left out: explanations, correlated neurons, projections,
uploading.
"""

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from probe.errors import BadInput
from probe.store import write_atomic

CREATOR = "clkht01d40000jv08hvalcvly"  # the user of a Neuronpedia of one's own, as their converter has it
VECTOR_HOOK = "hook_resid_pre"
MOST_VECTOR, STRENGTH = 24_576, 300.0
SHOWS = "source.jsonl"
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
EMPTY = (
    *("topkCosSimIndices", "topkCosSimValues", "neuron_alignment_indices", "neuron_alignment_values"),
    *("neuron_alignment_l1", "correlated_neurons_indices", "correlated_neurons_pearson", "correlated_neurons_l1"),
    *("correlated_features_indices", "correlated_features_pearson", "correlated_features_l1", "decoder_weights_dist"),
)


@dataclass(frozen=True)
class Release:
    """What is exported, for a reader: ids, who made it, over which texts."""

    model: str  # theirs, or one of one's own: letters, digits, - and _
    set: str  # of sources, e.g. "probe-res-128"
    hook: str  # "blocks.1.hook_resid_post"
    title: str
    texts: str  # the data set
    n_prompts: int
    created: str  # ISO 8601
    instruct: bool = False
    layers: int = 0
    width: int = 0
    creator: str = CREATOR

    def __post_init__(self) -> None:
        for what, name in (("model", self.model), ("set", self.set)):
            if not NAME.fullmatch(name):
                do = "letters, digits, - and _, 128 at most"
                raise BadInput(f"Neuronpedia has no {what} id {name!r}", where="neuronpedia", do=do)

    @property
    def layer(self) -> int:
        """Of the hook."""
        return int(self.hook.split(".")[1])

    @property
    def source(self) -> str:
        """Their id of one dictionary: in its rows it is called `layer`."""
        return f"{self.layer}-{self.set}"


@dataclass(frozen=True)
class Feature:
    """What is known of one latent, in our words; `pos` and `neg` are tokens with what a unit adds to their logits."""

    index: int
    vector: Sequence[float]
    rate: float  # share of rows where it fires
    most: float  # its largest activation
    pos: Sequence[tuple[str, float]]
    neg: Sequence[tuple[str, float]]
    fires: tuple[Sequence[float], Sequence[float]]  # heights and values of the histogram of its activations
    logits: tuple[Sequence[float], Sequence[float]]  # the same of its logit effects
    contexts: Sequence[tuple[Sequence[str], Sequence[float]]]  # tokens and its activation at each
    label: str | None = None


@dataclass(frozen=True)
class Vector:
    """A direction to steer along: what POST /api/vector/new takes."""

    modelId: str
    layerNumber: int
    hookType: str
    vector: list[float]
    vectorDefaultSteerStrength: float
    vectorLabel: str


def vector(release: Release, layer: int, values: Sequence[float], strength: float, label: str) -> Vector:
    """At the residual entering that block. BadInput where it is too long for them."""
    if len(values) > MOST_VECTOR:
        raise BadInput(f"a vector of {len(values)}", where="neuronpedia", do=f"they take {MOST_VECTOR} at most")
    held = max(-STRENGTH, min(STRENGTH, _short(strength)))
    return Vector(release.model, layer, VECTOR_HOOK, [_short(each) for each in values], held, label)


def write_source(release: Release, features: Sequence[Feature], folder: Path) -> Path:
    """MODEL/LAYER-SET below `folder`; returns it."""
    place = folder / release.model / release.source
    for name in ("features", "activations"):
        (place / name).mkdir(parents=True)
    for name, row in _about(release).items():
        _write(place / f"{name}.jsonl", [row])
    _write(place / "features" / "batch-0.jsonl.gz", (_feature(release, each) for each in features))
    rows = (_activation(release, each, number, *one) for each in features for number, one in enumerate(each.contexts))
    _write(place / "activations" / "batch-0.jsonl.gz", rows)
    return place


def write_vectors(vectors: Sequence[Vector], file: Path) -> None:
    """A row a vector."""
    _write(file, map(asdict, vectors))


def _about(release: Release) -> dict[str, dict[str, Any]]:
    """The rows of the release, the model, the set and the source."""
    by = {"creatorId": release.creator, "createdAt": release.created, "visibility": "PUBLIC"}
    name = f"{release.model}-{release.set}"[:128]
    return {
        "release": by
        | {"name": name, "description": release.title, "descriptionShort": release.title, "urls": []}
        | {"creatorName": "probe", "creatorNameShort": "probe", "defaultUmapSourceIds": []},
        "model": by
        | {"id": release.model, "displayName": release.model, "displayNameShort": release.model, "owner": "probe"}
        | {"layers": release.layers, "neuronsPerLayer": 0, "dimension": release.width, "instruct": release.instruct}
        | {"updatedAt": release.created},
        "sourceset": by
        | {"modelId": release.model, "name": release.set, "description": release.title, "creatorName": "probe"}
        | {"urls": [], "releaseName": name},
        "source": by
        | {"id": release.source, "modelId": release.model, "setName": release.set, "dataset": release.texts}
        | {"num_prompts": release.n_prompts, "notes": release.title},
    }


def _feature(release: Release, one: Feature) -> dict[str, Any]:
    heights, values = one.fires
    logit_heights, logit_values = one.logits
    return {
        "modelId": release.model,
        "layer": release.source,
        "index": str(one.index),
        "creatorId": release.creator,
        "createdAt": release.created,
        "sourceSetName": release.set,
        "maxActApprox": _short(one.most),
        "hasVector": True,
        "vector": [_short(each) for each in one.vector],
        "vectorLabel": one.label,
        "vectorDefaultSteerStrength": min(STRENGTH, _short(one.most)),
        "hookName": release.hook,
        "frac_nonzero": _short(one.rate),
        "pos_str": [token for token, _ in one.pos],
        "pos_values": [_short(value) for _, value in one.pos],
        "neg_str": [token for token, _ in one.neg],
        "neg_values": [_short(value) for _, value in one.neg],
        "freq_hist_data_bar_heights": [float(each) for each in heights],
        "freq_hist_data_bar_values": [_short(each) for each in values],
        "logits_hist_data_bar_heights": [float(each) for each in logit_heights],
        "logits_hist_data_bar_values": [_short(each) for each in logit_values],
        **{name: [] for name in EMPTY},
    }


def _activation(
    release: Release, one: Feature, place: int, tokens: Sequence[str], values: Sequence[float]
) -> dict[str, Any]:
    short = [_short(each) for each in values]
    peak = short.index(max(short))
    address = f"{release.model}/{release.source}/{one.index}/{place}/{release.created}"
    return {
        "id": f"c{hashlib.sha256(address.encode()).hexdigest()[:24]}",
        "modelId": release.model,
        "layer": release.source,
        "index": str(one.index),
        "tokens": list(tokens),
        "values": short,
        "maxValue": short[peak],
        "maxValueTokenIndex": peak,
        "minValue": min(short),
        "qualifyingTokenIndex": peak,
        "creatorId": release.creator,
        "createdAt": release.created,
        "dataSource": release.texts,
        "dfaValues": [],
        "lossValues": [],
    }


def _short(value: float) -> float:
    """To six digits."""
    return float(f"{value:.6g}")


def _write(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """A line a row, packed where the name says so. NUL, which PostgreSQL's text cannot hold, becomes U+FFFD."""
    lines = "".join(json.dumps(row, allow_nan=False).replace("\\u0000", "\\ufffd") + "\n" for row in rows).encode()
    write_atomic(file, gzip.compress(lines, mtime=0) if file.suffix == ".gz" else lines)
