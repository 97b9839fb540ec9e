"""What does this hand-written YAML file say, if it says one thing only? Data, and the line each part stands on.

Stricter than `yaml.safe_load`: a key given twice, an alias, a second document, a custom tag and a file above the size
cap are errors, with a line number. `3e-3` is a number, as in YAML 1.2 (PyYAML alone reads it as text).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from probe.errors import BadInput

MAX_BYTES = 1_000_000


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "an alias (*name) is not allowed: write the value out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if isinstance(key, str) and key in seen:
                what = f"the key {key!r} is given twice, here and on line {seen[key]}"
                raise yaml.constructor.ConstructorError(None, None, what, key_node.start_mark)
            if isinstance(key, str):
                seen[key] = line
        return super().construct_mapping(node, deep=True)


_EXPONENT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))


@dataclass(frozen=True)
class Document:
    """What a file says, and where."""

    path: Path
    data: Any
    node: yaml.Node | None

    def line(self, keys: tuple[str | int, ...]) -> int:
        """The line of the deepest part of data[keys[0]][keys[1]]... that exists."""
        node, line = self.node, 1
        for key in keys:
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            match = next(((k, v) for k, v in pairs if k.value == str(key)), None)
            if match is None:
                break
            line, node = match[0].start_mark.line + 1, match[1]
        return line


def read_yaml(path: Path) -> Document:
    """The one document of the file. BadInput, with the line, for anything that is not plain, single and unambiguous."""
    text = _text(path)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return Document(path, loader.construct_document(node) if node else None, node)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise BadInput(f"malformed YAML: {err.problem or err.context}", where=f"{path}{line}", do="mend it") from err
    except (yaml.YAMLError, ValueError, TypeError) as err:
        raise BadInput(f"malformed YAML: {err}", where=str(path), do="mend it") from err
    except RecursionError as err:
        raise BadInput("malformed YAML: nested too deeply", where=str(path), do="flatten it") from err


def _text(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as err:
        what = f"cannot read {path.name}: {err.strerror}"
        raise BadInput(what, where=str(path), do="give the path of a file") from err
    if len(data) > MAX_BYTES:
        raise BadInput(f"{path.name} is larger than {MAX_BYTES:,} bytes", where=str(path), do="split or shorten it")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as err:
        raise BadInput(f"{path.name} is not UTF-8 text: {err.reason}", where=str(path), do="save it as UTF-8") from err
