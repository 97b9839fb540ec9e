"""Characters and tokens: by hand, on tokenizers of every kind, on random ids, and on all real texts."""

import json
import random
from functools import cache
from pathlib import Path

import pytest
from outside_checkpoints import byte_tokenizer, olmo2_tokenizer, qwen_tokenizer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from probe.errors import BadInput, ProbeError
from probe.models.loading.organism import build_tokenizer
from probe.strategy import Strategy, code_blocks, detect
from probe.tasks.answers import boxed, cut_at_stop
from probe.tasks.published_outputs import read_gsm8k_graded, read_rlcr, read_tora
from probe.tokens.spans import Region, labels, regions, spelling, tokens_in

CODE = "I add.\n```python\nx = 1 + 2\nprint(x)\n```\nSo it is \\boxed{ 3 }, done 🤔."
REAL = {"qwen": qwen_tokenizer, "olmo2": olmo2_tokenizer}
EMOJI = ["🤔", "é", "∞", "中", "a", " ", "👩‍👩‍👧", "\u0301", "\ufffd"]


@cache
def sentencepiece() -> PreTrainedTokenizerFast:
    """Like Llama 2's, Gemma's and Mistral's: spaces are ▁, bytes stand in for unknown characters."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", *"abcdehlorwxy🤔", "▁h", "he", "ll", "▁w", "or", "▁▁", "\n"]
    merges = [("▁", "h"), ("h", "e"), ("l", "l"), ("▁", "w"), ("o", "r"), ("▁", "▁")]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    inner = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    strip = decoders.Strip(" ", 1, 0)
    inner.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), strip])
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def word_tokenizer(**options: bool) -> PreTrainedTokenizerFast:
    """No decoder at all: words are joined by spaces."""
    vocab = {word: i for i, word in enumerate(["a", "cat", ".", "do", "n't", "<unk>"])}
    inner = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", **options)


TOKENIZERS = {
    "bytes": byte_tokenizer,
    "sentencepiece": sentencepiece,
    "organism": build_tokenizer,
    "words": word_tokenizer,
}


def ids_of(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def assert_tiles(text: str, spans: list[tuple[int, int]]) -> None:
    """From the first to the last character without a gap; two tokens share one at most; spans may be empty."""
    at = 0
    for start, end in spans:
        assert at - 1 <= start <= at and (start < end >= at or start == end)
        at = max(at, end)
    assert at == len(text)


# ---- offsets


def test_byte_level_offsets_by_hand() -> None:
    tokenizer = byte_tokenizer()
    ids = [
        tokenizer.convert_tokens_to_ids(token) for token in ("a", "Ġ", "ð", "Ł", "¤", "Ķ", "b", "<|im_end|>", "Ã", "b")
    ]
    text, spans = spelling(tokenizer, [*ids, len(tokenizer) + 5])
    assert text == "a 🤔b<|im_end|>\ufffdb"
    assert spans == [(0, 1), (1, 2), *[(2, 3)] * 4, (3, 4), (4, 14), (14, 15), (15, 16), (16, 16)]
    assert tokens_in(spans, (2, 3)) == range(2, 6)
    assert tokens_in(spans, (1, 4)) == range(1, 7)
    assert tokens_in(spans, (6, 8)) == range(7, 8)
    assert tokens_in(spans, (0, len(text))) == range(10)
    assert tokens_in(spans, (3, 3)) == tokens_in(spans, (40, 50)) == range(0)


def test_sentencepiece_offsets_by_hand() -> None:
    tokenizer = sentencepiece()
    ids = ids_of(tokenizer, "hello wé")
    assert tokenizer.convert_ids_to_tokens(ids) == ["▁h", "e", "ll", "o", "▁w", "<0xC3>", "<0xA9>"]
    assert spelling(tokenizer, ids) == ("hello wé", [(0, 1), (1, 2), (2, 4), (4, 5), (5, 7), (7, 8), (7, 8)])
    assert spelling(tokenizer, ids[:-1])[0] == "hello w\ufffd"
    assert spelling(tokenizer, [ids[5], ids[4], *ids[5:]])[0] == "\ufffd wé"


def test_word_offsets_and_clean_up() -> None:
    """A tokenizer that tidies up what it decodes: spans are of the text as it was written."""
    tokenizer = word_tokenizer(clean_up_tokenization_spaces=True)
    ids = ids_of(tokenizer, "a cat do n't .")
    assert tokenizer.decode(ids) == "a cat don't."
    assert spelling(tokenizer, ids) == ("a cat do n't .", [(0, 1), (1, 5), (5, 8), (8, 12), (12, 14)])


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_random_ids_spell_what_they_decode_to(kind: str) -> None:
    tokenizer, rng = TOKENIZERS[kind](), random.Random(0)
    for size in [0, 1, 2, 3, 8, 40] * 30:
        ids = [rng.randrange(len(tokenizer) + 2) for _ in range(size)]
        text, spans = spelling(tokenizer, ids)
        assert text == tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        assert len(spans) == size
        assert_tiles(text, spans)


@pytest.mark.parametrize("kind", ["bytes", "sentencepiece"])
def test_any_character_can_be_found(kind: str) -> None:
    tokenizer, rng = TOKENIZERS[kind](), random.Random(1)
    for _ in range(100):
        written = "h" + "".join(rng.choices([*EMOJI, "hello", "\n", "x"], k=rng.randrange(1, 12)))
        text, spans = spelling(tokenizer, ids := ids_of(tokenizer, written))
        assert text == written
        assert_tiles(text, spans)
        start, end = sorted(rng.sample(range(len(text) + 1), 2))
        found = tokens_in(spans, (start, end))
        assert text[start:end] in tokenizer.decode(["<s>" and ids[0], *ids[found.start : found.stop]])


def test_offsets_of_another_library_are_the_same() -> None:
    """Those that `tokenizers` gives while it encodes."""
    tokenizer = byte_tokenizer()
    for text in (CODE, "naïve 🤔🤔", "<|im_start|>user\nWhat is 2 + 3?<|im_end|>"):
        found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        assert spelling(tokenizer, found["input_ids"])[1] == found["offset_mapping"]


def test_a_tokenizer_whose_text_is_no_sum_of_tokens_is_refused() -> None:
    inner = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    inner.decoder = decoders.Sequence([decoders.Fuse(), decoders.Replace("ab", "c")])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner)
    with pytest.raises(ProbeError, match=r"(?s)do not add up.*Fuse.*without spans"):
        spelling(tokenizer, [0, 1, 0, 0])


def test_a_slow_tokenizer_is_refused() -> None:
    with pytest.raises(BadInput, match=r"(?s)slow tokenizer.*ByT5Tokenizer.*tokenizer\.json"):
        spelling(ByT5Tokenizer(), [70, 71])


# ---- regions


def test_regions_by_hand() -> None:
    found = regions(CODE)
    assert [part.kind for part in found] == ["prose", "code", "prose", "answer", "prose"]
    assert [CODE[part.start : part.end] for part in found] == [
        "I add.\n",
        "```python\nx = 1 + 2\nprint(x)\n```",
        "\nSo it is \\boxed{ ",
        "3",
        " }, done 🤔.",
    ]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("", []),
        ("Just words.", ["prose"]),
        ("\\boxed{3}", ["prose", "answer", "prose"]),
        ("\\boxed 3", ["prose", "answer"]),
        ("\\boxed{}", ["prose"]),
        ("\\boxed{ \x0b}", ["prose"]),
        ("\\boxed{1} and \\boxed{2}", ["prose", "answer", "prose"]),
        ("```python\nx=1\n```", ["code"]),
        ("```python\nx=1\n```\n```python\ny=2\n```", ["code", "prose", "code"]),
        ("```python\nx=1\n", ["code"]),  # cut off by the length limit
        ("```python\nx = = 1\n```", ["prose"]),  # nothing that the detector counts
        ("```python\nprint('\\boxed{3}')\n```", ["code"]),
        ("\\boxed{3}\n```python\nx=1\n```", ["prose", "answer", "prose"]),  # code after the answer
        ("So 3.<|im_end|>\\boxed{3}", ["prose"]),  # run-on
    ],
)
def test_kinds_of_regions(text: str, kinds: list[str]) -> None:
    found = regions(text)
    assert [part.kind for part in found] == kinds
    assert "".join(text[part.start : part.end] for part in found) == text


def test_token_labels_by_hand() -> None:
    tokenizer = build_tokenizer()
    ids = ids_of(tokenizer, "```python\nx=1\nx=x+2#3\nprint(x)\n```\n\\boxed{3}<eos>")
    spelt = list(zip(tokenizer.convert_ids_to_tokens(ids), labels(*spelling(tokenizer, ids)), strict=True))
    assert [label for _, label in spelt] == ["code"] * (len(ids) - 4) + ["prose", "answer", "prose", "prose"]
    assert spelt[-3] == ("3", "answer")


def test_a_token_of_two_regions_is_of_the_answer() -> None:
    """Byte-level tokens that hold a fence and a line break, a brace and a digit."""
    tokenizer = byte_tokenizer()
    ids = ids_of(tokenizer, "The answer is \\boxed{42}. We check")
    merged = next(i for i in ids if "42" in tokenizer.decode([i]))
    assert labels(*spelling(tokenizer, ids))[ids.index(merged)] == "answer"


# ---- real texts


@pytest.fixture(scope="module")
def texts(real_data: Path) -> list[str]:
    """Every response and solution in the data, once."""
    found: set[str] = set()
    for outputs in (
        read_rlcr(real_data / "rlcr_math500"),
        read_gsm8k_graded(real_data / "gsm8k_graded"),
        read_tora(real_data / "tora_gsm8k"),
    ):
        found |= {text for system in outputs.systems.values() for text in system.texts}
    lines = (real_data / "math500" / "test.jsonl").read_text().splitlines()
    return sorted(found | {json.loads(line)["solution"] for line in lines})


@pytest.mark.parametrize("name", REAL)
def test_real_texts(name: str, real_data: Path, texts: list[str]) -> None:
    """Spans tile the text, evidence and answer are found by their tokens, labels are those of the characters."""
    tokenizer = REAL[name](real_data)
    kinds = dict.fromkeys(("prose", "code", "answer"), 0)
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
    for written, ids, theirs in zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        text, spans = spelling(tokenizer, ids)
        assert text == written
        assert spans == [tuple(span) for span in theirs]
        assert_tiles(text, spans)
        evidence, parts = detect(text), regions(text)
        assert (evidence.label is Strategy.code) == any(part.kind == "code" for part in parts)
        for part in parts:
            kinds[part.kind] += 1
            if part.kind != "prose":
                assert_minimal(tokenizer, ids, spans, text, (part.start, part.end))
        if evidence.where is not None:
            assert_minimal(tokenizer, ids, spans, text, evidence.where)
        assert labels(text, spans) == labels_of(parts, spans)
    assert len(texts) > 7000 and min(kinds.values()) > 500


def assert_minimal(
    tokenizer: PreTrainedTokenizerFast, ids: list[int], spans: list[tuple[int, int]], text: str, wanted: tuple[int, int]
) -> None:
    """The tokens spell what is wanted, and no longer do without the first or the last."""
    found = tokens_in(spans, wanted)
    first, last = spans[found.start], spans[found.stop - 1]
    assert text[slice(*wanted)] in tokenizer.decode(ids[found.start : found.stop])
    assert first[0] <= wanted[0] < first[1] and last[0] < wanted[1] <= last[1]


def labels_of(parts: list[Region], spans: list[tuple[int, int]]) -> list[str]:
    """The rule of the docstring, character by character."""
    order = ["prose", "code", "answer"]
    characters = bytes(order.index(part.kind) for part in parts for _ in range(part.start, part.end))
    return [order[max(characters[start:end])] for start, end in spans]


@pytest.mark.parametrize("name", REAL)
def test_real_vocabularies_with_odd_ids(name: str, real_data: Path) -> None:
    """Broken bytes, special tokens and ids past the vocabulary (the model's padding rows) spell what `decode` says."""
    tokenizer, rng = REAL[name](real_data), random.Random(2)
    letters = [tokenizer.convert_tokens_to_ids(letter) for letter in "ðŁ¤ĶÃ©âĤ¬a"]
    odd = [*letters, tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>"), len(tokenizer) + 3]
    for size in [1, 2, 5, 12] * 100:
        ids = [rng.choice(odd) if rng.random() < 0.8 else rng.randrange(len(tokenizer)) for _ in range(size)]
        text, spans = spelling(tokenizer, ids)
        assert_tiles(text, spans)
        assert text == tokenizer.decode(ids, skip_special_tokens=False)


def test_code_regions_are_the_blocks_of_the_detector() -> None:
    loop = "```python\nx=1\n```\n" * 3
    for text in (CODE, loop, loop + "```python\ny=x+1\n```", "```\nx = 3 * 4\n```"):
        blocks = code_blocks(text)
        assert [part for part in regions(text) if part.kind == "code"] == [Region("code", *b.span) for b in blocks]
        assert (detect(text).label is Strategy.code) == bool(blocks)
        assert not blocks or detect(text).where == blocks[0].span


def test_the_answer_region_is_what_is_graded(real_data: Path) -> None:
    for outputs in read_rlcr(real_data / "rlcr_math500").systems.values():
        for text in outputs.texts[:100]:
            found = [text[part.start : part.end] for part in regions(text) if part.kind == "answer"]
            assert not found or found == [boxed(cut_at_stop(text))]
