"use strict";
// Figures that move. `plot` draws into an SVG of 480 x 300 units; colours are the page's variables.
const SVG = "http://www.w3.org/2000/svg";
const ln = Math.log, exp = Math.exp;
const steps = (a, b, n) => Array.from({ length: n + 1 }, (_, i) => a + ((b - a) * i) / n);
const plogp = (p) => (p > 0 ? p * ln(p) : 0);
const entropy = (p) => -plogp(p) - plogp(1 - p);
const fixed = (x, n = 3) => (Math.abs(x) < 0.5 * 10 ** -n ? (0).toFixed(n) : x.toFixed(n)).replace("-", "−");

function make(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function plot(figure, { x, y, xlabel = "", ylabel = "", label, equal = false, bare = false }) {
  const [w, h] = equal ? [480, 400] : [480, 300];
  const [left, right, top, bottom] = bare ? [10, 10, 10, 10] : [56, 14, 26, 44];
  let svg = figure.querySelector("svg");
  if (!svg) figure.prepend((svg = document.createElementNS(SVG, "svg")));
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const X = (v) => left + ((v - x[0]) / (x[1] - x[0])) * (w - left - right);
  const Y = (v) => h - bottom - ((v - y[0]) / (y[1] - y[0])) * (h - top - bottom);
  const text = (px, py, words, more = {}) => make("text", { x: px, y: py, fill: "currentColor", ...more }, svg, words);
  if (!bare) {
    for (const v of ticks(...x)) {
      make("line", { x1: X(v), x2: X(v), y1: top, y2: h - bottom, stroke: "var(--faint)" }, svg);
      text(X(v), h - bottom + 18, tick(v), { "text-anchor": "middle", fill: "var(--quiet)", "font-size": 13 });
    }
    for (const v of ticks(...y)) {
      make("line", { x1: left, x2: w - right, y1: Y(v), y2: Y(v), stroke: "var(--faint)" }, svg);
      text(left - 7, Y(v) + 4, tick(v), { "text-anchor": "end", fill: "var(--quiet)", "font-size": 13 });
    }
    text((left + w - right) / 2, h - 6, xlabel, { "text-anchor": "middle" });
    text(left, 15, ylabel);
  }
  return {
    svg, X, Y,
    line(points, colour, more = {}) {
      const d = points.map(([a, b], i) => `${i ? "L" : "M"}${X(a).toFixed(2)},${Y(b).toFixed(2)}`).join("");
      return make("path", { d, fill: "none", stroke: colour, "stroke-width": 2.5, ...more }, svg);
    },
    area(points, colour) { this.line(points, colour, { fill: colour, "fill-opacity": 0.2 }); },
    dot(a, b, colour, r = 4) { return make("circle", { cx: X(a), cy: Y(b), r, fill: colour }, svg); },
    say(a, b, words, colour = "currentColor", anchor = "start") {
      return text(X(a), Y(b), words, {
        fill: colour, "text-anchor": anchor, stroke: "var(--page)", "stroke-width": 4, "paint-order": "stroke",
      });
    },
    arrow(from, to, colour, width = 2) {
      const [x1, y1, x2, y2] = [X(from[0]), Y(from[1]), X(to[0]), Y(to[1])];
      const long = Math.hypot(x2 - x1, y2 - y1);
      if (long < 1) return;
      const [u, v] = [(x2 - x1) / long, (y2 - y1) / long], s = Math.min(8, long / 2);
      make("line", { x1, y1, x2, y2, stroke: colour, "stroke-width": width }, svg);
      const wings = [[-u - 0.5 * v, -v + 0.5 * u], [-u + 0.5 * v, -v - 0.5 * u]].map(([a, b]) => [x2 + s * a, y2 + s * b]);
      make("path", { d: `M${wings[0]}L${x2},${y2}L${wings[1]}`, fill: "none", stroke: colour, "stroke-width": width }, svg);
    },
  };
}

function ticks(a, b) {
  const rough = (b - a) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  return steps(Math.ceil(a / step - 1e-9), Math.floor(b / step + 1e-9), Math.floor(b / step + 1e-9) - Math.ceil(a / step - 1e-9)).map((i) => i * step);
}
const tick = (v) => `${+v.toPrecision(6)}`.replace("-", "−");

// A figure's controls: knobs {name: [label, min, max, value, step]}, a drawing that is told their values and returns a sentence.
function moving(figure, knobs, draw) {
  const values = {}, says = document.createElement("p");
  says.className = "says";
  says.setAttribute("aria-live", "polite");
  const again = () => { says.textContent = draw(values); };
  for (const [name, [words, min, max, value, step]] of Object.entries(knobs)) {
    const label = document.createElement("label"), input = document.createElement("input"), shown = document.createElement("output");
    label.className = "knob";
    Object.assign(input, { type: "range", min, max, step, value });
    input.setAttribute("aria-label", words);
    label.append(words, input, shown);
    const read = () => { values[name] = +input.value; shown.textContent = tick(+input.value); };
    input.addEventListener("input", () => { read(); again(); });
    read();
    figure.append(label);
  }
  figure.append(says);
  again();
  return { values, again, says };
}

function choice(figure, words, options, before, chosen) {
  const box = document.createElement("div");
  box.className = "choices";
  box.setAttribute("role", "radiogroup");
  box.setAttribute("aria-label", words);
  const name = `choice-${figure.dataset.claim}`;
  options.forEach((option, i) => {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name, checked: i === 0 });
    input.addEventListener("change", () => chosen(option));
    label.append(input, ` ${option.replaceAll("_", " ")}`);
    box.append(label);
  });
  figure.insertBefore(box, before);
}

const DRAW = {
  tradeoff(figure, { points, entropy: total }) {
    const top = Math.max(total, ...points.map((p) => p.rate)) * 1.05;
    const high = Math.max(...points.map((p) => p.distortion));
    moving(figure, { at: ["ln β", -2.7, 2.7, 0, 0.01] }, ({ at }) => {
      const beta = exp(at);
      const best = points.reduce((a, b) => (beta * b.rate + b.distortion < beta * a.rate + a.distortion ? b : a));
      const loss = beta * best.rate + best.distortion;
      const p = plot(figure, { x: [0, top], y: [0, high * 1.05], xlabel: "rate, nats", ylabel: "distortion, nats", label: "the best distortion at each rate, and the line of equal loss" });
      p.line(points.map((q) => [q.rate, q.distortion]), "var(--rate)");
      const inside = steps(0, top, 60).map((r) => [r, loss - beta * r]).filter(([, d]) => d > 0 && d < high * 1.05);
      p.line(inside, "var(--distortion)", { "stroke-dasharray": "6 4" });
      p.line([[0, total], [total, 0]], "var(--quiet)", { "stroke-width": 1.5 });
      p.say(0.3 * total, 0.25 * total, "rate + distortion = H(y)", "var(--quiet)", "middle");
      p.dot(best.rate, best.distortion, "var(--distortion)", 6);
      return `β = ${fixed(beta, 2)}: rate ${fixed(best.rate)}, distortion ${fixed(best.distortion)}; −ELBO ${fixed(best.rate + best.distortion)}, never below H(y) = ${fixed(total)}.`;
    });
  },
  bound(figure, { bounds, nll, neg_elbo }) {
    moving(figure, { k: ["K", 1, bounds.length, 1, 1] }, ({ k }) => {
      const p = plot(figure, { x: [0.5, bounds.length + 0.5], y: [nll - 0.1, neg_elbo + 0.1], xlabel: "K draws", ylabel: "bound on −ln P(y), nats", label: "the bound falls from −ELBO towards −ln P(y)" });
      p.line([[0.5, nll], [bounds.length + 0.5, nll]], "var(--information)", { "stroke-dasharray": "6 4" });
      p.say(0.6, nll + 0.02, "−ln P(y)", "var(--information)");
      p.line(bounds.map((b, i) => [i + 1, b]), "var(--rate)");
      bounds.forEach((b, i) => p.dot(i + 1, b, i + 1 === k ? "var(--distortion)" : "var(--rate)", i + 1 === k ? 7 : 4));
      return `K = ${k}: ${fixed(bounds[k - 1], 4)} nats, ${fixed(((bounds[k - 1] - nll) / (neg_elbo - nll)) * 100, 0)} % of the gap is left.`;
    });
  },
  gaussian(figure) {
    const density = (z, m, s) => exp(-0.5 * ((z - m) / s) ** 2) / (s * Math.sqrt(2 * Math.PI));
    moving(figure, { m: ["μ", -3, 3, 1, 0.05], s: ["σ", 0.1, 2.5, 0.5, 0.05] }, ({ m, s }) => {
      const grid = steps(-5, 5, 240), top = Math.max(density(m, m, s), 0.45) * 1.1;
      const p = plot(figure, { x: [-5, 5], y: [0, top], xlabel: "z", ylabel: "density", label: "a posterior and the prior N(0, 1)" });
      p.area([[-5, 0], ...grid.map((z) => [z, density(z, 0, 1)]), [5, 0]], "var(--quiet)");
      p.area([[-5, 0], ...grid.map((z) => [z, density(z, m, s)]), [5, 0]], "var(--rate)");
      p.say(-4.8, 0.06 * top, "prior N(0, 1)", "var(--quiet)");
      const spread = (s * s - 1) / 2 - ln(s), shift = (m * m) / 2;
      return `KL = ${fixed(spread + shift)} nats: ${fixed(shift)} for its place, ${fixed(spread)} for its width.`;
    });
  },
  water(figure, { variances }) {
    moving(figure, { lam: ["λ", 0.05, 6, 2, 0.05] }, ({ lam }) => {
      const level = 1 / (2 * lam), top = Math.max(...variances) * 1.1;
      const p = plot(figure, { x: [0, variances.length], y: [0, top], xlabel: "component", ylabel: "variance", label: "variances above and below the water" });
      let rate = 0, error = 0;
      variances.forEach((v, i) => {
        const box = (a, b, colour, o) => make("rect", { x: p.X(i + 0.15), width: p.X(i + 0.85) - p.X(i + 0.15), y: p.Y(b), height: Math.max(p.Y(a) - p.Y(b), 0), fill: colour, "fill-opacity": o }, p.svg);
        box(Math.min(v, level), v, "var(--rate)", 0.75);
        box(0, Math.min(v, level), "var(--distortion)", 0.6);
        rate += v > level ? 0.5 * ln(v / level) : 0;
        error += Math.min(v, level);
      });
      if (level < top) {
        p.line([[0, level], [variances.length, level]], "currentColor", { "stroke-dasharray": "6 4", "stroke-width": 1.5 });
        p.say(variances.length, level + 0.02 * top, "water level", "currentColor", "end");
      }
      return `λ = ${fixed(lam, 2)}: level ${fixed(level)}; rate ${fixed(rate)} nats, squared error ${fixed(error)}.`;
    });
  },
  rules(figure, { latents, codes, chosen, pushes }) {
    let rule = Object.keys(pushes)[0];
    const colours = ["var(--rate)", "var(--distortion)", "var(--information)"];
    const box = document.createElement("p");
    box.className = "says";
    figure.append(box);
    const size = 0.16;
    const draw = () => {
      const all = [...latents, ...codes], range = [0, 1].map((d) => [Math.min(...all.map((v) => v[d])) - 0.5, Math.max(...all.map((v) => v[d])) + 0.5]);
      const p = plot(figure, { x: range[0], y: range[1], label: "24 vectors, 3 codes at their means, and where a step would take each", equal: true, bare: true });
      latents.forEach((v, i) => {
        p.dot(...v, colours[chosen[i] % 3], 4);
        p.arrow(v, v.map((a, d) => a + size * pushes[rule].latents[i][d]), "var(--quiet)", 1.5);
      });
      codes.forEach((v, k) => {
        make("rect", { x: p.X(v[0]) - 8, y: p.Y(v[1]) - 8, width: 16, height: 16, fill: colours[k % 3], stroke: "var(--page)", "stroke-width": 2 }, p.svg);
        p.arrow(v, v.map((a, d) => a + size * pushes[rule].codes[k][d]), "currentColor", 3);
      });
      const moved = Math.max(...pushes[rule].codes.map((c) => Math.hypot(...c)));
      box.textContent = moved < 1e-9 ? "Squares are codes, at their clusters' means: at rest." : `Squares are codes, at their clusters' means: pushed away, by up to ${fixed(moved, 1)}.`;
    };
    draw();
    choice(figure, "gradient rule", Object.keys(pushes), box, (option) => { rule = option; draw(); });
  },
  course(figure, { neg_elbo }) {
    const last = neg_elbo.length - 1, low = Math.min(...neg_elbo), reach = neg_elbo[0] - low;
    moving(figure, { step: ["step", 0, last, last, 1] }, ({ step }) => {
      const p = plot(figure, { x: [0, last], y: [low - 0.08 * reach, neg_elbo[0] + 0.05 * reach], xlabel: "EM step", ylabel: "−ELBO = −ln P(y), nats a sentence", label: "−ELBO never rises" });
      p.line(neg_elbo.slice(0, step + 1).map((v, i) => [i, v]), "var(--rate)");
      neg_elbo.slice(0, step + 1).forEach((v, i) => p.dot(i, v, "var(--rate)", 3.5));
      return `step ${step}: ${fixed(neg_elbo[step], 4)} nats a sentence.`;
    });
  },
  steps(figure, { probability }) {
    const words = ["the", "cat", "sat", "here", "now", "so"], colours = ["--rate", "--distortion", "--information", "--beta", "--mismatch", "--quiet"];
    const noise = [0.07, 0.21, 0.34, 0.52, 0.66, 0.83, 0.95], score = [1, -0.5, 2, 0.2, -1, 0.7];
    moving(figure, { t: ["logit", -2, 2, 0, 0.01] }, ({ t }) => {
      const share = (a) => { const raw = probability.map((q, i) => q * (i === 1 ? exp(a) : 1)); const all = raw.reduce((x, y) => x + y); return raw.map((q) => q / all); };
      const word = (q, e) => { let sum = 0; for (let i = 0; i < q.length; i++) { sum += q[i]; if (e < sum) return i; } return q.length - 1; };
      const cost = (a) => noise.reduce((sum, e) => sum + score[word(share(a), e)], 0) / noise.length;
      const p = plot(figure, { x: [-2, 2], y: [-1.6, 1.6], xlabel: "the parameter: one word's logit", ylabel: "loss at fixed noise, and expected", label: "the loss at fixed noise is a staircase; its expectation is smooth" });
      const grid = steps(-2, 2, 400);
      p.line(grid.map((a) => [a, share(a).reduce((sum, q, i) => sum + q * score[i], 0)]), "var(--quiet)", { "stroke-dasharray": "6 4" });
      p.line(grid.map((a) => [a, cost(a)]), "var(--distortion)");
      p.dot(t, cost(t), "var(--distortion)", 6);
      const now = share(t);
      let at = 0;
      const place = (v) => p.X(-2) + v * (p.X(2) - p.X(-2)), y = p.Y(-1.15);
      now.forEach((q, i) => { make("rect", { x: place(at), width: q * (p.X(2) - p.X(-2)), y, height: 16, fill: `var(${colours[i % 6]})`, "fill-opacity": 0.7 }, p.svg); at += q; });
      noise.forEach((e) => make("path", { d: `M${place(e)},${y - 2}l-4,-8h8z`, fill: "currentColor" }, p.svg));
      return `words: ${noise.map((e) => words[word(now, e) % 6]).join(" ")}. Slope of the staircase: 0.`;
    });
  },
  ring(figure) {
    moving(figure, { theta: ["θ", 0, 3, 1, 0.02] }, ({ theta }) => {
      // T = [[e^t, 1, e^-t], [1, 1, 1], [e^-t, 1, e^t]]: the largest eigenvalue belongs to a vector (a, b, a)
      const largest = (t) => { const s = exp(t) + exp(-t); return (s + 1 + Math.sqrt((s - 1) ** 2 + 8)) / 2; };
      const one = (t) => ln(1 + exp(-2 * t) + exp(-4 * t)), sure = (t) => ln(largest(t)) - t, none = (t) => ln(largest(t));
      const p = plot(figure, { x: [0, 3], y: [0, 3.2], xlabel: "coupling θ", ylabel: "nats a site, long ring", label: "costs a site by likelihood and by pseudo-likelihood" });
      const grid = steps(0, 3, 120);
      p.line(grid.map((t) => [t, sure(t)]), "var(--rate)");
      p.line(grid.map((t) => [t, none(t)]), "var(--distortion)");
      p.line(grid.map((t) => [t, one(t)]), "var(--rate)", { "stroke-dasharray": "6 4" });
      p.line([[0, ln(3)], [3, ln(3)]], "var(--distortion)", { "stroke-dasharray": "6 4" });
      p.say(2.95, none(2.6), "all 0", "var(--distortion)", "end");
      p.say(0.75, 0.62, "all 1", "var(--rate)");
      for (const [f, c] of [[sure, "var(--rate)"], [one, "var(--rate)"], [none, "var(--distortion)"], [() => ln(3), "var(--distortion)"]]) p.dot(theta, f(theta), c, 5);
      return `θ = ${fixed(theta, 2)}: all 1 costs ${fixed(sure(theta))} by −ln P (line), ${fixed(one(theta))} by −ln PL (dashes); all 0 costs ${fixed(none(theta))} and ${fixed(ln(3))}.`;
    });
  },
  channel(figure, { dots }) {
    moving(figure, { p: ["p", 0, 1, 0.11, 0.005] }, ({ p: flip }) => {
      const capacity = (q) => ln(2) - entropy(q);
      const p = plot(figure, { x: [0, 1], y: [0, 0.75], xlabel: "flip probability p", ylabel: "capacity, nats a bit", label: "capacity of the binary symmetric channel" });
      p.line(steps(0, 1, 200).map((q) => [q, capacity(q)]), "var(--rate)");
      dots.forEach(([q, c]) => p.dot(q, c, "var(--information)", 3.5));
      p.line([[flip, 0], [flip, capacity(flip)]], "var(--distortion)", { "stroke-dasharray": "6 4", "stroke-width": 1.5 });
      p.dot(flip, capacity(flip), "var(--distortion)", 6);
      return `p = ${fixed(flip)}: ${fixed(capacity(flip), 4)} nats, ${fixed(capacity(flip) / ln(2), 4)} bits. Dots: computed.`;
    });
  },
  collapse(figure) {
    moving(figure, { v: ["λs²", 0.05, 3, 0.4, 0.01] }, ({ v }) => {
      const rate = (u) => Math.max(0, 0.5 * ln(2 * u)), grid = steps(0.05, 3, 300);
      const p = plot(figure, { x: [0, 3], y: [0, 1], xlabel: "λ s²: what z could save", ylabel: "rate at the optimum, nats", label: "no rate up to a threshold" });
      p.line([[0, 0], ...grid.map((u) => [u, rate(u)])], "var(--rate)");
      p.line([[0.5, 0], [0.5, 1]], "var(--quiet)", { "stroke-dasharray": "6 4", "stroke-width": 1.5 });
      p.say(0.46, 0.92, "collapse", "var(--quiet)", "end");
      p.dot(v, rate(v), "var(--distortion)", 6);
      return `λs² = ${fixed(v, 2)}: rate ${fixed(rate(v))} nats${v <= 0.5 ? ": the posterior is the prior" : ""}.`;
    });
  },
};

for (const figure of document.querySelectorAll("figure[data-claim]")) {
  const { kind, data } = FIGURES[figure.dataset.claim];
  DRAW[kind](figure, data);
}

// An equation that is wider than its card is drawn smaller, down to a little over half.
function fit() {
  for (const box of document.querySelectorAll(".equations")) {
    box.style.fontSize = "";
    const room = box.clientWidth - parseFloat(getComputedStyle(box).paddingLeft) * 2;
    const width = Math.max(...[...box.querySelectorAll("math")].map((each) => each.getBoundingClientRect().width));
    if (width > room && width > 0) box.style.fontSize = `${Math.max(0.55, room / width) * parseFloat(getComputedStyle(box).fontSize)}px`;
  }
}
addEventListener("resize", fit);
fit();

// A claim a screen.
const cards = [...document.querySelectorAll("section")];
let shown = 0;
function turn(to) {
  shown = Math.min(Math.max(to, 0), cards.length - 1);
  cards.forEach((card, i) => card.classList.toggle("shown", i === shown));
  scrollTo(0, 0);
  fit();
}
function project(on) {
  document.documentElement.classList.toggle("projecting", on);
  if (on) turn(Math.max(cards.findIndex((card) => card.getBoundingClientRect().bottom > 0), 0));
  else cards[shown].scrollIntoView();
}
document.getElementById("project").addEventListener("click", () => project(true));
addEventListener("keydown", (event) => {
  if (event.target.type === "range" || event.target.type === "radio") return;
  const on = document.documentElement.classList.contains("projecting");
  if (event.key === "Escape") project(false);
  else if (on && ["ArrowRight", "PageDown", " "].includes(event.key)) { event.preventDefault(); turn(shown + 1); }
  else if (on && ["ArrowLeft", "PageUp"].includes(event.key)) { event.preventDefault(); turn(shown - 1); }
});
