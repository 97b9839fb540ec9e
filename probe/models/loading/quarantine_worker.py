"""The child process of `probe.models.loading.quarantine`: opens tokenizers, renders chat templates. Run as a script.

Protocol: a JSON object a line. Out, once: {"ready": true}. In: {"do", "seconds", ...}. Out: an answer or {"error"}.

    load      class, options, folder, texts      -> tokens: how many the tokenizer has; each text was spelled and read
    prompts   chat, specials, conversations or texts, backend, prefix, ...  -> texts and, of a fast tokenizer, ids
    match     patterns, names                    -> matched, once every pattern was held against every name

The limit is processor time, so that a loaded machine gives the same outcome: an interval timer with no handler, which
kills this process whatever C code it is in. Memory is limited as well: what asks for more is an error or the end.
"""

import contextlib
import json
import os
import re
import sys
from typing import Any

from probe.engine.with_parent import follow_parent

MEMORY = 4 << 30  # bytes of data
MAX_TEXT = 1_000_000  # characters of one prompt


def main() -> None:
    """Answer requests until standard input closes."""
    follow_parent()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a stray print of a library must not break the protocol
    _limit_memory()
    import tokenizers  # noqa: F401 - before the first question is timed
    from transformers import AutoTokenizer, PreTrainedTokenizerFast  # noqa: F401

    _say(out, {"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        _arm(request["seconds"])
        answer = _answered(request)
        _arm(0)
        _say(out, answer)


def _answered(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"load": _load, "prompts": _prompts, "match": _match}[request["do"]](request)
    except (KeyboardInterrupt, SystemExit):
        raise
    except MemoryError:
        return {"error": f"it needs more than {MEMORY >> 30} GB of memory"}
    except RecursionError:
        return {"error": "it is nested too deeply"}
    except BaseException as err:  # a panic of Rust code is no Exception
        return {"error": f"{type(err).__name__}: {err}"[:500].encode("utf-8", "replace").decode()}


def _load(request: dict[str, Any]) -> dict[str, Any]:
    import transformers

    tokenizer = getattr(transformers, request["class"]).from_pretrained(request["folder"], **request["options"])
    for text in request["texts"]:
        tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True)
    return {"tokens": len(tokenizer.get_vocab())}


def _prompts(request: dict[str, Any]) -> dict[str, Any]:
    chat = request["chat"]
    texts = request["texts"] if chat is None else [_render(request, each) for each in request["texts"]]
    longest = max(map(len, texts), default=0)
    if longest > MAX_TEXT:
        return {"error": f"it makes a prompt of {longest:,} characters: at most {MAX_TEXT:,} are read"}
    if request["backend"] is None:
        return {"texts": texts}
    import tokenizers

    backend = tokenizers.Tokenizer.from_str(request["backend"])
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = request["split_specials"]
    forced = backend.encode(request["prefix"], add_special_tokens=False).ids
    ids = [backend.encode(text, add_special_tokens=chat is None).ids for text in texts]
    return {"texts": texts, "ids": ids, "forced": forced, "spelled": backend.decode(forced, skip_special_tokens=False)}


def _render(request: dict[str, Any], question: str) -> str:
    from jinja2.exceptions import TemplateError

    system = request["system"]
    if system is None:
        return _rendered(request, [{"role": "user", "content": question}])
    try:
        turns = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        return _rendered(request, turns)
    except TemplateError:  # Gemma has no system turn: the user says it
        return _rendered(request, [{"role": "user", "content": f"{system}\n\n{question}"}])


def _rendered(request: dict[str, Any], turns: list[dict[str, str]]) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    (text,), _ = render_jinja_template(
        conversations=[turns], chat_template=request["chat"], add_generation_prompt=True, **request["specials"]
    )
    return str(text)


def _match(request: dict[str, Any]) -> dict[str, Any]:
    return {"matched": sum(bool(re.match(p, name)) for p in request["patterns"] for name in request["names"])}


def _say(out: Any, message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # no limit where the system has none
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _arm(seconds: float) -> None:
    with contextlib.suppress(ImportError, AttributeError):
        import signal

        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
