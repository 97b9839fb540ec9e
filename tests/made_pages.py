"""Made-up pages: a few pairs of responses and their tokens, whose texts may be anything."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from tables import table

from probe.data import PAIRED, SIDES
from probe.pages import responses, tokens
from probe.pages.embed import Page
from probe.rng import numpy_rng

HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<!-- <script> <!--",
    "]]>&lt;b&gt;&amp;{{script}}{{data}}",
    "javascript:alert(1) ' onload='x' style='x'",
    "\x00\x07\x1b[2J\x1b]0;owned\x07\x7f\r\n",
    "left \u202eevil\u202c \u2066x\u2069 \u2028 \u2029 \ufeff",
    "lone \ud800 half, \U000e0041 tag, e\u0301 \U0001f600",
    "",
)


def side(texts: Sequence[str], outcomes: Sequence[str], strategies: Sequence[str], stops: Sequence[str]) -> pa.Table:
    """RESPONSES to problems p0, p1, ...; half of a surrogate pair cannot stand in arrow and is replaced."""
    sound = [text.encode("utf-8", "replace").decode() for text in texts]
    names = [f"p{i}" for i in range(len(texts))]
    n = len(texts)
    about = {"boxed": [None] * n, "python": [False] * n, "confidence": [None] * n, "temperature": [1.0] * n}
    return table(problem=names, text=sound, outcome=outcomes, strategy=strategies, stop=stops, **about)


def paired(texts: Sequence[Sequence[str]], others: int = 3, address: str = "page") -> pa.Table:
    """PAIRED of texts given by their pieces, with random scores and `others` choices a token."""
    n, rng = sum(map(len, texts)), numpy_rng("test", "paired", address)
    number = np.concatenate([np.full(len(text), i) for i, text in enumerate(texts)]).astype(int)
    chances = np.sort(rng.dirichlet(np.full(others + 1, 0.4), size=(2, n)))[:, :, ::-1][:, :, :others]
    sure = dict(zip(SIDES, np.log(np.maximum(chances, 1e-9)), strict=True))
    columns: dict[str, Any] = {
        "problem": [f"p{i}" for i in number],
        "sample": np.zeros(n, int),
        "pos": np.concatenate([np.arange(len(text)) for text in texts]),
        "token": np.arange(n),
        "piece": [piece.encode("utf-8", "replace").decode() for text in texts for piece in text],
        "kl": rng.exponential(0.1, n),
        "other": np.arange(n * others).reshape(n, others).tolist(),
        "other_piece": [[f"choice {j}" for j in range(others)]] * n,
    }
    for name in SIDES:
        entropy = rng.exponential(0.3, n)
        columns |= {
            f"logprob_{name}": sure[name][:, 0],
            f"entropy_{name}": entropy,
            f"rank_{name}": rng.integers(0, 3, n),
        }
        columns |= {f"fork_{name}": entropy > np.quantile(entropy, 0.8), f"other_{name}": sure[name].tolist()}
    return pa.table({name: columns[name] for name in PAIRED.names}, schema=PAIRED)


def page(texts: Sequence[str], name: str = "after") -> Page:
    """A whole page in which the texts stand wherever texts of others can stand."""
    n = len(texts)
    places = {f"p{i}": i for i in range(n)}
    outcomes, strategies = (["right", "wrong"] * n)[:n], (["code", "prose", "prose"] * n)[:n]
    before = side(texts, outcomes, strategies, (["eos"] * n))
    after = side(texts[::-1], ["right"] * n, ["code"] * n, (["length", "eos", "eos"] * n)[:n])
    problems = {f"p{i}": responses.problem(text, text, i % 2 == 0) for i, text in enumerate(texts)}
    spelled = [[text, " ", "b", "\n"] for text in texts]
    measured = {"name": "accuracy", "varying": name, "reward": name, "temperature": 1.0, "unit": "fraction"}
    measured |= {"before": 0.5, "after": 0.75, "value": 0.25, "lo": 0.1, "hi": 0.4, "n": n, "n_problems": n}
    measured |= {"null": 0.0, "p": 0.01, "p_holm": float("nan")}
    line = {"explanation": name, "alone": 0.1, "common": 0.0, "total": 0.1, "share": 0.1, "lo": 0.0, "hi": 0.2}
    line |= {"verdict": "undecided", "what would decide it": name, "p_holm": None}
    verdict = {"family": "f", "reward": name, "temperature": 1.0, "n": n, "n_problems": n, "state": "changed"}
    verdict |= {"sentence": f"accuracy rose by {name}", "change": None, "null": {"value": 0.0, "lo": -0.1, "hi": 0.1}}
    verdict |= {"explanations": [line], "undecided": [name]}
    about = {"before": "before", "after": name, "pair": "rl", "family": "f", "problems": name, "n_problems": n}
    about |= {"leak": "public", "template": name, "samples": 1, "temperature": 1.0, "max_new": 9, "destroyed": True}
    data = {
        "kind": "pair",
        "about": about | {"warnings": [name]},
        "verdicts": [verdict],
        "measures": {"rows": [measured], "about": {"accuracy": {"question": name, "null": name}}},
        "figures": [],
        "responses": responses.told([(before, after)], problems, 100),
        "tokens": {"temperature": 1.0, **{each: tokens.told(paired(spelled), places) for each in SIDES}},
        "provenance": {"probe": "0", "artifacts": [], "commands": [name]},
    }
    return Page(name, data, {})
