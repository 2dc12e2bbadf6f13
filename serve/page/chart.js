/** Line charts as SVG, drawn to the width that they have, so that their labels keep their size. */

import { make } from "./dom.js";

const HEIGHT = 220, TOP = 10, RIGHT = 26, BOTTOM = 24, LABEL = 13, LETTER_GAP = 5;
/** Pixels between two labels of the horizontal axis, and of a figure of a label. */
const SPACE = 70, FIGURE = 7.5;

/** @typedef {{letter: string, style: number, points: [number, number][]}} Line `style` of `page.css` */

/**
 * @param {{title: string, axis: string, lines: Line[]}} about
 * @returns {{element: HTMLElement, mark: (x: number|null) => void}} `mark` draws a line at a place
 */
export function chart({ title, axis, lines }) {
  const summary = `${title} by ${axis}. ${lines.map(told).join(" ")}`;
  const box = make("div.picture", {});
  let at = null, width = 0;
  const draw = () => width && box.replaceChildren(picture({ width, lines, at, summary }));
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width === width) return;
    width = contentRect.width;
    draw();
  }).observe(box);
  return {
    element: make("figure.chart", {}, make("figcaption", {}, title), box),
    mark(x) {
      at = x;
      draw();
    },
  };
}

const told = ({ letter, points }) =>
  `${letter}: from ${figure(points[0][1])} to ${figure(points.at(-1)[1])}, least ${figure(Math.min(...points.map(([, y]) => y)))}.`;

function picture({ width, lines, at, summary }) {
  const all = lines.flatMap(({ points }) => points);
  const [left, right] = range(all.map(([x]) => x)), levels = ticks(...range(all.map(([, y]) => y)), 4);
  const [low, high] = [levels[0], levels.at(-1)];
  const margin = 6 + FIGURE * Math.max(...levels.map((level) => figure(level).length));
  const place = ([x, y]) => [
    margin + ((x - left) / (right - left || 1)) * (width - margin - RIGHT),
    TOP + ((high - y) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM)];
  const svg = draw("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": summary });
  for (const level of levels) {
    const [, y] = place([left, level]);
    svg.append(draw("line", { x1: margin, x2: width - RIGHT, y1: y, y2: y, class: "grid" }),
      label(figure(level), margin - 6, y + 4, "end"));
  }
  for (const x of ticks(left, right, Math.max(1, Math.floor((width - margin) / SPACE))).filter((x) => x >= left && x <= right))
    svg.append(label(figure(x), place([x, low])[0], HEIGHT - 6, "middle"));
  const ends = apart(lines.map(({ points }) => place(points.at(-1))[1]));
  lines.forEach(({ letter, style, points }, number) => {
    svg.append(draw("polyline", { points: points.map((point) => place(point).map((each) => each.toFixed(1)).join()).join(" "), class: `line s${style}` }));
    if (points.length === 1) svg.append(draw("circle", { cx: place(points[0])[0], cy: place(points[0])[1], r: 3, class: `dot s${style}` }));
    svg.append(label(letter, place(points.at(-1))[0] + LETTER_GAP, ends[number] + 4, "start", "letter"));
  });
  if (at !== null && at >= left && at <= right) {
    const [x] = place([at, low]);
    svg.append(draw("line", { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM, class: "cursor" }));
  }
  return svg;
}

/** Round numbers from at or below the least to at or above the greatest. */
function ticks(low, high, count) {
  const rough = (high - low || Math.abs(high) || 1) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= rough * 0.999);
  const [first, last] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)];
  return Array.from({ length: Math.max(1, last - first) + 1 }, (_, number) => +((first + number) * step).toPrecision(12));
}

/** Heights of labels that do not lie over each other, in the order of the lines. */
function apart(heights) {
  const order = heights.map((_, number) => number).sort((one, other) => heights[one] - heights[other]);
  const placed = [...heights];
  order.forEach((number, rank) => rank && (placed[number] = Math.max(placed[number], placed[order[rank - 1]] + LABEL)));
  const over = Math.max(0, Math.max(...placed) - (HEIGHT - BOTTOM));
  order.toReversed().forEach((number, rank) => {
    const least = HEIGHT - BOTTOM - rank * LABEL;
    if (over) placed[number] = Math.min(placed[number], least);
  });
  return placed;
}

const range = (values) => [Math.min(...values), Math.max(...values)];

/** A number in few figures. @param {number} value */
export const figure = (value) => {
  const size = Math.abs(value);
  if (size && (size < 1e-3 || size >= 1e6)) return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
  return String(+value.toPrecision(4));
};

function draw(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function label(text, x, y, anchor, kind = "tick") {
  const element = draw("text", { x, y, "text-anchor": anchor, class: kind });
  element.textContent = text;
  return element;
}
