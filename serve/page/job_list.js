/** The view of jobs: those that were added last, as they go on, and a way to add videos. */

import { ask } from "./api.js";
import { button, field, make } from "./dom.js";
import { listen } from "./events.js";
import { progress, words } from "./jobs.js";
import { attempt, say } from "./say.js";
import { fresh, link } from "./state.js";
import { counted } from "./times.js";

const MOST = 50;

/** @param {URLSearchParams} state @param {AbortSignal} signal @param {Record<string, any>} info */
export async function show(state, signal, { server }) {
  const list = make("ol.jobs", { "aria-label": "Jobs" });
  const put = (job) => {
    const before = document.getElementById(`job-${job.id}`), item = row(job, server.read_only);
    if (before) before.replaceWith(item);
    else list.prepend(item);
    while (list.children.length > MOST) list.lastChild.remove();
  };
  listen({ job: (job) => {
    put(job);
    say(words(job));
  } }, signal);
  const { jobs } = await ask("jobs", { query: { limit: MOST }, signal });
  list.append(...jobs.map((job) => row(job, server.read_only)));
  say(jobs.length ? `${counted(jobs.length, "job")}, the last one first.` : "There was no job yet.");
  return [!server.read_only && server.videos && addForm(), list].filter(Boolean);
}

function row(job, readOnly) {
  const open = ["waiting", "running"].includes(job.state);
  return make("li.card", { id: `job-${job.id}` }, open ? progress(job, readOnly) : make("p", {}, words(job)),
    make("p.soft", {}, [new Date(1000 * job.created_s).toLocaleString("en"), outcome(job)].filter(Boolean).join(", ")),
    ["train", "classify"].includes(job.kind) && link("Show it", { job: job.id }, fresh("label"), { "aria-label": `Show the job of ${job.kind}` }));
}

/** What an ended job did, where that is a few numbers. */
const outcome = ({ result }) => result && Object.entries(result).filter(([, value]) => typeof value === "number").map(([name, value]) => `${name} ${value}`).join(", ");

/** Add what is new below the folder of videos. */
function addForm() {
  const folder = make("input", { id: "folder", placeholder: "all of it" });
  return make("form.card.ask", { onsubmit: (event) => {
    event.preventDefault();
    attempt(() => ask("jobs", { body: { kind: "add", folder: folder.value.trim() } }));
  } }, make("div.row", {}, field("Folder below that of the server's videos", folder), button("Add what is new", () => {}, { type: "submit", id: "add", class: "main" })));
}
