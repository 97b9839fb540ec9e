"""Names of sites, and which of them a model has."""

import pytest
from outside_checkpoints import KINDS, tiny

from probe.errors import BadInput
from probe.models.hooks.anatomy import anatomy
from probe.models.hooks.sites import Site, check_site, head_width, n_heads, output_projection, site

NAMES = ["resid.0", "resid.12", "attn.3", "mlp.0", "head.2.11"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_site_and_back(name: str) -> None:
    assert str(site(name)) == name
    assert site(str(site(name))) == site(name)


def test_sites_by_hand() -> None:
    assert site("resid.3") == Site("resid", 3)
    assert site("head.1.2") == Site("head", 1, 2)
    assert len({site("mlp.1"), Site("mlp", 1), site("attn.1")}) == 2


BAD = [
    "",
    "resid",
    "resid.",
    "resid.-1",
    "resid.1.2",
    "head.1",
    "head.1.2.3",
    "RESID.1",
    "resid.1 ",
    "z.1.2",
    "resid.x",
]


@pytest.mark.parametrize("name", BAD)
def test_any_other_name_is_an_error(name: str) -> None:
    with pytest.raises(BadInput, match="no site is called"):
        site(name)


@pytest.mark.parametrize(("kind", "head"), [("resid", 1), ("mlp", 0), ("head", None), ("logits", None)])
def test_only_heads_have_a_head(kind: str, head: int | None) -> None:
    with pytest.raises(BadInput, match="no site is"):
        Site(kind, 0, head)


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_site_of_each_kind_is_there_and_the_next_is_not(kind: str) -> None:
    model = tiny(kind, 61)
    parts, n = anatomy(model), model.config.num_hidden_layers
    for name in (f"resid.{n}", f"attn.{n - 1}", f"mlp.{n - 1}", f"head.{n - 1}.3"):
        check_site(site(name), parts, model)
    for name in (f"resid.{n + 1}", f"attn.{n}", f"mlp.{n}", f"head.{n}.0", f"head.{n - 1}.4"):
        with pytest.raises(BadInput, match=f"this model has no {name}"):
            check_site(site(name), parts, model)


def test_a_negative_layer_is_no_python_index() -> None:
    model = tiny("qwen2", 61)
    for where in (Site("resid", -1), Site("head", 0, -1)):
        with pytest.raises(BadInput, match="this model has no"):
            check_site(where, anatomy(model), model)


@pytest.mark.parametrize("kind", KINDS)
def test_heads_are_those_of_the_output_projection(kind: str) -> None:
    model = tiny(kind, 61)
    attention = anatomy(model).attention[0]
    assert output_projection(attention) is attention.o_proj
    assert n_heads(model) == 4
    assert head_width(model, attention) == attention.o_proj.in_features // 4
