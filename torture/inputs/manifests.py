"""Manifests: merges, tags, keys given twice, numbers to the base 60, wrong types, depth, size, circles of bases."""

import random
from collections.abc import Callable

from torture.inputs import strange
from torture.place import MANIFEST
from torture.scene import Scene, case

Change = Callable[[random.Random, str], tuple[str, bool | None]]


def _version(rng: random.Random, text: str) -> tuple[str, bool | None]:
    wrong = ("true", "'1'", "0", "2", "[1]", "null", "!!bool abc", "!!int 1x", "!!float z", "!!timestamp q")
    chosen = rng.choice((*wrong, "1.0", "1e0"))
    return text.replace("version: 1", f"version: {chosen}"), True if chosen in wrong else None


def _twice(rng: random.Random, text: str) -> tuple[str, bool | None]:
    lines = text.splitlines()
    at = rng.randrange(len(lines))
    lines.insert(at + 1, lines[at])
    return "\n".join(lines) + "\n", True


def _merge(rng: random.Random, text: str) -> tuple[str, bool | None]:
    merged = "{<<: {family: no-code, seed: 7}, family: latent-code, size: tiny, seed: 0}"
    return text.replace("{family: latent-code, size: tiny, seed: 0}", merged), True


def _tag(rng: random.Random, text: str) -> tuple[str, bool | None]:
    tags = ("!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!x 1", "!!binary ====", "!!set {a}")
    more = ("!!omap [a: 1]", "!!pairs [a: 1]", "!!bool perhaps", "!!int ''", "!!float abc", "!!null x", "!!timestamp 1")
    return text.replace("seed: 0", f"seed: {rng.choice((*tags, *more))}"), True


def _number(rng: random.Random, text: str) -> tuple[str, bool | None]:
    long = rng.choice((50, 5000, 200_000))
    numbers = (
        "1" * 5000,
        ":".join(["59"] * long),
        "1:30",
        "0x" + "f" * 5000,
        "1e999",
        ".nan",
        "-1",
        "1_0",
        "0o7",
        "010",
    )
    chosen = rng.choice(numbers)
    return text.replace("seed: 3", f"seed: {chosen}"), True if chosen in (".nan", "-1", "1e999") else None


def _deep(rng: random.Random, text: str) -> tuple[str, bool | None]:
    n = rng.choice((60, 2000, 100_000))
    deep = rng.choice(("[" * n + "]" * n, "{a: " * n + "1" + "}" * n, "- " * n + "1", "[" * n))
    return f"{text}deep: {deep}\n", True


def _alias(rng: random.Random, text: str) -> tuple[str, bool | None]:
    bomb = "a0: &a0 [x, x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
    return rng.choice((f"{text}{bomb}", text.replace("raw: {", "raw: &r {").replace("far: {", "far: *r\n  x: {"))), True


def _circle(rng: random.Random, text: str) -> tuple[str, bool | None]:
    n = rng.choice((1, 2, 300))
    runs = "".join(f"  c{i}: {{base: c{(i + 1) % n}, reward: format}}\n" for i in range(n))
    return text.replace("runs:\n", f"runs:\n{runs}"), True


def _value(rng: random.Random, text: str) -> tuple[str, bool | None]:
    words = ("raw", "format", "tiny", "0", "5", "far", "none", "latent-code", '"{prompt}"', "null", "some/where")
    word = rng.choice(words)
    return text.replace(word, strange.json_text(strange.value(rng)), 1), None


def _text(rng: random.Random, text: str) -> tuple[str, bool | None]:
    at = rng.randrange(len(text))
    return text[:at] + strange.text(rng, 3000) + text[at:], None


def _unknown(rng: random.Random, text: str) -> tuple[str, bool | None]:
    key = rng.choice(("bases", "x", "<<", "true", "null", "1", "~", "'\\e[31m'", '"\\e]0;t\\a"'))
    return rng.choice((f"{text}{key}: 1\n", text.replace("size: tiny", f"size: tiny, {key}: 1", 1))), True


CHANGES: tuple[Change, ...] = (_version, _twice, _merge, _tag, _number, _deep, _alias, _circle, _unknown)
ALONE: tuple[Change, ...] = (_value, _text)  # these may undo another change


@case("input", "manifest", 7)
def manifest(scene: Scene) -> None:
    """One to three changes of a right manifest, or torn bytes."""
    rng, text = scene.rng, MANIFEST
    bad: bool | None = None
    for change in strange.pick(rng, CHANGES, 2) if rng.random() < 0.75 else [rng.choice(ALONE)]:
        text, certain = change(rng, text)
        bad = bad or certain
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.15:
        data, bad = strange.mutated(rng, data), None
    _use(scene, data, bad)


@case("input", "manifest-large")
def manifest_large(scene: Scene) -> None:
    """Right manifests of many entries and long chains load; what is over two megabytes is refused."""
    rng = scene.rng
    n = rng.choice((1000, 3000))
    if rng.random() < 0.5:  # a chain: each run trained from the one before
        entries = "".join(f"  r{i}: {{base: {f'r{i - 1}' if i else 'raw'}, reward: format}}\n" for i in range(n))
    else:
        entries = "".join(f"  r{i}: {{base: raw, reward: format, seed: {i}}}\n" for i in range(n * 4))
    bad = False
    if rng.random() < 0.2:
        entries, bad = "# " + "x" * 2_100_000 + "\n", True
    _use(scene, MANIFEST.replace("runs:\n", f"runs:\n{entries}").encode(), bad)


def _use(scene: Scene, data: bytes, bad: bool | None) -> None:
    scene.bring("store")
    (scene.folder / "m.yaml").write_bytes(data)
    commands = (
        ("ls", "checkpoints", "--manifest", "m.yaml", "--store", "store"),
        ("ls", "templates", "--manifest", "m.yaml", "--store", "store", "--json"),
        ("train", "raw", "--manifest", "m.yaml", "--store", "store", "--workers", 1),
    )
    scene.check(*scene.rng.choice(commands if bad else commands[:2]), bad=bad)
