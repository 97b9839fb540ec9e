// ---- the index of a study: its pairs, sortable and filterable, each with a link to its page

const OWN = /^pairs\/[A-Za-z0-9.@+_-]+\/index\.html$/;
const SHARES = [["accuracy", "accuracy"], ["code_share", "share in code"]];
const shareOf = (name, key) => (pair) => pair.glance?.[name]?.[key] ?? null;
const verdictOf = (pair) => (pair.glance ? pair.glance.verdict ?? "not told" : pair.reason ? "no page" : null);
const PAIR_COLUMNS = [
  ["pair", (pair) => pair.after, "pair"], ["family", (pair) => pair.family, "roomy"], ["reward", (pair) => pair.reward, "roomy"],
  ...SHARES.flatMap(([name]) => [["before", shareOf(name, "before"), "number first"], ["after", shareOf(name, "after"), "number"], ["change", shareOf(name, "value"), "number"], ["95 % interval", shareOf(name, "lo"), "number"]]),
  ["n", shareOf("accuracy", "n"), "number first"], ["verdict", verdictOf, "told"],
];
const CHOICES = [["family", (pair) => pair.family], ["reward", (pair) => pair.reward], ["verdict", verdictOf]];

/** What there is of it comes before what there is none of, either way. */
function inOrder(key, down) {
  return (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y) * (down ? -1 : 1);
  };
}

function pairLine(pair) {
  const name = make("bdi", {}, pair.after);
  const linked = pair.href && OWN.test(pair.href) ? make("a", { href: pair.href }, name) : name;
  const head = make("th", { scope: "row", class: "pair" }, linked, pair.after !== pair.before && pair.after.startsWith(pair.before) ? null : make("div", { class: "about" }, "from ", make("bdi", {}, pair.before)), make("div", { class: "about tight" }, `${pair.family}, ${pair.reward}`), pair.settings ? make("div", { class: "about" }, pair.settings) : null);
  const start = [head, make("td", { class: "roomy nowrap" }, pair.family), make("td", { class: "roomy of" }, pair.reward)];
  const why = pair.reason ? make("p", { class: "about" }, pair.href ? "An older page; a new one could not be made: " : "No page: ", pair.reason) : null;
  const how = !pair.href && pair.command ? make("p", { class: "about" }, make("code", {}, pair.command)) : null;
  if (!pair.glance) return make("tr", {}, start, make("td", { class: "first", colspan: PAIR_COLUMNS.length - start.length }, why ?? how ?? make("span", { class: "about" }, "no page yet"), why && how));
  const it = pair.glance;
  const numbers = SHARES.flatMap(([name]) => [number(it[name]?.before), number(it[name]?.after), number(it[name]?.value, 3, true), it[name] ? interval(it[name].lo, it[name].hi) : ""]);
  const verdict = [it.destroyed ? make("strong", {}, "destroyed") : null, it.destroyed && it.verdict === "destroyed" ? null : [it.destroyed ? ", " : null, it.verdict ?? "not told"],
    it.sentence ? make("details", {}, make("summary", {}, "in a sentence"), make("p", { class: "about" }, it.sentence)) : null, it.missing.length ? make("div", { class: "about" }, `without ${it.missing.join(", ")}`) : null, why];
  return make("tr", {}, start, numbers.map((cell, i) => make("td", { class: i % 4 ? "number" : "number first" }, cell)), make("td", { class: "number first" }, it.accuracy?.n ?? ""), make("td", { class: "told" }, verdict));
}

function pairs() {
  const all = data.pairs, body = make("tbody"), count = make("span", { class: "about", role: "status" });
  const search = make("input", { type: "search", placeholder: "name, setting …" });
  const selects = CHOICES.map(([name, key]) => {
    const counts = new Map();
    for (const pair of all) if (key(pair) !== null) counts.set(key(pair), (counts.get(key(pair)) ?? 0) + 1);
    const options = [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([each, n]) => make("option", { value: `=${each}` }, `${each} (${n})`));
    return [name, key, make("select", { name: `pair-${name}`, disabled: counts.size < 2 }, make("option", { value: "" }, "all"), options)];
  });
  let by = null, down = false;
  const heads = PAIR_COLUMNS.map(([words, key, kind]) => make("th", { scope: "col", class: kind }, make("button", { type: "button", on: { click: () => { down = by === key && !down; by = key; draw(); } } }, words)));
  function draw() {
    const words = search.value.toLowerCase();
    let shown = all.filter((pair) => selects.every(([, key, select]) => !select.value || `=${key(pair)}` === select.value)
      && [pair.before, pair.after, pair.family, pair.reward, pair.settings, pair.reason, pair.glance?.sentence, pair.glance?.destroyed ? "destroyed" : ""].join(" ").toLowerCase().includes(words));
    if (by) shown = [...shown].sort(inOrder(by, down));
    heads.forEach((head, i) => { if (PAIR_COLUMNS[i][1] === by) head.setAttribute("aria-sort", down ? "descending" : "ascending"); else head.removeAttribute("aria-sort"); });
    body.replaceChildren(...shown.map(pairLine));
    count.textContent = `${shown.length} of ${all.length} pairs`;
  }
  for (const field of [search, ...selects.map(([, , select]) => select)]) field.addEventListener("input", draw);
  draw();
  const linked = all.filter((pair) => pair.href).length, sampled = [...new Set(all.filter((pair) => pair.glance?.accuracy).map((pair) => at(pair.glance.temperature)))];
  const shares = sampled.length ? `Shares of responses, ${sampled.join(" or ")}; a change is after − before, paired by problem, its null 0; intervals are 95 %, clustered by problem. Click a heading to sort.` : "Click a heading to sort.";
  const groups = make("tr", {}, make("td", { class: "pair" }), make("td", { class: "roomy", colspan: 2 }), SHARES.map(([, words]) => make("th", { scope: "colgroup", colspan: 4, class: "group first" }, words)), make("td", { class: "first", colspan: 2 }));
  return [
    make("p", { class: "about" }, linked ? `${linked} of ${all.length} pairs have a page. ${shares}` : `None of the ${all.length} pairs has a page here.`, linked < all.length ? [linked ? " The others: " : " All of them: ", make("code", {}, data.each)] : null),
    make("div", { class: "controls" }, selects.map(([name, , select]) => make("label", {}, name[0].toUpperCase() + name.slice(1), select)), make("label", {}, "Search", search), count),
    make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Pairs of the study" }, make("table", { class: "pairs" }, make("thead", {}, groups, make("tr", {}, heads)), body)),
  ];
}
