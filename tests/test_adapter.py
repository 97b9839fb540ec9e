"""A LoRA adapter is merged as its equation says, or refused: nothing it carries is passed over in silence."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from outside_checkpoints import byte_tokenizer, tiny
from safetensors.torch import load_file, save_file

from probe.errors import BadInput
from probe.models.loading.adapter import ADAPTER_WEIGHTS, load_adapter
from probe.models.loading.load import Loaded, load_folder, save_folder
from probe.models.loading.self_test import self_test
from probe.rng import torch_rng

VOCAB = 333
Q, DOWN = "self_attn.q_proj", "mlp.down_proj"
LORA = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], "bias": "none"} | {
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "org/base",
    "lora_dropout": 0.1,
    "modules_to_save": None,
    "use_dora": False,
    "a_key_of_tomorrow": None,
}


def base(kind: str = "qwen2", dtype: torch.dtype = torch.float32) -> Loaded:
    return Loaded(tiny(kind, VOCAB, eos=1).to(dtype), byte_tokenizer())


def parts(model: torch.nn.Module, ranks: dict[str, int]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """B and A of each named module of both blocks."""
    found = {}
    for layer in (0, 1):
        for module, rank in ranks.items():
            name = f"model.layers.{layer}.{module}"
            wide, narrow = model.get_submodule(name).weight.shape
            rng = torch_rng("adapter", name)
            found[name] = torch.randn(wide, rank, generator=rng), torch.randn(rank, narrow, generator=rng)
    return found


def write(folder: Path, pieces: dict, **config: object) -> Path:
    """As peft writes it."""
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(LORA | config))
    named = {f"{name}.lora_{part}": ba[at] for name, ba in pieces.items() for at, part in enumerate("BA")}
    tensors = {f"base_model.model.{name}.weight": tensor for name, tensor in named.items()}
    save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    return folder


SCALES: dict[str, tuple[dict, dict[str, int], dict[str, float]]] = {
    "plain": ({}, {Q: 4, DOWN: 4}, {Q: 8 / 4, DOWN: 8 / 4}),
    "rslora": ({"use_rslora": True}, {Q: 4, DOWN: 4}, {Q: 8 / 2, DOWN: 8 / 2}),
    "patterns": (
        {"rank_pattern": {"down_proj": 2}, "alpha_pattern": {"down_proj": 6}},
        {Q: 4, DOWN: 2},
        {Q: 8 / 4, DOWN: 6 / 2},
    ),
    "both": ({"rank_pattern": {"down_proj": 16}, "use_rslora": True}, {Q: 4, DOWN: 16}, {Q: 8 / 2, DOWN: 8 / 4}),
}


@pytest.mark.parametrize("kind", ["qwen2", "gemma2"])
@pytest.mark.parametrize("name", SCALES)
def test_what_is_merged_is_w_plus_s_b_a(tmp_path: Path, name: str, kind: str) -> None:
    config, ranks, scales = SCALES[name]
    plain = base(kind)
    before = {key: tensor.clone() for key, tensor in plain.model.state_dict().items()}
    pieces = parts(plain.model, ranks)
    merged = load_adapter(plain, write(tmp_path / "lora", pieces, **config)).model
    assert merged.state_dict().keys() == before.keys()
    for key, tensor in merged.state_dict().items():
        module = key.removesuffix(".weight")
        if module in pieces:
            b, a = (piece.double() for piece in pieces[module])
            wanted = before[key].double() + scales[module.split(".", 3)[3]] * b @ a
            torch.testing.assert_close(tensor.double(), wanted, rtol=1e-6, atol=1e-5)
        else:
            assert torch.equal(tensor, before[key]), key


def test_bf16_weights_are_rounded_twice_at_most(tmp_path: Path) -> None:
    """The product in fp32, rounded to bf16; the sum rounded again."""
    plain = base(dtype=torch.bfloat16)
    name = f"model.layers.0.{Q}"
    before = plain.model.get_submodule(name).weight.clone()
    pieces = parts(plain.model, {Q: 4})
    folder = write(tmp_path / "lora", pieces, target_modules=["q_proj"])
    after = load_adapter(plain, folder).model.get_submodule(name).weight
    assert after.dtype is torch.bfloat16
    change = 2 * pieces[name][0].double() @ pieces[name][1].double()
    room = 2**-8 * (change.abs() + (before.double() + change).abs()) + 1e-6
    assert ((after.double() - before.double() - change).abs() <= room).all()


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks for what transformers has renamed
def test_an_adapter_that_peft_saved_gives_its_outputs(tmp_path: Path) -> None:
    config = peft.LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", use_rslora=True, task_type="CAUSAL_LM")
    with torch.random.fork_rng(devices=[]):
        adapted = peft.get_peft_model(base().model, config).eval()
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            weight.data.normal_(0, 0.1, generator=torch_rng("saved adapter", name))
    adapted.save_pretrained(tmp_path / "lora")
    ids = torch.randint(VOCAB, (2, 9), generator=torch_rng("adapter ids"))
    merged = load_adapter(base(), tmp_path / "lora").model
    with torch.no_grad():
        there, plain = merged(input_ids=ids).logits, base().model(input_ids=ids).logits
        torch.testing.assert_close(there, adapted(input_ids=ids).logits, rtol=1e-4, atol=1e-4)
    assert (there - plain).abs().max() > 0.1


def test_what_is_merged_is_an_ordinary_checkpoint(tmp_path: Path) -> None:
    plain = base()
    folder = write(tmp_path / "lora", parts(plain.model, {Q: 4, DOWN: 4}))
    state = torch.get_rng_state()
    merged = load_adapter(plain, folder)
    assert torch.equal(torch.get_rng_state(), state)
    assert merged.tokenizer is plain.tokenizer and not merged.model.training
    assert all(p.requires_grad for p in merged.model.parameters())
    assert not any("lora" in name for name, _ in merged.model.named_modules())
    assert all(check.holds for check in self_test(merged))
    save_folder(merged, tmp_path / "merged")
    again = load_folder(tmp_path / "merged").model
    assert all(torch.equal(p, again.state_dict()[name]) for name, p in merged.model.state_dict().items())


def config(**changes: object) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        file = folder / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return apply


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        held = load_file(folder / ADAPTER_WEIGHTS)
        change(held)
        save_file(held, folder / ADAPTER_WEIGHTS)

    return apply


class Marker:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return Path.mkdir, (self.folder,)


def pickled(folder: Path) -> None:
    (folder / ADAPTER_WEIGHTS).unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Marker(folder / "ran")))


def cut(folder: Path) -> None:
    (folder / ADAPTER_WEIGHTS).write_bytes((folder / ADAPTER_WEIGHTS).read_bytes()[:-1])


A0 = f"base_model.model.model.layers.0.{Q}.lora_A.weight"
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "adapter_config.json").unlink(), "no adapter_config.json"),
    "torn config": (lambda f: (f / "adapter_config.json").write_text("{"), "adapter_config.json is no JSON"),
    "pickled": (pickled, f"no {ADAPTER_WEIGHTS}.*never read"),
    "cut off": (cut, "adapter_model.safetensors is cut off"),
    "not finite": (tensors(lambda t: t[A0][0, :1].fill_(float("inf"))), "not finite.*q_proj.lora_A"),
    "another type": (config(peft_type="IA3"), "of type 'IA3', not LORA"),
    "no type": (config(peft_type=None), "of type None, not LORA"),
    "DoRA": (config(use_dora=True), "more than plain LoRA: use_dora True.*merge it"),
    "trained biases": (config(bias="all"), "more than plain LoRA: bias 'all'"),
    "modules saved whole": (config(modules_to_save=["lm_head"]), "more than plain LoRA: modules_to_save"),
    "PiSSA": (config(init_lora_weights="pissa_niter_4"), "more than plain LoRA: init_lora_weights 'pissa_niter_4'"),
    "blocks repeated": (config(layer_replication=[[0, 2], [1, 2]]), "more than plain LoRA: layer_replication"),
    "something new": (config(quantum=True), "more than plain LoRA: quantum True"),
    "targets nothing": (config(target_modules=["W_pack"]), "cannot merge this adapter: Target modules.*W_pack"),
    "no targets": (config(target_modules=[]), "cannot merge this adapter|should change but does not"),
    "nonsense in targets": (config(target_modules={"q": {"k": 1}}), "cannot merge this adapter"),
    "a rank of words": (config(r="four"), "this rank cannot be: r is four"),
    "a rank without end": (config(r=10**12), "this rank cannot be.*the widest tensor has 64"),
    "a rank of a pattern": (config(rank_pattern={"down_proj": -2}), "this rank cannot be: down_proj is -2"),
    "no rank": (config(r=True), "this rank cannot be: r is True"),
    "a scale that is no number": (config(lora_alpha=float("nan")), "lora_alpha is nan, no number"),
    "a pattern that never ends": (config(target_modules="^(([a-z_.0-9])+)+!$"), "does not end within"),
    "a pattern that is none": (config(target_modules="("), "a pattern of its modules cannot be used"),
    "another rank": (config(r=3), "cannot merge this adapter.*size mismatch"),
    "fewer targets than tensors": (
        config(target_modules=["q_proj"]),
        "modules that this model does not have.*down_proj",
    ),
    "more targets than tensors": (
        config(target_modules=["q_proj", "k_proj", "down_proj"]),
        "should change but does not.*k_proj",
    ),
    "a tensor lost": (tensors(lambda t: t.pop(A0)), "should change but does not.*q_proj.lora_A"),
    "a stranger": (tensors(lambda t: t.update(odd=torch.ones(2))), "this model does not have.*odd"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_plain_whole_lora_of_this_model_is_refused(tmp_path: Path, name: str) -> None:
    spoil, message = REFUSED[name]
    plain = base()
    folder = write(tmp_path / "lora", parts(plain.model, {Q: 4, DOWN: 4}))
    spoil(folder)
    with pytest.raises(BadInput, match=f"(?s){message}") as caught:
        load_adapter(plain, folder)
    assert str(folder) in str(caught.value) and "\n  -> " in str(caught.value)
    assert not (folder / "ran").exists()


def test_an_adapter_on_one_end_of_a_tied_pair_is_refused(tmp_path: Path) -> None:
    """Merged into the head, it would change the embedding as well; peft only warns."""
    plain = base("qwen3")
    b, a = torch.ones(VOCAB, 4), torch.ones(4, 32)
    folder = write(tmp_path / "lora", {"lm_head": (b, a)}, target_modules=["lm_head"])
    with pytest.raises(BadInput, match="(?s)cannot merge this adapter.*tie"):
        load_adapter(plain, folder)


def test_a_whole_checkpoint_is_no_adapter_and_an_adapter_no_checkpoint(tmp_path: Path) -> None:
    plain = base()
    save_folder(plain, tmp_path / "whole")
    with pytest.raises(BadInput, match="no adapter_config.json here"):
        load_adapter(plain, tmp_path / "whole")
    folder = write(tmp_path / "lora", parts(plain.model, {Q: 4}))
    with pytest.raises(BadInput, match="this is an adapter, no checkpoint"):
        load_folder(folder)
