"""Chat templates as attackers: loops without end, texts without end, recursion, bytes that a terminal obeys."""

import json
import random

from torture.inputs import strange
from torture.inputs.models import SMALL
from torture.scene import Scene, case

# (template, must it be refused?): each renders for ever, to more than any memory, or not at all.
ENDLESS = (
    "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3,
    "{% for i in range(10**N) %}x{% endfor %}",
    "{{ 'a' * 10**N }}",
    "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ '%099999999d' % 1 }}{{ '%*d' % (10**9, 1) }}",
    "{{ ('x' * 99999) | replace('x', 'y' * 99999) }}",
    "{{ 7 ** (7 ** 9) }}",
    "{{ 'x' | center(10**11) }}",
    "{{ range(10**10) | list | length }}",
    "{{ raise_exception('no \x1b[31m') }}",
    "{% include '/etc/passwd' %}",
    "{{ nothing.of.that }}",
    "{% for m in messages %}",
    "{{ 1 / 0 }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.popen('true').read() }}",
)
HARMLESS = (
    "{{ messages[0]['content'] }}",
    "{{ '\\x1b]0;PLANTED\\x07' }}",
    "{{ bos_token }}{{ eos_token }}",
    "{{ messages | tojson }}",
    "{{ '' }}",
    "{% set x = 1 %}",
    "{{ strftime_now('%s') }}",
)


@case("input", "template", 5)
def template(scene: Scene) -> None:
    """One hostile part, or several, in the chat template of a checkpoint."""
    rng = scene.rng
    scene.bring("folder", "manifest.yaml")
    text, bad = composed(rng)
    folder = scene.folder / "folder"
    if rng.random() < 0.5:
        (folder / "chat_template.jinja").write_text(text, encoding="utf-8")
    else:
        path = folder / "tokenizer_config.json"
        held = json.loads(path.read_text())
        held["chat_template"] = text if rng.random() < 0.85 else [{"name": "default", "template": text}]
        path.write_text(json.dumps(held))
    where = ("--store", "store", "--manifest", "manifest.yaml")
    scene.check("sample", "./folder", "--template", "chat", *SMALL, *where, bad=bad, planted=strange.PLANTED)


def composed(rng: random.Random) -> tuple[str, bool | None]:
    """Parts behind each other, the hostile one at any place; or an expression, nested without end; or torn."""
    draw = rng.random()
    n = rng.choice((50, 3000, 100_000))
    if draw < 0.12:
        deep = ("{{ " + "(" * n + "1" + ")" * n + " }}", "{{ " + "[" * n + "]" * n + " }}", "{{ 1" + "+1" * n + " }}")
        many = ("{% if true %}" * n + "x" + "{% endif %}" * n, "{{ " + "not " * n + "1 }}", "{{ x" + ".x" * n + " }}")
        return rng.choice((*deep, *many)), None
    if draw < 0.25:
        return strange.text(rng, 5000) + rng.choice(HARMLESS), None
    parts = [rng.choice(HARMLESS) for _ in range(rng.randint(0, 3))]
    parts.insert(rng.randint(0, len(parts)), rng.choice(ENDLESS).replace("N", str(rng.choice((9, 11, 30)))))
    return "".join(parts), True
