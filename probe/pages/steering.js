// ---- steering: what is written, and how often in code and right, at each dose

const ARMS = { fitted: "the fitted direction", random: "a random direction of its length" };
const MEASURED = { code_share: "share in code", accuracy: "accuracy", parse_rate: "answers that parse" };
const WHERE = { fork: "at the question's last token", new: "at every new token", all: "at every token" };

function steeringSection(held) {
  const doses = held.doses, zero = Math.max(0, doses.findIndex((dose) => dose.coefficient === 0));
  let arm = "fitted";
  const slider = make("input", { type: "range", id: "dose", min: 0, max: doses.length - 1, step: 1, value: zero });
  const label = make("output", { for: "dose", class: "dose" }), tiles = make("ul", { class: "tiles" }), texts = make("div", { class: "steered" }), curves = make("div", { class: "curves" });
  const buttons = Object.entries(ARMS).map(([name, words]) => make("button", { type: "button", "data-arm": name, on: { click: () => { arm = name; draw(); } } }, words));
  const signed = (c) => number(c, Number.isInteger(c) ? 0 : 2, true);

  function tile(measure) {
    const dose = doses[Number(slider.value)], one = dose[arm][measure], reach = dose.reach[measure], after = held.after[measure];
    const null_ = reach ? `random directions: ${number(reach[0], 2)} to ${number(reach[1], 2)}` : "nothing is added";
    return make("li", {}, make("span", { class: "what" }, MEASURED[measure]), make("span", { class: "big" }, number(one.value, 3)), make("span", { class: "about" }, make("span", { class: "nowrap" }, interval(one.lo, one.hi)), make("span", { class: "nowrap" }, null_), after ? make("span", { class: "nowrap" }, `after RL: ${number(after.value, 2)}`) : null));
  }
  function curve(measure) {
    const width = 100 / Math.max(1, doses.length - 1), x = (i) => (i * width).toFixed(2), y = (value) => (38 - 36 * value).toFixed(2);
    const path = (name) => doses.map((dose, i) => `${i ? "L" : "M"}${x(i)} ${y(dose[name][measure].value)}`).join(" ");
    const band = [...doses.map((dose, i) => `${x(i)} ${y(dose.fitted[measure].hi)}`), ...doses.map((dose, i) => `${x(i)} ${y(dose.fitted[measure].lo)}`).reverse()].join(" L");
    const here = Number(slider.value);
    const drawn = shape("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": `${MEASURED[measure]} by dose, from 0 to 1` }, shape("path", { class: "band", d: `M${band} Z` }), shape("path", { class: "fitted", d: path("fitted") }), shape("path", { class: "random", d: path("random") }), shape("line", { class: "now", x1: x(here), x2: x(here), y1: 0, y2: 40 }));
    return make("figure", {}, make("figcaption", {}, MEASURED[measure]), drawn, make("div", { class: "axis about" }, make("span", {}, signed(doses[0].coefficient)), make("span", {}, "dose; 0 to 1 upwards"), make("span", {}, signed(doses[doses.length - 1].coefficient))));
  }
  function written(problem) {
    const dose = doses[Number(slider.value)], direction = arm === "fitted" || !dose.coefficient ? 0 : 1;
    const side = held.texts.find((row) => row.problem === problem.id && row.coefficient === dose.coefficient && row.direction === direction);
    const chips = side ? [chip(side.outcome === "right" ? "✓ right" : `✗ ${side.outcome}`, side.outcome === "right" ? "right" : null), chip(side.strategy), side.boxed === null ? null : chip(`answer ${side.boxed}`), isCut(side) ? chip("cut off") : null] : [];
    return make("article", { class: "side", "aria-label": problem.id }, make("h3", {}, make("bdi", {}, problem.id)), problem.prompt === null ? null : longText(problem.prompt, `Question ${problem.id}`), make("ul", { class: "chips" }, chips, chip(`true answer ${problem.answer}`)), side ? longText(side.text, `Answer to ${problem.id}`) : make("p", { class: "about" }, "not written"));
  }
  function draw() {
    const dose = doses[Number(slider.value)];
    const words = dose.coefficient ? `${signed(dose.coefficient)} times ${ARMS[arm]}` : "0: nothing is added";
    label.textContent = words;
    slider.setAttribute("aria-valuetext", words);
    buttons.forEach((button) => button.setAttribute("aria-pressed", button.dataset.arm === arm));
    const n = dose[arm].accuracy;
    tiles.replaceChildren(...Object.keys(MEASURED).map(tile));
    count.textContent = `n ${n.n}, ${n.n_problems} problems; intervals are 95 %, clustered by problem. Random directions: ${held.randoms} of the same length, least to most.`;
    curves.replaceChildren(curve("code_share"), curve("accuracy"));
    texts.replaceChildren(...held.problems.map(written));
  }
  const count = make("p", { class: "about", role: "status" });
  slider.addEventListener("input", draw);
  draw();
  return [
    make("p", { class: "about" }, `Before RL, with the direction from prose to code added to ${held.site} ${WHERE[held.where]}, ${at(held.temperature)}. A dose of 1 is the distance from the mean of prose to the mean of code there, ${number(held.of_norm, 2)} of a state's length. What is written below are real answers, the first sample of ${held.problems.length} problems.`),
    make("div", { class: "controls" }, make("label", { class: "slide" }, "Dose (← →)", slider), label, make("fieldset", {}, make("legend", {}, "Along"), buttons)),
    tiles, count, curves,
    make("p", { class: "about" }, make("span", { class: "key code" }, "the fitted direction, with its interval"), make("span", { class: "key prose" }, "the random direction"), "line: this dose"),
    texts,
  ];
}
