"""What memory, GPU-hours and disk does a run take, before it starts? From shapes; an upper bound.

    trained tensor   fp32, with gradient and Adam's two moments: 16 bytes a weight; a frozen one its own 2 or 4
    update           blocks keep, a token and layer, about w (10 d + 4 m) + 16 d bytes (w bytes a number, MLP of width
                     m; after 2205.05198, section 4, for gated MLPs); recomputed: w d, and one block's; and the logits
    operations       a weight and token: sampling as in `probe.experiments.budget`; update 6, under LoRA 4, recomputing
                     2 more, old log-probs 2 more in bf16
    disk             kept steps, and the state to go on from: 12 bytes a trained weight

Every response is taken to run to --max-new and none to be skipped, so real runs take less. Nothing of training was
measured on a GPU yet.
"""

from dataclasses import dataclass

from probe.experiments.budget import BYTES, PROMPT, SLACK, Size, budget, size_of
from probe.experiments.outside_runs.job import OutsideRunJob
from probe.models.loading.entries import Shape
from probe.rl.head_scores import LOGITS


@dataclass(frozen=True)
class RunCost:
    """Bytes on one GPU and on disk, and GPU-hours, at most."""

    weights: float  # with what training holds beside them
    memory: float  # at the peak
    sampling_hours: float  # votes for labels among them
    training_hours: float
    disk: float

    @property
    def hours(self) -> float:
        """GPU-hours in all."""
        return self.sampling_hours + self.training_hours


def cost_of(job: OutsideRunJob) -> RunCost:
    """BadInput where the size of the checkpoint is not known."""
    size, width = size_of(job.checkpoint), BYTES[job.checkpoint.dtype]
    sampled = budget([job])
    assert sampled is not None
    trained = size.parameters if job.lora is None else lora_weights(size, job.lora.rank)
    held = 16.0 * trained + (width * size.parameters if job.lora else 0)
    if job.grpo.loss.kl_beta and job.lora is None:
        held += width * size.parameters
    cast = 2.0 * size.parameters if width == 2 and job.lora is None else 0.0  # of fp32 weights, for products
    logits = 4.0 * 4 * LOGITS["cuda"]  # a portion's, its exponentials and gradients
    kept = 4.0 * trained if job.lora else width * size.parameters
    return RunCost(
        weights=held,
        memory=held + cast + max(sampled.cache, _activations(job, size) + logits) + SLACK,
        sampling_hours=sampled.sampling_hours,
        training_hours=sampled.reading_hours,
        disk=len(job.steps) * kept + 12.0 * trained,
    )


def lora_weights(size: Size, rank: int) -> int:
    """Of LoRA at every linear map of the blocks: rank x (in + out) each."""
    shape, wide = size.shape, mlp_width(size)
    keys = shape.kv_heads * shape.d_head
    attention = 2 * (2 * shape.d_model) + 2 * (shape.d_model + keys)  # queries, output; keys, values
    return shape.layers * rank * (attention + 3 * (shape.d_model + wide))


def mlp_width(size: Size) -> int:
    """Of a gated MLP, from the number of weights: what attention and an untied pair of embeddings leave."""
    shape = size.shape
    blocks = size.parameters - _embeddings(shape)
    attention = 2 * shape.d_model**2 + 2 * shape.d_model * shape.kv_heads * shape.d_head
    return max(shape.d_model, round((blocks / shape.layers - attention) / (3 * shape.d_model)))


def _embeddings(shape: Shape) -> int:
    return shape.d_vocab * shape.d_model  # tied: the wider MLP is the upper bound


def _activations(job: OutsideRunJob, size: Size) -> float:
    shape, width = size.shape, BYTES[job.checkpoint.dtype]
    tokens = max(job.memory.tokens, PROMPT + job.grpo.max_new)  # a row at least
    block = width * (10 * shape.d_model + 4 * mlp_width(size)) + 16 * shape.d_model
    if not job.memory.recompute:
        return float(tokens * shape.layers * block)
    return float(tokens * (shape.layers * width * shape.d_model + block))
