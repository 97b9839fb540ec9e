"""How often does the model reason in code? By the strict detector, and by the paper's substring.

    code_share     real Python before the final answer (`probe.strategy`)
    python_share   "python" anywhere in the response (2506.10947)

The substring also counts what is run on after the answer, so both are published, each under its own name.
"""

from dataclasses import dataclass
from typing import ClassVar

from probe.data import Estimate
from probe.measures import PairData, measures
from probe.measures._estimates import means
from probe.measures._pairing import paired


@measures.register("code_share")
@dataclass(frozen=True)
class CodeShare:
    """`code_share` and `python_share`, three sides each; null 0 for the change."""

    needs: ClassVar[frozenset[str]] = frozenset({"responses"})

    def __call__(self, data: PairData) -> list[Estimate]:
        pair = paired(data)
        return [
            *means("code_share", pair.before.code, pair.after.code, pair, data.address),
            *means("python_share", pair.before.python, pair.after.python, pair, data.address),
        ]
