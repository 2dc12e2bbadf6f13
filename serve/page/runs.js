/** The view of runs: those that are chosen side by side, in curves, numbers, settings and pictures. */

import { ask } from "./api.js";
import { curves } from "./curves.js";
import { code, make } from "./dom.js";
import { listen } from "./events.js";
import { probes, settings, sizes } from "./run_tables.js";
import { attempt, say } from "./say.js";
import { go } from "./state.js";
import { counted } from "./times.js";

/** Runs that can be told apart in a chart, and those that are chosen where the address names none. */
const MOST = 6, FIRST = 3;
const LETTERS = "ABCDEF";
const POINTS = 300, REST_MS = 1500;
const PICTURES = { views: "Views of the first videos", map: "Map of the monitor's videos" };

/** @param {URLSearchParams} state @param {AbortSignal} signal @param {Record<string, any>} info */
export async function show(state, signal, info) {
  if (!info.server.runs) return make("p.lead", {}, "This server shows no runs. Start it with ", code("--runs"), " and the folder that they lie in: ",
    code("sora serve … --runs runs"), ".");
  const { runs } = await ask("runs", { signal });
  if (!runs.length) return make("p.lead", {}, "There is no run in the folder of ", code("--runs"), ".");
  const asked = state.getAll("run");
  const good = runs.filter((run) => !run.error);
  const chosen = good.filter((run, number) => (asked.length ? asked.includes(run.run_id) : number < FIRST)).slice(0, MOST);
  const panel = make("div", {});
  const redraw = async () => {
    const reports = await Promise.all(chosen.map(({ run_id }) => ask(`runs/${run_id}`, { query: { points: POINTS }, signal })));
    const kept = document.activeElement?.id;
    panel.replaceChildren(...reports.length ? sideBySide(reports.map((run, number) => ({ ...run, letter: LETTERS[number], style: number })), state) : []);
    if (kept) document.getElementById(kept)?.focus({ preventScroll: true });
    say(`${counted(runs.length, "run")}. ${reports.filter((run) => !run.finished).map(progress).join(" ")}`);
  };
  follow(new Set(chosen.map((run) => run.run_id)), redraw, signal);
  await redraw();
  return [list(runs, chosen, state), panel];
}

/** Draw anew when a run that is shown has changed, now and then while it goes on changing. */
function follow(ids, redraw, signal) {
  let waits = false;
  listen({ run: ({ run_id }) => {
    if (!ids.has(run_id) || waits) return;
    waits = true;
    setTimeout(() => {
      waits = false;
      if (!signal.aborted) attempt(redraw);
    }, REST_MS);
  } }, signal);
}

const progress = (run) => `${run.name}: epoch ${run.epoch.toFixed(1)}${run.epochs ? ` of ${run.epochs}` : ""}, step ${run.step.toLocaleString("en")}.`;

/** All runs, to choose from. */
function list(runs, chosen, state) {
  const ids = chosen.map((run) => run.run_id);
  const items = runs.map((run) => {
    const number = ids.indexOf(run.run_id), id = `run-${run.run_id}`;
    if (run.error) return make("li", {}, make("span", {}, make("strong", {}, run.name), " cannot be read"), make("span.soft", {}, run.error));
    const box = make("input", { type: "checkbox", id, disabled: number < 0 && ids.length >= MOST,
      onchange: () => go({ run: box.checked ? [...ids, run.run_id] : ids.filter((each) => each !== run.run_id) }, state) });
    box.checked = number >= 0;
    return make("li", {}, make("span.check", {}, box, make("label", { for: id }, number >= 0 && make(`span.key.s${number}`, {}, LETTERS[number]), ` ${run.name}`)),
      make("span.soft", {}, about(run)));
  });
  return make("section.card.ask", { "aria-label": "Runs of the folder" },
    make("ul.runs", {}, items),
    make("p.soft", {}, `${counted(chosen.length, "run")} side by side, at most ${MOST}.`));
}

const about = (run) => [
  run.finished ? "finished" : "not finished", `epoch ${run.epoch.toFixed(1)}${run.epochs ? ` of ${run.epochs}` : ""}`,
  run.loss !== null && `loss ${run.loss.toFixed(3)}`, run.changed_s && new Date(1000 * run.changed_s).toLocaleString("en"),
].filter(Boolean).join(", ");

/** What is shown of the chosen runs. */
const sideBySide = (runs, state) => [
  make("section.card.ask", { "aria-labelledby": "curves" }, make("h2", { id: "curves" }, "Curves"), curves(runs, state)),
  make("section.card.ask", { "aria-labelledby": "numbers" }, make("h2", { id: "numbers" }, "Numbers"), sizes(runs)),
  probes(runs),
  settings(runs),
  pictures(runs),
].filter(Boolean);

function pictures(runs) {
  const figures = Object.entries(PICTURES).flatMap(([name, title]) => runs.filter((run) => run.pictures.includes(name)).map((run) =>
    make("figure.card", {}, make("figcaption", {}, `${title}, ${run.letter} ${run.name}`),
      make("a", { href: `/media/runs/${run.run_id}/${name}.png`, target: "_blank" },
        make("img", { src: `/media/runs/${run.run_id}/${name}.png`, loading: "lazy", alt: `${title} of ${run.name}; opens in full size` })))));
  return figures.length > 0 && make("section", { "aria-labelledby": "pictures" }, make("h2", { id: "pictures" }, "Pictures"), make("div.figures", {}, figures));
}

