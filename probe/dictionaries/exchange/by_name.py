"""Which dictionary is meant by a name, in whichever format it lies, and is it one of this checkpoint?

a folder with dictionary.json     ours                    a folder with cfg.json            SAELens
a folder with hyperparams.json    Llama Scope             layer{n}.sae.pt                   Qwen-Scope
RELEASE/ID                        SAELens' list of published ones
"""

from collections.abc import Callable
from pathlib import Path

from probe.dictionaries.dictionary import Dictionary
from probe.dictionaries.exchange import folder, llama_scope, saelens_read
from probe.dictionaries.exchange.qwen_scope import NAME, read_qwen_scope
from probe.dictionaries.exchange.saelens_release import saelens_release
from probe.errors import BadInput

FORMATS: dict[str, Callable[[Path], Dictionary]] = {  # by a file that shows them
    folder.ABOUT: lambda place: folder.read_dictionary(place).dictionary,
    saelens_read.CONFIG: saelens_read.read_saelens,
    llama_scope.CONFIG: llama_scope.read_llama_scope,
}


def dictionary_named(name: str) -> Dictionary:
    """The dictionary of that name or path. BadInput where there is none, or it cannot be read."""
    place = Path(name)
    if NAME.fullmatch(place.name):
        return read_qwen_scope(place)
    if not place.is_dir() and (place.is_absolute() or name.startswith(".")):
        raise BadInput("no such folder", where=name, do="give a folder, a layer{n}.sae.pt or RELEASE/ID")
    if not place.is_dir():
        return saelens_release(name)
    shown = [file for file in FORMATS if (place / file).exists()]
    if len(shown) != 1:
        what = f"this folder holds {' and '.join(shown) or 'no dictionary'}"
        raise BadInput(
            what, where=name, do=f"give a folder with one of {', '.join(FORMATS)}, a layer{{n}}.sae.pt or RELEASE/ID"
        )
    return FORMATS[shown[0]](place)


def check_fits(dictionary: Dictionary, width: int, model_name: str) -> None:
    """BadInput unless it is of this width, and of a model of this name.

    Names are compared without their organisation and in lower case: what else they are called is for the caller to say.
    """
    if dictionary.d != width:
        what = f"a dictionary of width {dictionary.d} at {dictionary.site}, where {model_name} has width {width}"
        raise BadInput(what, where=str(dictionary.models), do="take a dictionary of this model and site")
    if _bare(model_name) not in {_bare(each) for each in dictionary.models}:
        what = f"a dictionary of {', '.join(dictionary.models)}, and the checkpoint is {model_name}"
        raise BadInput(what, where=dictionary.where, do="take a dictionary of this model, or say that this is its name")


def _bare(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].lower()
