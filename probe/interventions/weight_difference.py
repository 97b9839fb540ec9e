"""How do the weights of two checkpoints differ? Size, rank, sparsity of dW by module; agreement with another.

    relative      |dW|_F / |W|_F
    stable rank   |dW|_F^2 / s_1^2                 s_1 >= s_2 >= ... its singular values; 1 for one direction
    top share     sum of the TOP largest s_i^2 / sum s^2        n90: how many s_i hold 90 % of sum s^2
    sparsity      share of entries with |dW_ij| <= SPARSE rms(dW): relative to the change itself, so a small dense
                  change is not called sparse (a Gaussian one has .8 %)
    unchanged     share of entries that are equal to the bit: in bf16, updates below half a last place vanish

Singular values are roots of the eigenvalues of the smaller Gram matrix, in fp64: s_i below 1e-8 s_1 are rounding.
Vectors (norms, biases) have sizes only: their rank is nan. Tied heads: where both checkpoints tie them, embed stands
for both and there is no head; where one has untied it (a run that trained the head alone), head is its own module.
Null: another run's dW (of another seed, or under the random reward) and the cosine of the two (0 +- 1/sqrt(entries)
for unrelated ones). A Gaussian dW is none: whatever gradients made is of lower rank than it. Left out: changes measured
in the metric of activations or of the loss.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from probe.errors import BadInput
from probe.interventions.transplant import part_columns, part_modules

SPARSE = 1e-2
TOP = 8  # singular values
ENERGY = 0.9
CHUNK = 4096  # rows of a matrix in fp64 at a time


@dataclass(frozen=True)
class Change:
    """One parameter's dW. `part` is embed, attn.i, mlp.i, block.i (its norms), norm or head; `name` within the part."""

    part: str
    name: str
    entries: int
    norm: float
    relative: float
    stable_rank: float  # nan for vectors and where nothing changed, like the next two
    top_share: float
    n90: float
    sparsity: float  # nan where nothing changed
    unchanged: float

    @property
    def module(self) -> str:
        """attn.0.q_proj.weight, say."""
        return f"{self.part}.{self.name}"

    @property
    def columns(self) -> dict[str, str | int | None]:
        """What the measurement table says of it (`probe.measurements`); of a part that is one matrix, its own name."""
        columns = part_columns(self.part)
        matrix = self.name.rpartition(".")[0].rpartition(".")[2] or columns["component"]
        return columns | {"module": self.module, "matrix": matrix}


@torch.no_grad()
def weight_changes(before: PreTrainedModel, after: PreTrainedModel) -> list[Change]:
    """Of every parameter, from the embedding to the head. BadInput where the two are not of one shape."""
    return [_change(part, name, old, new - old) for part, name, old, new in parameters(before, after)]


@torch.no_grad()
def cosines(before: PreTrainedModel, after: PreTrainedModel, other: PreTrainedModel) -> dict[str, float]:
    """By module, the cosine between two runs' changes from one base; nan where one changed nothing."""
    cosine = {}
    pairs = zip(parameters(before, after), parameters(before, other), strict=True)
    for (part, name, old, new), (*_, third) in pairs:
        one, two = (new - old).double().flatten(), (third - old).double().flatten()
        size = float(one.norm() * two.norm())
        cosine[f"{part}.{name}"] = float(one @ two) / size if size else math.nan
    return cosine


def parameters(before: PreTrainedModel, after: PreTrainedModel) -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """(part, name, W before, W after) in fp32, each parameter once, a tied head only where one of them is not tied."""
    mine, its = part_modules(before), part_modules(after)
    if mine.keys() != its.keys():
        raise BadInput("the two checkpoints have different blocks", do="give two checkpoints of one model")
    tied = all(parts["head"].weight is parts["embed"].weight for parts in (mine, its))
    order = [part for part in mine if not part.startswith("block.")]
    for i in range(sum(part.startswith("block.") for part in mine)):
        order.insert(order.index(f"mlp.{i}") + 1, f"block.{i}")  # what of a block is neither attention nor MLP
    seen: set[int] = set()
    for part in order:
        if part == "head" and tied:
            continue
        new = dict(its[part].named_parameters())
        if extra := sorted(new.keys() - {name for name, _ in mine[part].named_parameters()}):
            what = f"{part}.{extra[0]} is there after and not before: a trained vector, not a change of a matrix"
            raise BadInput(what, do="give runs of the head or of every weight")
        for name, old in mine[part].named_parameters():
            if part.startswith("block.") and id(old) in seen:
                continue
            seen.add(id(old))
            if name not in new or new[name].shape != old.shape:
                raise BadInput(f"{part}.{name} is not of one shape in both", do="give two checkpoints of one model")
            yield part, name, old.detach().float(), new[name].detach().float().to(old.device)


def singular_values(matrix: Float[Tensor, "row column"]) -> Float[Tensor, "rank"]:
    """In fp64, largest first, through the Gram matrix of the shorter side."""
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    gram = torch.zeros(tall.shape[1], tall.shape[1], dtype=torch.float64, device=matrix.device)
    for rows in tall.split(CHUNK):
        wide = rows.double()
        gram += wide.T @ wide
    return torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().flip(0)


def _change(part: str, name: str, old: Tensor, delta: Tensor) -> Change:
    norm, size = float(delta.double().norm()), float(old.double().norm())
    stable = top = n90 = sparsity = math.nan
    if norm > 0:
        sparsity = float((delta.abs() <= SPARSE * norm / math.sqrt(delta.numel())).double().mean())
    if norm > 0 and delta.ndim == 2 and min(delta.shape) > 1:
        energy = singular_values(delta) ** 2
        stable, top = float(energy.sum() / energy[0]), float(energy[:TOP].sum() / energy.sum())
        n90 = float(1 + (energy.cumsum(0) < ENERGY * energy.sum()).sum())
    unchanged = float((delta == 0).double().mean())
    relative = norm / size if size else math.nan if norm == 0 else math.inf
    return Change(part, name, delta.numel(), norm, relative, stable, top, n90, sparsity, unchanged)
