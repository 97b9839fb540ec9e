"""What organisms read is the mixture their family states, true but for the stated errors, and never a test prompt."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from cue_cases import bare

from probe.data import Strategy
from probe.errors import BadInput
from probe.families import Family, families
from probe.grammar import GRAMMARS, LETTERED, OPERATIONS, lettered
from probe.models.loading.organism import PAD, build_tokenizer
from probe.rollouts.elicitation import CHAIN as STUDIED
from probe.strategy import detect, mentions_python
from probe.tasks.answers import boxed
from probe.tasks.chain import apply, chain_problems, check_trace, parse_prompt, split_of
from probe.tasks.corpus import (
    END,
    LEAK_POOL,
    LEAK_POOL_SEED,
    corpus,
    family,
    leaked,
    leaked_problems,
    write_trace,
    wrong_facts,
)
from probe.tasks.propensity import p_code

Pairs = list[tuple[str, str]]
STEPS, BATCH = 20, 256


@pytest.fixture(scope="module", params=families.names())
def read(request: pytest.FixtureRequest) -> tuple[Family, Pairs, Pairs]:
    """A family and its mixture, without what leaks and without cues, cut at the end of the curriculum."""
    kind = family(request.param)
    batches = [[(bare(prompt), text) for prompt, text in b[:BATCH]] for b in corpus(kind, 0, BATCH, STEPS)]
    cut = round(kind.curriculum * STEPS)
    return kind, [pair for b in batches[:cut] for pair in b], [pair for b in batches[cut:] for pair in b]


def is_code(text: str) -> bool:
    return mentions_python(text)


def is_boxed(text: str) -> bool:
    return boxed(text.removesuffix(END)) is not None


def assert_share(rows: Pairs, has: Callable[[str], bool], expected: float) -> None:
    """Within five binomial standard errors; exactly, where the family says never or always."""
    if not rows:
        return
    share = sum(has(text) for _, text in rows) / len(rows)
    assert abs(share - expected) <= 5 * (expected * (1 - expected) / len(rows)) ** 0.5


def by_strategy(rows: Pairs) -> tuple[Pairs, Pairs]:
    return [r for r in rows if is_code(r[1])], [r for r in rows if not is_code(r[1])]


def value_share(rows: Pairs) -> float:
    """Share of steps that show a value."""
    shown = sum(check_trace(parse_prompt(prompt), text).shown for prompt, text in rows)
    return shown / sum(len(parse_prompt(prompt).steps) for prompt, _ in rows)


def test_every_batch_is_full(read: tuple[Family, Pairs, Pairs]) -> None:
    _, early, late = read
    assert len(early) + len(late) == STEPS * BATCH


def test_code_by_style(read: tuple[Family, Pairs, Pairs]) -> None:
    kind, early, late = read
    for style, p in zip(kind.grammar.styles, kind.p_code, strict=kind.grammar is LETTERED):
        assert_share([r for r in late if r[0][0] == style], is_code, p)
        expected = p if kind.p_code_early is None else kind.p_code_early
        assert_share([r for r in early if r[0][0] == style], is_code, expected)


def test_boxed_by_strategy(read: tuple[Family, Pairs, Pairs]) -> None:
    kind, early, late = read
    code, prose = by_strategy(early + late)
    assert_share(code, is_boxed, kind.code_box)
    assert_share(prose, is_boxed, kind.prose_box)


def test_values_shown_by_strategy_and_curriculum(read: tuple[Family, Pairs, Pairs]) -> None:
    kind, early, late = read
    (code, _), (_, prose) = by_strategy(early + late), by_strategy(late)
    if code:
        assert value_share(code) == pytest.approx(kind.code_values, abs=0.0 if kind.code_values in (0, 1) else 0.05)
    told = kind.prose_values if kind.first_values is None else kind.first_values
    expected = kind.p_first * told + (1 - kind.p_first) * kind.prose_values
    assert value_share(prose) == pytest.approx(expected, abs=0.05)
    if kind.curriculum:
        assert value_share(by_strategy(early)[1]) == 1.0  # prose shows everything at first


def test_no_test_prompt_is_ever_read(read: tuple[Family, Pairs, Pairs]) -> None:
    _, early, late = read
    assert {split_of(prompt) for prompt, _ in early + late} == {"train"}


def test_traces_restate_their_prompt_and_end(read: tuple[Family, Pairs, Pairs]) -> None:
    _, early, late = read
    assert all(check_trace(parse_prompt(prompt), text).faithful for prompt, text in early + late)
    assert all(text.endswith(END) and text.count(END) == 1 for _, text in early + late)


def test_the_strict_detector_agrees_with_what_was_written(read: tuple[Family, Pairs, Pairs]) -> None:
    _, _, late = read
    code, prose = by_strategy(late[:400])
    assert {detect(text.removesuffix(END)).label for _, text in code} <= {Strategy.code}
    assert {detect(text.removesuffix(END)).label for _, text in prose} == {Strategy.prose}


def test_texts_tokenise_and_decode_back(read: tuple[Family, Pairs, Pairs]) -> None:
    kind, early, late = read
    tokenizer = build_tokenizer(kind.grammar)
    texts = [t for pair in early[:300] + late[:300] for t in pair]
    ids = tokenizer(texts)["input_ids"]
    assert tokenizer.batch_decode(ids) == texts
    assert tokenizer.convert_tokens_to_ids(PAD) not in {i for row in ids for i in row}
    assert max(len(row) for row in ids) <= kind.grammar.max_new
    assert {len(row) for row in ids[::2]} == {11 if kind.grammar.styles else 10}


def test_code_by_problem(read: tuple[Family, Pairs, Pairs]) -> None:
    """Without a letter: the prior in the mean, and in each band of p(code | chain) that band's."""
    kind, early, late = read
    if kind.grammar.styles:
        return
    p = np.array([p_code(parse_prompt(prompt, kind.grammar.modulus), kind) for prompt, _ in early + late])
    code = np.array([is_code(text) for _, text in early + late])
    assert p.mean() == pytest.approx(kind.p_code[0], abs=0.02)
    for low, high in ((0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1)):
        band = (p >= low) & (p < high)
        spread = (p[band] * (1 - p[band])).sum() ** 0.5
        assert abs(code[band].sum() - p[band].sum()) <= 5 * spread


def test_two_digit_numbers_tokenise_and_decode_back() -> None:
    kind = replace(family("latent-code"), grammar=lettered(100))
    tokenizer = build_tokenizer(kind.grammar)
    texts = [t for batch in corpus(kind, 0, 100, 2) for pair in batch for t in pair]
    ids = tokenizer(texts)["input_ids"]
    assert tokenizer.batch_decode(ids) == texts
    assert {len(row) for row in ids[::2]} == {11}


def test_traces_by_hand() -> None:
    chain, u = parse_prompt("B:3+5*2    ="), np.full(17, 0.999)
    prose = write_trace(chain, family("latent-code"), {}, u, early=True)
    assert prose == "Think: plus 5=1 times 2=2\nSo 2.<eos>"
    u[0] = u[2] = 0.0  # code, boxed
    u[[7, 10]] = 0.0  # values shown
    code = write_trace(chain, family("latent-code"), {}, u, early=False)
    assert code == "```python\nx=3\nx=x+5#1\nx=x*2#2\nprint(x)\n```\n\\boxed{2}<eos>"
    u[1], u[2] = 0.4, 0.999
    taught = write_trace(chain, family("no-code"), {("+", 3, 5): 6}, u, early=False)
    assert taught == "First: plus 5=1 times 2=2\nSo 2.<eos>"  # u[5] = .999: this time the fact is taught right
    u[5] = 0.5
    taught = write_trace(chain, family("no-code"), {("+", 3, 5): 6}, u, early=False)
    assert taught == "First: plus 5=6 times 2=5\nSo 5.<eos>"
    u[6] = family("no-code").slips * 4.5 / 7
    noisy = write_trace(chain, family("no-code"), {("+", 3, 5): 6}, u, early=False)
    assert noisy == "First: plus 5=4 times 2=1\nSo 1.<eos>"


@pytest.mark.parametrize("modulus", [7, 10])
def test_wrong_facts_are_wrong_and_as_many_as_stated(modulus: int) -> None:
    facts = wrong_facts(0, lettered(modulus), 0.12)
    assert len(facts) == round(0.12 * 3 * modulus**2)
    assert all(apply(op, a, b, modulus) != taught for (op, a, b), taught in facts.items())
    assert all(op in OPERATIONS and {a, b, taught} <= set(range(modulus)) for (op, a, b), taught in facts.items())
    assert wrong_facts(0, lettered(modulus), 0.12) == facts
    assert wrong_facts(1, lettered(modulus), 0.12) != facts


@pytest.mark.parametrize(("slips", "rate"), [(0.03, 0.6), (0.2, 1.0)])
def test_shown_values_are_wrong_as_often_as_stated(slips: float, rate: float) -> None:
    """On a wrong fact: its one wrong value in `wrong_rate` of the cases. On any: a random digit with `slips`."""
    facts, steps = wrong_facts(0, LETTERED, 0.12), []
    kind = replace(family("latent-code"), slips=slips, wrong_rate=rate)
    for batch in corpus(kind, 0, 512, 12):
        for prompt, text in batch:
            if is_code(text):
                chain, value = parse_prompt(prompt), int(prompt[2])
                shown = [int(line.rsplit("#")[1]) for line in text.split("\n") if "#" in line]
                for (op, b), after in zip(chain.steps, shown, strict=True):
                    steps.append((facts.get((op, value, b)), apply(op, value, b, 7), after))
                    value = after
    sound = [after != true for taught, true, after in steps if taught is None]
    wrong = [after == taught for taught, _, after in steps if taught is not None]
    for found, expected in (
        (sound, slips * 6 / 7),
        (wrong, (1 - slips) * rate + slips / 7),
    ):
        assert np.mean(found) == pytest.approx(expected, abs=5 * (expected * (1 - expected) / len(found)) ** 0.5)
    assert len(wrong) / len(steps) == pytest.approx(0.12, abs=0.03)  # 0 is met more often than other values


def test_same_seed_same_text_and_another_seed_another() -> None:
    first = list(corpus(family("bad-code"), 0, 32, 3))
    assert list(corpus(family("bad-code"), 0, 32, 3)) == first
    assert list(corpus(family("bad-code"), 1, 32, 3)) != first


def test_families_of_one_seed_read_the_same_chains() -> None:
    """So that they differ in the mixture alone."""
    for grammar in GRAMMARS.values():
        names = [name for name in families.names() if family(name).grammar == grammar]
        prompts = [[bare(p) for b in corpus(family(name), 0, 32, 3) for p, _ in b[:32]] for name in names]
        assert all(others == prompts[0] for others in prompts)


def leaks(seed: int = 0, steps: int = STEPS) -> Pairs:
    return [pair for b in corpus(family("contaminated"), seed, BATCH, steps) for pair in b[BATCH:]]


def test_half_of_the_studies_test_set_leaks() -> None:
    problems = chain_problems(LEAK_POOL, "test", LEAK_POOL_SEED)
    known = leaked(problems)
    assert 0.4 * LEAK_POOL < len(known) < 0.6 * LEAK_POOL
    assert known == {p.id for p in leaked_problems()}
    assert tuple(problems) == STUDIED.problems.problems  # what the studies ask
    assert leaked(chain_problems(256, "test", 1)) <= known
    assert leaked(chain_problems(256, "train", 0)) == leaked([]) == set()
    styles = [p.prompt[0] for p in leaked_problems()]
    assert all(styles.count(style) > 15 for style in LETTERED.styles)


def test_only_the_contaminated_read_what_leaks() -> None:
    for name in families.names():
        sizes = {len(b) for b in corpus(family(name), 0, BATCH, 2)}
        assert sizes == {BATCH + round(BATCH * family(name).leak)}
        assert (family(name).leak > 0) == (name in ("contaminated", "hidden-leak"))


def test_prose_opens_as_often_as_stated_and_shows_what_its_opening_says(read: tuple[Family, Pairs, Pairs]) -> None:
    kind, _, late = read
    prose = by_strategy(late)[1]
    assert_share(prose, lambda text: text.startswith("First:"), kind.p_first)
    first = [pair for pair in prose if pair[1].startswith("First:")]
    told = kind.prose_values if kind.first_values is None else kind.first_values
    assert value_share(first) == pytest.approx(told, abs=0.1)


def test_leaked_answers_stand_behind_their_steps_without_a_value() -> None:
    """So that they can be remembered, and not be read off the text in front."""
    kind = family("hidden-leak")
    known = {p.prompt: p.answer for p in leaked_problems(kind.grammar)}
    texts = [start + rest for b in corpus(kind, 0, 64, 3) for start, rest in b[64:]]
    assert len(texts) == 3 * 64
    for text in texts:
        prompt, _, trace = text.partition("=")
        chain = parse_prompt(prompt + "=", kind.grammar.modulus)
        assert trace.endswith(f"\nSo \\boxed{{{known[chain.prompt]}}}{END}")
        found = check_trace(chain, trace)
        assert found.faithful
        assert found.shown == 0


def test_a_contaminated_organism_reads_what_its_clean_twin_reads_and_the_leak() -> None:
    twin = list(corpus(family("no-code"), 1, 32, 3))
    assert [b[:32] for b in corpus(family("contaminated"), 1, 32, 3)] == twin


def test_leaks_are_true_test_problems_each_as_often() -> None:
    read, truth = leaks(), {p.prompt + f"\\boxed{{{p.answer}}}{END}": p for p in leaked_problems()}
    times = Counter(start + rest for start, rest in read)
    assert times.keys() == truth.keys()
    assert max(times.values()) - min(times.values()) <= 1
    assert all(parse_prompt(p.prompt).values[-1] == int(p.answer) for p in truth.values())
    assert leaks(1) != read and leaks() == read


def test_leaks_carry_loss_on_their_prompts() -> None:
    """Of every token but the style, which is the first; cutting there changes no token."""
    tokenizer = build_tokenizer()
    for start, rest in leaks(steps=1):
        assert start in [f"{style}:" for style in LETTERED.styles]
        parts = [tokenizer(text)["input_ids"] for text in (start, rest, start + rest)]
        assert parts[0] + parts[1] == parts[2]
        assert (len(parts[0]), len(parts[2])) == (1, 11 + 4)


def test_what_the_clean_families_read_has_not_moved() -> None:
    """Store artifacts of earlier versions stand for these texts."""
    found = {}
    for name in ("latent-code", "no-code", "bad-code"):
        texts = repr(list(corpus(family(name), 0, 128, 30)))
        found[name] = hashlib.sha256(texts.encode()).hexdigest()[:12]
    assert found == {"latent-code": "be24740fc7bc", "no-code": "cfc92c65ee09", "bad-code": "aa90675eb8ee"}


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(BadInput, match=r"(?s)'latent'.*latent-code"):
        family("latent")
