/** Curves of runs, with one place that is looked at in all of them. */

import { chart, figure } from "./chart.js";
import { choice, field, make } from "./dom.js";
import { go } from "./state.js";

/** What is always shown where a run has it. */
const USUAL = { loss: "Loss", knn: "kNN accuracy on the monitor", lr: "Learning rate" };
const TITLES = { std: "Spread of the embeddings", alignment: "Alignment of positives", uniformity: "Uniformity", gradient: "Norm of the gradient",
  clips_per_s: "Clips a second", wait: "Part of the time that waits for data", memory_mb: "Memory, MB" };
const AXES = { step: "step", epoch: "epoch" };

/** @param {any[]} runs reports with `letter` and `style` @param {URLSearchParams} state */
export function curves(runs, state) {
  const axis = state.get("axis") === "epoch" ? "epoch" : "step";
  const names = [...new Set(runs.flatMap((run) => run.log.flatMap((line) => Object.keys(line))))].filter((name) => !(name in AXES));
  if (!names.length) return make("p.soft", {}, "No step is logged yet.");
  const others = names.filter((name) => !(name in USUAL)).sort();
  const more = others.includes(state.get("curve")) ? state.get("curve") : "";
  const shown = [...Object.keys(USUAL).filter((name) => names.includes(name)), more].filter(Boolean);
  const charts = shown.map((name) => ({ name, ...chart({ title: titleOf(name), axis, lines: linesOf(runs, name, axis) }) }));
  return [
    make("div.row", {},
      field("Another curve", choice("curve", [["", "none"], ...others.map((name) => [name, titleOf(name)])], more, (value) => go({ curve: value }))),
      field("By", choice("axis", Object.entries(AXES), axis, (value) => go({ axis: value === "step" ? null : value })))),
    make("div.charts", {}, charts.map(({ element }) => element)),
    reader(runs, charts, axis),
  ];
}

const titleOf = (name) => USUAL[name] ?? TITLES[name] ?? name.replace(/_ms$/, ", ms a step").replaceAll("_", " ");

const linesOf = (runs, name, axis) => runs.map(({ letter, style, log }) =>
  ({ letter, style, points: log.filter((line) => name in line && axis in line).map((line) => [line[axis], line[name]]) }))
  .filter(({ points }) => points.length);

/** The values of all curves at a place, which a slider moves. */
function reader(runs, charts, axis) {
  const places = [...new Set(runs.flatMap((run) => run.log.map((line) => line[axis])))].sort((one, other) => one - other);
  const body = make("tbody", {}), last = places.length - 1;
  const before = document.getElementById("place"); // where a reader looks stays while a run goes on
  const value = before && before.value !== before.max ? Math.min(+before.value, last) : last;
  const slider = make("input", { type: "range", id: "place", min: 0, max: last, step: 1, value, oninput: () => read() });
  const read = () => {
    const at = places[+slider.value];
    slider.setAttribute("aria-valuetext", `${axis} ${figure(at)}`);
    caption.textContent = `Values at ${axis} ${figure(at)}`;
    charts.forEach(({ mark }) => mark(+slider.value < last ? at : null));
    body.replaceChildren(...runs.map((run) => make("tr", {}, make("th", { scope: "row" }, make(`span.key.s${run.style}`, {}, run.letter), ` ${run.name}`),
      charts.map(({ name }) => make("td", {}, valueAt(run.log, name, axis, at))))));
  };
  const caption = make("caption", {});
  const table = make("div.wide", { tabindex: 0, role: "region", "aria-label": "Values of the curves" }, make("table", {}, caption,
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Run"), charts.map(({ name }) => make("th", { scope: "col" }, titleOf(name))))), body));
  read();
  return make("div", {}, field(`Look at ${axis}`, slider), table);
}

/** The last value up to a place. */
function valueAt(log, name, axis, at) {
  const line = log.findLast((each) => name in each && each[axis] <= at);
  return line ? figure(line[name]) : "none";
}
