/** Marks of an attribute's values: a colour and a shape each, so that neither is needed alone. */

import { make } from "./dom.js";
import { counted } from "./times.js";

/** Colours of `page.css`, light and dark, with a shape each; those of others come last. */
const MARKS = [
  ["--s0", "circle"], ["--s1", "square"], ["--s2", "triangle"], ["--s3", "diamond"],
  ["--s4", "cross"], ["--s5", "wedge"], ["--edge", "ring"],
];

/** The colour of a number of things, again and again where there are many; their names stand beside it. @param {number} number */
export const colourOf = (number) => `var(${MARKS[number % (MARKS.length - 1)][0]})`;
const SVG = "http://www.w3.org/2000/svg";
/** Corners of shapes in a square from -1 to 1; circles have none. */
const CORNERS = {
  square: [[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]],
  triangle: [[0, -1.1], [1.05, 0.8], [-1.05, 0.8]],
  wedge: [[0, 1.1], [1.05, -0.8], [-1.05, -0.8]],
  diamond: [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]],
  cross: [[-0.4, -1.1], [0.4, -1.1], [0.4, -0.4], [1.1, -0.4], [1.1, 0.4], [0.4, 0.4], [0.4, 1.1], [-0.4, 1.1], [-0.4, 0.4], [-1.1, 0.4], [-1.1, -0.4], [-0.4, -0.4]],
};

/**
 * Add a mark to a path.
 * @param {CanvasRenderingContext2D} path @param {string} shape @param {number} x @param {number} y @param {number} size half of its width
 */
export function trace(path, shape, x, y, size) {
  if (!CORNERS[shape]) {
    path.moveTo(x + size, y);
    path.arc(x, y, size, 0, 2 * Math.PI);
    return;
  }
  CORNERS[shape].forEach(([right, down], number) => path[number ? "lineTo" : "moveTo"](x + size * right, y + size * down));
  path.closePath();
}

/**
 * Groups of points by value, the most frequent first; numbers of many values by size.
 * @param {{value: any}[]} points
 * @param {string} attribute "" for none
 * @returns {{text: string, colour: string, shape: string, points: any[]}[]}
 */
export function groupsOf(points, attribute) {
  if (!attribute) return [{ text: "all", colour: MARKS[0][0], shape: MARKS[0][1], points }];
  const byValue = Map.groupBy(points, ({ value }) => value);
  const absent = byValue.get(null) ?? [];
  byValue.delete(null);
  const values = [...byValue.keys()], most = MARKS.length - 1;
  const areMany = values.length > most && values.every((value) => typeof value === "number");
  const groups = areMany ? ranges(points.filter(({ value }) => value !== null), most)
    : [...byValue].sort(([, one], [, other]) => other.length - one.length).map(([value, own]) => [String(value), own]);
  const shown = groups.length > most ? groups.slice(0, most) : groups;
  const rest = groups.slice(shown.length).flatMap(([, own]) => own);
  const marked = shown.map(([text, own], number) => ({ text, colour: MARKS[number][0], shape: MARKS[number][1], points: own }));
  const [colour, shape] = MARKS.at(-1);
  const others = [[counted(groups.length - shown.length, "other value"), rest], [`no ${attribute}`, absent]];
  return [...marked, ...others.filter(([, own]) => own.length).map(([text, own]) => ({ text, colour, shape, points: own }))];
}

/** Numbers in so many ranges of about as many points each. */
function ranges(points, count) {
  const sorted = [...points].sort((one, other) => one.value - other.value), found = [];
  let first = 0;
  for (let number = 1; number <= count && first < sorted.length; number += 1) {
    let end = Math.max(first + 1, Math.round((number * sorted.length) / count));
    while (end < sorted.length && sorted[end].value === sorted[end - 1].value) end += 1; // equal ones stay together
    const own = sorted.slice(first, end), [low, high] = [own[0].value, own.at(-1).value];
    found.push([low === high ? String(low) : `${low} to ${high}`, own]);
    first = end;
  }
  return found;
}

/** What marks mean. @param {ReturnType<typeof groupsOf>} groups @param {string} attribute */
export const legend = (groups, attribute) => make("ul.legend", { "aria-label": `Marks by ${attribute}` },
  groups.map(({ text, colour, shape, points }) => make("li", {}, sample(colour, shape), `${text} (${points.length.toLocaleString("en")})`)));

function sample(colour, shape) {
  const svg = document.createElementNS(SVG, "svg");
  const part = document.createElementNS(SVG, CORNERS[shape] ? "polygon" : "circle");
  const values = CORNERS[shape] ? { points: CORNERS[shape].join(" ") } : { r: shape === "ring" ? 0.8 : 1 };
  const now = getComputedStyle(document.documentElement).getPropertyValue(colour).trim();
  const paint = shape === "ring" ? { fill: "none", stroke: now, "stroke-width": 0.5 } : { fill: now };
  part.style[shape === "ring" ? "stroke" : "fill"] = `var(${colour})`; // so that it follows when dark becomes light
  for (const [name, value] of Object.entries({ ...values, ...paint })) part.setAttribute(name, value);
  for (const [name, value] of Object.entries({ viewBox: "-1.3 -1.3 2.6 2.6", width: 16, height: 16, "aria-hidden": "true" })) svg.setAttribute(name, value);
  svg.append(part);
  return svg;
}
