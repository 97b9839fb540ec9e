// ---- one text under both models, token by token: colours, forks, other choices, a line of divergence

const COLOURS = {
  kl: ["KL(before ‖ after)", "nats", (side, i, of) => of.kl[i]],
  entropy: ["entropy", "nats", (side, i, of) => of.entropy[side][i]],
  surprise: ["−log p", "nats", (side, i, of) => of.surprise[side][i]],
  rank: ["rank", "0: first choice", (side, i, of) => Math.log2(1 + of.rank[side][i])],
  fork: ["fork", "", (side, i, of) => (of.fork[i] & (side === "before" ? 1 : 2) ? 1 : 0)],
  latent: ["latent", "", (side, i, of) => shadeOf(of, of.shade, side)[i]],
};
const SIDES = ["before", "after"];
const AT_ONCE = 3000; // tokens in the document at a time
const percent = (surprise) => Math.exp(-surprise) * 100;
const share = (value) => (value >= 99.95 ? "100 %" : value >= 0.1 ? `${value.toFixed(1)} %` : "<.1 %");

/** What a token can be shaded by beside scores: latents, which have one value, and directions, which have one a model. */
const shadesOf = (of) => Object.keys(of.shades ?? {});
const shadeOf = (of, thing, side) => (isLine(thing) ? of.shades[thing][side] : of.shades[thing]);
const shadeWords = (thing) => (thing === "direction" ? "direction to code" : `${thing.startsWith("untrained") ? "untrained " : ""}latent ${thing.split(":")[1]}`);
const isOne = (state) => state.colour === "kl" || (state.colour === "latent" && !isLine(state.latent)); // the same under both

/** What the largest colour stands for: the 99th percentile over all texts of this side. */
function ceiling(of, colour) {
  of.tops ??= {};
  const name = colour === "latent" ? of.shade : colour;
  if (!(name in of.tops)) {
    const n = of.piece.length, step = Math.max(1, Math.floor(n / 5000)), values = [];
    for (let i = 0; i < n; i += step) for (const side of SIDES) values.push(Math.abs(COLOURS[colour][2](side, i, of)));
    values.sort((a, b) => a - b);
    of.tops[name] = colour === "fork" ? 1 : values[Math.floor(0.99 * (values.length - 1))] || values[values.length - 1] || 1;
  }
  return of.tops[name];
}

function spelled(text) {
  const words = visible(text).replaceAll(" ", text.trim() ? " " : "␣").replaceAll("\t", "⇥");
  if (words === "") return ["·"];
  return words.split(/(?<=\n)/).flatMap((part) => (part.endsWith("\n") ? [part.slice(0, -1), make("span", { class: "blank" }, "⏎"), "\n"] : [part]));
}

/** The view of text number `place` of `of`, which `writer` wrote; `state` keeps colour and token. */
function tokenView(of, place, writer, state, remember) {
  const first = of.starts[place], last = of.starts[place + 1], n = last - first;
  const names = { before: data.about.before, after: data.about.after };
  let here = Math.min(state.token ?? 0, n - 1), from = 0;
  const panes = make("div", { class: "sides" }), choices = make("div", { class: "choices", role: "status" });
  const marker = shape("line", { class: "now", y1: 0, y2: 40 });
  const counts = otherStarts(of);

  function token(side, i) {
    const [, , value] = COLOURS[state.colour], k = first + i;
    const fork = (of.fork[k] & 1 ? " fork-before" : "") + (of.fork[k] & 2 ? " fork-after" : "");
    const span = shaded("span", value(side, k, of), ceiling(of, state.colour), { class: fork.trim(), role: "option", id: `${side}-${i}`, "data-i": i, "aria-selected": i === here ? "true" : "false", "aria-label": `${i + 1}: ${visible(of.pieces[of.piece[k]]).trim() || "space"}` }, spelled(of.pieces[of.piece[k]]));
    return span;
  }
  function pane(side) {
    const about = isOne(state) ? "the same under both" : `under ${side}, ${names[side]}`;
    const box = make("div", { class: "tokens", tabindex: 0, role: "listbox", "aria-label": `Tokens that ${writer} wrote, ${about}`, "aria-describedby": "keys" });
    for (let i = from; i < Math.min(n, from + AT_ONCE); i++) box.append(token(side, i));
    const pick = (event) => { const span = event.target.closest(".token"); if (span) go(Number(span.dataset.i), false); };
    box.addEventListener("mouseover", pick);
    box.addEventListener("click", pick);
    box.addEventListener("keydown", key);
    return make("div", { class: `side ${side}` }, make("h4", {}, `${state.colour === "latent" ? shadeWords(state.latent) : COLOURS[state.colour][0]} ${about}`), box);
  }
  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: n - 1, n: nextFork(1), p: nextFork(-1) }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to, true);
  }
  function nextFork(way) {
    for (let i = here + way; i >= 0 && i < n; i += way) if (of.fork[first + i]) return i;
    return here;
  }
  function draw() {
    from = Math.floor(here / AT_ONCE) * AT_ONCE;
    of.shade = state.latent;
    panes.replaceChildren(...(isOne(state) ? ["after"] : SIDES).map(pane));
    legend.replaceChildren(...legendOf(of, state.colour));
    which.hidden = state.colour !== "latent";
    buttons.forEach((button) => button.setAttribute("aria-pressed", button.dataset.colour === state.colour));
    go(here, false);
  }
  function go(to, scroll) {
    here = Math.max(0, Math.min(n - 1, to));
    if (here < from || here >= from + AT_ONCE) return draw();
    for (const box of panes.querySelectorAll(".tokens")) {
      for (const old of box.querySelectorAll(".here")) { old.classList.remove("here"); old.setAttribute("aria-selected", "false"); }
      const span = box.children[here - from];
      span.classList.add("here");
      span.setAttribute("aria-selected", "true");
      box.setAttribute("aria-activedescendant", span.id);
      if (scroll) box.scrollTop += span.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;
    }
    marker.setAttribute("x1", here + 0.5);
    marker.setAttribute("x2", here + 0.5);
    choices.replaceChildren(...choicesOf(of, first + here, here, n, counts));
    state.token = here;
    remember();
  }

  const things = shadesOf(of);
  if (!things.includes(state.latent)) state.latent = things[0];
  if (state.colour === "latent" && !things.length) state.colour = "kl";
  const select = make("select", { name: "latent" }, things.map((thing) => make("option", { value: thing, selected: thing === state.latent }, `${shadeWords(thing)}${isNull(thing) ? " (null)" : ""}`)));
  select.addEventListener("change", () => { state.latent = select.value; draw(); });
  const which = make("label", {}, "Latent", select);
  const buttons = Object.entries(COLOURS).filter(([colour]) => colour !== "latent" || things.length).map(([colour, [words]]) => make("button", { type: "button", "data-colour": colour, on: { click: () => { state.colour = colour; draw(); } } }, words));
  const steps = [["previous fork", -1], ["next fork", 1]].map(([words, way]) => make("button", { type: "button", on: { click: () => go(nextFork(way), true) } }, words));
  const legend = make("p", { class: "legend" });
  draw();
  return [make("div", { class: "controls" }, make("fieldset", {}, make("legend", {}, "Colour by"), buttons), which, make("fieldset", {}, make("legend", {}, "Go to"), steps)),
    legend, sparkline(of, first, n, marker, go), panes, choices,
    make("p", { class: "about", id: "keys" }, "In the text: ", make("kbd", {}, "←"), " ", make("kbd", {}, "→"), " token, ", make("kbd", {}, "p"), " ", make("kbd", {}, "n"), " previous and next fork, ", make("kbd", {}, "Home"), " ", make("kbd", {}, "End"), `. ${n} tokens${n > AT_ONCE ? `, ${AT_ONCE} at a time` : ""}; nats are to 2 %.`)];
}

function legendOf(of, colour) {
  const most = colour === "rank" ? `${Math.round(2 ** ceiling(of, colour) - 1)} or more` : number(ceiling(of, colour), 2);
  if (colour === "latent") {
    const sign = isLine(of.shade) ? [make("span", {}, `− ${most} (prose) `), make("span", { class: "ramp cold" }), make("span", {}, " 0 ")] : [make("span", {}, "0 ")];
    return [make("span", {}, ...sign, make("span", { class: "ramp" }), ` ${most}${isLine(of.shade) ? " (code)" : ""}`), make("span", {}, "by the state that predicts the token"), make("span", {}, "underlined: fork of before; overlined: fork of after")];
  }
  const ramp = colour === "fork" ? [make("span", {}, "coloured: a fork of the model named above")] : [make("span", {}, "0 "), make("span", { class: "ramp" }), make("span", {}, ` ${most} ${COLOURS[colour][1]}`)];
  return [...ramp, make("span", {}, "underlined: fork of before"), make("span", {}, "overlined: fork of after"), make("span", {}, "fork: one of the 20 % of tokens where a model is least sure")];
}

/** The divergence along the text; ticks are forks, of before below and of after above. */
function sparkline(of, first, n, marker, go) {
  const most = Math.max(ceiling(of, "kl"), 1e-6), y = (k) => 33 - 26 * Math.min(1, of.kl[k] / most);
  let line = "";
  const ticks = [];
  for (let i = 0; i < n; i++) {
    line += `${i ? "L" : "M"}${i + 0.5} ${y(first + i).toFixed(1)}`;
    if (of.fork[first + i] & 1) ticks.push(shape("line", { class: "tick", x1: i + 0.5, x2: i + 0.5, y1: 35, y2: 40 }));
    if (of.fork[first + i] & 2) ticks.push(shape("line", { class: "tick", x1: i + 0.5, x2: i + 0.5, y1: 0, y2: 5 }));
  }
  const drawn = shape("svg", { viewBox: `0 0 ${n} 40`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...ticks, shape("path", { d: line }), marker);
  drawn.addEventListener("click", (event) => { const box = drawn.getBoundingClientRect(); go(Math.floor(((event.clientX - box.left) / box.width) * n), true); });
  return make("div", { class: "spark" }, drawn, make("p", { class: "about" }, `KL(before ‖ after) along the text, up to ${number(most, 2)} nats; ticks: forks of after above, of before below.`));
}

function otherStarts(of) {
  if (!of.otherStarts) {
    of.otherStarts = new Uint32Array(of.others.count.length + 1);
    of.others.count.forEach((count, k) => { of.otherStarts[k + 1] = of.otherStarts[k] + count; });
  }
  return of.otherStarts;
}

/** The token, what both models make of it, and what they would have written instead. */
function choicesOf(of, k, i, n, starts) {
  const written = of.piece[k], rows = [];
  for (let at_ = starts[k]; at_ < starts[k + 1]; at_++) rows.push([of.others.piece[at_], ...SIDES.map((side) => of.others.surprise[side][at_])]);
  if (!rows.some(([piece]) => piece === written)) rows.push([written, ...SIDES.map((side) => of.surprise[side][k])]);
  const forks = of.fork[k] ? `a fork of ${["", "before", "after", "both"][of.fork[k]]}` : "no fork";
  const facts = `token ${i + 1} of ${n}: ${forks}; KL ${number(of.kl[k])} nats; entropy ${number(of.entropy.before[k])} before, ${number(of.entropy.after[k])} after; rank ${of.rank.before[k]} before, ${of.rank.after[k]} after`;
  const values = shadesOf(of).map((thing) => `${shadeWords(thing)} ${(isLine(thing) ? SIDES : ["after"]).map((side) => number(shadeOf(of, thing, side)[k], 2)).join(" before, ")}${isLine(thing) ? " after" : ""}`);
  const cell = (surprise, side) => {
    const meter = make("span", { class: `meter ${side}` });
    meter.style.setProperty("--share", percent(surprise).toFixed(1));
    return make("td", {}, meter, share(percent(surprise)));
  };
  const body = rows.map(([piece, ...both]) => make("tr", {}, make("th", { scope: "row", class: "mono" }, make("bdi", {}, quoted(of.pieces[piece])), piece === written ? " ← written" : ""), both.map((each, s) => cell(each, SIDES[s]))));
  const rest = starts[k] === starts[k + 1] ? [make("p", { class: "about" }, "No other choice is told: neither model gives one a tenth of a percent, or others matter more.")] : [];
  const active = values.length ? make("p", { class: "about" }, `${values.join("; ")}`) : null;
  return [make("p", { class: "about" }, facts), ...(active ? [active] : []), make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ["choice", "before", "after"].map((words) => make("th", { scope: "col" }, words)))), make("tbody", {}, body))), ...rest];
}
const quoted = (text) => `“${visible(text).replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll(" ", "␣")}”`;
