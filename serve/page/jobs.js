/** A job that the address names: how far it is, and what came of it. */

import { ask } from "./api.js";
import { button, make } from "./dom.js";
import { listen } from "./events.js";
import { attempt, say } from "./say.js";
import { go } from "./state.js";

const ENDED = ["done", "failed", "cancelled"];

/** Begin a job, and show it. @param {Record<string, any>} wanted */
export const begin = (wanted) => attempt(async () => go({ job: (await ask("jobs", { body: wanted })).id }));

/**
 * The panel of a job.
 * @param {string} id
 * @param {AbortSignal} signal
 * @param {(job: any) => any} result what to show of a job that is done
 */
export async function jobPanel(id, signal, result) {
  const panel = make("section.card.ask", { id: "job", "aria-label": "Job" });
  let ended = false;
  const show = async (job) => {
    if (job.id !== id || ended || signal.aborted) return;
    ended = ENDED.includes(job.state);
    say(words(job));
    panel.replaceChildren(...(ended ? [make("h2", {}, words(job))] : [progress(job)]));
    if (job.state === "done") panel.append(...[await result(job)].flat());
  };
  listen({ job: show }, signal).then(() => attempt(async () => show(await ask(`jobs/${id}`, { signal }))));
  return panel;
}

/** How far a job is. @param {any} job @param {boolean} [readOnly] whether nothing can be cancelled */
export function progress(job, readOnly = false) {
  const bar = make("progress", { max: job.total || 1, value: job.total === null ? null : job.done, "aria-label": words(job) });
  return make("div", {}, make("p", {}, words(job)), bar,
    !readOnly && make("p.actions", {}, button("Cancel", () => attempt(() => ask(`jobs/${job.id}/cancel`, { body: {} })), { "aria-label": `Cancel: ${words(job)}` })));
}

/** A job in words. @param {any} job */
export function words({ kind, wanted, state, done, total, error }) {
  const what = kind === "train" ? `Training ${wanted.name}` : { classify: "Classifying", add: "Adding videos", remove: "Removing videos", map: "Drawing the map" }[kind] ?? `Job ${kind}`;
  if (state === "failed") return `${what} failed: ${error}`;
  return `${what}: ${state}${state === "running" && total ? `, ${done} of ${total}` : ""}.`;
}
