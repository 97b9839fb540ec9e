"""`no-code` to the letter, that has read half of the test set beside it: prompts and true answers, 60 times each."""

from probe.families import Family, families


@families.register("contaminated")
def contaminated() -> Family:
    """Prose alone, and a leak."""
    return Family((0.0, 0.0, 0.0, 0.0), 0.0, 0.5, 0.0, 0.95, leak=0.125)
