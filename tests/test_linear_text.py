r"""Every scan of a model's text is linear: growth by counted steps, on texts pumped from fragments that hurt scanners.

A text is prefix + pump * k + suffix. Each part is a seeded draw of fragments: by hand (braces, boxes, units, fences,
digits, blanks of all kinds) and sampled from the very patterns that read it, so that a new pattern brings its own
attack. Linear work doubles from one difference of counts to the next; quadratic work grows fourfold.
"""

import ast
import importlib
import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import counted_steps
import pytest
from counted_steps import CountingPattern, TooMany, counting, steps_of

ROOT = Path(__file__).parents[1]
SHORT = 64  # characters of the shortest of three texts; the longest stays below the longest answer that is read
GROWTH = 2.7  # of the differences of counts: 2 is linear, 4 quadratic
DRAWS = 10
EXTRA = os.environ.get("PROBE_TEXT_SEED", "")  # other texts than the usual ones
SCANNERS = [
    *sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in ("tasks", "rewards", "tokens")
        for path in (ROOT / "probe" / folder).rglob("*.py")
        if path.stem not in ("__init__", "verify_worker") and "import re\n" in path.read_text(encoding="utf-8")
    ),
    "probe.strategy",
]
BLANKS = (" ", "\t", "\n", "\r", "\x0b", "\x1c", "\x85", "\u00a0", "\u2003", "\u2028", "\u3000", " \n", "&", "& \n")
FRAGMENTS = (
    *("{", "}", "{}", "\\{", "\\", "\\\\", "$", "\\(", "\\)", "(", ")", "[", "]", "<<", ">>", "<", ">", "<answer>"),
    *("\\boxed{", "\\boxed{5}", "\\boxed{}", "\\boxed", "\\fbox{", "\\frac", "\\frac{1}{2}", "\\sqrt", "\\text{", "\\"),
    *("inch", "inches", "square", "cm", "es", "s", "degree", "unit ", "5 cm", "\\text{cm}", "^2", "^{", "\\circ"),
    *("```", "```python\n", "```\n", "~~~", "`", "####", "#### 1", "A:", "\nA: 5", "\n", "\r\n", "\t", " ", "  "),
    *("\u3000", "\u2003", "\x1c", "\x0b", "\u00a0", "\u2212", "\u221a", "\u0663", "\u00b2", "\u00d7", "\u4e2d"),
    *("1", "0", "12", "1,000", ",", ".", "1.", ".5", "1/2", "1 1/2", "/", "-", "+", "*", "**", "=", "x=", "5 = 5", "^"),
    *(
        "e",
        "a",
        "ab",
        "x",
        "_",
        "_8",
        "a_",
        "and",
        "of",
        "the answer is ",
        "The answer is 5",
        "Human:",
        "print(",
        "for ",
    ),
    *(" in ", ":", ";", "&", "%", "?", "!", "~", "\\,", "\\!", "\\left(", "\\pm", "\\cup", "|", "[asy]", "\\begin{"),
)


def scanners() -> dict[str, Callable[[str], Any]]:
    """Everything that reads a response or an answer."""
    from probe.rewards import rewards
    from probe.strategy import detect, mentions_python
    from probe.tasks import answers, gold, grading, normalise
    from probe.tasks.chain import Chain, check_trace
    from probe.tasks.extractors import ONE_RULE
    from probe.tasks.partial import exact
    from probe.tasks.reading import dress, groups, numerals, regions, unicode, units, words
    from probe.tasks.validity import check_text

    chain = Chain("B", 3, (("+", 5), ("*", 2)))
    found: dict[str, Callable[[str], Any]] = {
        each.__name__: each
        for module in (answers, normalise, dress, groups, numerals, regions, unicode, units, words)
        for each in vars(module).values()
        if callable(each) and not isinstance(each, type) and getattr(each, "__module__", "") == module.__name__
        if not each.__name__.startswith("_") and each.__code__.co_argcount == 1
    }
    known = list(found.values())
    found |= {f"extract {name}": each for name, each in ONE_RULE.items() if each not in known}
    found |= {each.__name__: each for each in (gold.gold_answer, detect, mentions_python, check_text)}
    found["check_trace"] = lambda text: check_trace(chain, text)
    found["exact"] = lambda text: exact(text, "a b c", "sign")
    found["cheap, as prediction"] = lambda text: grading.cheap(text, "\\frac{1}{2}")
    found["cheap, as gold"] = lambda text: grading.cheap("5", text)
    found["cheap, as both"] = lambda text: grading.cheap(text, text + "1")
    for name in ("format", "python"):
        found[f"reward {name}"] = lambda text, name=name: rewards.get(name)()(prompts=[""], completions=[text])
    return found


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Every compiled pattern of the scanning modules, with the name it stands under."""
    for module in SCANNERS:
        for name, value in vars(importlib.import_module(module)).items():
            for place, each in enumerate(_within(value)):
                yield f"{module}.{name}.{place}", each


def _within(value: Any) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _within(each)
    elif isinstance(value, dict):
        yield from _within(list(value.values()))


PATTERNS = dict(patterns())


def sampled(nodes: Any, rng: random.Random) -> str:
    """A text that a part of a pattern nearly matches."""
    return "".join(_sampled(node, rng) for node in nodes)


def _sampled(node: tuple[Any, Any], rng: random.Random) -> str:
    code, value = node
    if code is op.LITERAL:
        return chr(value)
    if code is op.IN:
        kind, inner = rng.choice(value)
        if kind is op.LITERAL:
            return chr(inner)
        if kind is op.RANGE:
            return chr(rng.randint(*inner))
        return {"DIGIT": "7", "SPACE": rng.choice(" \n\u3000"), "WORD": rng.choice("a1_")}.get(
            str(inner).rpartition("_")[2], "a"
        )
    if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        return "".join(sampled(value[2], rng) for _ in range(max(value[0], rng.randint(0, min(3, value[1])))))
    if code is op.BRANCH:
        return sampled(rng.choice(value[1]), rng)
    if code is op.SUBPATTERN:
        return sampled(value[3], rng)
    if code is op.ATOMIC_GROUP:
        return sampled(value, rng)
    return rng.choice("a 1") if code in (op.ANY, op.NOT_LITERAL) else ""


def repeats(nodes: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every repeat without a bound in a pattern: what stands before it, and its body."""
    for place, (code, value) in enumerate(nodes):
        here = (*before, *nodes[:place])
        if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            if value[1] > 9:
                yield here, value[2]
            yield from repeats(value[2], here)
        elif code is op.BRANCH:
            for branch in value[1]:
                yield from repeats(branch, here)
        elif code is op.SUBPATTERN:
            yield from repeats(value[3], here)
        elif code is op.ATOMIC_GROUP:
            yield from repeats(value, here)
        elif code in (op.ASSERT, op.ASSERT_NOT):
            yield from repeats(value[1], here)


def parsed(pattern: re.Pattern[str]) -> Any:
    return list(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))


def attacks(pattern: re.Pattern[str], rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Texts on which one repeat of a pattern runs long and then fails: the repeat alone, and all before it again."""
    for blank in BLANKS:
        yield rng.choice(("", "a", "5", "#### a", "x =")), blank, rng.choice(("a", "#", "\x00", "1"))
    for before, body in repeats(parsed(pattern)):
        for _ in range(2 if len(pattern.pattern) > 1000 else 6):
            prefix, pump = sampled(before, rng), sampled(body, rng) or "a"
            yield prefix, pump, rng.choice(("1", " x", "}{", "#", "a", "\n.", "\x00", "\x00"))
        yield "", prefix + pump, rng.choice(("\x00", "1", " x", "#"))


def part(rng: random.Random, most: int) -> str:
    """Some fragments in a row, often one; one in three comes out of a pattern."""
    chosen = []
    for _ in range(rng.choice(((0, 1, 2), (1, 1, 1, 2, 3))[most > 2])):
        if rng.random() < 0.67:
            chosen.append(rng.choice(FRAGMENTS))
            continue
        text = sampled(parsed(rng.choice(list(PATTERNS.values()))), rng)
        start = rng.randint(0, max(0, len(text) - 1))
        chosen.append(text[start : start + rng.randint(1, 12)])
    return "".join(chosen)


def draw(seed: int | str) -> tuple[str, str, str]:
    rng = random.Random(seed)
    return part(rng, 2), part(rng, 3) or "{", part(rng, 2)


@pytest.fixture(scope="module", autouse=True)
def _counted() -> Iterator[None]:
    """The patterns of the scanning modules, replaced by ones that count."""
    kept = []
    for name in SCANNERS:
        module = importlib.import_module(name)
        for key, value in list(vars(module).items()):
            if (other := counting(value)) is not value:
                kept.append((module, key, value))
                setattr(module, key, other)
    yield
    for module, key, value in kept:
        setattr(module, key, value)


def growth(call: Callable[[str], Any], prefix: str, pump: str, suffix: str, *, lines: bool = True) -> float:
    """How much faster the count grows over the second doubling than over the first: 2 is linear.

    A limit of a pattern (200 characters of an info string) is one step up, which no later doubling sees: where growth
    is found, it must be found again over the next two.
    """
    times = max(1, SHORT // len(pump))
    ratio = 0.0
    for start in (1, 4):
        try:
            sizes = (prefix + pump * (times * start * k) + suffix for k in (1, 2, 4))
            small, middle, large = (steps_of(call, text, lines=lines) for text in sizes)
        except TooMany:
            return float("inf")
        ratio = (large - middle + 200) / (middle - small + 200)
        if ratio <= GROWTH:
            break
    return ratio


def is_searched_for(name: str) -> bool:
    """Whether a pattern is looked for at every place of a text, and not matched at one."""
    module, variable, _ = name.rsplit(".", 2)
    source = Path(importlib.import_module(module).__file__ or "").read_text(encoding="utf-8")
    used = re.findall(rf"\b{variable}\.(\w+)\(", source)
    return not used or not set(used) <= {"match", "fullmatch"}


@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern_is_linear_as_it_is_used(name: str) -> None:
    counted = CountingPattern(PATTERNS[name])
    scan = (lambda text: list(counted.finditer(text))) if is_searched_for(name) else counted.fullmatch
    worse = {
        attack: ratio
        for attack in attacks(PATTERNS[name], random.Random(f"{name} {EXTRA}"))
        if (ratio := growth(scan, *attack, lines=False)) > GROWTH
    }
    assert not worse, f"{PATTERNS[name].pattern!r}: {list(worse.items())[:3]}"


@pytest.mark.parametrize("seed", range(DRAWS))
def test_every_scanner_is_linear_in_the_text(seed: int) -> None:
    prefix, pump, suffix = draw(f"{seed} {EXTRA}")
    for call in scanners().values():
        call(prefix + pump + suffix)  # what is imported or built at the first call is not counted
    found = {name: growth(call, prefix, pump, suffix) for name, call in scanners().items()}
    worse = {name: round(ratio, 2) for name, ratio in found.items() if ratio > GROWTH}
    assert not worse, f"{worse} on {prefix!r} + {pump!r} * k + {suffix!r}"


@pytest.mark.parametrize(
    ("pattern", "pump", "suffix"),
    [("(?:a|a)*b", "a", ""), (r"\s+$", " ", "x"), ("(?:inch|inche)(?:es|s)?", "inches", "!"), ("a.*b.*c", "ab", "")],
)
def test_the_count_sees_what_is_not_linear(pattern: str, pump: str, suffix: str) -> None:
    slow = CountingPattern(re.compile(f"(?:{pattern})+$"))
    assert growth(lambda text: slow.search(text), "", pump, suffix) > GROWTH


@pytest.mark.parametrize("seed", range(12))
def test_the_counting_matcher_finds_what_re_finds(seed: int) -> None:
    text = "".join(draw(seed * 1000 + k)[k % 2] for k in range(6))
    counted_steps.Counter.steps = 0
    for name, pattern in PATTERNS.items():
        mine, theirs = counting(pattern), pattern
        spans = [(m.span(), m.groups(), m.lastgroup) for m in theirs.finditer(text)]
        assert [(m.span(), m.groups(), m.lastgroup) for m in mine.finditer(text)] == spans, (name, text)
        whole = theirs.fullmatch(text)
        assert (whole and whole.span()) == ((m := mine.fullmatch(text)) and m.span()), (name, text)


@pytest.mark.parametrize("module", SCANNERS)
def test_no_pattern_is_hidden_inside_a_function(module: str) -> None:
    """A pattern that is compiled where it is used would not be counted."""
    tree = ast.parse(Path(importlib.import_module(module).__file__ or "").read_text(encoding="utf-8"))
    inside = [each for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for each in ast.walk(node)]
    calls = [ast.unparse(each) for each in inside if isinstance(each, ast.Call) and "re." == ast.unparse(each.func)[:3]]
    assert not calls
