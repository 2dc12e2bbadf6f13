/** The view of searches. */

import { button, choice, field, make, save } from "./dom.js";
import { ratesOf, toCsv, toEdl, toJson } from "./exports.js";
import { filters } from "./filters.js";
import { excluded, hitList } from "./hits.js";
import { copyLink, dropZone, find, present, wordsField } from "./query.js";
import { say, sayError } from "./say.js";
import { fresh, go, link } from "./state.js";
import { counted } from "./times.js";

const TOPS = [5, 10, 20, 50, 100];

/** @param {URLSearchParams} state @param {AbortSignal} signal @param {Record<string, any>} info */
export async function show(state, signal, info) {
  const results = make("section", { id: "results", "aria-label": "Results", tabindex: "-1" });
  const words = make("div", {});
  wordsField(state, signal).then((form) => form && words.append(form), () => {});
  const query = await present(state, signal);
  const content = [
    make("p.lead", {}, `${counted(info.videos, "video")} can be searched. `, link("Choose one of them", {}, fresh("browse")), " or a file of yours."),
    make("section.card.ask", { "aria-label": "What to search for" },
      query, query ? make("details", {}, make("summary", {}, "Another query"), dropZone(info), words) : [dropZone(info), words],
      options(state, info), await filters(state, signal)),
    results,
  ];
  fill(results, state, signal);
  return content;
}

/** How to search. */
function options(state, info) {
  const top = choice("top", TOPS.map((count) => [String(count), String(count)]), state.get("top") ?? "10", (value) => go({ top: value }));
  const aspects = info.aspects.map((aspect) => aspect.name ?? aspect);
  const by = aspects.length > 0 && choice("by", [["", "all"], ...aspects.map((name) => [name, name])], state.get("by") ?? "", (value) => go({ by: value }));
  return make("div.row", {}, field("Videos at most", top), by && field("Compare by", by));
}

/** Search, and show what is found. */
async function fill(results, state, signal) {
  try {
    say("");
    const asked = ["slice", "text", "end", "upload"].some((name) => state.has(name));
    if (!asked) return;
    results.setAttribute("aria-busy", "true");
    results.replaceChildren(make("p.soft", {}, "Searching…"));
    const hits = await find(state, signal);
    results.replaceChildren();
    if (hits === null) return;
    const sure = hits.filter((hit) => hit.sure).length;
    say(hits.length ? `${counted(hits.length, "video")} found, best first; ${sure ? `${counted(sure, "is", "are")} sure` : "none is sure"}.` : "Nothing was found. Take a filter away.");
    if (hits.length) results.append(tools(hits), hitList(hits, state));
    const left = excluded(state);
    if (left) results.append(left);
  } catch (error) {
    if (signal.aborted) return;
    results.replaceChildren();
    sayError(error);
  } finally {
    results.removeAttribute("aria-busy");
  }
}

/** What can be done with all hits. */
const tools = (hits) => make("p.actions", {},
  button("Copy link", copyLink, { id: "copy-link" }),
  button("Save as CSV", () => save("hits.csv", "text/csv", toCsv(hits))),
  button("Save as JSON", () => save("hits.json", "application/json", toJson(hits))),
  button("Save as EDL", async () => save("hits.edl", "text/plain", toEdl(hits, await ratesOf(hits)))));
