"""Which chains can be asked, and in which tokens are they written?

    lettered   modulus 7, operands 0..6, and a style letter in front that carries no information about the answer:
               organisms of the first studies let it set how likely they are to reason in code
    plain      modulus 97, no letter; +, - take 2..5 and * takes 2 or 3. Start and answer are uniform over 0..96 (every
               step is a bijection), so the best constant answer is right on one problem in 97

Under `plain` a number is one token wherever it stands; under `lettered` the mark in front of a value belongs to it.
"""

from dataclasses import dataclass, replace

OPERATIONS = "+-*"
LENGTHS = (2, 3, 4)  # operations of a chain


@dataclass(frozen=True)
class Grammar:
    """`operands` are those of +, - and *; `joined` writes a mark and the value behind it as one token."""

    name: str  # of its problem set
    modulus: int
    styles: str
    operands: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    joined: bool
    max_new: int  # tokens of the longest trace and its end

    def facts(self) -> list[tuple[str, int, int]]:
        """Every (operation, a, b) there is."""
        pairs = zip(OPERATIONS, self.operands, strict=True)
        return [(op, a, b) for op, operands in pairs for a in range(self.modulus) for b in operands]


LETTERED = Grammar("chain", 7, "ABCD", (tuple(range(7)),) * 3, joined=True, max_new=20)
PLAIN = Grammar("chain97", 97, "", ((2, 3, 4, 5), (2, 3, 4, 5), (2, 3)), joined=False, max_new=24)
GRAMMARS = {grammar.name: grammar for grammar in (LETTERED, PLAIN)}


def lettered(modulus: int) -> Grammar:
    """The lettered grammar over another modulus."""
    return replace(LETTERED, name=f"chain mod {modulus}", modulus=modulus, operands=(tuple(range(modulus)),) * 3)
