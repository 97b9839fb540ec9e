"""What memory and time does a comparison need, before any weight is there? Worked out from shapes; an upper bound.

    weights   parameters x bytes, of both checkpoints (KL needs both at once)
    cache     2 x layers x kv_heads x d_head x bytes a token, x rows at a time x (prompt + new tokens)
    decoding  a step reads weights and cache once, and launches its kernels: max(bytes / bandwidth, 1 ms a layer)
    scoring   2 x parameters operations a token and pass; two passes a checkpoint (scores, KL)

Every response is taken to run to its limit, so real runs take less; one GPU of H100's data sheet, at shares of it that
plain transformers reaches (assumed, not measured here).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from probe.checkpoints.resolve import Hub, Subject
from probe.errors import BadInput
from probe.experiments.compare.job import CompareJob
from probe.experiments.rl_runs.job import SCORED
from probe.models.loading.manifest import Shape

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
BANDWIDTH = 3.35e12 * 0.5  # bytes a second
FLOPS = {"float32": 67e12 * 0.4, "bfloat16": 989e12 * 0.4, "float16": 989e12 * 0.4}
LAUNCH = 1e-3  # seconds a layer and step
PROMPT = 300  # tokens of a question with its template
SLACK = 2e9  # bytes: activations of a batch, the tiles of the vocabulary, the allocator


@dataclass(frozen=True)
class Size:
    """A checkpoint's number of weights and its shape."""

    parameters: int
    shape: Shape


@dataclass(frozen=True)
class Budget:
    """Bytes on one GPU, and GPU-hours at most."""

    weights: float  # bytes of both checkpoints
    cache: float  # bytes
    sampling_hours: float
    scoring_hours: float

    @property
    def memory(self) -> float:
        """Bytes at the peak: while sampling one checkpoint is there with its cache, while scoring both are."""
        return max(self.weights / 2 + self.cache, self.weights) + SLACK

    @property
    def hours(self) -> float:
        """GPU-hours in all."""
        return self.sampling_hours + self.scoring_hours


def budget(job: CompareJob) -> Budget:
    """Of a whole comparison. BadInput where the size of a checkpoint is not known."""
    sizes = [size_of(subject) for subject in (job.before, job.after)]
    dtype, n, new = job.before.dtype, len(job.how.problems.problems), job.how.max_new
    width = BYTES[dtype]
    greedy_rows = n * (1 + len(job.prompts))  # the base's, under every prompt
    hours = 0.0
    for size, rows in zip(sizes, (n * job.samples + greedy_rows, n * job.samples + n), strict=True):
        hours += _sampling(size, rows, new, job.batch, dtype)
    tokens = n * SCORED * (PROMPT + new)
    scoring = sum(2 * 2 * size.parameters * tokens / FLOPS[dtype] for size in sizes) / 3600
    cache = max(_cache_token(size, width) for size in sizes) * job.batch * (PROMPT + new)
    return Budget(sum(size.parameters * width for size in sizes), cache, hours, scoring)


def size_of(subject: Subject) -> Size:
    """From the manifest, else from the files where they are. BadInput where neither says it."""
    entry = subject.entry
    if entry is not None and entry.parameters and entry.shape:
        return Size(entry.parameters, entry.shape)
    if subject.made_here:
        raise BadInput(f"{subject.name} is made here: it needs no GPU", do="see the jobs instead")
    return _size_in(subject.source.files() if isinstance(subject.source, Hub) else subject.source.path)  # type: ignore[union-attr]


def _sampling(size: Size, rows: int, new: int, batch: int, dtype: str) -> float:
    """Hours of prefill and decoding."""
    width, shape = BYTES[dtype], size.shape
    at_once = min(rows, batch)
    read = size.parameters * width + at_once * _cache_token(size, width) * (PROMPT + new / 2)
    step = max(read / BANDWIDTH, 2 * size.parameters * at_once / FLOPS[dtype], LAUNCH * shape.layers)
    return (-(-rows // batch) * new * step + 2 * size.parameters * rows * PROMPT / FLOPS[dtype]) / 3600


def _cache_token(size: Size, width: int) -> float:
    shape = size.shape
    return 2.0 * shape.layers * shape.kv_heads * shape.d_head * width


def _size_in(folder: Path) -> Size:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config = config.get("text_config") or config
        heads = config["num_attention_heads"]
        shape = Shape(
            layers=config["num_hidden_layers"],
            d_model=config["hidden_size"],
            kv_heads=config.get("num_key_value_heads") or heads,
            d_head=config.get("head_dim") or config["hidden_size"] // heads,
            d_vocab=config["vocab_size"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise BadInput(f"config.json does not say the shape: {err}", where=str(folder), do="mend config.json") from err
    stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return Size(max(1, stored // _stored_width(config)), shape)


def _stored_width(config: Mapping[str, object]) -> int:
    return BYTES.get(str(config.get("dtype") or config.get("torch_dtype") or "float32"), 4)
