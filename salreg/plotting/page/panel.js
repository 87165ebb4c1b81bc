// The panel: samples and their maps at an epoch, all runs side by side. Words of the user are set as text, never as HTML.
"use strict";

const HEAT = HEAT_STOPS;  // red, green, blue of eleven steps
const memory = `salreg ${location.pathname}`;
const state = { epoch: null, class: "", order: "drawn", wrong: false, map: true, marks: true, input: true, large: [],
  ...recall() };  // a watched page is loaded again and again
const panels = [...document.querySelectorAll(".panel")].map(build);

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "path"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function build(place, number) {
  const data = JSON.parse(place.querySelector("script").textContent);
  const alone = data.kind === "image";
  const list = element("ul", { class: `samples ${data.kind}` });
  list.style.setProperty("--cells", data.arms.length + alone);
  list.style.setProperty("--card", `${Math.max(17, (alone ? 8 : 17) * (data.arms.length + alone))}rem`);
  const panel = { data, place, list, number, cards: data.samples.map((sample, index) => card(data, sample, index, alone)) };
  panel.controls = controls(panel);
  for (const one of panel.cards) one.grow.addEventListener("click", () => { enlarge(panel, one); remember(); });
  place.append(panel.controls.bar, panel.controls.time, legend(data), list);
  return panel;
}

// What a sample is shown in

function card(data, sample, index, alone) {
  const grow = element("button", { type: "button", "aria-expanded": "false", "aria-label": `Enlarge sample ${index}, ${sample.label}` }, "enlarge");
  const cells = element("div", { class: "cells" });
  if (alone) cells.append(element("figure", {}, picture(sample, `The input: ${sample.label}`).box, element("figcaption", {}, "input")));
  const maps = data.arms.map((arm, which) => {
    const made = cell(data.kind, sample);
    const caption = element("figcaption");
    cells.append(element("figure", { style: `--colour: var(--arm-${data.colours[which]})` }, made.box, caption));
    return { ...made, arm, caption };
  });
  const box = element("li", { class: "sample" }, element("header", {}, element("h3", {}, sample.label), grow), cells);
  return { box, grow, maps, sample, index };
}

function cell(kind, sample) {
  if (kind === "image") {
    const made = picture(sample, "");
    made.canvas = element("canvas", { role: "img" });
    made.image.after(made.canvas);
    made.box.classList.add("mapped");
    return made;
  }
  const mark = (place) => ["spurious", "", "relevant"][sample.signs[place] + 1];
  if (kind === "text") {
    const words = sample.names.map((name, place) => element("span", { class: mark(place) }, name));
    const box = element("p", { class: "words", tabindex: "0", role: "group", "aria-label": `The text: ${sample.label}` });
    box.append(...(sample.front ? withAsides(words, sample.front) : words.flatMap((word) => [word, " "])));
    return { box, words };
  }
  const rows = sample.names.map((name, place) => element("tr", { class: mark(place) },
    element("th", { scope: "row" }, `${name} = ${sample.values[place]}`), element("td", { class: "track" }, element("span")), element("td")));
  return { box: element("table", { class: "bars" }, element("tbody", {}, ...rows)), rows };
}

// Of a long text, all but the marked and the most salient sentences are a "…" until the sample is enlarged, and then small.
function withAsides(words, front) {
  const parts = [];
  words.forEach((word, at) => {
    if (front[at]) return parts.push(word, " ");
    if (at === 0 || front[at - 1]) parts.push(element("span", { class: "gap", "aria-hidden": "true" }, "… "), element("span", { class: "aside" }));
    return parts.at(-1).append(word, " ");
  });
  return parts;
}

function picture(sample, words) {
  const image = element("img", { src: sample.input, alt: words });
  const outlines = element("svg", { viewBox: `0 0 ${sample.width} ${sample.height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    element("path", { class: "spurious", d: sample.spurious }), element("path", { class: "relevant", d: sample.relevant }));
  const box = element("div", { class: "picture", style: `aspect-ratio: ${sample.width} / ${sample.height}` }, image, outlines);
  return { box, image };
}

// Above the samples

function controls(panel) {
  const { data } = panel;
  const slider = element("input", { type: "range", min: 0, max: data.epochs.length - 1, step: 1, "aria-label": "Epoch" });
  const told = element("output");
  const play = element("button", { type: "button", class: "play", "aria-pressed": "false" }, "play");
  const found = element("span", { class: "found", role: "status" });
  const classes = [...new Set(data.samples.map((sample) => sample.truth).filter((truth) => truth !== null))];
  const one = select("Class", [["", "all"], ...classes.map((name) => [name, name])]);
  const order = select("Order", [["drawn", "as drawn"], ["spurious_saliency", "highest spurious saliency"], ["moved", "changed most"]]);
  const ticks = Object.fromEntries(["wrong", "map", "marks", "input"].map((key) => [key, element("input", { type: "checkbox" })]));
  const ticked = (key, words) => element("label", {}, ticks[key], words);
  slider.addEventListener("input", () => go(data.epochs[slider.value]));
  play.addEventListener("click", () => run(panel));
  one.choice.addEventListener("change", () => set("class", one.choice.value));
  order.choice.addEventListener("change", () => set("order", order.choice.value));
  for (const [key, box] of Object.entries(ticks)) box.addEventListener("change", () => set(key, box.checked));
  const many = data.samples.length > 1;
  const bar = element("div", { class: "controls", role: "group", "aria-label": "What is shown" },
    ...(many && classes.length > 1 ? [one.label] : []), ...(many ? [order.label] : []),
    ...(many && classes.length ? [ticked("wrong", "wrongly predicted only")] : []),
    ticked("map", "map"), ticked("marks", "marks"), ...(data.kind === "image" ? [ticked("input", "input")] : []), found);
  const time = element("div", { class: "time" }, play, told, slider);
  return { bar, time, slider, told, play, found, one: one.choice, order: order.choice, ticks };
}

function select(words, options) {
  const choice = element("select", {}, ...options.map(([value, name]) => element("option", { value }, name)));
  return { choice, label: element("label", {}, words, choice) };
}

function legend(data) {
  const entry = (words, ...before) => element("li", {}, ...before, words);
  const swatch = (colour) => element("span", { class: "swatch", style: `background: ${colour}` });
  const entries = [];
  if (data.kind === "image") {
    const ramp = HEAT.map((colour, step) => `rgb(${colour}) ${step * 10}%`).join(", ");
    entries.push(entry("saliency, from 0 to the strongest colour", element("span", { class: "ramp", style: `background: linear-gradient(90deg, ${ramp})` })));
  }
  if (data.kind === "text") entries.push(entry("saliency, from 0 to the strongest colour", element("span", { class: "ramp", style: "background: linear-gradient(90deg, #fff, rgb(253 141 60))" })));
  if (data.samples.some((sample) => sample.front)) entries.push(entry("…: sentences without marks and with little saliency; enlarge shows them"));
  if (data.kind === "table") entries.push(entry("saliency; a full bar is the strongest", swatch("var(--unmarked)")));
  const marked = (key, sign) => data.samples.some((sample) => (data.kind === "image" ? sample[key] : sample.signs.includes(sign)));
  if (marked("spurious", -1)) entries.push(entry("marked spurious", swatch("var(--spurious)")));
  if (marked("relevant", 1)) entries.push(entry("marked relevant", swatch("var(--relevant)")));
  entries.push(entry("thin bar: the map's total, beside the largest of a trained epoch", element("span", { class: "swatch", style: "height: 4px; background: var(--quiet)" })));
  return element("ul", { class: "key" }, ...entries);
}

// Changing what is shown

function set(key, value) { state[key] = value; remember(); panels.forEach(choose); panels.forEach(draw); }
function go(epoch) { state.epoch = epoch; remember(); panels.forEach(draw); }

function remember() {
  try { sessionStorage.setItem(memory, JSON.stringify(state)); } catch { /* a browser that keeps nothing shows the page all the same */ }
}

function recall() {
  try { return JSON.parse(sessionStorage.getItem(memory) ?? "{}"); } catch { return {}; }
}

function position(panel) {
  const last = panel.data.epochs.length - 1;
  if (state.epoch === null) return last;
  const later = panel.data.epochs.findIndex((epoch) => epoch > state.epoch);
  return later < 0 ? last : Math.max(later - 1, 0);
}

function move(by) {
  const panel = panels[0];
  const to = Math.min(Math.max(position(panel) + by, 0), panel.data.epochs.length - 1);
  go(to === panel.data.epochs.length - 1 ? null : panel.data.epochs[to]);  // the last one stays the last one as the training goes on
}

function run(panel) {
  const { play } = panel.controls;
  const stop = () => { clearInterval(panel.timer); panel.timer = null; play.setAttribute("aria-pressed", "false"); play.textContent = "play"; };
  if (panel.timer) return stop();
  play.setAttribute("aria-pressed", "true");
  play.textContent = "stop";
  go(panel.data.epochs[0]);
  panel.timer = setInterval(() => {
    const next = position(panel) + 1;
    if (next >= panel.data.epochs.length) return stop();
    go(panel.data.epochs[next]);
  }, 700);
}

function enlarge(panel, one, wanted = !one.box.classList.contains("enlarged")) {
  one.box.classList.toggle("enlarged", wanted);
  one.grow.setAttribute("aria-expanded", wanted);
  one.grow.textContent = wanted ? "reduce" : "enlarge";
  const name = `${panel.number}:${one.index}`;
  state.large = [...state.large.filter((other) => other !== name), ...(wanted ? [name] : [])];
}

function isWrong(sample, prediction) { return sample.truth !== null && prediction !== sample.truth; }

function choose(panel) {
  const { data, list, cards, controls } = panel;
  const ends = data.arms.map((arm) => data.frames[arm].at(-1));
  const by = (one) => (state.order === "drawn" ? -one.index : one.sample[state.order] ?? -1);
  const ordered = [...cards].sort((a, b) => by(b) - by(a));
  const known = !state.class || data.samples.some((sample) => sample.truth === state.class);
  for (const one of ordered) {
    const wrong = ends.some((frame) => isWrong(one.sample, frame.predictions[one.index]));
    one.box.hidden = (known && state.class !== "" && one.sample.truth !== state.class) || (state.wrong && !wrong);
  }
  list.replaceChildren(...ordered.map((one) => one.box));
  controls.one.value = known ? state.class : "";
  controls.order.value = state.order;
  for (const [key, box] of Object.entries(controls.ticks)) box.checked = state[key];
  const shown = cards.filter((one) => !one.box.hidden).length;
  controls.found.textContent = `${shown} of ${cards.length} samples`;
  list.classList.toggle("unmarks", !state.marks);
}

// Drawing an epoch

function draw(panel) {
  const { data, controls } = panel;
  const at = position(panel), epoch = data.epochs[at];
  controls.slider.value = at;
  controls.slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
  controls.told.textContent = epoch === 0 ? "untrained" : `epoch ${epoch}`;
  data.arms.forEach((arm, which) => {
    const frame = data.frames[arm].findLast((one) => one.epoch <= epoch) ?? data.frames[arm][0];
    frame.bytes ??= Uint8Array.from(atob(frame.maps), (letter) => letter.charCodeAt(0));
    let start = 0;
    panel.cards.forEach((one, index) => {
      const [height, width] = frame.shapes[index], end = start + height * width;
      if (!one.box.hidden) fill(one.maps[which], one.sample, frame, index, frame.bytes.subarray(start, end), [height, width], data.arms.length > 1);
      start = end;
    });
  });
}

function fill(place, sample, frame, index, values, [height, width], several) {
  const prediction = frame.predictions[index], share = frame.shares[index], total = frame.totals[index];
  const percent = share === null ? "" : `${(100 * share).toFixed(share > 0 && share < 0.01 ? 1 : 0)}% on the marks`;
  const wrong = isWrong(sample, prediction);
  const bar = element("span", { class: "total", title: `total: ${(100 * total).toFixed(0)}% of the largest` }, element("span", { style: `width: ${100 * total}%` }));
  place.caption.replaceChildren(...(several ? [element("span", { class: "arm" }, place.arm)] : []),
    element("span", wrong ? { class: "wrong" } : {}, `→ ${prediction}${wrong ? " (wrong)" : ""}`), element("span", { class: "share" }, percent), bar);
  const words = `${place.arm ? `${place.arm}: ` : ""}saliency at epoch ${frame.epoch}, predicted ${prediction}${percent && `, ${percent}`}`;
  if (place.canvas) {
    place.canvas.setAttribute("aria-label", words);
    place.canvas.hidden = !state.map;
    place.image.hidden = !state.input;
    place.box.classList.toggle("mapped", state.map);
    heat(place.canvas, values, height, width);
  } else if (place.words) {
    place.words.forEach((word, at) => {
      word.style.background = state.map ? `rgb(253 141 60 / ${values[at] / 255})` : "";
      word.title = `${Math.round(values[at] / 2.55)}% of the strongest colour`;
    });
  } else {
    place.rows.forEach((row, at) => {
      row.children[1].firstChild.style.width = `${state.map ? values[at] / 2.55 : 0}%`;
      row.children[2].textContent = state.map ? `${Math.round(values[at] / 2.55)}%` : "";
    });
  }
}

function heat(canvas, values, height, width) {
  Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d"), pixels = pen.createImageData(width, height);
  values.forEach((value, place) => {
    const at = (value / 255) * (HEAT.length - 1), low = Math.floor(at), high = Math.ceil(at), part = at - low;
    for (let colour = 0; colour < 3; colour += 1) {
      pixels.data[4 * place + colour] = HEAT[low][colour] * (1 - part) + HEAT[high][colour] * part;
    }
    pixels.data[4 * place + 3] = state.input ? 255 * (0.6 + 0.4 * (value / 255)) : 255;
  });
  pen.putImageData(pixels, 0, 0);
}

document.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || !panels.length || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("input[type=range], select, [tabindex]")) return;  // there, arrows have a meaning already
  event.preventDefault();
  move(by);
});

for (const panel of panels) for (const one of panel.cards) {
  if (state.large.includes(`${panel.number}:${one.index}`)) enlarge(panel, one, true);
}
panels.forEach(choose);
panels.forEach(draw);
