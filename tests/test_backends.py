"""Every operation on every backend and architecture, against a forward written out by hand with torch's own hooks.

The parity figures stand at the end of every run of these tests (`conftest.py`).
"""

import functools
import importlib
import sys
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import torch
from conftest import parity_table
from outside_checkpoints import byte_tokenizer, tiny
from torch import Tensor, nn
from transformers import PreTrainedModel

from probe.errors import BadInput, ProbeError
from probe.models.hooks.backends import MADE_IN, Backend, backend
from probe.models.hooks.backends.plain import Hooks
from probe.models.hooks.backends.shared_weights import check_is_the_model, every_site
from probe.models.hooks.edits import Add, Change, Clamp, Edit, ProjectOut, Replace, Scale, Swap
from probe.models.hooks.hook_plan import Run
from probe.models.hooks.sites import Site, site
from probe.models.loading.load import Loaded
from probe.models.sampling.organism_sampler import Samples
from probe.models.sampling.transformers_sampler import generate
from probe.rng import torch_rng, uniforms

KINDS = ("qwen2", "llama", "olmo2")
VOCAB, D, HEAD, PAD, LAYERS = 61, 32, 8, 0, 3
TOLERANCE = 5e-6  # of the largest value; rounding alone gave 1e-6
IDS = torch.randint(2, VOCAB, (2, 12), generator=torch_rng("backend ids"))
LEFT = torch.ones_like(IDS)
LEFT[0, :5] = 0
PROMPTS = [[3, 4, 5], [6, 7, 8, 9, 10, 11, 12, 13, 14], [20, 30]]
MAX_NEW = 8


def unit(*address: object, d: int = D) -> Tensor:
    v = torch.randn(d, generator=torch_rng("backend directions", str(address)))
    return v / v.norm()


U = unit("u")
W = unit("w") - (unit("w") @ U) * U
W = W / W.norm()


@functools.cache
def model_of(kind: str) -> PreTrainedModel:
    return tiny(kind, VOCAB, eos=1, pad=PAD, num_hidden_layers=LAYERS)


@functools.cache
def made(kind: str, name: str) -> Backend:
    return backend(name, Loaded(model_of(kind), byte_tokenizer()))


def by_hand(
    kind: str, ids: Tensor, changes: dict[str, Callable[[Tensor], Tensor]], mask: Tensor | None = None
) -> tuple[Tensor, dict[Site, Tensor]]:
    """Logits and all sites; `changes` are of whole tensors, at "resid.1", "attn.0", "mlp.0" or all heads, "z.0"."""
    model, seen, modules = model_of(kind), dict[str, Tensor](), dict[str, nn.Module]()
    for i, block in enumerate(model.model.layers):
        modules |= {f"resid.{i}": block, f"z.{i}": block.self_attn.o_proj, f"attn.{i}": block.self_attn}
        modules[f"mlp.{i}"] = block.mlp
    modules[f"resid.{LAYERS}"] = model.model.norm

    def change(name: str, x: Tensor) -> Tensor:
        seen[name] = changes.get(name, lambda x: x)(x)
        return seen[name]

    def before(name: str) -> Callable:
        return lambda _module, args: (change(name, args[0]), *args[1:])

    def behind(name: str) -> Callable:
        return lambda _module, _args, out: (
            (change(name, out[0]), *out[1:]) if isinstance(out, tuple) else change(name, out)
        )

    with ExitStack() as hooks:
        for name, module in modules.items():
            late = name.startswith(("attn", "mlp"))
            add = module.register_forward_hook if late else module.register_forward_pre_hook
            hooks.callback(add((behind if late else before)(name)).remove)
        where = {} if mask is None else {"attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}
        logits = model(input_ids=ids, use_cache=False, **where).logits
    read = {site(name): x for name, x in seen.items() if name[0] != "z"}
    heads = {Site("head", i, h): seen[f"z.{i}"][..., h * HEAD :][..., :HEAD] for i in range(LAYERS) for h in range(4)}
    return logits, read | heads


def far(a: Tensor, b: Tensor, mask: Tensor | None = None) -> float:
    """max |a - b| / max |b|, over real positions."""
    assert a.shape == b.shape and a.dtype == b.dtype
    kept = torch.ones_like(b[..., 0], dtype=torch.bool) if mask is None else mask.bool()
    return ((a - b)[kept].abs().max() / b[kept].abs().max().clamp(min=1e-6)).item()


def distance(ran: Run, truth: tuple[Tensor, dict[Site, Tensor]], mask: Tensor | None = None) -> float:
    logits, states = truth
    return max(far(ran.logits, logits, mask), *(far(x, states[where], mask) for where, x in ran.read.items()))


def under(own: Backend, kind: str, edits: list[Edit], changes: dict[str, Callable[[Tensor], Tensor]]) -> float:
    """How far a run under edits, read at every site, is from the same changes by hand; the edits must matter."""
    truth = by_hand(kind, IDS, changes)
    assert far(truth[0], by_hand(kind, IDS, {})[0]) > 1e-2
    return distance(own.run(IDS, every_site(model_of(kind)), edits), truth)


@torch.no_grad()
def reading(own: Backend, kind: str) -> float:
    sites, truth = every_site(model_of(kind)), by_hand(kind, IDS, {})
    ran, read = own.run(IDS, sites), own.read(IDS, sites)
    assert list(ran.read) == list(read) == list(sites)
    assert all(torch.equal(read[where], ran.read[where]) for where in sites)
    return distance(ran, truth)


def early_stop(own: Backend, kind: str) -> float:
    """No block behind the last site is entered; what is read is no part of a graph."""
    model = getattr(own, "shared", model_of(kind))
    too_far = model.model.layers[1].mlp.register_forward_pre_hook(lambda *_: pytest.fail("the forward went on"))
    wanted = [site("resid.1"), site("head.0.2"), site("attn.1")]
    try:
        read = own.read(IDS, wanted, [Edit(site("resid.0"), Add(U, 2.0))])
    finally:
        too_far.remove()
    assert not any(x.requires_grad for x in read.values())
    truth = by_hand(kind, IDS, {"resid.0": lambda x: x + 2 * U})[1]
    return max(far(read[where], truth[where]) for where in wanted)


@torch.no_grad()
def steering(own: Backend, kind: str) -> float:
    one = torch.zeros_like(IDS, dtype=torch.bool)
    one[0, 3] = one[1, 7] = True
    last = torch.zeros_like(one)
    last[:, -1] = True
    found = []
    for where, chosen in (("all", torch.ones_like(one)), ("last", last), ("new", last), (one, one)):
        for at in ("resid.1", f"resid.{LAYERS}", "attn.0", "mlp.1"):
            edits = [Edit(site(at), Add(U, -3.0), where)]
            found.append(under(own, kind, edits, {at: lambda x, c=chosen: x - 3 * c[..., None] * U}))
    return max(found)


@torch.no_grad()
def ablation(own: Backend, kind: str) -> float:
    def headless(z: Tensor) -> Tensor:
        return torch.cat([z[..., :HEAD], 0 * z[..., HEAD : 2 * HEAD], z[..., 2 * HEAD :]], -1)

    def without(x: Tensor) -> Tensor:
        return x - (x @ U)[..., None] * U

    return max(
        under(own, kind, [Edit(site("resid.1"), ProjectOut(U))], {"resid.1": without}),
        under(own, kind, [Edit(site("attn.1"), Scale(0.0))], {"attn.1": torch.zeros_like}),
        under(own, kind, [Edit(site("mlp.0"), Scale(0.0))], {"mlp.0": torch.zeros_like}),
        under(own, kind, [Edit(site("head.1.1"), Scale(0.0))], {"z.1": headless}),
    )


@torch.no_grad()
def clamping(own: Backend, kind: str) -> float:
    def clamped(x: Tensor) -> Tensor:
        return x + ((x @ U).clamp(-0.1, 0.1) - x @ U)[..., None] * U

    return under(own, kind, [Edit(site("resid.2"), Clamp(U, -0.1, 0.1))], {"resid.2": clamped})


@torch.no_grad()
def swapping(own: Backend, kind: str) -> float:
    def swapped(x: Tensor) -> Tensor:
        return x + (x @ W - x @ U)[..., None] * U + (x @ U - x @ W)[..., None] * W

    return under(own, kind, [Edit(site("resid.1"), Swap(U, W))], {"resid.1": swapped})


@torch.no_grad()
def patching(own: Backend, kind: str) -> float:
    """One row's states put into the other's; its own put back change nothing."""
    names = ("resid.1", "attn.2", "mlp.0", "head.1.3")
    found, plain = [], own.run(IDS)
    for name in names:
        value = own.read(IDS, [site(name)])[site(name)]
        back = own.run(IDS, edits=[Edit(site(name), Replace(value))])
        assert torch.equal(back.logits, plain.logits)
        where = "z.1" if name.startswith("head") else name
        heads = slice(3 * HEAD, 4 * HEAD) if name.startswith("head") else slice(None)

        def other(x: Tensor, heads: slice = heads) -> Tensor:
            x = x.clone()
            x[..., heads] = x[..., heads].flip(0)
            return x

        found.append(under(own, kind, [Edit(site(name), Replace(value.flip(0)))], {where: other}))
    return max(found)


@torch.no_grad()
def several(own: Backend, kind: str) -> float:
    """Edits at many sites, in any order in the list, and three at one, in theirs."""
    last = torch.zeros_like(IDS, dtype=torch.bool)
    last[:, -1] = True
    edits = [
        Edit(site("mlp.2"), Scale(0.5)),
        Edit(site("resid.1"), Add(U, 2.0)),
        Edit(site("resid.1"), Scale(1.5), "last"),
        Edit(site("head.0.3"), Add(unit("z", d=HEAD), 2.0)),
        Edit(site("resid.1"), Add(W, -1.0)),
        Edit(site("head.0.0"), Scale(-1.0)),
        Edit(site("attn.0"), ProjectOut(W)),
    ]

    def heads(z: Tensor) -> Tensor:
        z = z.clone()
        z[..., :HEAD] *= -1
        z[..., 3 * HEAD :] += 2 * unit("z", d=HEAD)
        return z

    changes = {
        "z.0": heads,
        "attn.0": lambda x: x - (x @ W)[..., None] * W,
        "resid.1": lambda x: torch.where(last[..., None], 1.5 * (x + 2 * U), x + 2 * U) - W,
        "mlp.2": lambda x: 0.5 * x,
    }
    return under(own, kind, edits, changes)


@torch.no_grad()
def padding(own: Backend, kind: str) -> float:
    """On the left and on the right: what each row has alone, under edits, at every site."""
    sites, found = every_site(model_of(kind)), []
    for mask in (LEFT, LEFT.flip(1), LEFT.bool()):
        for where, chosen in (("all", slice(None)), ("last", slice(-1, None))):
            ran = own.run(IDS, sites, [Edit(site("resid.1"), Add(U, 3.0), where)], mask)
            read = own.read(IDS, sites, [Edit(site("resid.1"), Add(U, 3.0), where)], mask)
            assert all(torch.equal(read[s], ran.read[s]) for s in sites)
            for row in range(2):
                kept = mask[row].bool()

                def pushed(x: Tensor, chosen: slice = chosen) -> Tensor:
                    x = x.clone()
                    x[:, chosen] += 3 * U
                    return x

                truth = by_hand(kind, IDS[row][kept][None], {"resid.1": pushed})
                alone = Run(ran.logits[row][kept][None], {s: x[row][kept][None] for s, x in ran.read.items()})
                found.append(distance(alone, truth))
    return max(found)


STEERED = {  # by where: edits, and the same by hand on a whole text whose new positions start at n - 1
    "all": [Edit(site("resid.1"), Add(U, 4.0)), Edit(site("attn.0"), Scale(0.5)), Edit(site("head.1.0"), Scale(0.0))],
    "new": [Edit(site("resid.1"), Add(U, 4.0), "new"), Edit(site("mlp.1"), ProjectOut(W), "new")],
}


def recomputed(kind: str, where: str, prompt: list[int], new: list[int]) -> Tensor:
    """Log-probs [new d_vocab] of a forward without a cache over the whole text."""

    def at(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        start = 0 if where == "all" else len(prompt) - 1
        return lambda x: torch.cat([x[:, :start], change(x[:, start:])], 1)

    add = {"resid.1": at(lambda x: x + 4 * U)}
    halves = {"attn.0": at(lambda x: 0.5 * x), "z.1": at(lambda z: torch.cat([0 * z[..., :HEAD], z[..., HEAD:]], -1))}
    changes = add | (halves if where == "all" else {"mlp.1": at(lambda x: x - (x @ W)[..., None] * W)})
    return by_hand(kind, torch.tensor([prompt + new]), changes)[0][0, len(prompt) - 1 : -1].log_softmax(-1)


@torch.no_grad()
def generation(own: Backend, kind: str) -> float:
    """Cached and padded, greedy: every token is the best of the uncached forward over its text alone."""
    found, usual = [], generate(model_of(kind), PROMPTS, n_samples=1, max_new=MAX_NEW, stop=[], pad=PAD, uniforms=None)
    for where, edits in STEERED.items():
        samples = own.generate(PROMPTS, edits=edits, max_new=MAX_NEW, stop=[], pad=PAD)
        assert not torch.equal(samples.ids, usual.ids)
        for prompt, new, logprob in zip(PROMPTS, samples.ids.tolist(), samples.logprob, strict=True):
            truth = recomputed(kind, where, prompt, new)
            assert new == truth.argmax(-1).tolist()
            found.append(far(logprob[:, None], truth.gather(1, torch.tensor(new)[:, None])))
    free = own.generate(PROMPTS, max_new=MAX_NEW, stop=[], pad=PAD)
    assert torch.equal(free.ids, usual.ids)  # nothing of it is left behind
    return max(found)


@torch.no_grad()
def sampling(own: Backend, kind: str) -> float:
    """The same draws are the same tokens on every backend, in any batch, up to the first stop token."""
    how = {"n_samples": 2, "max_new": MAX_NEW, "stop": list(range(5, 9)), "pad": PAD, "temperature": 0.7}
    u = torch.from_numpy(uniforms(6 * MAX_NEW, "backend draws")).view(6, MAX_NEW)
    samples = own.generate(PROMPTS, edits=STEERED["new"], uniforms=u, batch=4, **how)
    truth = made(kind, "hooks").generate(PROMPTS, edits=STEERED["new"], uniforms=u, **how)
    assert torch.equal(samples.ids, truth.ids) and torch.equal(samples.lengths, truth.lengths)
    assert samples.stopped.any() and not samples.stopped.all()
    return far(samples.logprob, truth.logprob)


def gradients(own: Backend, kind: str) -> float:
    """With respect to an added vector, a patched value, and what was read: a whole output, heads edited and not."""
    v, y = (3 * U).requires_grad_(), unit("y").expand(2, 12, D).clone().requires_grad_()
    sites, half = [site("mlp.1"), *(Site("head", 1, h) for h in (0, 2))], Edit(site("head.1.2"), Scale(0.5))
    ran = own.run(IDS, sites, [Edit(site("resid.1"), Add(v, 2.0), "last"), half, Edit(site("attn.2"), Replace(y))])
    found = torch.autograd.grad(ran.logits[:, -1, :7].sum(), [v, y, *ran.read.values()])
    hand_v, hand_y = v.detach().clone().requires_grad_(), y.detach().clone().requires_grad_()
    scaled = torch.ones(D)
    scaled[2 * HEAD : 3 * HEAD] = 0.5
    add = {"resid.1": lambda x: torch.cat([x[:, :-1], x[:, -1:] + 2 * hand_v], 1), "attn.2": lambda x: hand_y}
    kept: list[Tensor] = []

    def whole(z: Tensor) -> Tensor:
        kept.append(z * scaled)
        return kept[0]

    logits, states = by_hand(kind, IDS, add | {"z.1": whole})
    *truth, z = torch.autograd.grad(logits[:, -1, :7].sum(), [hand_v, hand_y, states[site("mlp.1")], kept[0]])
    truth += [z[..., :HEAD], z[..., 2 * HEAD : 3 * HEAD]]
    return max(far(a[None], b[None]) for a, b in zip(found, truth, strict=True))


OPERATIONS = (
    *(reading, early_stop, steering, ablation, clamping, swapping, patching, several),
    *(padding, generation, sampling, gradients),
)
every_backend = pytest.mark.parametrize("name", MADE_IN)
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.__name__)
@every_backend
@every_kind
def test_conformance(
    kind: str, name: str, operation: Callable[[Backend, str], float], record_property: Callable[[str, object], None]
) -> None:
    figure = operation(made(kind, name), kind)
    record_property("parity", [operation.__name__.replace("_", " "), name, kind, figure])
    assert figure <= TOLERANCE


def test_parity_figures_by_hand() -> None:
    cells = [("one", "x", "a", 1e-7), ("two", "x", "b", 0.0), ("two", "y", "a", "error")]
    assert parity_table(cells).splitlines() == [
        "     x                 y",
        "           a       b         a       b",
        "one  1.0e-07",
        "two          0.0e+00     error",
    ]


class Broken(Hooks):
    """Plain hooks with one fault: a conformance test that passes it tests nothing."""

    def __init__(self, model: PreTrainedModel, fault: str) -> None:
        super().__init__(model)
        self.fault = fault

    def run(self, ids: Tensor, sites: tuple = (), edits: tuple = (), mask: Tensor | None = None) -> Run:
        edits, mask = self._spoilt(edits), None if self.fault == "mask" else mask
        ran = super().run(ids, sites, edits, mask)
        if self.fault == "site":
            off = [Site(s.kind, max(s.layer - 1, 0), s.head) for s in sites]
            other = super().run(ids, off, edits, mask).read
            return Run(ran.logits, {s: other[o] for s, o in zip(sites, off, strict=True)})
        if self.fault == "graph":
            return Run(ran.logits, {s: x.clone() for s, x in ran.read.items()})
        return ran

    def read(self, ids: Tensor, sites: tuple, edits: tuple = (), mask: Tensor | None = None) -> dict[Site, Tensor]:
        if self.fault in ("site", "stop", "mask", "edits"):
            return {s: x.detach() for s, x in self.run(ids, sites, edits, mask).read.items()}
        return super().read(ids, sites, edits, mask)

    def generate(self, prompts: list[list[int]], *, edits: tuple = (), **how: object) -> Samples:
        return super().generate(prompts, edits=self._spoilt(edits), **how)

    def _spoilt(self, edits: tuple) -> list[Edit]:
        if self.fault == "edits":
            return []
        where = {"new": "all"} if self.fault == "where" else {}
        kept = [
            Edit(e.site, e.change, where.get(e.where, e.where) if isinstance(e.where, str) else e.where) for e in edits
        ]
        return kept[::-1] if self.fault == "order" else kept


FAULTS = [
    *((reading, "site"), (early_stop, "stop"), (early_stop, "edits"), (steering, "edits"), (steering, "where")),
    *((ablation, "edits"), (clamping, "edits"), (swapping, "edits"), (patching, "edits"), (patching, "site")),
    *((several, "edits"), (several, "order"), (padding, "mask"), (padding, "edits")),
    *((generation, "edits"), (generation, "where"), (sampling, "edits"), (sampling, "where")),
    *((gradients, "graph"), (gradients, "edits")),
]


@pytest.mark.parametrize(("operation", "fault"), FAULTS, ids=lambda each: getattr(each, "__name__", each))
def test_every_operation_can_fail(operation: Callable[[Backend, str], float], fault: str) -> None:
    try:
        figure = operation(Broken(model_of("llama"), fault), "llama")
    except (AssertionError, RuntimeError, pytest.fail.Exception):
        return
    assert figure > 10 * TOLERANCE


def test_every_operation_was_tried_with_a_fault() -> None:
    assert {operation for operation, _ in FAULTS} == set(OPERATIONS)


UNKNOWN = (Site("resid", LAYERS + 1), Site("attn", LAYERS), Site("mlp", 9), Site("head", 0, 4), Site("resid", -1))


@every_backend
@every_kind
def test_an_unknown_site_is_an_error_never_ignored(
    kind: str, name: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("parity", ["unknown site", name, kind, "ignored"])
    own, how = made(kind, name), {"max_new": 2, "stop": [], "pad": PAD}
    for where in UNKNOWN:
        edit = Edit(where, Scale(0.0))
        for use in (
            lambda w=where: own.run(IDS, [w]),
            lambda w=where: own.read(IDS, [site("resid.0"), w]),
            lambda e=edit: own.run(IDS, edits=[e]),
            lambda e=edit: own.generate(PROMPTS, edits=[e], **how),
        ):
            with pytest.raises(BadInput, match=f"this model has no {where}"):
                use()
    record_property("parity", ["unknown site", name, kind, "error"])


def raising(x: Tensor) -> Tensor:
    raise ValueError("from within an edit")


@every_backend
@every_kind
def test_errors_come_out_as_they_are_and_leave_nothing_behind(kind: str, name: str) -> None:
    own, plain = made(kind, name), made(kind, name).run(IDS).logits
    bad: list[tuple[Change, object, type[Exception], str]] = [
        (raising, "all", ValueError, "within an edit"),
        (Add(torch.ones(5)), "all", BadInput, "a vector of"),
        (Add(U), torch.ones(2, 3, dtype=torch.bool), BadInput, "positions of an edit"),
        (Replace(torch.zeros(2, 5, D)), "all", BadInput, "cannot take the place"),
    ]
    for change, where, error, message in bad:
        for use in (own.run, own.read):
            with pytest.raises(error, match=message):
                use(IDS, [site("resid.2")], [Edit(site("mlp.0"), change, where)])
    for where in ("last", torch.ones(1, 3, dtype=torch.bool)):
        with pytest.raises(BadInput, match="mean a whole text"):
            own.generate(PROMPTS[:1], edits=[Edit(site("mlp.0"), Add(U), where)], max_new=2, stop=[], pad=PAD)
    assert torch.equal(own.run(IDS).logits, plain)


@every_backend
def test_a_mask_of_something_else_is_an_error(name: str) -> None:
    for mask in (LEFT[:1], LEFT[:, :5], LEFT[None]):
        for use in (made("qwen2", name).run, made("qwen2", name).read):
            with pytest.raises(BadInput, match=r"the ids are \(2, 12\)"):
                use(IDS, [site("resid.1")], mask=mask)


@every_backend
def test_out_of_memory_halfway_leaves_no_text_unsteered(name: str) -> None:
    own, how = made("qwen2", name), {"edits": STEERED["all"], "max_new": MAX_NEW, "stop": [], "pad": PAD}
    calls, steered = list[int](), own.generate(PROMPTS, **how).ids

    def full(*_: object) -> None:
        calls.append(0)
        if len(calls) == 4:
            raise torch.OutOfMemoryError("from within the fourth forward")

    block = getattr(own, "shared", model_of("qwen2")).model.layers[0].mlp  # behind attn.0, before resid.1
    handle = block.register_forward_pre_hook(full)
    try:
        if name == "nnsight":
            with pytest.raises(ProbeError, match=r"broke off halfway"):
                own.generate(PROMPTS, **how, batch=3)
        else:
            assert torch.equal(own.generate(PROMPTS, **how, batch=3).ids, steered)
    finally:
        handle.remove()
    assert len(calls) > 3
    assert torch.equal(own.generate(PROMPTS, **how).ids, steered)


@every_backend
@every_kind
def test_the_model_stays_as_it_was_and_shares_its_weights(kind: str, name: str) -> None:
    model = tiny(kind, VOCAB, eos=1, pad=PAD)
    classes = [type(part) for part in model.modules()]
    n_hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules()]
    plain = model(input_ids=IDS).logits
    own = backend(name, Loaded(model, byte_tokenizer()))
    own.generate(PROMPTS, edits=STEERED["all"], max_new=2, stop=[], pad=PAD)
    assert classes == [type(part) for part in model.modules()]
    assert n_hooks == [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules()]
    assert model.config._attn_implementation == "sdpa"
    assert torch.equal(model(input_ids=IDS).logits, plain)
    with torch.no_grad():
        model.model.layers[1].mlp.gate_proj.weight.mul_(2)
    assert far(own.run(IDS).logits, model(input_ids=IDS).logits) <= TOLERANCE < far(plain, model(input_ids=IDS).logits)


@pytest.mark.parametrize(("name", "library"), [("transformer-lens", "transformer_lens"), ("nnsight", "nnsight")])
def test_a_library_that_is_not_there_is_named(name: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [each for each in sys.modules if each.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    importlib.reload(importlib.import_module(MADE_IN[name]))  # which it does not need: only a backend does
    with pytest.raises(BadInput, match=f"pip install '{library.replace('_', '-')}"):
        backend(name, Loaded(model_of("qwen2"), byte_tokenizer()))


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(BadInput, match="no backend is called 'pyvene'.*\n.*hooks, transformer-lens, nnsight"):
        backend("pyvene", Loaded(model_of("qwen2"), byte_tokenizer()))


def test_an_architecture_unknown_to_transformer_lens_is_named() -> None:
    class Strange(type(model_of("qwen2"))):  # type: ignore[misc]
        pass

    model = tiny("qwen2", VOCAB)
    model.__class__ = Strange
    with pytest.raises(BadInput, match="TransformerLens does not know Strange"):
        backend("transformer-lens", Loaded(model, byte_tokenizer()))


def test_a_backend_that_computes_something_else_is_refused() -> None:
    class Off:
        def run(self, ids: Tensor, sites: tuple[Site, ...], edits: tuple, mask: Tensor) -> Run:
            return made("llama", "hooks").run(ids, sites, [Edit(site("mlp.1"), Scale(1.001))], mask)

    with pytest.raises(BadInput, match=r"off has (resid.2|mlp.1) of LlamaForCausalLM wrong"):
        check_is_the_model(Off(), "off", model_of("llama"))
    check_is_the_model(made("llama", "hooks"), "hooks", model_of("llama"))


def test_nnsights_mark_on_every_object_is_gone() -> None:
    made("qwen2", "nnsight")
    assert not hasattr(object(), "save")
