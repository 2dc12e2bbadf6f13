/** The view of searches. */

import { button, choice, field, make, save } from "./dom.js";
import { find, isAsked } from "./examples.js";
import { ratesOf, toCsv, toEdl, toJson } from "./exports.js";
import { filters } from "./filters.js";
import { excluded, hitList } from "./hits.js";
import { copyLink, dropZone, encoderOf, present, wordsField } from "./query.js";
import { say, sayError } from "./say.js";
import { fresh, go, link } from "./state.js";
import { counted } from "./times.js";

const TOPS = [5, 10, 20, 50, 100];

/** @param {URLSearchParams} state @param {AbortSignal} signal @param {Record<string, any>} info */
export async function show(state, signal, info) {
  const results = make("section", { id: "results", "aria-label": "Results", tabindex: "-1" });
  const words = make("div", {});
  wordsField(state).then((form) => form && words.append(form), () => {});
  const query = await present(state, signal);
  const content = [
    make("p.lead", {}, `${counted(info.videos, "video")} can be searched. `, link("Choose one of them", {}, fresh("browse")), " or a file of yours."),
    make("section.card.ask", { "aria-label": "What to search for" },
      ...query ?? [], query ? make("details", {}, make("summary", {}, "Another query"), dropZone(info), words) : [dropZone(info), words],
      options(state, info), await filters(state, signal)),
    results,
  ];
  fill(results, state, signal, info.server.read_only);
  return content;
}

/** How to search. */
function options(state, info) {
  const most = state.get("top") ?? "10";
  const counts = [...new Set([...TOPS.map(String), most])].sort((one, other) => one - other);
  const top = choice("top", counts.map((count) => [count, count]), most, (value) => go({ top: value }));
  const row = make("div.row", {}, field("Videos at most", top));
  const offer = (aspects) => {
    const names = [...new Set([...aspects, ...state.getAll("by")])];
    if (!names.length) return;
    const by = choice("by", [["", "all"], ...names.map((name) => [name, name])], state.get("by") ?? "", (value) => go({ by: value }));
    row.replaceChildren(row.firstChild, field("Compare by", by));
  };
  offer(info.aspects);
  encoderOf().then(({ by }) => by.some((name) => !info.aspects.includes(name)) && offer([...info.aspects, ...by]), () => {});
  return row;
}

/** Search, and show what is found. */
async function fill(results, state, signal, readOnly) {
  try {
    say("");
    if (!isAsked(state)) return;
    results.setAttribute("aria-busy", "true");
    results.replaceChildren(make("p.soft", {}, "Searching…"));
    const hits = await find(state, signal);
    results.replaceChildren();
    if (hits === null) return;
    const sure = hits.filter((hit) => hit.sure).length;
    say(hits.length ? `${counted(hits.length, "video")} found, best first; ${sure ? `${counted(sure, "is", "are")} sure` : "none is sure"}.` : "Nothing was found. Take a filter away.");
    if (hits.length) results.append(tools(hits), ...hitList(hits, state, signal, readOnly));
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
