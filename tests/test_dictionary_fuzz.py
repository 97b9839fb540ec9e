"""Files of dictionaries with damaged bytes: a dictionary, or BadInput; never another error, and nothing is run.

The damages are drawn (derandomised, so the same in every run); raise FUZZ for more.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_dictionaries import draw, llama_folder, made

from probe.dictionaries.exchange.by_name import dictionary_named
from probe.dictionaries.exchange.folder import Kept, write_dictionary
from probe.dictionaries.exchange.llama_scope import CONFIG as LLAMA_CONFIG
from probe.dictionaries.exchange.saelens_write import write_saelens
from probe.errors import BadInput

SOME = settings(
    max_examples=80 * int(os.environ.get("FUZZ", "1")),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 9), st.binary(max_size=9)), min_size=1)
ODD: list[Any] = [None, True, -1, 0, 10**30, 1e308, "", "x" * 500, "\x1b[2J", "../x", [], [[]], {}, {"a": []}]


def qwen(folder: Path) -> Path:
    file = folder / "SAE-Res-Qwen3-1.7B-Base-W1K-L0_5" / "layer0.sae.pt"
    file.parent.mkdir(parents=True)
    shapes = {"W_enc": (1024, 2), "W_dec": (2, 1024), "b_enc": (1024,), "b_dec": (2,)}
    torch.save({name: draw(*shape, at=name) for name, shape in shapes.items()}, file)
    return file


def ours(folder: Path) -> Path:
    write_dictionary(Kept(made(), {"lr": 1}, {"x": "y"}), folder)
    return folder


def theirs(folder: Path) -> Path:
    write_saelens(made(), folder / "it")
    return folder / "it"


MAKE: dict[str, Callable[[Path], Path]] = {"qwen": qwen, "llama": llama_folder, "ours": ours, "saelens": theirs}


def read(place: Path) -> None:
    try:
        assert dictionary_named(str(place)).W_enc.isfinite().all()
    except BadInput as err:
        assert err.what and len(str(err)) < 2000


@pytest.fixture(scope="module", params=list(MAKE))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = MAKE[request.param](tmp_path_factory.mktemp(request.param))
    dictionary_named(str(place))
    return place


def copied(whole: Path, tmp_path: Path) -> Path:
    """A copy whose path says as much as the whole one's."""
    root = tmp_path / "copy"
    shutil.rmtree(root, ignore_errors=True)
    if whole.is_dir():
        return Path(shutil.copytree(whole, root / whole.name))
    shutil.copytree(whole.parent, root / whole.parent.name)
    return root / whole.parent.name / whole.name


@SOME
@given(edits=EDITS, which=st.integers(0, 3), whole_file=st.booleans())
def test_damaged_bytes(
    whole: Path, tmp_path: Path, edits: list[tuple[float, int, bytes]], which: int, whole_file: bool
) -> None:
    place = copied(whole, tmp_path)
    files = sorted(file for file in (place.rglob("*") if place.is_dir() else [place]) if file.is_file())
    file = files[which % len(files)]
    data = bytearray(file.read_bytes())
    for share, drop, put in edits:
        reach = len(data) if whole_file else min(len(data), 2000)  # headers and tables stand at the start
        at = int(share * reach)
        data[at : at + drop] = put
    file.write_bytes(bytes(data))
    read(place)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else ()
    return [path] * bool(path) + [leaf for key, each in inner for leaf in leaves(each, (*path, key))]


@pytest.mark.parametrize("kind", ["llama", "ours", "saelens"])
def test_odd_values(kind: str, tmp_path: Path) -> None:
    """Every value of every description by every odd one."""
    place = MAKE[kind](tmp_path)
    names = ("dictionary.json", "cfg.json", LLAMA_CONFIG)
    file = next(place / name for name in names if (place / name).exists())
    before = file.read_text()
    for path in leaves(json.loads(before)):
        for odd in ODD:
            content = json.loads(before)
            inner = content
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = odd
            file.write_text(json.dumps(content))
            read(place)
