"""Is an exclusive latent's feature really missing from the other model? Latent scaling, both ways (2504.02922).

For a latent j that model o owns, with the decoder direction d = W_dec[j, o], and for each model m:

    nu = argmin sum_rows |y - nu f_j d|^2 = sum_rows f_j (y . d) / (|d|^2 sum_rows f_j^2)                   closed form
    error           y = z_m - z^_m + f_j W_dec[j, m]      what all other latents leave over of model m   -> nu_error[m]
    reconstruction  y = z^_m                              what the latents put there, bias left out      -> nu_recon[m]
    nu_eps = nu_error[other] / nu_error[own]              high: the feature is there, shrunk out of this latent
    nu_r = nu_recon[other] / nu_recon[own]                high: the feature is there, told by other latents
    genuine: |nu_eps| < .2 and |nu_r| < .5

z is the activation at the dictionary's size, about b_dec. The authors' code keeps the bias in the reconstruction; a
mean along d that all rows share would then count as the feature. Sizes of nu are judged: a feature that stands in the
other model with its sign turned is not missing. Streaming: three sums a latent, model and side, in double. nan (never
genuine) where a latent never fires, has no direction, or does not explain its own side (nu of the owner <= 0).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probe.dictionaries.dictionary import Dictionary, Rows
from probe.dictionaries.pair import AFTER, BEFORE, Batch, check_pair
from probe.errors import BadInput

NU_EPS, NU_R = 0.2, 0.5
BySide = Float[Tensor, "side latent"]


@dataclass(frozen=True, eq=False)
class Scaling:
    """The ratios of every latent as if before (row 0) or after (row 1) owned it, and in how many rows it fired."""

    nu_eps: BySide
    nu_r: BySide
    fired: Int[Tensor, "latent"]

    @property
    def genuine(self) -> Bool[Tensor, "side latent"]:
        """Whether the other model lacks it; says nothing of latents that the norms call shared."""
        return (self.nu_eps.abs() < NU_EPS) & (self.nu_r.abs() < NU_R)


def latent_scaling(dictionary: Dictionary, batches: Iterable[Batch]) -> Scaling:
    """Over all rows of `batches`, read once. BadInput without rows, or unless the dictionary compares two models."""
    n = check_pair(dictionary).n_latents
    error, recon = torch.zeros(2, 2, 2, n, dtype=torch.float64).unbind()  # [model owner latent]
    square, fired = torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.int64)
    for x in batches:
        f, left, told = _parts(dictionary, x)
        error += _along(dictionary, f, left)
        recon += _along(dictionary, f, told)
        square += f.double().square().sum(0)
        fired += (f > 0).sum(0)
    if not fired.any():
        raise BadInput("no latent fired", where=dictionary.where, do="give rows like those it was fitted on")
    d = dictionary.W_dec.double()
    inner = torch.einsum("nmd,nod->mon", d, d)
    size = inner.diagonal(dim1=0, dim2=1).T * square  # [owner latent]
    return Scaling(_ratio((error + inner * square) / size), _ratio(recon / size), fired)


def _parts(dictionary: Dictionary, x: Rows) -> tuple[Tensor, Rows, Rows]:
    """f, the error and the reconstruction, at the dictionary's size and without bias."""
    f, z = dictionary.encode(x), dictionary.inner(x)
    if not dictionary.centred:
        z = z - dictionary.scale[:, None] * dictionary.b_dec
    told = torch.einsum("rn,nmd->rmd", f, dictionary.W_dec)
    return f, z - told, told


def _along(dictionary: Dictionary, f: Tensor, y: Rows) -> Float[Tensor, "model owner latent"]:
    """sum_rows f_j (y_m . d_j), with the direction of either owner; a [row latent] product at a time."""
    pairs = [[f * (y[:, m] @ dictionary.W_dec[:, o].T) for o in (BEFORE, AFTER)] for m in (BEFORE, AFTER)]
    return torch.stack([torch.stack([each.double().sum(0) for each in row]) for row in pairs])


def _ratio(nu: Float[Tensor, "model owner latent"]) -> BySide:
    """Other over own, by owner."""
    own = torch.stack([nu[BEFORE, BEFORE], nu[AFTER, AFTER]])
    other = torch.stack([nu[AFTER, BEFORE], nu[BEFORE, AFTER]])
    return torch.where(own > 0, other / own, torch.nan)
