"""At which threshold are k latents active in a row, on average, of rows that were never trained on?

    threshold = half way between the (k rows)-th largest pre-activation of all rows and the next      (2412.06410 eq. 5)

One threshold for all latents: every decoder has one norm, so pre-activations are of one unit. Pre-activations are made
batch by batch, and no more than k rows + 1 of them kept. 0 where fewer are positive: all above 0 are active then.
Thresholds that were learned (JumpReLU) keep their ratios: all are multiplied by the one factor that lets k through,
which is the same rule for pre-activations in units of their thresholds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch

from probe.dictionaries.activation import JumpReLU, Latents
from probe.dictionaries.dictionary import Dictionary, Rows
from probe.errors import BadInput


def threshold(pre: Iterable[Latents], k: float, rows: int) -> float:
    """Of `rows` rows in all, batch by batch."""
    wanted = round(k * rows)
    if wanted < 1:
        raise BadInput(f"{k} latents a row of {rows} rows", where="threshold", do="give rows, and a k above 0")
    best = torch.zeros(0)
    for some in pre:
        best = torch.cat([best.to(some), some[some > (best.min() if len(best) > wanted else 0.0)]])
        best = best.topk(min(wanted + 1, len(best)), sorted=False).values
    if len(best) <= wanted:
        return 0.0
    low, high = best.topk(2, largest=False).values.double().tolist()
    return (low + high) / 2


def rescaled(dictionary: Dictionary, held: Sequence[Rows], k: float) -> Dictionary:
    """The same, its thresholds times the factor that lets `k` latents be active in a row of `held`, on average.

    BadInput unless it is JumpReLU with thresholds above 0.
    """
    activation = dictionary.activation
    if not isinstance(activation, JumpReLU) or not (activation.threshold > 0).all():
        what = f"{type(activation).__name__} has no thresholds above 0"
        raise BadInput(what, where=dictionary.where, do="calibrate it: one threshold for all")
    factor = threshold((dictionary.pre(x) / activation.threshold for x in held), k, sum(len(x) for x in held))
    return replace(dictionary, activation=JumpReLU(activation.threshold * factor))


def calibrated(dictionary: Dictionary, held: Sequence[Rows], k: float) -> Dictionary:
    """The same with JumpReLU at the threshold that lets `k` latents be active in a row of `held`, on average."""
    edge = threshold((dictionary.pre(x) for x in held), k, sum(len(x) for x in held))
    return replace(dictionary, activation=JumpReLU(torch.full_like(dictionary.b_enc, edge)))
