"""Which dictionary is meant by a name, in whichever format it lies, and what does it say of itself?

a folder with dictionary.json     ours                    a folder with cfg.json            SAELens
a folder with hyperparams.json    Llama Scope             layer{n}.sae.pt                   Qwen-Scope
RELEASE/ID                        SAELens' list of published ones
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange import folder, llama_scope, qwen_scope, saelens_read, saelens_release
from probe.dictionaries.exchange.described import Described
from probe.errors import BadInput


@dataclass(frozen=True)
class Format:
    """How a dictionary of one format is read, and how what it says of itself."""

    read: Callable[[Path], Dictionary]
    describe: Callable[[Path], Described]


FORMATS = {  # by a file that shows them
    folder.ABOUT: Format(lambda place: folder.read_dictionary(place).dictionary, folder.describe),
    saelens_read.CONFIG: Format(saelens_read.read_saelens, saelens_read.describe),
    llama_scope.CONFIG: Format(llama_scope.read_llama_scope, llama_scope.describe),
}
QWEN = Format(qwen_scope.read_qwen_scope, qwen_scope.describe)


def dictionary_named(name: str) -> Dictionary:
    """The dictionary of that name or path. BadInput where there is none, or it cannot be read."""
    found = _format(name)
    return found.read(Path(name)) if found else saelens_release.saelens_release(name)


def described(name: str) -> Described:
    """What it says of itself, by its configuration: no weights are read, or fetched. BadInput as for reading it."""
    found = _format(name)
    return found.describe(Path(name)) if found else saelens_release.describe(name)


def _format(name: str) -> Format | None:
    """None: a release."""
    place = Path(name)
    if qwen_scope.NAME.fullmatch(place.name):
        return QWEN
    if not place.is_dir() and (place.is_absolute() or name.startswith(".")):
        raise BadInput("no such folder", where=name, do="give a folder, a layer{n}.sae.pt or RELEASE/ID")
    if not place.is_dir():
        return None
    shown = [file for file in FORMATS if (place / file).exists()]
    if len(shown) != 1:
        what = f"this folder holds {' and '.join(shown) or 'no dictionary'}"
        raise BadInput(
            what, where=name, do=f"give a folder with one of {', '.join(FORMATS)}, a layer{{n}}.sae.pt or RELEASE/ID"
        )
    return FORMATS[shown[0]]
