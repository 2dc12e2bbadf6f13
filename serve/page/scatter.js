/** Points on a canvas: hover or arrow keys find one, a line drawn around some, or a key, chooses a region. */

import { trace } from "./colours.js";
import { make } from "./dom.js";
import { circleAround, simpler } from "./region.js";

/** Pixels: margin of the plot, how near the pointer must be to a point, how far it moves until it draws. */
const [MARGIN, NEAR, MOVED] = [14, 18, 6];
/** Points of a path; long paths take a browser long to fill. */
const AT_ONCE = 200;
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @typedef {{x: number, y: number, video_id: string}} Point */

/**
 * @param {{points: Point[], groups: ReturnType<import("./colours.js").groupsOf>, box: number[], corners: [number, number][],
 *   label: string, present: Point|undefined, count: () => number, found: (point: Point) => void,
 *   chosen: (corners: [number, number][]) => void}} about `box` is what is shown: left, top, right, bottom; `corners`
 *   are the region's; `present` is the point that was found last; `count` says how many the key Enter chooses
 * @param {AbortSignal} signal
 * @returns {HTMLElement}
 */
export function scatter({ points, groups, box, corners, label, present, count, found, chosen }, signal) {
  const below = make("canvas", { "aria-hidden": "true" });
  const above = make("canvas", { id: "map", tabindex: 0, role: "application", "aria-roledescription": "map", "aria-label": label });
  const plot = make("div.plot", {}, below, above);
  let scale = 1, [left, top] = [0, 0], path = [];

  const at = ({ x, y }) => [left + x * scale, top + y * scale];
  const place = ([x, y]) => [(x - left) / scale, (y - top) / scale];
  const shown = points.filter(({ x, y }) => x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3]);
  const size = shown.length > 20_000 ? 2 : shown.length > 3000 ? 2.6 : shown.length > 300 ? 4 : 6;

  function draw() {
    const { clientWidth: width, clientHeight: height } = plot;
    scale = Math.max(1, Math.min((width - 2 * MARGIN) / (box[2] - box[0]), (height - 2 * MARGIN) / (box[3] - box[1])));
    [left, top] = [(width - scale * (box[0] + box[2])) / 2, (height - scale * (box[1] + box[3])) / 2];
    const context = cleared(below, width, height);
    for (const group of [...groups].reverse()) paint(context, group);
    mark();
  }
  function paint(context, { colour, shape, points: own }) {
    context.fillStyle = context.strokeStyle = getComputedStyle(plot).getPropertyValue(colour);
    context.globalAlpha = 0.9;
    for (let first = 0; first < own.length; first += AT_ONCE) {
      context.beginPath();
      for (const point of own.slice(first, first + AT_ONCE)) trace(context, shape, ...at(point), size);
      context[shape === "ring" ? "stroke" : "fill"]();
    }
  }
  /** Draw the region, the path of the pointer and the point that was found. */
  function mark() {
    const context = cleared(above, plot.clientWidth, plot.clientHeight), style = getComputedStyle(plot);
    context.strokeStyle = context.fillStyle = style.getPropertyValue("--accent");
    context.lineWidth = 2;
    for (const [line, isClosed] of [[corners.map(([x, y]) => at({ x, y })), true], [path, false]]) {
      if (line.length < 2) continue;
      context.beginPath();
      line.forEach(([x, y], number) => context[number ? "lineTo" : "moveTo"](x, y));
      if (isClosed) context.closePath();
      context.stroke();
      context.globalAlpha = 0.12;
      context.fill("evenodd");
      context.globalAlpha = 1;
    }
    if (!present) return;
    context.strokeStyle = style.getPropertyValue("--ink");
    context.beginPath();
    context.arc(...at(present), size + 6, 0, 2 * Math.PI);
    context.stroke();
  }
  function find(point) {
    if (!point || point === present) return;
    present = point;
    mark();
    found(point);
  }
  const nearest = ([x, y]) => {
    const [best, far] = least(shown, (point) => Math.hypot(at(point)[0] - x, at(point)[1] - y));
    return far <= NEAR ? best : undefined;
  };
  const spot = (event) => [event.offsetX, event.offsetY];

  above.addEventListener("pointerdown", (event) => {
    above.setPointerCapture(event.pointerId);
    path = [spot(event)];
  });
  above.addEventListener("pointermove", (event) => {
    if (!path.length) return find(nearest(spot(event)));
    if (distance(path.at(-1), spot(event)) >= MOVED) path.push(spot(event));
    return mark();
  });
  above.addEventListener("pointerup", (event) => {
    const line = path;
    path = [];
    if (line.length > 2) chosen(simpler(line.map(place)));
    else find(nearest(spot(event)));
    mark();
  });
  above.addEventListener("pointercancel", () => ((path = []), mark()));
  above.addEventListener("focus", () => above.matches(":focus-visible") && find(present ?? least(shown, ({ x, y }) => Math.hypot(x - 0.5, y - 0.5))[0]));
  above.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" && present) chosen(circleAround(points, present, count()));
    else if (WAYS[event.key]) find(beside(shown, present, WAYS[event.key]));
    else if (event.key === "PageDown" || event.key === "PageUp") find(shown.at((shown.indexOf(present) + (event.key === "PageDown" ? 1 : -1)) % shown.length));
    else return;
    event.preventDefault();
  });
  const sizes = new ResizeObserver(draw);
  sizes.observe(plot);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", draw, { signal });
  signal.addEventListener("abort", () => sizes.disconnect());
  return plot;
}

/** The context of a canvas without anything on it, in pixels of the page. */
function cleared(canvas, width, height) {
  const ratio = devicePixelRatio;
  [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}

const distance = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ay - by);

/** The item with the least measure, and that. */
function least(items, measure) {
  let best, far = Infinity;
  for (const item of items) {
    const own = measure(item);
    if (own < far) [best, far] = [item, own];
  }
  return [best, far];
}

/** The next point in a direction: near, and not far aside. */
function beside(points, from, [right, down]) {
  if (!from) return points[0];
  const [best, far] = least(points, (point) => {
    const [x, y] = [point.x - from.x, point.y - from.y];
    const [along, aside] = [x * right + y * down, Math.abs(x * down) + Math.abs(y * right)];
    return along > 0 && aside <= 2 * along ? along + 2 * aside : Infinity;
  });
  return far < Infinity ? best : undefined;
}
