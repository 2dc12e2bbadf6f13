/** Tables of runs side by side. */

import { figure } from "./chart.js";
import { make } from "./dom.js";

/** Of metrics.json, those that are no numbers to compare. */
const NOT_COMPARED = ["fingerprint", "texts"];

/** Of a probe's table: the interval of its first measure, and measures that would make it long. */
const INTERVAL = "95 %", LEFT_OUT = /^R@(?!1$)/;

/** @typedef {any} Run a report with `letter` and `style` */

const head = (runs, first) => make("thead", {}, make("tr", {}, make("th", { scope: "col" }, first),
  runs.map((run) => make("th", { scope: "col" }, make(`span.key.s${run.style}`, {}, run.letter), ` ${run.name}`))));

const table = (label, runs, first, rows) => make("div.wide", { tabindex: 0, role: "region", "aria-label": label },
  make("table", {}, head(runs, first), make("tbody", {}, rows.map(([name, ...cells]) =>
    make("tr", {}, make("th", { scope: "row" }, name), cells.map((cell) => make("td", {}, text(cell))))))));

function text(value) {
  if (value === undefined || value === null || value === "") return "none";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return typeof value === "number" ? figure(value) : typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** How far runs are, and their metrics. @param {Run[]} runs */
export function sizes(runs) {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))].filter((name) => !NOT_COMPARED.includes(name));
  return table("Numbers of the runs", runs, "Number", [
    ["state", ...runs.map((run) => (run.finished ? "finished" : "not finished"))],
    ["epoch", ...runs.map((run) => `${run.epoch.toFixed(1)} of ${run.epochs ?? "?"}`)],
    ["step", ...runs.map((run) => run.step)],
    ...names.filter((name) => name !== "steps").map((name) => [name.replaceAll("_", " "), ...runs.map((run) => run.metrics[name])]),
    ["events", ...runs.map((run) => countedEvents(run.events))],
  ]);
}

function countedEvents(events) {
  const counts = new Map();
  for (const { event } of events) counts.set(event, (counts.get(event) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${name} ${count}`).join(", ");
}

/** The last probes, a row a kind of features and a measure. @param {Run[]} runs */
export function probes(runs) {
  const rows = new Map();
  runs.forEach((run, number) => {
    for (const { features, [INTERVAL]: interval, ...values } of run.probe)
      for (const [name, value] of Object.entries(values)) {
        if (LEFT_OUT.test(name)) continue;
        const key = `${features}: ${name}`;
        if (!rows.has(key)) rows.set(key, runs.map(() => undefined));
        rows.get(key)[number] = interval && name === Object.keys(values)[0] ? `${text(value)} (${interval})` : value;
      }
  });
  return rows.size > 0 && make("section.card.ask", { "aria-labelledby": "probes" }, make("h2", { id: "probes" }, "Probes"),
    table("Probes of the runs", runs, "Features: measure", [...rows].map(([key, cells]) => [key, ...cells])));
}

/** The settings in which runs differ. @param {Run[]} runs */
export function settings(runs) {
  if (runs.length < 2) return null;
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.settings)))].sort();
  const different = names.filter((name) => new Set(runs.map((run) => text(run.settings[name]))).size > 1);
  return make("section.card.ask", { "aria-labelledby": "settings" }, make("h2", { id: "settings" }, "Settings that differ"),
    different.length ? table("Settings of the runs", runs, "Setting", different.map((name) => [name, ...runs.map((run) => run.settings[name])]))
      : make("p.soft", {}, "All settings are the same."));
}
