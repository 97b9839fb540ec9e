// ---- prompts and responses side by side: a list that holds only what is seen of it, filters, one pair in full

const CELLS = { both: "✓✓ right before and after", only_before: "✓✗ lost: right before only", only_after: "✗✓ gained: right after only", neither: "✗✗ wrong before and after" };
const SWITCHES = { CC: "code → code", CL: "code → prose", LC: "prose → code", LL: "prose → prose" };
const HEIGHT = 56, LONG = 20000; // pixels of a row; characters shown at first
const isCut = (side) => side.stop === "length";
const FILTERS = {
  name: ["After", (pair) => pair.name ?? data.about.after, (key) => key],
  temperature: ["Sampling", (pair) => String(pair.temperature), (key) => at(Number(key))],
  cell: ["Right", (pair) => pair.cell, (key) => CELLS[key]],
  switch: ["Strategy", (pair) => pair.switch, (key) => SWITCHES[key]],
  cut: ["Cut off", (pair) => ["neither", "before", "after", "both"][isCut(pair.before) + 2 * isCut(pair.after)], (key) => key],
  leaked: ["Leaked", (pair, problems) => String(problems[pair.problem].leaked), (key) => ({ true: "read in training", false: "not read", null: "not known" })[key]],
};

function chip(words, kind) { return make("li", { class: kind }, words); }

function sideOf(name, side, which) {
  const chips = [chip(side.outcome === "right" ? "✓ right" : `✗ ${side.outcome}`, side.outcome === "right" ? "right" : null), chip(side.strategy)];
  if (side.boxed !== null) chips.push(chip(`answer ${side.boxed}`));
  if (side.tokens !== null) chips.push(chip(`${side.tokens} tokens`));
  if (side.confidence !== null) chips.push(chip(`confidence ${number(side.confidence, 2)}`));
  if (isCut(side)) chips.push(chip("cut off"));
  return make("div", { class: `side ${which}` }, make("h4", {}, `${which === "before" ? "Before" : "After"}: `, make("bdi", {}, name)), make("ul", { class: "chips" }, chips), longText(side.text, `Response ${which}`));
}

function longText(text, label) {
  if (text === "") return make("p", { class: "about" }, "an empty response");
  const shown = make("pre", { tabindex: 0, role: "region", "aria-label": label }, text.slice(0, LONG));
  if (text.length <= LONG) return shown;
  let until = LONG;
  const more = make("button", { type: "button" }, `${text.length - until} more characters: show the next`);
  more.addEventListener("click", () => {
    shown.append(visible(text.slice(until, until + LONG)));
    until += LONG;
    if (until >= text.length) more.remove(); else more.textContent = `${text.length - until} more characters: show the next`;
  });
  return make("div", {}, shown, more);
}

/** A list of `rows` in which only what is seen is in the document; `pick` hears the chosen place. */
function virtualList(label, row, pick) {
  let rows = [], here = 0;
  const all = make("div", { class: "all", role: "presentation" });
  const box = make("div", { class: "list", tabindex: 0, role: "listbox", "aria-label": label }, all);
  function draw() {
    const from = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 4), to = Math.min(rows.length, from + Math.ceil((box.clientHeight || 600) / HEIGHT) + 8);
    const places = new Set([here]);
    for (let place = from; place < to; place++) places.add(place);
    all.replaceChildren(...[...places].filter((place) => place < rows.length).sort((a, b) => a - b).map((place) => {
      const made = make("div", { class: "row", id: `row-${place}`, role: "option", "aria-selected": place === here ? "true" : "false", "aria-setsize": rows.length, "aria-posinset": place + 1 }, row(rows[place]));
      made.style.setProperty("top", `${place * HEIGHT}px`);
      made.addEventListener("click", () => go(place));
      return made;
    }));
    if (rows.length) box.setAttribute("aria-activedescendant", `row-${here}`); else box.removeAttribute("aria-activedescendant");
  }
  function go(place) {
    if (!rows.length) { draw(); return pick(null); }
    here = Math.max(0, Math.min(rows.length - 1, place));
    if (here * HEIGHT < box.scrollTop) box.scrollTop = here * HEIGHT;
    if ((here + 1) * HEIGHT > box.scrollTop + box.clientHeight) box.scrollTop = (here + 1) * HEIGHT - box.clientHeight;
    draw();
    pick(rows[here]);
  }
  box.addEventListener("scroll", draw);
  box.addEventListener("keydown", (event) => {
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, PageDown: here + 10, PageUp: here - 10, Home: 0, End: rows.length - 1 }[event.key];
    if (to !== undefined) { event.preventDefault(); go(to); }
  });
  return { box, show(found, place = 0) { rows = found; all.style.setProperty("height", `${rows.length * HEIGHT}px`); box.scrollTop = 0; go(place); } };
}

function responses(held, tokens) {
  const { pairs, problems, of } = held;
  const state = { colour: asked.get("colour") in COLOURS ? asked.get("colour") : "kl", token: Number(asked.get("token") ?? 0), writer: asked.get("text") === "before" ? "before" : "after", latent: asked.get("latent") };
  const places = {}; // of the texts that were scored, by problem and sample
  for (const side of tokens ? SIDES : []) places[side] = new Map(tokens[side].texts.map((text, place) => [`${text.problem}/${text.sample}`, place]));
  const shown = make("div", {}), count = make("span", { class: "about", role: "status" });
  const list = virtualList("Pairs of responses", listed, detail);
  const search = make("input", { type: "search", placeholder: "in prompts and responses" });
  const selects = Object.entries(FILTERS).filter(([name]) => name !== "name" || pairs.some((pair) => pair.name)).map(([name, [words, key, told]]) => {
    const counts = new Map();
    for (const pair of pairs) counts.set(key(pair, problems), (counts.get(key(pair, problems)) ?? 0) + 1);
    const options = [...counts].sort().map(([each, n]) => make("option", { value: each }, `${told(each)} (${n})`));
    const select = make("select", { name, disabled: counts.size < 2 && name !== "cell" }, make("option", { value: "" }, counts.size < 2 && options.length ? `${told([...counts][0][0])} (all)` : "all"), options);
    if (asked.get(name)) select.value = asked.get(name);
    select.addEventListener("change", () => filter());
    return [select, words, key];
  });
  search.addEventListener("input", () => filter());
  let current = null;

  function listed(pair) {
    const asked_ = problems[pair.problem];
    return [make("div", { class: "top" }, make("span", {}, `${CELLS[pair.cell].slice(0, 2)} ${pair.switch}`), make("span", {}, `${pair.temperature ? `sample ${pair.sample}` : "greedy"}${isCut(pair.after) ? ", cut off" : ""}`)), make("div", { class: "asked" }, visible(asked_.prompt ?? asked_.id).replaceAll("\n", " ").slice(0, 200))];
  }
  function filter(place = 0) {
    const words = search.value.toLowerCase();
    const found = pairs.filter((pair) => selects.every(([select, , key]) => !select.value || key(pair, problems) === select.value)
      && (!words || [problems[pair.problem].prompt ?? "", pair.before.text, pair.after.text].some((text) => text.toLowerCase().includes(words))));
    count.textContent = `${found.length} of ${pairs.length} pairs${of > pairs.length ? ` here, of ${of} in the store` : ""}`;
    list.show(found, place);
  }
  function remember() {
    const said = new URLSearchParams({ pair: pairs.indexOf(current), text: state.writer, colour: state.colour, token: state.token, ...(state.colour === "latent" ? { latent: state.latent } : {}) });
    try { history.replaceState(null, "", `#${said}`); } catch { /* a page within a page has no address of its own */ }
  }
  function detail(pair) {
    if (!pair) return shown.replaceChildren(make("p", { class: "note" }, "No pair is like that. Choose “all” in a filter, or search for less."));
    if (current && pair !== current) state.token = 0;
    current = pair;
    const problem = problems[pair.problem];
    const title = make("h3", { id: "pair-title" }, `${problem.id}, ${pair.temperature ? `sample ${pair.sample}, ` : ""}${at(pair.temperature)}`);
    const about = [chip(CELLS[pair.cell]), chip(SWITCHES[pair.switch])];
    if (problem.answer !== null) about.push(chip(`true answer ${problem.answer}`));
    if (problem.leaked) about.push(chip("leaked: read in training"));
    shown.replaceChildren(title, make("ul", { class: "chips" }, about),
      problem.prompt === null ? make("p", { class: "about" }, "The file holds no prompt for this problem.") : make("pre", { class: "asked-whole", tabindex: 0, role: "region", "aria-label": "Prompt" }, problem.prompt),
      make("div", { class: "sides" }, sideOf(data.about.before, pair.before, "before"), sideOf(pair.name ?? data.about.after, pair.after, "after")), ...tokensOf(pair));
  }
  function tokensOf(pair) {
    const title = make("h3", {}, "Token by token, under both models");
    const key = `${pair.problem}/${pair.sample}`;
    const whose = SIDES.filter((side) => places[side]?.has(key) && pair.temperature === tokens.temperature);
    if (!whose.length) return [title, make("p", { class: "about" }, tokens ? `Scored is the first sample of each problem, ${at(tokens.temperature)}. Choose that sampling above.` : data.about.why_no_tokens ?? "These texts were not scored.")];
    const view = make("div", {});
    const buttons = whose.map((side) => make("button", { type: "button", "data-side": side, on: { click: () => { state.writer = side; state.token = 0; draw(); } } }, `what ${side} wrote`));
    function draw() {
      const writer = whose.includes(state.writer) ? state.writer : whose[0];
      buttons.forEach((button) => button.setAttribute("aria-pressed", button.dataset.side === writer));
      view.replaceChildren(...tokenView(tokens[writer], places[writer].get(key), writer, state, remember));
    }
    draw();
    return [title, make("div", { class: "controls" }, make("fieldset", {}, make("legend", {}, "Text"), buttons)), view];
  }

  const controls = make("div", { class: "controls" }, selects.map(([select, words]) => make("label", {}, words, select)), make("label", {}, "Search", search), count);
  return { parts: [controls, make("div", { class: "browser" }, list.box, shown)], start: () => filter(Number(asked.get("pair") ?? 0)) };
}

// ---- the page: what is plain at once, the packed parts behind it

/** A section whose packed data are spelled out first; what cannot be unpacked is said in its place. */
function unpackedSection(id, title, packedData, parts) {
  const place = section(id, title, make("p", { role: "status" }, "Unpacking …"));
  return async () => {
    try {
      const found = parts(await unpacked(packedData));
      place.lastChild.remove();
      place.append(...found.flat(Infinity).filter((part) => part));
    } catch (error) {
      place.lastChild.replaceWith(make("p", { class: "note", role: "alert" }, `This could not be unpacked (${error.message}): this browser may be too old. It is in report.json beside this page.`));
    }
  };
}

async function start() {
  const only = data.kind === "tokens" || data.kind === "cards", later = [];
  if (data.kind === "study") {
    heading();
    const linked = data.pairs.some((pair) => pair.href);
    if (linked) section("pairs", "Pairs", pairs());
    if (data.figures.length) section("figures", "Figures", figures());
    if (data.pairs.length && !linked) section("pairs", "Pairs", pairs());
    section("runs", "Measurements", runs());
    section("provenance", "Provenance", provenance());
    document.documentElement.dataset.ready = "yes";
    return;
  }
  if (!only) {
    heading();
    const found = data.verdicts.length ? data.verdicts.map(verdict) : [make("p", { class: "about" }, "No verdict was made.")];
    section("verdict", "Verdict", tiles(), found);
    if (data.figures.length) section("figures", "Figures", figures());
    section("measures", "Measures", measures());
  }
  if (data.cards) later.push(unpackedSection("features", "Feature cards", data.cards, cardsSection));
  if (data.steering) later.push(unpackedSection("steering", "Steering", data.steering, steeringSection));
  if (data.responses) {
    let begin = null;
    const fill = unpackedSection("responses", data.kind === "tokens" ? "Token by token" : "Responses", { held: data.responses, tokens: data.tokens }, ({ held, tokens }) => {
      if (!held.pairs.length) return [make("p", { class: "note" }, "There are no pairs of responses.")];
      const { parts, start: first } = responses(held, tokens);
      begin = first;
      return parts;
    });
    later.push(async () => {
      await fill();
      begin?.();
      if (asked.has("pair")) document.getElementById("responses").scrollIntoView();
    });
  }
  if (!only) section("provenance", "Provenance", provenance());
  await Promise.all(later.map((fill) => fill()));
  document.documentElement.dataset.ready = "yes";
}
start();
