"""How does one graded response stand in an Inspect log? As an EvalSample, every text exactly as it is.

    id, epoch    the problem and the number of the draw, from 1; an id that could not name a file gets another one, and
                 stands as it is in metadata.probe_problem, by which standard errors are clustered
    input        system and user message; target: the gold answer; output: the response, whether it was cut off
    scores       C right, I wrong, N where no verdict could be reached; what was extracted, and why it counts so
    metadata     strategy, tokens, cut_off, leaked, temperature, ...

https://inspect.aisi.org.uk/eval-logs.html. Left out: events, reasoning as a part of its own.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from probe.data import Outcome

SCORER = "probe"
PROBLEM = "probe_problem"
SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}")
KEPT = ("strategy", "python", "outcome", "confidence", "temperature", "tokens", "step", "seed", "leaked")
VALUES = {Outcome.right: "C", Outcome.wrong: "I"}
SAID = {
    Outcome.right: "the answer {answer} equals {gold}",
    Outcome.wrong: "the answer {answer} does not equal {gold}",
    Outcome.unparsed: "no answer was found",
    Outcome.gold_unparsed: "the gold answer {gold} cannot be read: nothing scores right",
    Outcome.timeout: "comparing {answer} with {gold} took too long",
}


def eval_sample(row: Mapping[str, Any], model: str, system: str | None = None) -> dict[str, Any]:
    """One row: problem, sample, text, and where they are known prompt, answer, right (a label), outcome, boxed, ..."""
    asked = row.get("prompt") or row["problem"]
    system_said = [{"role": "system", "content": system}] if system else []
    said = [*system_said, {"role": "user", "content": asked, "source": "input"}]
    written = {"role": "assistant", "content": row["text"], "source": "generate"}
    cut_off = None if row.get("stop") is None else row["stop"] == "length"
    usage = (
        {"input_tokens": 0, "output_tokens": row["tokens"], "total_tokens": row["tokens"]} if row.get("tokens") else {}
    )
    stop = "unknown" if cut_off is None else "max_tokens" if cut_off else "stop"
    output = {"model": model, "choices": [{"message": written, "stop_reason": stop}], "completion": row["text"]}
    known = {key: row[key] for key in KEPT if row.get(key) is not None}
    return {
        "id": safe_id(row["problem"]),
        "epoch": row["sample"] + 1,
        "input": said,
        "target": row.get("answer") or "",
        "messages": [*said, written],
        "output": output | ({"usage": usage} if usage else {}),
        "scores": _scores(row),
        "metadata": known | ({} if cut_off is None else {"cut_off": cut_off}) | {PROBLEM: row["problem"]},
        "store": {},
        "events": [],
        "model_usage": {model: usage} if usage else {},
        "attachments": {},
    }


def safe_id(problem: str) -> str:
    """The id where it can stand in the name of a file, else a like one with a digest behind it."""
    if SAFE.fullmatch(problem):
        return problem
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", problem)[:40].strip("-") or "problem"
    return f"{plain}-{blake2b(problem.encode('utf-8', 'surrogatepass'), digest_size=6).hexdigest()}"


def _scores(row: Mapping[str, Any]) -> dict[str, Any]:
    """Of the authors where the row has their label, else our grade; nothing where it has neither."""
    score: dict[str, Any] = {"answer": row.get("boxed")}
    if row.get("right") is not None:
        said = "right" if row["right"] else "wrong"
        return {
            SCORER: score | {"value": "C" if row["right"] else "I", "explanation": f"labelled {said} by its authors"}
        }
    if not row.get("outcome"):
        return {}
    outcome = Outcome(row["outcome"])
    said = SAID[outcome].format(answer=_quoted(row.get("boxed")), gold=_quoted(row.get("answer")))
    return {SCORER: score | {"value": VALUES.get(outcome, "N"), "explanation": f"{outcome}: {said}"}}


def _quoted(text: str | None) -> str:
    return "(not known)" if text is None else f"'{text}'"
