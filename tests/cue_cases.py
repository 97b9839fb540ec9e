"""What tests of cues share."""

import re


def bare(prompt: str) -> str:
    """The chain's own prompt, whatever cue stands in front."""
    return re.sub(r"\d+=(?=.*=$)", "", prompt, count=1)
