"""How fast is learned, and how many latents are active, at this step?

lr(t)  rises linearly over `warm_up` steps, stays, and falls linearly to 0 over the last share `decay`
k(t)   falls linearly from `first_k` to `k` over the first share `anneal`, and stays
"""

from probe.dictionaries.fitting.options import Fit


def rate(fit: Fit, step: int) -> float:
    """Adam's rate of an update, `step` from 0; never 0."""
    rise = min(1.0, (step + 1) / fit.warm_up) if fit.warm_up else 1.0
    fall = min(1.0, (fit.steps - step) / (fit.decay * fit.steps)) if fit.decay else 1.0
    return fit.lr * min(rise, fall)


def active(fit: Fit, step: int) -> float:
    """How many latents are active in a row, on average."""
    left = max(0.0, 1 - step / (fit.anneal * fit.steps)) if fit.anneal else 0.0
    return fit.k + left * (fit.first_k - fit.k)
