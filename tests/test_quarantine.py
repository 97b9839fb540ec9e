"""Tokenizers and chat templates of strangers: what loops, grows, recurses, panics or aborts is a clear error."""

import copy
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from outside_checkpoints import byte_tokenizer, save_tiny

from probe.errors import BadInput, ProbeError
from probe.models.loading import quarantine
from probe.models.loading.entries import Template
from probe.models.loading.load import load_folder
from probe.models.sampling.prompts import prompt_ids

CHAT = Template(chat=True)
QUESTIONS = [f"What is {n} + {n}?" for n in range(20)]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "SECONDS", dict.fromkeys(quarantine.SECONDS, 1.5))


def with_template(text: str) -> Any:
    tokenizer = copy.deepcopy(byte_tokenizer())
    tokenizer.chat_template = text
    return tokenizer


LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}x"
HOSTILE_TEMPLATES = {
    "endless": (LOOP, "does not end within"),
    "large": ("{{ 'x' * 2000000 }}", "at most 1,000,000"),
    "huge": ("{{ 'x' * 9999999999 }}", "GB of memory"),
    "doubling": ("{% set n = namespace(s='x') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
                 "GB of memory|does not end"),
    "deep": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deeply|crashes"),
    "recursive": ("{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}", "nested too deeply|crashes"),
    "broken": ("{% for %}", "TemplateSyntaxError"),
    "a large power": ("{{ 9 ** 999999999 }}", "does not end within|memory"),
    "a surrogate": ("\ud800{{ messages[0].content }}", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_TEMPLATES)
def test_a_hostile_chat_template_is_bad_input(name: str) -> None:
    text, said = HOSTILE_TEMPLATES[name]
    with pytest.raises(BadInput, match=f"the chat template does not render: .*({said})"):
        prompt_ids(with_template(text), CHAT, QUESTIONS)
    assert len(prompt_ids(byte_tokenizer(), CHAT, QUESTIONS)[0]) == len(QUESTIONS)  # the next one is served


def test_what_is_rendered_there_is_what_transformers_renders() -> None:
    tokenizer = byte_tokenizer()
    for system in (None, "Box it."):
        found, forced = prompt_ids(tokenizer, Template(chat=True, system=system), QUESTIONS, "Let's")
        first = [] if system is None else [{"role": "system", "content": system}]
        for ids, question in zip(found, QUESTIONS, strict=True):
            turns = [*first, {"role": "user", "content": question}]
            text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
            assert ids[-len(forced) :] == forced
            assert ids[: -len(forced)] == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_a_stranger_spells_texts_as_it_would_here(tmp_path: Path) -> None:
    loaded = load_folder(save_tiny("qwen2", tmp_path / "x"))
    assert quarantine.is_stranger(loaded.tokenizer)
    text = Template(text="Q: {prompt}")
    found, forced = prompt_ids(loaded.tokenizer, text, QUESTIONS, "Sure")
    here = [loaded.tokenizer(f"Q: {question}")["input_ids"] for question in QUESTIONS]
    assert [ids[: -len(forced)] for ids in found] == here
    trusted = load_folder(tmp_path / "x", trusted=True)
    assert not quarantine.is_stranger(trusted.tokenizer)
    assert prompt_ids(trusted.tokenizer, text, QUESTIONS, "Sure") == (found, forced)


def test_a_set_is_one_question_and_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    child = quarantine._worker()
    ask = child.ask
    monkeypatch.setattr(child, "ask", lambda question, seconds: asked.append(question) or ask(question, seconds))
    questions = [f"{question} Say it." for question in QUESTIONS]
    first = prompt_ids(byte_tokenizer(), CHAT, questions)
    again = prompt_ids(byte_tokenizer(), CHAT, questions)
    assert first == again and [len(each["texts"]) for each in asked] == [len(questions)]
    first[0][0].append(7)  # what is kept is not what was given
    assert prompt_ids(byte_tokenizer(), CHAT, questions) == again


def test_a_worker_that_is_killed_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt_ids(byte_tokenizer(), CHAT, ["warm"])
    process = quarantine._worker()._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert prompt_ids(byte_tokenizer(), CHAT, ["once more"])[0]
    endings = [quarantine.Ended(-signal.SIGKILL)] * 2

    def killed(*_: object) -> None:
        raise endings.pop()

    monkeypatch.setattr(quarantine._worker(), "ask", killed)
    with pytest.raises(ProbeError, match="was killed, twice") as caught:
        prompt_ids(byte_tokenizer(), CHAT, ["and again"])
    assert not isinstance(caught.value, BadInput) and not endings


def edited(**parts: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.update(parts)


def bpe(**parts: Any) -> Callable[[dict[str, Any]], None]:
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}
    return edited(model=model | parts)


HOSTILE_TOKENIZERS = {
    "a panic at loading": bpe(continuing_subword_prefix="prefix"),
    "an abort": bpe(vocab={"a": 0, "\u00e9": 1, "a\u00e9": 2}, merges=[["a", "\u00e9"]], continuing_subword_prefix="x"),
    "a panic at spelling": edited(normalizer={"type": "Precompiled", "precompiled_charsmap": "BAAAAP////8="}),
    "no model": edited(model=None),
    "another type": edited(model={"type": "Strange"}),
}


@pytest.mark.parametrize("name", HOSTILE_TOKENIZERS)
def test_a_hostile_tokenizer_is_bad_input(tmp_path: Path, name: str) -> None:
    folder = save_tiny("qwen2", tmp_path / "x")
    content = json.loads((folder / "tokenizer.json").read_text())
    HOSTILE_TOKENIZERS[name](content)
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(BadInput, match="its tokenizer: ") as caught:
        load_folder(folder)
    assert str(folder) in caught.value.where


@pytest.mark.parametrize(("pattern", "said"), [("^(([a-z.])+)+!$", "does not end"), ("(", "error")])
def test_a_hostile_pattern_is_bad_input(pattern: str, said: str) -> None:
    names = ["model.layers.self.attn.q.proj.and.so.on"]
    with pytest.raises(BadInput, match=said):
        quarantine.rehearse_patterns([pattern], names, "here")
    quarantine.rehearse_patterns([".*q_proj", "model.*"], names, "here")
