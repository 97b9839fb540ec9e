"""A page holds what the store holds and shows it as text: escaping by generated texts, the twin, packing, by hand."""

import base64
import hashlib
import json
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import made_pages
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_pages import HOSTILE
from tables import rates, responses, scored_pair

from probe.errors import BadInput
from probe.experiments.changes import changes
from probe.experiments.measuring import measure_pair
from probe.measurements import RowKey
from probe.measures import PairData
from probe.pages import embed, measures, tokens
from probe.pages import responses as page_responses
from probe.pages.cards import shades
from probe.pages.pack import LEVEL_NATS, TOP, Both, Levels, Nats, Texts, Whole, packed, plain, unpacked
from probe.pages.strip import strip
from probe.pages.svg import sanitised

TEXTS = st.text(st.characters(), max_size=80)


class Read(HTMLParser):
    """Every tag with its attributes, and what stands within scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[str, str] = {}
        self._within = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._within = dict(attrs).get("id") or tag
            self.blocks[self._within] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within:
            self.blocks[self._within] += data

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes in self.tags]


PLAIN = Read(made_pages.page(["a", "b", "c"]).html)


def test_the_page_is_of_one_file_and_asks_for_nothing() -> None:
    """No element loads anything, no attribute is an event's, no address leads out; one script, one style, one block."""
    assert [tag for tag, _ in PLAIN.tags].count("script") == 2
    assert not {"iframe", "object", "embed", "base", "form", "link", "img", "video", "audio"} & {
        t for t, _ in PLAIN.tags
    }
    for tag, attributes in PLAIN.tags:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "srcset", "style", "action")
        ]
        assert (attributes.get("href") or "#").startswith("#"), tag
    code = PLAIN.blocks["script"] + PLAIN.blocks["style"]
    assert set(re.findall(r"https?://[^\"']+", code)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|url\(|@import", code
    )


def test_the_policy_allows_its_own_script_and_style_alone() -> None:
    policy = next(a["content"] for tag, a in PLAIN.tags if tag == "meta" and a.get("http-equiv"))
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    assert rules.pop("default-src") == "'none'" and "unsafe" not in str(policy)
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(PLAIN.blocks[kind].encode()).digest()).decode()
        assert rules.pop(f"{kind}-src") == f"'sha256-{digest}'"
    assert rules == {"base-uri": "'none'", "form-action": "'none'"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_and_names_stay_data(text: str) -> None:
    found = Read(made_pages.page([text, "x", text], name=text or "after").html)
    assert found.shape == PLAIN.shape
    assert found.blocks["script"] == PLAIN.blocks["script"]


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3), TEXTS)
def test_any_text_stays_data_and_comes_back(texts: list[str], name: str) -> None:
    page = made_pages.page(texts, name=name)
    found = Read(page.html)
    assert found.shape == PLAIN.shape
    assert unpacked(json.loads(found.blocks["data"])) == json.loads(page.twin)
    assert json.loads(page.twin)["about"]["after"] == name


def test_a_block_holds_no_sign_that_could_end_it() -> None:
    block = embed.as_json(list(HOSTILE))
    assert block.isascii() and not set("<>&\n") & set(block)
    assert json.loads(block) == list(HOSTILE)


def test_the_twin_has_the_numbers_of_the_page() -> None:
    page = made_pages.page(list(HOSTILE))
    twin = json.loads(page.twin)
    assert twin == unpacked(json.loads(Read(page.html).blocks["data"]))
    assert twin["measures"]["rows"][0]["p_holm"] is None  # what is no number
    assert len(twin["tokens"]["after"]["kl"]) == 4 * len(HOSTILE)
    assert twin["responses"]["pairs"][0]["before"]["text"] == HOSTILE[0]


# ---- numbers in few bytes


@given(st.lists(st.floats(0, TOP), max_size=50))
def test_nats_are_right_to_their_digits(values: list[float]) -> None:
    found = plain(Nats(np.array(values)))
    assert np.allclose(found, values, rtol=0.02, atol=0.0002)
    assert unpacked(packed(Nats(np.array(values)))) == found


@given(st.lists(st.tuples(st.floats(0, TOP), st.floats(0, TOP)), max_size=50))
def test_two_models_nats_are_each_ones(values: list[tuple[float, float]]) -> None:
    before, after = (Nats(np.array([pair[i] for pair in values])) for i in range(2))
    both = Both(before, after)
    assert unpacked(packed(both)) == plain(both) == {"before": plain(before), "after": plain(after)}


@given(st.lists(st.floats(-1e4, 1e4, width=32), max_size=50), st.integers(1, 255))
def test_levels_are_right_to_half_a_step(values: list[float], steps: int) -> None:
    mark = Levels(np.array(values), steps)
    found, (low, high) = plain(mark), mark.limits
    assert np.allclose(found, values, rtol=1e-3, atol=0.51 * (high - low) / steps)
    assert unpacked(packed(mark)) == found


@given(st.lists(st.tuples(st.floats(-1e4, 1e4, width=32), st.floats(-1e4, 1e4, width=32)), max_size=50))
def test_two_models_levels_are_each_ones(values: list[tuple[float, float]]) -> None:
    before, after = (np.array([pair[i] for pair in values]) for i in range(2))
    both = Both.levels(before, after, 200)
    found = plain(both)
    assert unpacked(packed(both)) == found
    step = max(map(abs, np.concatenate([before, after, [0.0]]))) / 100
    assert np.allclose(found["before"], before, rtol=1e-3, atol=0.6 * step)
    assert np.allclose(found["after"], after, rtol=1e-3, atol=0.6 * step)


def test_levels_by_hand() -> None:
    assert plain(Levels(np.array([0.0, 2.0, 1.0, 0.0]), 4)) == [0.0, 2.0, 1.0, 0.0]  # what does not fire is 0
    assert plain(Levels(np.array([-1.0, 1.0, 0.4]), 2)) == [-1.0, 1.0, 0.0]
    assert plain(Levels(np.zeros(3))) == [0.0] * 3 and plain(Levels(np.array([]))) == []
    for bad in (Levels(np.array([np.nan])), Levels(np.zeros(2), 0), Levels(np.zeros(2), 256)):
        with pytest.raises(BadInput):
            plain(bad)


def test_nats_by_hand() -> None:
    assert plain(Nats(np.array([0.0, TOP, 99.0]))) == [0.0, TOP, TOP]
    assert plain(Nats(np.array([0.6931]))) == pytest.approx([0.69], abs=0.011)
    assert LEVEL_NATS == sorted(set(LEVEL_NATS))
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(BadInput):
            plain(Nats(np.array([bad])))


@given(st.lists(st.integers(0, 2**32 - 1), max_size=30))
def test_whole_numbers_and_texts_are_exact(values: list[int]) -> None:
    data = {"a": Whole(np.array(values, dtype=np.int64)), "b": [Texts({"c": values, "d": float("inf")})]}
    assert unpacked(packed(data)) == plain(data) == {"a": values, "b": [{"c": values, "d": None}]}


def test_whole_numbers_take_as_many_bytes_as_they_need() -> None:
    kinds = [packed(Whole(np.array([top])))["packed"] for top in (0, 255, 256, 65535, 65536)]
    assert kinds == ["whole8", "whole8", "whole16", "whole16", "whole32"]
    with pytest.raises(BadInput):
        Whole(np.array([-1]))


# ---- responses and tokens


def test_pairs_by_hand() -> None:
    before = made_pages.side(["a", "b"], ["right", "wrong"], ["code", "prose"], ["eos", "eos"])
    after = made_pages.side(["c", "d"], ["unparsed", "right"], ["code", "code"], ["length", "eos"])
    problems = {f"p{i}": page_responses.problem(f"ask {i}", "7") for i in range(2)}
    found = plain(page_responses.told([(before, after), (after, before)], problems, most=1))
    assert found["of"] == 4 and len(found["pairs"]) == 2
    first, turned = found["pairs"]
    assert (first["cell"], first["switch"], first["after"]["stop"]) == ("only_before", "CC", "length")
    assert (turned["cell"], turned["before"]["text"], turned["after"]["text"]) == ("only_after", "c", "a")
    assert found["problems"][0] == {"id": "p0", "prompt": "ask 0", "answer": "7", "leaked": None}
    every = plain(page_responses.told([(before, after)], problems, most=9))["pairs"]
    assert [(pair["cell"], pair["switch"]) for pair in every] == [("only_before", "CC"), ("only_after", "LC")]


def test_tokens_are_told_as_they_are() -> None:
    table = made_pages.paired([["a", "b"], ["a", "c", "d"]])
    found = plain(tokens.told(table, {"p0": 4, "p1": 9}))
    assert found["texts"] == [{"problem": 4, "sample": 0}, {"problem": 9, "sample": 0}]
    assert found["starts"] == [0, 2, 5]
    assert [found["pieces"][place] for place in found["piece"]] == ["a", "b", "a", "c", "d"]
    assert np.allclose(found["kl"], table["kl"].to_numpy(), rtol=0.02, atol=0.001)
    assert np.allclose(found["surprise"]["after"], -table["logprob_after"].to_numpy(), rtol=0.02, atol=0.001)
    forks = [1 * a + 2 * b for a, b in zip(*(table[f"fork_{s}"].to_pylist() for s in tokens.SIDES), strict=True)]
    assert found["fork"] == forks and sum(forks) > 0
    assert len(found["others"]["piece"]) == sum(found["others"]["count"]) == len(found["others"]["surprise"]["before"])


def test_other_choices_are_told_where_a_model_is_least_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "OTHERS", 8)
    table = made_pages.paired([["x"] * 40])
    found = plain(tokens.told(table, {"p0": 0}))
    kept = np.array(found["others"]["count"]) > 0
    unsure = np.maximum(table["entropy_before"].to_numpy(), table["entropy_after"].to_numpy())
    assert 0 < kept.sum() <= 4 and sum(found["others"]["count"]) <= 8
    assert unsure[kept].min() >= np.sort(unsure)[-6]


def test_every_measure_of_a_comparison_has_its_sentence() -> None:
    held = rates(0.5, (0.7, 0.4), 0.9), rates(0.7, (0.7, 0.4), 0.9)
    pair = PairData(*(responses(each, str(i)) for i, each in enumerate(held)), **scored_pair(60))  # type: ignore[arg-type]
    rows = measure_pair(RowKey(study="t"), pair)
    found = measures.told(rows)
    names = {row["name"] for row in changes(rows)}
    assert len(names) > 15 and set(found["about"]) == names
    assert all(each["question"] and each["null"] for each in found["about"].values())
    assert len(found["rows"]) == len(changes(rows))


def test_a_hundred_long_responses_are_less_than_a_megabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    """50 texts of each side, 1,000 tokens each, words as often as they are (Zipf): 5 MB hold five times as many."""
    monkeypatch.setattr(tokens, "OTHERS", tokens.OTHERS // 5)
    n, rng = 50, np.random.default_rng(0)
    drawn = np.char.add(" w", np.minimum(rng.zipf(1.3, size=(n, 1000)), 29999).astype(str))
    texts = ["".join(row) for row in drawn]
    table = _peaked(made_pages.paired(drawn.tolist()), rng)
    places = {f"p{i}": i for i in range(n)}
    problems = {name: page_responses.problem("a question of some length " * 8, "7") for name in places}
    sides = [made_pages.side(texts[::way], ["right"] * n, ["code"] * n, ["eos"] * n) for way in (1, -1)]
    data = {
        "responses": page_responses.told([tuple(sides)], problems, n),  # type: ignore[list-item]
        "tokens": {side: tokens.told(table, places) | {"shades": _shades(table, rng)} for side in tokens.SIDES},
        "cards": made_pages.cards([text[:300] for text in texts[:6]]),
        "steering": made_pages.steering(texts[:6]),
    }
    sizes = {name: len(json.dumps(packed(each))) for name, each in data.items()}
    assert 2e5 < sizes["responses"] + sizes["tokens"] < 9.9e5, sizes
    assert sizes["cards"] + sizes["steering"] < 5e4, sizes  # which are as many on any page


def _shades(table: pa.Table, rng: np.random.Generator) -> dict[str, Levels | Both]:
    """As a pair has: three latents and an untrained one that fire at a token in twenty, a direction at each."""
    n, names = table.num_rows, ("latent:1", "latent:2", "latent:3", "untrained:4")
    fires = {name: np.where(rng.random(n) < 0.05, rng.exponential(1.0, n), 0.0) for name in names}
    before = rng.standard_normal(n)
    lines = {"direction:before": before, "direction:after": before + 0.1 * rng.standard_normal(n)}
    columns = {name: pa.array(values, pa.float32()) for name, values in (fires | lines).items()}
    told = shades(pa.table(columns | {"problem": table["problem"], "random:before": pa.array(before)}))
    assert set(told) == {*fires, "direction"}
    return told


def _peaked(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    """As models are: sure of three tokens in four, and changed little by training."""
    sure = rng.random(table.num_rows) < 0.75
    for name in ("logprob", "entropy"):
        before = np.where(sure, rng.exponential(0.003, table.num_rows), rng.exponential(0.8, table.num_rows))
        after = before * rng.lognormal(0, 0.1, table.num_rows)
        for side, values in zip(tokens.SIDES, (before, after), strict=True):
            place = table.column_names.index(f"{name}_{side}")
            table = table.set_column(place, f"{name}_{side}", pa.array(values * (-1 if name == "logprob" else 1)))
    for side in tokens.SIDES:
        place = table.column_names.index(f"rank_{side}")
        table = table.set_column(place, f"rank_{side}", pa.array(np.where(sure, 0, rng.integers(0, 3, len(sure)))))
    return table.set_column(
        table.column_names.index("kl"), "kl", pa.array(np.where(sure, 0, rng.exponential(0.05, len(sure))))
    )


# ---- figures, files


def test_a_figure_keeps_its_shapes_alone() -> None:
    bad = b"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
    onload="x()" viewBox="0 0 9 9">
    <script>x()</script><style>*{background:url(http://e.vil)}</style><foreignObject><b/></foreignObject>
    <a href="http://e.vil"><path d="M0 0"/></a><image href="http://e.vil/x.png"/>
    <g id="p" style="fill: #123456; stroke: none; background: url(http://e.vil)" onclick="x()">
    <use xlink:href="#p"/><use xlink:href="http://e.vil#p"/><path d="M1 1" clip-path="url(#c)"/></g>
    <text style="font: 700 12px 'Sans'; text-anchor: middle">1 &lt; 2</text></svg>"""
    found = sanitised(bad, "a figure")
    read = Read(found)
    assert [tag for tag, _ in read.tags] == ["svg", "g", "use", "use", "path", "text"]
    assert "e.vil" not in found and "onload" not in found and "style" not in found and "1 &lt; 2" in found
    assert read.tags[1][1] == {"id": "a-figure-p", "fill": "#123456", "stroke": "none"}
    assert [attributes.get("href") for _, attributes in read.tags[2:4]] == ["#a-figure-p", None]
    assert read.tags[4][1]["clip-path"] == "url(#a-figure-c)"
    assert read.tags[5][1]["font-weight"] == "bold" and read.tags[5][1]["text-anchor"] == "middle"


def test_a_page_is_replaced_and_a_strangers_is_not(tmp_path: Path) -> None:
    first, second = made_pages.page(["a"]), made_pages.page(["b"])
    assert [path.name for path in first.write(tmp_path / "new" / "folder")] == ["index.html", "report.json"]
    second.write(tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder" / "index.html").read_text() == second.html
    (tmp_path / "index.html").write_text("<!doctype html><p>mine")
    with pytest.raises(BadInput, match="in the way"):
        first.write(tmp_path)
    assert (tmp_path / "index.html").read_text() == "<!doctype html><p>mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be made"):
        first.write(tmp_path / "file" / "below")


def test_folders_of_pages_are_plain_names() -> None:
    assert embed.folder_of(["Qwen/Qwen2.5-7B", "../../etc"]) == Path("reports/Qwen-Qwen2.5-7B--etc")
    assert embed.folder_of(["", "a\x00b"]) == Path("reports/unnamed--a-b")


# ---- a still figure


def test_a_strip_draws_every_token_where_it_stands() -> None:
    table = made_pages.paired([["ab", "\nc\n", "", "d" * 130, "\x1b$x$"]])
    drawn = strip(table, ("one", "two"), "entropy")
    assert len(drawn.table) == 2 * table.num_rows and "5 tokens" in drawn.caption
    told = [row["value"] for row in drawn.table if row["side"] == "before"]
    assert told == pytest.approx(table["entropy_before"].to_pylist())
    texts = "".join(text.get_text() for text in drawn.figure.axes[0].texts)
    assert texts == "ab↵c↵·" + "d" * 130 + "?$x$"
    heights = [text.get_position()[1] for text in drawn.figure.axes[0].texts]
    assert heights == sorted(heights) and len(set(heights)) == 5
    assert len(strip(table, ("one", "two")).figure.axes) == 1  # KL has one value a token
    lines = list(drawn.figure.axes[1].lines)
    assert len(lines) >= sum(table["fork_after"].to_pylist()) > 0


def test_a_strip_of_nothing_is_refused() -> None:
    table = made_pages.paired([["a"]])
    for rows, colour in ((table.slice(0, 0), "kl"), (table, "hue")):
        with pytest.raises(BadInput):
            strip(rows, ("one", "two"), colour)  # type: ignore[arg-type]


def test_all_of_the_template_goes_into_a_package() -> None:
    about = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    listed = about["tool"]["setuptools"]["package-data"]["probe.pages"]
    held = {path.name for path in Path(embed.__file__).parent.iterdir() if path.suffix in (".html", ".css", ".js")}
    assert set(listed) == held == {"report.html", "report.css", *embed.SCRIPTS}
