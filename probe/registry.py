"""Which rewards (measures, figures, ...) are there? One decorator, and discovery of every file of one package.

    REWARDS: Registry[Reward] = Registry("reward", "probe.rewards")

    @REWARDS.register("python")
    def python_reward(...): ...

Adding a thing is adding one decorated file. The package is imported when something is first looked up, not before, so
that `import probe` stays light. Nothing is swallowed: a file that fails to import stops the look-up and is named.
Discovery is by file (pkgutil), subpackages included; files whose name starts with "_" are skipped. Then come plug-ins,
modules from outside the package that register with the same decorators, in worker processes too:

    PROBE_PLUGINS=my_rewards,my.figures        modules that can be imported, with commas between them
    [project.entry-points."probe.plugins"]     those of installed packages: any name = "my.module"
"""

import difflib
import functools
import importlib
import os
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar

from probe.errors import BadInput, ProbeError

PLUGINS, PLUGIN_GROUP = "PROBE_PLUGINS", "probe.plugins"
T = TypeVar("T")
U = TypeVar("U")


class Registry(Generic[T]):
    """Named objects of one kind, found in the modules of one package."""

    def __init__(self, kind: str, package: str) -> None:
        """`kind` is the noun used in errors, `package` the dotted name of the package to search."""
        self.kind, self.package = kind, package
        self._found: dict[str, T] = {}
        self._about: dict[str, dict[str, Any]] = {}
        self._origin: dict[str, tuple[str, object]] = {}  # name -> (module, its spec: one per execution of the module)
        self._complete = False
        self._lock = threading.RLock()  # reentrant: a module may look up its own registry while being imported

    def register(self, name: str, **about: Any) -> Callable[[U], U]:
        """Decorator that enters its object under `name` and returns it unchanged; `about` is told with it (`about`).

        ProbeError where the name is taken, unless the module that took it is being executed anew (a reload).
        """
        caller = sys._getframe(1).f_globals
        module, spec = caller.get("__name__", "?"), caller.get("__spec__")
        taken_by, taken_in = self._origin.get(name, (module, None))
        if taken_by != module or (taken_in is not None and taken_in is spec):
            raise ProbeError(
                f"two {self.kind}s are named {name!r}", where=f"{taken_by} and {module}", do="rename one of them"
            )

        def enter(thing: U) -> U:
            self._origin[name] = (module, spec)
            self._found[name] = thing  # type: ignore[assignment]
            self._about[name] = about
            return thing

        return enter

    def get(self, name: str) -> T:
        """The object called `name`; BadInput with the nearest names where there is none."""
        self._discover()
        if isinstance(name, str) and name in self._found:
            return self._found[name]
        raise BadInput(f"there is no {self.kind} named {name!r}", where=self.package, do=nearest(name, self.names()))

    def about(self, name: str) -> Mapping[str, Any]:
        """What was told when `name` was registered."""
        self.get(name)
        return self._about[name]

    def names(self) -> list[str]:
        """Every name, sorted."""
        self._discover()
        return sorted(self._found)

    def items(self) -> list[tuple[str, T]]:
        """Every (name, object), sorted by name."""
        return [(name, self._found[name]) for name in self.names()]

    def _discover(self) -> None:
        with self._lock:
            if self._complete:
                return
            self._complete = True  # set first, for look-ups made by the modules themselves
            try:
                for module in (*_modules(self.package), *plugins()):
                    _load(module)
            except BaseException:
                self._complete = False  # the next look-up tries again: never a registry that is silently half full
                raise


def nearest(name: object, known: list[str]) -> str:
    """Advice for an unknown name: the closest known ones, then all of them."""
    close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    guess = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return f"{guess}known: {', '.join(known) if known else 'none'}"


def plugins() -> list[str]:
    """The modules from outside that register things: those of installed packages, then those of PROBE_PLUGINS."""
    named = [name.strip() for name in os.environ.get(PLUGINS, "").split(",")]
    return list(dict.fromkeys([*_installed(), *(name for name in named if name)]))


@functools.cache
def _installed() -> tuple[str, ...]:
    return tuple(sorted(each.value for each in entry_points(group=PLUGIN_GROUP)))


def _modules(package: str) -> Iterator[str]:
    root = _load(package)
    if not hasattr(root, "__path__"):
        raise ProbeError(f"{package} is a module, not a package", do="give a Registry the name of a package")
    for info in pkgutil.iter_modules(root.__path__):
        if info.name.startswith("_"):
            continue
        yield f"{package}.{info.name}"
        if info.ispkg:
            yield from _modules(f"{package}.{info.name}")


def _load(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ProbeError as err:
        raise ProbeError(f"{module} failed to import: {err.what}", where=err.where, do=err.do) from err
    except Exception as err:
        why = f"{type(err).__name__}: {err}"
        raise ProbeError(f"{module} failed to import: {why}", do="mend that file, or move it away") from err
