/** The choice of a span: two handles over a strip of frames, and the same as number fields. */

import { stripUrl } from "./api.js";
import { field, make } from "./dom.js";

const LEAST_S = 0.1;

/**
 * @param {{duration: number, start: number, end: number, id: string|null, name: string,
 *   changed?: (start: number, end: number) => void}} about `id` null: there is no strip
 * @returns {{element: HTMLElement, value: () => [number, number]}}
 */
export function spanPicker({ duration, start, end, id, name, changed = () => {} }) {
  const control = (type, key, text) => make("input", {
    type, min: 0, max: duration.toFixed(1), step: 0.1, id: `${key}-${type}`,
    "aria-label": type === "range" ? text : null,
  });
  const ranges = [control("range", "start", "Start of the span"), control("range", "end", "End of the span")];
  const numbers = [control("number", "start"), control("number", "end")];
  const chosen = make("div.chosen", {});

  function set(first, last, moved) {
    const limit = Math.max(duration, LEAST_S);
    start = Math.min(Math.max(0, first || 0), limit - LEAST_S);
    end = Math.min(Math.max(0, last || 0), limit);
    if (end - start < LEAST_S) [start, end] = moved ? [Math.max(0, end - LEAST_S), Math.max(end, LEAST_S)] : [start, start + LEAST_S];
    [start, end].forEach((value, number) => {
      ranges[number].value = numbers[number].value = value.toFixed(1);
      ranges[number].setAttribute("aria-valuetext", `${value.toFixed(1)} seconds`);
    });
    chosen.style.left = `${(100 * start) / limit}%`;
    chosen.style.width = `${(100 * (end - start)) / limit}%`;
    changed(start, end);
  }
  for (const pair of [ranges, numbers])
    pair.forEach((input, number) =>
      input.addEventListener(pair === ranges ? "input" : "change", () =>
        set(number ? start : +input.value, number ? +input.value : end, number)));
  set(start, end, 0);
  const count = Math.min(16, Math.max(4, Math.floor(Math.min(innerWidth, 1000) / 96)));
  const strip = id && make("img", { src: stripUrl(id, 0, duration, count), alt: `Frames of all of ${name}` });
  return {
    element: make("div.span", {},
      make(`div.handles${id ? "" : ".bare"}`, {}, strip, chosen, ranges),
      make("div.row", {}, field("Start, seconds", numbers[0]), field("End, seconds", numbers[1]))),
    value: () => [+start.toFixed(1), +end.toFixed(1)],
  };
}
