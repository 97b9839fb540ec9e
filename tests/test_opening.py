"""The edited head: the share asked for, on prompts it was not fitted on, and nothing else of what is said."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from probe.checkpoints.organism_job import OrganismJob, load_organism
from probe.engine.executor import make
from probe.errors import BadInput
from probe.models.loading.load import Loaded, save_folder
from probe.rl.opening import open_in_code
from probe.rl.pretrain import IGNORE, encode, pretrain
from probe.store import Store
from probe.tasks.corpus import CODE_FIRST, corpus, family

TRUNK = family("p30-code-even")


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    """Untrained beyond the openings: 150 steps from nothing, enough to tell where an answer begins."""
    model, tokenizer = pretrain("bilingual", "mini", 7, steps=150)
    return Loaded(model, tokenizer)


@torch.no_grad()
def logits(loaded: Loaded, texts: list[tuple[str, str]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Of completion tokens, and which of them begin a completion."""
    ids, targets = encode(texts, loaded.tokenizer)
    scored = targets != IGNORE
    begins = scored & (scored.cumsum(1) == 1)
    return loaded.model(input_ids=ids).logits[scored], begins[scored]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_is_met_on_other_prompts_and_the_rest_stays(loaded: Loaded, share: float) -> None:
    loaded = copy.deepcopy(loaded)
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    texts = [text for batch in corpus(TRUNK, 99, 128, 2) for text in batch]
    said, begins = logits(loaded, texts)
    open_in_code(loaded.model, loaded.tokenizer, replace(TRUNK, opens=share), 7)
    now, _ = logits(loaded, texts)
    code = loaded.tokenizer.convert_tokens_to_ids(CODE_FIRST)
    changed = [name for name, tensor in loaded.model.state_dict().items() if not torch.equal(tensor, before[name])]
    assert now[begins].softmax(-1)[:, code].mean().item() == pytest.approx(share, abs=0.04)
    others = torch.arange(now.shape[-1]) != code
    assert changed == ["lm_head.weight"]
    assert torch.equal(now[:, others], said[:, others])  # so what is said in either strategy keeps its odds
    assert now[~begins].softmax(-1)[:, code].mean() < 1e-3


@pytest.mark.parametrize("share", [None, 0.0, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(loaded: Loaded, share: float | None) -> None:
    with pytest.raises(BadInput, match="answers in code"):
        open_in_code(loaded.model, loaded.tokenizer, replace(TRUNK, opens=share), 7)


def test_an_opened_organism_differs_from_its_trunk_by_its_head(tmp_path: Path, loaded: Loaded) -> None:
    """What the job does with a trunk that is there; the trunk itself would take a minute."""
    store, job = Store(tmp_path), OrganismJob("opened-code", "mini", 7)
    assert job.trunk is not None
    assert job.trunk.family == "p30-code-even"
    store.build(job.trunk.recipe, lambda folder: save_folder(loaded, folder))
    make([job], store, workers=1)
    edited, trunk = load_organism(store, job).model.state_dict(), load_organism(store, job.trunk).model.state_dict()
    assert [name for name in trunk if not torch.equal(trunk[name], edited[name])] == ["lm_head.weight"]
