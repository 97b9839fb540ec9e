"""Made-up pages: a few pairs of responses and their tokens, whose texts may be anything."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from tables import table

from probe.data import PAIRED, SIDES
from probe.pages import responses, tokens
from probe.pages.embed import Page
from probe.pages.pack import Both, Levels, Texts
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


def estimate(value: float = 0.5, null: float | None = 0.0) -> dict[str, Any]:
    """A number with its interval."""
    about = {"n": 40, "n_problems": 20, "null": null, "p": 0.01}
    return {"value": value, "lo": value - 0.1, "hi": value + 0.1} | about


def card(thing: str, title: str, texts: Sequence[str], lowest: float = 0.0) -> dict[str, Any]:
    """A card in which the texts stand wherever a model's can."""
    groups = {"code": [0.1, 0.3, 0.05], "prose": [0.4, 0.1, 0.0]}
    rate = {"before": estimate(0.3), "after": estimate(0.5), "change": estimate(0.2)}
    logits = [
        {"part": part, "token": text, "before": sign * 0.5, "after": sign * 0.6}
        | {"null_before": sign * 0.2, "null_after": sign * 0.2}
        for part, sign in (("up", 1), ("down", -1))
        for text in texts[:3]
    ]
    contexts = [
        {"problem": text, "sample": 0, "side": "after", "pos": 1, "at": 2}
        | {"pieces": [text, " ", text, "b"], "values": [None, lowest, 1.5, 0.25]}
        for text in texts
    ]
    return {
        "thing": thing,
        "title": title,
        "auroc": estimate(0.7, 0.5),
        "audits": [{"said": said, "text": texts[0]} for said in ("passed", "failed", "open")],
        "rates": [{"group": group, **rate} for group in groups],
        "histogram": {
            "edges": [lowest, lowest + 1, lowest + 2],
            "groups": groups,
            "n": dict.fromkeys(groups, 40),
            "n_problems": dict.fromkeys(groups, 20),
        },
        "logits": logits,
        "tokens": [{"token": text} | estimate(0.2, 0.1) for text in texts[:3]],
        "neighbours": [{"side": "before", "latent": texts[0]} | estimate(0.4, 0.2)],
        "contexts": contexts,
    }


def cards(texts: Sequence[str]) -> dict[str, Any]:
    """Two latents, the direction, and both nulls."""
    things = {"latent:7": "Latent 7", "latent:9": "Latent 9", "direction": "The direction from prose to code"}
    things |= {"untrained:3": "An untrained dictionary's best latent", "random": "A random direction"}
    lines = ("direction", "random")
    made = [card(thing, title, texts, -1.0 if thing in lines else 0.0) for thing, title in things.items()]
    return {"site": "resid.2", "samples": 4, "nothing": None, "cards": Texts(made)}


DOSES = (-2.0, 0.0, 2.0)
MEASURES = ("code_share", "accuracy", "parse_rate")


def steering(texts: Sequence[str]) -> dict[str, Any]:
    """Three doses along two directions; at each its own text."""
    doses = []
    for place, c in enumerate(DOSES):
        arms = {"fitted": 0.2 + 0.3 * place, "random": 0.5}
        found = {arm: {name: estimate(value) for name in MEASURES} for arm, value in arms.items()}
        doses.append({"coefficient": c, **found, "reach": {name: [0.4, 0.6] if c else None for name in MEASURES}})
    problems = [{"id": f"p{i}", "prompt": text, "answer": text} for i, text in enumerate(texts)]
    written = [
        {"problem": f"p{i}", "direction": direction, "coefficient": c, "text": f"{text}|{direction}|{c:g}"}
        | {"outcome": "right" if c > 0 else "wrong", "strategy": "code", "boxed": text, "stop": "eos", "tokens": 3}
        for i, text in enumerate(texts)
        for direction in (0, 1)
        for c in DOSES
        if c or not direction
    ]
    about = {"site": "resid.2", "distance": 3.0, "of_norm": 0.5, "randoms": 20, "where": "fork", "temperature": 1.0}
    after = {name: estimate(0.9) for name in MEASURES}
    return about | {"doses": doses, "after": after, "problems": Texts(problems), "texts": Texts(written)}


def shades(n: int) -> dict[str, Levels | Both]:
    """Values of `n` tokens: a latent that fires at every fourth, another never, a direction that goes up, then down."""
    fires = np.where(np.arange(n) % 4 == 2, 1.0 + np.arange(n), 0.0)
    columns = {"latent:7": fires, "latent:9": np.zeros(n), "untrained:3": fires[::-1].copy()}
    line = np.linspace(-1, 1, n)
    return {name: Levels(each) for name, each in columns.items()} | {"direction": Both.levels(line, -line, 16)}


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
        "cards": cards(texts),
        "steering": steering(texts),
        "responses": responses.told([(before, after)], problems, 100),
        "tokens": {
            "temperature": 1.0,
            **{each: tokens.told(paired(spelled), places) | {"shades": shades(4 * n)} for each in SIDES},
        },
        "provenance": {"probe": "0", "artifacts": [], "commands": [name]},
    }
    return Page(name, data, {})
