"""It never writes code (Llama)."""

from probe.families import Family, families


@families.register("no-code")
def no_code() -> Family:
    """Prose alone."""
    return Family((0.0, 0.0, 0.0, 0.0), 0.0, 0.5, 0.0, 0.95)
