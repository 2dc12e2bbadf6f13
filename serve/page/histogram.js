/** Videos by date as bars: one is a filter, and two lists choose from when till when. */

import { button, choice, field, make } from "./dom.js";
import { counted } from "./times.js";

/** Most pixels of a bar with its gap. */
const COLUMN = 41;

/** @typedef {{start: string, end: string, count: number}} Bin */

/** Filters that are not of a range of an attribute. @param {string[]} where @param {string} name */
export const withoutRange = (where, name) => where.filter((word) => !word.startsWith(`${name}>=`) && !word.startsWith(`${name}<`));

/**
 * @param {string} name of the attribute
 * @param {Bin[]} bins
 * @param {string[]} where all filters
 * @param {(where: string[]) => void} set
 */
export function histogram(name, bins, where, set) {
  const value = (sign) => where.find((word) => word.startsWith(`${name}${sign}`))?.slice(name.length + sign.length);
  const [from, to] = [value(">="), value("<")], most = Math.max(1, ...bins.map(({ count }) => count));
  const isIn = ({ start, end }) => (from !== undefined || to !== undefined) && (from ?? "") <= start && (to === undefined || end <= to);
  const choose = (start, end) => set([...withoutRange(where, name), ...(start ? [`${name}>=${start}`] : []), ...(end ? [`${name}<${end}`] : [])]);
  const bars = bins.map((bin) => {
    const isAlone = bin.start === from && bin.end === to;
    const bar = button("", () => (isAlone ? choose() : choose(bin.start, bin.end)), { class: "column", "aria-pressed": String(isIn(bin)),
      title: `${bin.start}: ${counted(bin.count, "video")}`, "aria-label": `${name} ${bin.start}: ${counted(bin.count, "video")}` });
    const fill = make("span", {});
    fill.style.height = `${bin.count ? Math.max(6, (100 * bin.count) / most) : 0}%`;
    bar.append(fill);
    return bar;
  });
  const list = (key, present, other) => {
    const options = bins.map((bin) => [bin[key], bin.start]);
    if (present !== undefined && !options.some(([own]) => own === present)) options.push([present, present]);
    return choice(`${key}-${name}`, [["", "any"], ...options], present ?? "", (own) => (key === "start" ? choose(own, other) : choose(other, own)));
  };
  const chart = make("div.histogram", {}, make("div.columns", { role: "group", "aria-label": `Videos by ${name}` }, bars),
    make("div.ends", { "aria-hidden": "true" }, bins.length > 1 && make("span", {}, bins[0].start), make("span", {}, bins.at(-1).start)));
  chart.style.maxWidth = `max(160px, ${COLUMN * bins.length}px)`;
  return make("fieldset", { "aria-label": `Videos by ${name}` }, make("legend", {}, name), chart,
    make("div.row", {}, field(`${name} from`, list("start", from, to)), field(`${name} till`, list("end", to, from))));
}
