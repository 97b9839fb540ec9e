// What the page shows comes from the JSON block alone, and enters the document as text (`make`): never as markup.

const SVG = "http://www.w3.org/2000/svg";
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\ud800-\udfff]/gu;

/** Text with a visible sign for what would not be seen, or would turn the direction of what follows. */
function visible(text) {
  return String(text).replace(HIDDEN, (char) => {
    const code = char.codePointAt(0);
    if (code < 32) return String.fromCodePoint(0x2400 + code);
    return code === 127 ? "\u2421" : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** An element; attributes by name, children are elements or texts (null: none). */
function make(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined) element.append(child instanceof Node ? child : visible(child));
  }
  return element;
}

function shape(tag, about, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(about)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** .468, -.082, +.082 with a sign; nothing where there is no number. */
function number(value, digits = 3, sign = false) {
  if (value === null || value === undefined) return "";
  const text = value.toFixed(Math.abs(value) < 10 ? digits : 1).replace(/^(-?)0\./, "$1.");
  return (sign && value >= 0 ? "+" : "") + text.replace("-", "−");
}
const interval = (lo, hi) => (lo === null || lo === undefined || hi === null ? "" : `[${number(lo)}, ${number(hi)}]`);
const chance = (p) => (p === null || p === undefined ? "" : p < 0.001 ? "<.001" : number(p));
const at = (temperature) => (temperature ? `sampled at T = ${temperature}` : data.kind === "outputs" ? "greedy, or temperature not told" : "greedy");

/** The packed parts spelled out (see pack.py). */
async function unpacked(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  if ("packed" in value && "data" in value) return unpackedPart(value.packed, value.data);
  const found = await Promise.all(Object.entries(value).map(async ([key, each]) => [key, await unpacked(each)]));
  return Object.fromEntries(found);
}
async function unpackedPart(kind, data) {
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  if (kind === "texts") return JSON.parse(new TextDecoder().decode(buffer));
  if (kind === "whole16") return new Uint16Array(buffer);
  if (kind === "whole32") return new Uint32Array(buffer);
  if (kind === "whole8") return new Uint8Array(buffer);
  const spelled = (codes) => Float32Array.from(codes, (code) => NATS[code]);
  const codes = new Uint8Array(buffer);
  if (kind === "nats") return spelled(codes);
  if (kind === "levels" || kind === "levels2") {
    const head = new DataView(buffer), low = head.getFloat32(0, true), high = head.getFloat32(4, true), steps = head.getUint8(8), rest = codes.subarray(9);
    const level = (each) => Float32Array.from(each, (code) => low + (code * (high - low)) / steps);
    if (kind === "levels") return level(rest);
    const first = rest.subarray(0, rest.length / 2), more = rest.subarray(rest.length / 2);
    return { before: level(first), after: level(first.map((code, i) => code + more[i])) };
  }
  const before = codes.subarray(0, codes.length / 2), apart = codes.subarray(codes.length / 2);
  return { before: spelled(before), after: spelled(before.map((code, i) => code + apart[i])) }; // modulo 256, as bytes are
}
const NATS = Float32Array.from({ length: 256 }, (_, code) => 0.01 * Math.expm1((code / 255) * Math.log1p(3200)));

const data = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("main");
const asked = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");

function section(id, title, ...children) {
  document.getElementById("nav").append(make("a", { href: `#${id}` }, title));
  const made = make("section", { id, "aria-labelledby": `${id}-title` }, make("h2", { id: `${id}-title` }, title), children);
  main.append(made);
  return made;
}

function plainTable(columns, rows, label) {
  const head = make("tr", {}, columns.map(([name, kind]) => make("th", { scope: "col", class: kind === "number" ? kind : null }, name)));
  const body = rows.map((row) => make("tr", {}, row.map((cell, i) => make(i ? "td" : "th", { scope: i ? null : "row", class: columns[i][1] }, cell))));
  return make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": label }, make("table", {}, make("thead", {}, head), make("tbody", {}, body)));
}

// ---- theme

const THEMES = ["system", "light", "dark"];
function theme(name) {
  const button = document.getElementById("theme");
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  button.textContent = `Theme: ${name}`;
  button.onclick = () => theme(THEMES[(THEMES.indexOf(name) + 1) % THEMES.length]);
}
theme(THEMES.includes(asked.get("theme")) ? asked.get("theme") : "system");

// ---- what it is, and the verdict

function heading() {
  const it = data.about;
  if (data.kind === "study") return main.append(make("h1", {}, `Study ${it.study}`), make("p", { class: "sentence" }, it.question));
  if (it.study) main.append(make("p", { class: "up" }, make("a", { href: "../../index.html" }, `← study ${it.study}`)));
  main.append(make("h1", {}, make("bdi", {}, it.before), " → ", make("bdi", {}, it.after)));
  const words = [`${it.n_problems} problems of ${it.problems}`];
  if (it.leak) words.push(`(${it.leak})`);
  if (it.grading) words.push(`${it.grading} labels`);
  if (it.template) words.push(`template ${it.template}`);
  if (it.samples) words.push(`${it.samples} samples at T = ${it.temperature} and one greedy, at most ${it.max_new} tokens`);
  main.append(make("p", { class: "quiet" }, words.join(", ").replace(", (", " (")));
  if (it.pair === "null") main.append(make("p", { class: "note" }, "A null pair: the same weights, sampled twice. Nothing should change beyond chance."));
  if (it.destroyed) main.append(make("p", { class: "note" }, `${it.after} is destroyed: its answers no longer parse, or got worse within a strategy. This is no “no effect”.`));
  if (it.missing?.length) main.append(make("div", { class: "note" }, make("p", {}, "Not in the store that this page was made from, and so not here:"), make("ul", { class: "missing" }, it.missing.map(([part, command]) => make("li", {}, `${part}: `, make("code", {}, command))))));
  for (const warning of it.warnings ?? []) main.append(make("p", { class: "note" }, warning));
}

const SIGNS = { supported: "● supported", excluded: "✕ excluded", undecided: "◇ undecided" };
const TILES = { accuracy: "accuracy", code_share: "share in code", parse_rate: "answers that parse", cut_off: "cut off", kl_per_token: "KL per token (nats)", entropy_shift: "entropy of the text (nats)" };

function tiles() {
  const warm = Math.max(...data.measures.rows.map((row) => row.temperature));
  const found = data.measures.rows.filter((row) => row.temperature === warm && row.name in TILES && row.reward === data.about.after && ["", "all"].includes(row.varying));
  return !found.length ? null : make("ul", { class: "tiles" }, found.map((row) => {
    const both = row.before === null ? null : make("span", { class: "nowrap" }, `${number(row.before, 2)} → ${number(row.after, 2)}`);
    return make("li", {}, make("span", { class: "what" }, TILES[row.name]), make("span", { class: "big" }, number(row.value, 3, row.before !== null)), make("span", { class: "about" }, both, make("span", { class: "nowrap" }, interval(row.lo, row.hi))));
  }));
}

function verdict(one) {
  const columns = [["explanation", ""], ["alone", "number"], ["in common", "number"], ["in all", "number"], ["95 % interval", "number"], ["share", "number"], ["p (Holm)", "number"], ["verdict", "nowrap"], ["what would decide it", ""]];
  const rows = one.explanations.map((line) => [line.explanation, ...["alone", "common", "total"].map((key) => number(line[key], 3, true)), interval(line.lo, line.hi), number(line.share, 3, true), chance(line.p_holm), SIGNS[line.verdict], line["what would decide it"]]);
  const null_ = one.null ? `Null, the base against itself: ${number(one.null.value, 3, true)} ${interval(one.null.lo, one.null.hi)}. ` : "";
  const open = one.undecided.length ? `Could not be decided: ${one.undecided.join(", ")}.` : "Every explanation is decided.";
  const whose = data.about.pair ? "" : `${one.reward}, `;
  return make("div", {}, make("h3", {}, `${whose}${at(one.temperature)}`), make("p", { class: "sentence" }, `${one.sentence[0].toUpperCase()}${one.sentence.slice(1)}.`),
    make("p", {}, open), plainTable(columns, rows, `Rival explanations, ${at(one.temperature)}`),
    make("p", { class: "about" }, `${null_}Amounts in units of accuracy, of ${one.n} responses to ${one.n_problems} problems; intervals are clustered by problem.`));
}

// ---- measures: sortable, with a sentence on each

const MEASURES = [["name", "measure"], ["before", "before"], ["after", "after"], ["value", "change"], ["lo", "95 % interval"], [null, ""], ["n", "n"], ["n_problems", "problems"], ["null", "null"], ["p", "p"], ["p_holm", "p (Holm)"]];

function glyph(row, widest) {
  if (row.lo === null || row.hi === null) return make("span");
  const x = (value) => 64 * (1 + Math.max(-1, Math.min(1, value / widest)));
  const line = (about) => shape("line", about);
  return shape("svg", { viewBox: "0 0 128 20", "aria-hidden": "true" },
    line({ class: "null", x1: x(row.null ?? 0), x2: x(row.null ?? 0), y1: 1, y2: 19 }),
    line({ x1: x(row.lo), x2: x(row.hi), y1: 10, y2: 10 }), shape("circle", { cx: x(row.value), cy: 10, r: 2.6 }));
}

function measures() {
  const { rows, about } = data.measures;
  const groups = [...new Set(rows.map((row) => `${row.reward}|${row.temperature}`))];
  const group = make("select", {}, groups.map((key) => {
    const [reward, temperature] = [key.slice(0, key.lastIndexOf("|")), Number(key.slice(key.lastIndexOf("|") + 1))];
    return make("option", { value: key }, `${reward}, ${at(temperature)}`);
  }));
  const search = make("input", { type: "search", placeholder: "accuracy, KL, fork …" });
  const body = make("tbody"), count = make("span", { class: "about", role: "status" });
  let by = null, down = false;
  const heads = MEASURES.map(([key, words]) => make("th", { scope: "col", class: key && key !== "name" ? "number" : null }, key ? make("button", { type: "button", on: { click: () => { down = by === key && !down; by = key; draw(); } } }, words) : make("span", { class: "about" }, "dashed: null")));
  function draw() {
    const words = search.value.toLowerCase();
    let shown = rows.filter((row) => `${row.reward}|${row.temperature}` === group.value && `${row.name} ${row.varying} ${about[row.name]?.question ?? ""}`.toLowerCase().includes(words));
    const widest = {};
    for (const row of shown) widest[row.unit] = Math.max(widest[row.unit] ?? 1e-9, ...[row.lo, row.hi, row.value, row.null].map((each) => Math.abs(each ?? 0)));
    if (by) shown = [...shown].sort((a, b) => (typeof a[by] === "string" ? a[by].localeCompare(b[by]) : (a[by] ?? Infinity) - (b[by] ?? Infinity)) * (down ? -1 : 1));
    heads.forEach((head, i) => { if (MEASURES[i][0] === by && by) head.setAttribute("aria-sort", down ? "descending" : "ascending"); else head.removeAttribute("aria-sort"); });
    body.replaceChildren(...shown.map((row) => make("tr", {},
      make("th", { scope: "row", class: "measure" }, make("span", { class: "mono" }, `${row.name} ${row.varying}`.trim()), row.unit === "fraction" || row.unit === "none" ? null : make("span", { class: "about" }, ` ${row.unit}`),
        make("div", { class: "about" }, about[row.name]?.question ?? ""),
        about[row.name] ? make("details", {}, make("summary", {}, "sides and null"), make("p", { class: "about" }, about[row.name].null)) : null),
      ...[number(row.before), number(row.after), number(row.value, 3, row.before !== null), interval(row.lo, row.hi)].map((cell) => make("td", { class: "number" }, cell)),
      make("td", { class: "interval" }, glyph(row, widest[row.unit])),
      ...[row.n, row.n_problems, number(row.null), chance(row.p), chance(row.p_holm)].map((cell) => make("td", { class: "number" }, cell ?? "")))));
    count.textContent = `${shown.length} of ${rows.length} rows`;
  }
  group.addEventListener("change", draw);
  search.addEventListener("input", draw);
  draw();
  return [make("p", { class: "about" }, "A change is after − before, paired by problem; intervals are 95 %, clustered by problem; Holm’s family is every tested row of all groups. Click a heading to sort."),
    make("div", { class: "controls" }, make("label", {}, "Of", group), make("label", {}, "Search", search), count),
    make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Table of measures" }, make("table", {}, make("thead", {}, make("tr", {}, heads)), body))];
}

// ---- of a study, every run that it measures

function runs() {
  const columns = [["measured", ""], ["digest", "mono"], ...["accuracy", "share in code"].flatMap((name) => [[`${name}, change`, "number"], ["95 % interval", "number"]])];
  const told = (one) => (one ? [number(one.value, 3, true), interval(one.lo, one.hi)] : ["", ""]);
  const rows = data.runs.map((run) => [run.label, run.digest.slice(0, 16), ...told(run.accuracy), ...told(run.code_share)]);
  const held = data.runs.filter((run) => run.held).length;
  return [make("p", { class: "about" }, `${held} of ${rows.length} measurements are in the store that the page was made from; changes are of the last step, sampled.`), plainTable(columns, rows, "Measurements of the study")];
}

// ---- figures, and where it all comes from

function figures() {
  return make("div", { class: "figures" }, data.figures.map((one) => {
    const drawn = [...document.querySelectorAll("#drawings > .drawn")].find((each) => each.dataset.figure === one.name);
    const broad = (drawn?.querySelector("svg")?.viewBox.baseVal.width ?? 0) > 300; // points
    return make("figure", { class: broad ? "broad" : null }, drawn ?? make("p", { class: "about" }, "not drawn"), make("figcaption", { class: drawn ? "heard" : null }, `${one.title}. ${one.caption}`), make("details", {}, make("summary", {}, `${one.name}: the numbers drawn`), make("pre", { tabindex: 0 }, one.csv)));
  }));
}

function provenance() {
  const it = data.provenance;
  const columns = [["artifact", ""], ["of", ""], ["digest", "mono"], ["version", "number"], ["commit", "mono"], ["made with", ""]];
  const rows = it.artifacts.map((one) => [one.stage, one.label, (one.digest ?? "").slice(0, 16), one.version ?? "", `${(one.commit ?? "none").slice(0, 10)}${one.dirty ? "+" : ""}`, Object.entries(one.versions ?? {}).map(([name, version]) => `${name} ${version}`).join(", ")]);
  return [make("p", {}, `Written by probe ${it.probe}. Every number of this page is in report.json beside it; whole tables are in the store, under these digests. A + behind a commit: the code had changes that were not committed.`),
    make("h3", {}, "To make it again"), make("pre", { tabindex: 0 }, it.commands.join("\n")), plainTable(columns, rows, "Artifacts")];
}
