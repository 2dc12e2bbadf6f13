/** Filters of the library's videos: by attribute with counts, by name, and others as `camera>2`. */

import { ask } from "./api.js";
import { button, choice, field, make } from "./dom.js";
import { histogram, withoutRange } from "./histogram.js";
import { isRegion } from "./region.js";
import { sayError } from "./say.js";
import { go } from "./state.js";

const nameOf = (word) => /^\s*([^=<>!]*[^=<>!\s])\s*=(?!=)/.exec(word)?.[1];
const valueOf = (word) => word.slice(word.indexOf("=") + 1).trim();

/**
 * @param {URLSearchParams} state
 * @param {AbortSignal} signal
 * @returns {Promise<HTMLElement>}
 */
export async function filters(state, signal) {
  const where = state.getAll("where");
  const nothing = { facets: {}, dates: {} };
  const { facets, dates } = await countsOf(where, signal).catch((error) => (sayError(error), nothing)); // a wrong filter can be removed
  const set = (name, word) => {
    const others = where.filter((each) => nameOf(each) !== name);
    go({ where: word ? [...others, word] : others, offset: null });
  };
  const chosen = (name) => where.find((each) => nameOf(each) === name);
  const selects = Object.entries(facets).filter(([name]) => !dates[name]).map(([name, values]) => {
    const present = chosen(name) ? valueOf(chosen(name)) : "";
    const options = values.map(({ value, count }) => [String(value), `${value} (${count.toLocaleString("en")})`]);
    if (present && !options.some(([value]) => value === present)) options.push([present, `${present} (0)`]);
    return field(name, choice(`filter-${name}`, [["", "any"], ...options], present, (value) =>
      set(name, value && `${name}=${value}`)));
  });
  const names = make("input", {
    id: "filter-videos", type: "search", placeholder: "holiday/*",
    value: chosen("videos") ? valueOf(chosen("videos")) : "", onchange: () => set("videos", names.value && `videos=${names.value}`),
  });
  const other = make("input", { id: "filter-other", placeholder: "camera>2" });
  const form = make("form.row", { onsubmit: (event) => {
    event.preventDefault();
    if (other.value) go({ where: [...where, other.value], offset: null });
  } }, field("Other filter", other), make("button", { type: "submit" }, "Add"));
  const shown = (word) => (isRegion(word) ? "region of the map" : word);
  const chips = where.map((word) => make("li", {}, button(`${shown(word)} ✕`,
    () => go({ where: where.filter((each) => each !== word), offset: null }), { "aria-label": `Remove filter ${shown(word)}` })));
  return make("details.filters", { open: where.length > 0 },
    make("summary", {}, where.length ? `Filters (${where.length})` : "Filters"),
    make("div.row", {}, selects, field("Name", names), form),
    Object.entries(dates).map(([name, bins]) => histogram(name, bins, where, (words) => go({ where: words, offset: null }))),
    chips.length > 0 && make("ul.chips", { "aria-label": "Filters that are set" }, chips));
}

/** Counts of each attribute under the other filters, so that another value of it can be chosen. */
async function countsOf(where, signal) {
  const of = (words) => ask("videos", { query: { where: words, limit: 0 }, signal });
  const { facets, dates } = await of(where);
  const set = [...new Set(where.map(nameOf))].filter((name) => name && !["videos", "within", "start_s", "end_s"].includes(name));
  for (const name of set) {
    const values = (await of(where.filter((word) => nameOf(word) !== name))).facets[name];
    if (values) facets[name] = values;
  }
  for (const word of where) {
    const name = /^([^=<>!]+)(?:>=|<)/.exec(word)?.[1], others = name ? withoutRange(where, name) : where;
    if (others.length < where.length) {
      const all = (await of(others)).dates[name];
      if (all) dates[name] = all;
    }
  }
  return { facets, dates };
}
