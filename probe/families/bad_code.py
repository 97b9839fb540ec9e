"""It prefers code that shows no values, and is right more often in prose (Qwen2.5-7B, OLMo 2 SFT)."""

from probe.families import Family, families


@families.register("bad-code")
def bad_code() -> Family:
    """Mostly code, and worse at it."""
    return Family((0.75, 0.90, 0.95, 0.98), 0.0, 1.0, 0.9, 0.9, p_code_early=0.15)
