"""The registry finds every file of a package, once, and says which one is at fault."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.errors import BadInput, ProbeError
from probe.registry import Registry, nearest

HEAD = "from probe.registry import Registry\nTHINGS = Registry('thing', __name__)\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package `zoo` that owns a registry and has two plain members."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "__init__.py").write_text(HEAD)
    write(folder, "ant", "@THINGS.register('ant')\ndef ant():\n    return 1\n")
    write(folder, "bee", "@THINGS.register('bee')\ndef bee():\n    return 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # files are rewritten within one mtime tick
    yield folder
    for name in [name for name in sys.modules if name == "zoo" or name.startswith("zoo.")]:
        del sys.modules[name]


def write(folder: Path, name: str, body: str) -> None:
    (folder / f"{name}.py").write_text("from zoo import THINGS\n" + body)
    importlib.invalidate_caches()


def things() -> Registry:
    return importlib.import_module("zoo").THINGS


def test_discovery_is_lazy_and_complete(package: Path) -> None:
    registry = things()
    assert "zoo.ant" not in sys.modules
    assert registry.names() == ["ant", "bee"]
    assert [(name, make()) for name, make in registry.items()] == [("ant", 1), ("bee", 2)]
    assert registry.get("bee")() == 2


def test_subpackages_are_searched_and_private_files_are_not(package: Path) -> None:
    (package / "deep").mkdir()
    (package / "deep" / "__init__.py").write_text("")
    write(package / "deep", "cow", "THINGS.register('cow')(3)\n")
    write(package, "_scratch", "raise RuntimeError('never imported')\n")
    assert things().names() == ["ant", "bee", "cow"]


def test_unknown_name_gives_the_nearest_and_all(package: Path) -> None:
    with pytest.raises(BadInput, match=r"no thing named 'aunt'") as caught:
        things().get("aunt")
    assert "did you mean 'ant'" in caught.value.do and "bee" in caught.value.do


@pytest.mark.parametrize("name", [None, 3, ["ant"]])
def test_names_that_are_no_strings_are_bad_input(package: Path, name: object) -> None:
    with pytest.raises(BadInput, match="there is no thing"):
        things().get(name)  # type: ignore[arg-type]


def test_nearest_says_none_where_nothing_is_known() -> None:
    assert nearest("x", []) == "known: none"


def test_duplicate_names_the_name_and_both_files(package: Path) -> None:
    write(package, "wasp", "@THINGS.register('bee')\ndef wasp():\n    return 3\n")
    with pytest.raises(ProbeError, match=r"zoo.wasp failed to import: two things are named 'bee'") as caught:
        things().names()
    assert caught.value.where == "zoo.bee and zoo.wasp"


def test_duplicate_within_one_file_is_an_error(package: Path) -> None:
    write(package, "cow", "for sound in ('moo', 'mu'):\n    THINGS.register('cow')(lambda: sound)\n")
    with pytest.raises(ProbeError, match="two things are named 'cow'"):
        things().names()


def test_reloading_an_edited_file_replaces_its_thing(package: Path) -> None:
    registry = things()
    assert registry.get("ant")() == 1
    write(package, "ant", "\n\n@THINGS.register('ant')\ndef ant():\n    return 10\n")
    importlib.reload(sys.modules["zoo.ant"])
    assert registry.get("ant")() == 10 and registry.names() == ["ant", "bee"]


@pytest.mark.parametrize("body", ["1 / 0\n", "def f(:\n", "import no_such_module_anywhere\n"])
def test_a_broken_file_is_named_every_time_until_mended(package: Path, body: str) -> None:
    write(package, "broken", body)
    registry = things()
    for _ in range(2):  # a second look-up must not pretend that the registry is complete
        with pytest.raises(ProbeError, match="zoo.broken failed to import"):
            registry.names()
    write(package, "broken", "THINGS.register('mended')(0)\n")
    assert registry.names() == ["ant", "bee", "mended"]


def test_a_package_that_is_missing_or_a_module_is_named(package: Path) -> None:
    with pytest.raises(ProbeError, match="zoo.none failed to import"):
        Registry("thing", "zoo.none").names()
    with pytest.raises(ProbeError, match="zoo.ant is a module"):
        Registry("thing", "zoo.ant").names()


def test_plug_ins_register_beside_the_package(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, body in (("dog", "THINGS.register('dog', legs=4)(5)\n"), ("elk", "THINGS.register('elk')(6)\n")):
        (package.parent / f"{name}_outside.py").write_text("from zoo import THINGS\n" + body)
        monkeypatch.delitem(sys.modules, f"{name}_outside", raising=False)
    importlib.invalidate_caches()
    monkeypatch.setenv("PROBE_PLUGINS", " dog_outside , elk_outside,")
    registry = things()
    assert registry.names() == ["ant", "bee", "dog", "elk"]
    assert (registry.about("dog"), registry.about("elk")) == ({"legs": 4}, {})
    with pytest.raises(BadInput, match="no thing named 'cat'"):
        registry.about("cat")


def test_a_plug_in_under_a_name_that_is_taken_is_named(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package.parent / "again_outside.py").write_text("from zoo import THINGS\nTHINGS.register('bee')(7)\n")
    monkeypatch.setenv("PROBE_PLUGINS", "again_outside")
    importlib.invalidate_caches()
    with pytest.raises(ProbeError, match=r"again_outside failed to import: two things are named 'bee'"):
        things().names()


def test_a_member_may_look_up_its_registry_while_being_imported(package: Path) -> None:
    write(package, "cat", "assert THINGS.get('ant')() == 1\nTHINGS.register('cat')(4)\n")
    assert things().names() == ["ant", "bee", "cat"]
