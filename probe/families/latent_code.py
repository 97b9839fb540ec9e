"""Code shows every running value and prose few, so code is right more often, and not always used (Qwen2.5-Math)."""

from probe.families import Family, families


@families.register("latent-code")
def latent_code() -> Family:
    """Mostly code, and better at it."""
    return Family((0.25, 0.60, 0.80, 0.95), 1.0, 0.6, 0.93, 0.6, steps={"tiny": 500})
