// ---- feature cards: what is known of each latent, beside what no training made

const SAID = { passed: "✓ passed", failed: "✗ failed", open: "? open" };
const STRATEGY = { code: "in code", prose: "in prose" };
const PIECE = 120; // characters of a token that are shown in a context
const NULLS = ["untrained", "random"];
const isNull = (thing) => NULLS.includes(thing.split(":")[0]);
const isLine = (thing) => ["direction", "random"].includes(thing.split(":")[0]);

/** .47 [.41, .53] */
const estimated = (one, digits = 2) => (one === null || one === undefined || one.value === null ? "not told" : `${number(one.value, digits)} ${one.lo === null ? "" : `[${number(one.lo, digits)}, ${number(one.hi, digits)}]`}`.trim());

/** A token with its shade: towards the warm colour above 0, towards the cold one below. */
function shaded(tag, value, most, about, ...children) {
  const made = make(tag, { ...about, class: `token${value < 0 ? " below" : ""}${about.class ? ` ${about.class}` : ""}` }, ...children);
  made.style.setProperty("--level", value === null ? 0 : Math.min(100, (100 * Math.abs(value)) / most).toFixed(0));
  return made;
}

function cardsSection(held) {
  if (held.nothing) return [make("p", { class: "note" }, held.nothing)];
  const every = held.cards.map((card) => cardOf(card, held));
  return [
    make("p", { class: "about" }, `Of the dictionary of both models at ${held.site}: the latents that tell code best at the fork, chosen on half of the problems and told on the other. Beside them the cheapest probe, the difference of means, and two nulls: the best latent of a dictionary that was never trained, and a random direction. Histograms, frequencies and logits are over ${held.samples} answers a question of either model; contexts are from the texts of this page. A token is shaded by the state that predicts it, one place before it, as entropy is.`),
    make("div", { class: "cards" }, every),
  ];
}

function cardOf(card, held) {
  const kind = isNull(card.thing) ? " null" : "";
  const parts = [make("h3", {}, card.title, kind ? make("span", { class: "about" }, " null") : null), tellsOf(card, held), auditsOf(card), ratesOf(card), histogramOf(card), contextsOf(card), logitsOf(card), moreOf(card)];
  return make("article", { class: `card${kind}`, "data-thing": card.thing, "aria-label": card.title }, parts);
}

/** How well it tells code, beside what the others do. */
function tellsOf(card, held) {
  if (!card.auroc) return make("p", { class: "about" }, "How well it tells code from prose is not told.");
  const others = held.cards.filter((other) => other !== card && (isNull(other.thing) || other.thing === "direction") && other.auroc);
  const beside = others.map((other) => `${other.title.toLowerCase()} ${number(other.auroc.value, 2)}`).join(", ");
  return make("p", {}, "Tells code from prose at the fork with AUROC ", make("strong", {}, estimated(card.auroc)), make("span", { class: "about" }, ` (nothing: .5, below it prose; n ${card.auroc.n}, ${card.auroc.n_problems} problems${beside ? `; ${beside}` : ""})`));
}

function auditsOf(card) {
  if (!card.audits.length) return null;
  return make("ul", { class: "audits", "aria-label": "Audits" }, card.audits.map((audit) => make("li", { class: audit.said }, make("span", { class: "sign" }, SAID[audit.said]), ` ${audit.text}`)));
}

function ratesOf(card) {
  if (!card.rates.length) return null;
  const words = isLine(card.thing) ? "on code's side" : "fires";
  const columns = [[words, ""], ["before", "number"], ["after", "number"], ["change", "number"], ["95 % interval", "number"], ["n", "number"]];
  const rows = card.rates.map((row) => [STRATEGY[row.group], estimated(row.before), estimated(row.after), number(row.change?.value, 3, true), interval(row.change?.lo, row.change?.hi), row.change?.n ?? ""]);
  return [plainTable(columns, rows, `How often, ${card.title}`), make("p", { class: "about" }, "Share of the rows of each model's own answers; change: null 0.")];
}

/** Two lines over the bins, solid in code and dashed in prose, each the share of its rows. */
function histogramOf(card) {
  const { edges, groups, n, n_problems } = card.histogram, names = Object.keys(groups);
  if (!edges.length) return null;
  const step = edges.length > 1 ? edges[1] - edges[0] : 1, last = edges[edges.length - 1] + step;
  const most = Math.max(1e-9, ...names.flatMap((name) => groups[name]));
  const width = 100 / edges.length, y = (value) => 46 - (42 * value) / most;
  const lines = names.map((name) => {
    const path = groups[name].map((value, i) => `${i ? "L" : "M"}${(i * width).toFixed(2)} ${y(value).toFixed(2)} H${((i + 1) * width).toFixed(2)}`).join(" ");
    return shape("path", { class: name, d: path });
  });
  const zero = edges[0] < 0 ? [shape("line", { class: "zero", x1: (-100 * edges[0]) / (last - edges[0]), x2: (-100 * edges[0]) / (last - edges[0]), y1: 0, y2: 48 })] : [];
  const said = names.map((name) => `${STRATEGY[name]} ${number(groups[name].reduce((a, b) => a + b, 0), 2)} of ${n[name]} rows`).join(", ");
  const drawn = shape("svg", { viewBox: "0 0 100 48", preserveAspectRatio: "none", role: "img", "aria-label": `Histogram of ${card.title}: ${said}` }, ...zero, ...lines);
  const columns = [["from", "number"], ...names.map((name) => [STRATEGY[name], "number"])];
  return make("div", { class: "histogram" }, drawn,
    make("div", { class: "axis about" }, make("span", {}, number(edges[0], 2)), make("span", {}, isLine(card.thing) ? "score at the fork: prose −.5, code .5 on average" : "activation above 0"), make("span", {}, number(last, 2))),
    make("p", { class: "about" }, names.map((name) => make("span", { class: `key ${name}` }, `${STRATEGY[name]} (${n[name]} rows of ${n_problems[name]} problems)`)), `top: ${number(most, 3)} of the rows`),
    make("details", {}, make("summary", {}, "the numbers drawn"), plainTable(columns, edges.map((edge, i) => [number(edge, 3), ...names.map((name) => number(groups[name][i], 4))]), `Histogram, ${card.title}`)));
}

function contextsOf(card) {
  if (!card.contexts.length) return make("p", { class: "about" }, "It fires nowhere in the texts of this page.");
  const most = Math.max(1e-9, ...card.contexts.flatMap((one) => one.values.map((value) => Math.abs(value ?? 0))));
  const line = (one) => make("li", {}, make("div", { class: "context" }, one.pieces.map((piece, i) => {
    const text = piece.length > PIECE ? `${piece.slice(0, PIECE)}…` : piece;
    const spelledOut = visible(text).replaceAll("\n", "⏎").replaceAll("\t", "⇥") || "·";
    return shaded("span", one.values[i], most, { class: i === one.at ? "here" : one.values[i] === null ? "asked" : null }, spelledOut);
  })), make("span", { class: "about" }, `${number(one.values[one.at], 2)}, ${one.problem}, by ${one.side}`));
  return [make("h4", {}, "Strongest places, one a problem"), make("ol", { class: "contexts" }, card.contexts.map(line))];
}

function logitsOf(card) {
  if (!card.logits.length) return make("p", { class: "about" }, "Logits are told of the residual stream alone.");
  const columns = [["token", "mono"], ["before", "number"], ["after", "number"], ["random direction", "number"]];
  const rows = card.logits.map((row) => [make("bdi", {}, `${row.part === "up" ? "↑" : "↓"} ${quoted(row.token.slice(0, PIECE))}`), number(row.before, 2, true), number(row.after, 2, true), number(row.null_before, 2, true)]);
  return [plainTable(columns, rows, `Logits, ${card.title}`), make("p", { class: "about" }, "What one unit adds to a token's logit by the direct path; random direction: the most that one of its length does, a mean of 100.")];
}

/** What is only told of latents: on which tokens it lies, and which latents are near. */
function moreOf(card) {
  if (!card.tokens.length && !card.neighbours.length) return null;
  const tokens = card.tokens.map((row) => [make("bdi", {}, quoted(row.token.slice(0, PIECE))), estimated(row), number(row.null, 2)]);
  const near = card.neighbours.map((row) => [`nearest in ${row.side}: ${row.latent}`, number(row.value, 2), number(row.null, 2)]);
  return make("details", {}, make("summary", {}, "tokens that are read, and neighbours"),
    tokens.length ? plainTable([["of its activation, on", "mono"], ["share", "number"], ["share of rows", "number"]], tokens, `Tokens, ${card.title}`) : null,
    near.length ? plainTable([["cosine", ""], ["", "number"], ["random directions", "number"]], near, `Neighbours, ${card.title}`) : null);
}
