"""What memory and time do jobs on large weights need, before any weight is there? From shapes; an upper bound.

    weights   parameters x bytes, of all checkpoints that one job holds at once
    cache     2 x layers x kv_heads x d_head x bytes a token, x rows at a time x (prompt + new tokens)
    decoding  a step reads weights and cache once, and launches its kernels: max(bytes / bandwidth, 1 ms a layer)
    reading   2 x parameters operations a token and pass
    fitting   2 x rows x models x d x latents operations: the encoder's dense product; what is sparse costs little more

Each job says what it does to a checkpoint (`Work`); every response is taken to run to its limit, so real runs take
less; one GPU of H100's data sheet, at shares of it that plain transformers reaches. Measured on one for 1.5B and 7B
(benchmarks/on_gpu.json): 1.2 and 1.3 times the hours that were needed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from probe.checkpoints.checkpoint import Checkpoint
from probe.engine.job import Job
from probe.errors import BadInput
from probe.models.hooks.sites import Site
from probe.models.loading.entries import Shape
from probe.models.loading.load import Dtype
from probe.models.loading.organism import shape_of
from probe.models.loading.strict_json import read_json

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
BANDWIDTH = 3.35e12 * 0.5  # bytes a second
FLOPS = {"float32": 67e12 * 0.4, "bfloat16": 989e12 * 0.4, "float16": 989e12 * 0.4}
LAUNCH = 1e-3  # seconds a layer and step
CORE_FLOPS = 25e9  # of one CPU core in float32, a dozen rows at a time: SmolLM2-135M, 89 tokens a second
LAPTOP = 1e9  # parameters, below which that is said
PROMPT = 300  # tokens of a question with its template
SLACK = 3e9  # bytes: activations of a batch, the tiles of the vocabulary, the allocator


@dataclass(frozen=True)
class Size:
    """A checkpoint's number of weights and its shape."""

    parameters: int
    shape: Shape


@dataclass(frozen=True)
class Work:
    """What one job does to one checkpoint: responses sampled, and tokens read by a forward without sampling."""

    checkpoint: Checkpoint
    rows: int = 0  # responses
    new: int = 0  # tokens of each, at most
    batch: int = 64  # rows at a time
    read: int = 0  # tokens x passes
    copies: int = 1  # of the weights in memory: random changes of them stand beside them
    caches: int = 1  # of that size in memory: two models may read one text
    beside: float = 0.0  # bytes that stand beside the weights: what is fitted while the model is there


@dataclass(frozen=True)
class Fitting:
    """What one fit takes: bytes of its weights with gradients and moments, bytes of a batch, operations."""

    weights: float
    batch: float
    rows: int
    operations: float


@dataclass(frozen=True)
class Budget:
    """Bytes on one GPU, and GPU-hours at most."""

    weights: float  # bytes of the checkpoints that are there at once
    cache: float  # bytes
    memory: float  # bytes at the peak
    sampling_hours: float
    reading_hours: float
    fits: int = 0  # dictionaries, sets of adapters
    fit_memory: float = 0.0  # bytes while one is fitted
    fitting_hours: float = 0.0
    disk: float = 0.0  # bytes of activations and adapters
    core_hours: float = 0.0  # the same on one CPU core, where all models are small; 0 else

    @property
    def hours(self) -> float:
        """GPU-hours in all."""
        return self.sampling_hours + self.reading_hours + self.fitting_hours


def budget(jobs: Iterable[Job]) -> Budget | None:
    """Of all jobs, and what they need, on weights from outside; None where there are none.

    BadInput where the size of a checkpoint is not known.
    """
    every = behind(jobs)
    works = [tuple(work_of(job)) for job in every]
    large = [found for each in works if (found := tuple(work for work in each if work.checkpoint.is_outside))]
    if not large:
        return None
    fits: list[Fitting] = [job.fitting for job in every if hasattr(job, "fitting")]
    return Budget(
        weights=max(_weights(job) for job in large),
        cache=max(_cache(work) for job in large for work in job),
        memory=max(map(peak, large)),
        sampling_hours=sum(_sampling(work) for job in large for work in job),
        reading_hours=sum(_reading(work) for job in large for work in job),
        fits=len(fits),
        fit_memory=max((fit.weights + fit.batch for fit in fits), default=0.0),
        fitting_hours=sum(fit.operations for fit in fits) / FLOPS["float32"] / 3600,
        disk=sum(getattr(job, "disk", 0.0) for job in every),
        core_hours=_core_hours([work for job in large for work in job]),
    )


def peak(works: tuple[Work, ...]) -> float:
    """Bytes on one GPU while a job does this."""
    return _weights(works) + max(map(_cache, works)) + max(work.beside for work in works) + SLACK


def work_of(job: Job) -> tuple[Work, ...]:
    """What a job does to checkpoints; nothing, where it does not say."""
    return getattr(job, "work", ())


def behind(jobs: Iterable[Job]) -> list[Job]:
    """The jobs and all they need, each once; without digests, for which large files would be read."""
    found: dict[Job, None] = {}
    waiting = list(jobs)
    while waiting:
        job = waiting.pop()
        if job not in found:
            found[job] = None
            waiting.extend(job.needs)
    return list(found)


def size_of(checkpoint: Checkpoint) -> Size:
    """From the manifest, else from the files where they are. BadInput where neither says it."""
    entry, origin = checkpoint.entry, checkpoint.origin
    if entry is not None and entry.parameters and entry.shape:
        return Size(entry.parameters, entry.shape)
    if origin is not None:
        return _size_in(origin.files())
    raise BadInput(f"{checkpoint.name} is made here: it needs no GPU", do="see the jobs instead")


def width_of(checkpoint: Checkpoint) -> int:
    """d_model. BadInput where it is not known before the weights are there."""
    organism = checkpoint.organism
    return shape_of(organism.size).d_model if organism else size_of(checkpoint).shape.d_model


def blocks_of(checkpoint: Checkpoint) -> int:
    """How many blocks it has. BadInput as for `width_of`."""
    organism = checkpoint.organism
    return shape_of(organism.size).layers if organism else size_of(checkpoint).shape.layers


def width_at(checkpoint: Checkpoint, place: Site) -> int:
    """Of what stands at a site: d_head in a head, d_model elsewhere. BadInput as for `width_of`."""
    if place.kind != "head":
        return width_of(checkpoint)
    organism = checkpoint.organism
    if organism is None:
        return size_of(checkpoint).shape.d_head
    made = shape_of(organism.size)
    return made.d_model // made.heads


def sites_in(checkpoint: Checkpoint, heads: bool) -> int:
    """How many sites a patch may go to: the residuals, attention and MLP of every block, at times every head."""
    if not checkpoint.is_outside:
        return 0
    shape = size_of(checkpoint).shape
    return 3 * shape.layers + 1 + (shape.layers * shape.d_model // shape.d_head if heads else 0)


def _weights(job: tuple[Work, ...]) -> float:
    held: dict[Checkpoint, int] = {}
    for work in job:
        held[work.checkpoint] = max(work.copies, held.get(work.checkpoint, 0))
    return float(sum(size_of(each).parameters * _width(each.dtype) * copies for each, copies in held.items()))


def _cache(work: Work) -> float:
    at_once = min(work.rows, work.batch)
    return _cache_token(work.checkpoint) * at_once * (PROMPT + work.new) * work.caches


def _sampling(work: Work) -> float:
    """Hours of prefill and decoding."""
    if not work.rows:
        return 0.0
    size, dtype = size_of(work.checkpoint), work.checkpoint.dtype
    at_once = min(work.rows, work.batch)
    read = size.parameters * _width(dtype) + at_once * _cache_token(work.checkpoint) * (PROMPT + work.new / 2)
    step = max(read / BANDWIDTH, 2 * size.parameters * at_once / FLOPS[dtype], LAUNCH * size.shape.layers)
    prefill = 2 * size.parameters * work.rows * PROMPT / FLOPS[dtype]
    return (-(-work.rows // work.batch) * work.new * step + prefill) / 3600


def _reading(work: Work) -> float:
    return 2 * size_of(work.checkpoint).parameters * work.read / FLOPS[work.checkpoint.dtype] / 3600


def _core_hours(works: list[Work]) -> float:
    """Without a GPU: every token at one rate. 0 where a model is too large to try."""
    if any(size_of(work.checkpoint).parameters > LAPTOP for work in works):
        return 0.0
    tokens = ((work, work.rows * (PROMPT + work.new) + work.read) for work in works)
    return sum(2 * size_of(work.checkpoint).parameters * n for work, n in tokens) / CORE_FLOPS / 3600


def _cache_token(checkpoint: Checkpoint) -> float:
    shape = size_of(checkpoint).shape
    return 2.0 * shape.layers * shape.kv_heads * shape.d_head * _width(checkpoint.dtype)


def _width(dtype: Dtype) -> int:
    return BYTES[dtype]


def _size_in(folder: Path) -> Size:
    try:
        config = read_json(folder / "config.json")
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
