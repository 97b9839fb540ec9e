"""Tokenizers and chat templates of strangers are programs: here they run in a child process that can be killed.

A chat template may loop for ever or fill the memory, a tokenizer's pattern may backtrack for years, and a wrong
vocabulary makes the tokenizers library panic or abort. So a folder's tokenizer is opened there first (`rehearse`), and
prompts are rendered and spelled there (`prompts`: a whole set in one question, answers kept), under limits on processor
time, memory and output. Tokenizers that were made here never come here. Left out: decoding what a model wrote.
"""

import functools
import hashlib
import json
import signal
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from probe.engine.child import Child, Ended
from probe.errors import BadInput, ProbeError

WORKER = Path(__file__).with_name("quarantine_worker.py")
SECONDS = {"load": 10.0, "prompts": 5.0, "match": 5.0}  # of processor time for a question, by what it asks
MORE = 0.02  # seconds for each prompt of a set
PATIENCE = 10.0  # seconds on the wall for a second of it, on a busy machine
KEPT = 32  # answers
OURS = {"USE_TORCH": "0", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
CRASHES = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)

_strangers: "weakref.WeakSet[PreTrainedTokenizerBase]" = weakref.WeakSet()
_written: "weakref.WeakKeyDictionary[PreTrainedTokenizerBase, tuple[int, str, str]]" = weakref.WeakKeyDictionary()
_answers: OrderedDict[str, dict[str, Any]] = OrderedDict()


def rehearse(folder: Path, kind: str, options: dict[str, Any], texts: Sequence[str]) -> None:
    """Open the folder's tokenizer as class `kind` of transformers, spell `texts`, read them back. BadInput if it fails.

    What was done here once, with the limits kept, may be done in this process.
    """
    question = {"do": "load", "folder": str(folder), "class": kind, "options": options, "texts": list(texts)}
    _ask(question, "cannot load this checkpoint: its tokenizer", str(folder), 1)


def estrange(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Mark it as one from outside: what it spells, it spells in quarantine."""
    _strangers.add(tokenizer)
    return tokenizer


def is_stranger(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether it came from outside."""
    return tokenizer in _strangers


def prompts(
    tokenizer: PreTrainedTokenizerBase, chat: str | None, system: str | None, texts: Sequence[str], prefix: str
) -> tuple[list[list[int]], list[int], str]:
    """The ids of every text, rendered by the template `chat` unless that is None; of `prefix`; and how that reads."""
    question = {
        "do": "prompts",
        "chat": chat,
        "system": system,
        "texts": list(texts),
        "prefix": prefix,
        "specials": {
            name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)
        },
        "split_specials": bool(getattr(tokenizer, "split_special_tokens", False)),
    }
    what = "this tokenizer cannot spell it" if chat is None else "the chat template does not render"
    answer = _kept(question, *_backend(tokenizer), what, str(tokenizer.name_or_path))
    if "ids" in answer:
        return [list(ids) for ids in answer["ids"]], list(answer["forced"]), answer["spelled"]
    ids = [list(tokenizer(text, add_special_tokens=chat is None)["input_ids"]) for text in answer["texts"]]
    forced = list(tokenizer(prefix, add_special_tokens=False)["input_ids"])
    return ids, forced, tokenizer.decode(forced, clean_up_tokenization_spaces=False)


def rehearse_patterns(patterns: Sequence[str], names: Sequence[str], where: str) -> None:
    """Hold regular expressions from a file against names. BadInput where one is none, or never ends."""
    if patterns:
        question = {"do": "match", "patterns": list(patterns), "names": list(names)}
        _ask(question, "a pattern of its modules cannot be used", where, 1)


def _backend(tokenizer: PreTrainedTokenizerBase) -> tuple[str | None, str]:
    """The fast tokenizer below it as JSON, and its digest; None where there is none."""
    inner = getattr(tokenizer, "backend_tokenizer", None)
    if inner is None or not hasattr(inner, "to_str"):
        return None, str(id(tokenizer))
    size, text, digest = _written.get(tokenizer, (-1, "", ""))
    if size != len(tokenizer):
        text = inner.to_str()
        digest = hashlib.sha256(text.encode()).hexdigest()
        _written[tokenizer] = (len(tokenizer), text, digest)
    return text, digest


def _kept(question: dict[str, Any], backend: str | None, digest: str, what: str, where: str) -> dict[str, Any]:
    key = hashlib.sha256(json.dumps([question, digest]).encode()).hexdigest()
    if key not in _answers:
        _answers[key] = _ask(question | {"backend": backend}, what, where, len(question["texts"]))
        while len(_answers) > KEPT:
            _answers.popitem(last=False)
    return _answers[key]


def _ask(question: dict[str, Any], what: str, where: str, size: int) -> dict[str, Any]:
    """The worker's answer; BadInput where it says that there is none, or died of the question."""
    seconds = SECONDS[question["do"]] + MORE * size
    for _ in range(2):  # once more, should something else have killed it
        try:
            answer = _worker().ask(question | {"seconds": seconds}, PATIENCE * seconds)
        except Ended as end:
            why = _why(end, seconds)
        else:
            why = answer.get("error", "")
            if not why:
                return answer
        if why:
            do = "mend the checkpoint's file, or use another checkpoint; a template with a text needs no chat template"
            raise BadInput(f"{what}: {why}", where=where, do=do)
    raise ProbeError(
        "the worker that reads tokenizers was killed, twice", where=where, do="free some memory and run it again"
    )


def _why(end: Ended, seconds: float) -> str:
    """What it died of; nothing where it was not the question."""
    if end.code is None or end.code == -signal.SIGPROF:
        return f"it does not end within {seconds:g} seconds"
    return "it crashes the library that reads it" if -end.code in CRASHES else ""


@functools.cache
def _worker() -> Child:
    return Child(WORKER, "transformers", OURS)
