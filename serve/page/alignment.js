/** Which parts of a query are which parts of a film: the query above, the film below, and what joins them. */

import { button, make } from "./dom.js";
import { libraryVideo, sourceOf } from "./source.js";
import { clock, spanText } from "./times.js";

const FRAMES = 10, COLOURS = 6;
/** Of the parts' extent, what is shown of the film before and after them. */
const AROUND = 0.5;

/** @typedef {{start_s: number, end_s: number}} Span */

/**
 * @param {import("./api.js").Hit} hit with aligned parts
 * @param {URLSearchParams} state @param {AbortSignal} signal
 */
export async function alignment(hit, state, signal) {
  const parts = [...hit.aligned].sort((one, other) => one.query_start_s - other.query_start_s);
  const inQuery = (part) => ({ start_s: part.query_start_s, end_s: part.query_end_s });
  const source = await sourceOf(state, signal) ?? { name: "Query", span: null, strip: () => "", play: null };
  const film = libraryVideo(hit.media_id, hit.video_id);
  const above = screen(source), below = screen(film);
  const queryRange = source.span ?? extent(parts.map(inQuery), 0, Infinity), filmRange = extent(parts, AROUND, hit.duration_s);
  const playBoth = (part) => {
    above?.play(inQuery(part));
    below.play(part);
  };
  return make("div.pair", {},
    make("p.soft", {}, `Query: ${source.name}, ${spanText(queryRange)}`),
    rail(source, queryRange, parts.map(inQuery), "the query", above?.play),
    joins(parts, queryRange, filmRange, inQuery),
    rail(film, filmRange, parts, "the film", below.play),
    make("p.soft", {}, `Film: ${hit.video_id}, ${spanText(filmRange)}`),
    make("ol.parts", { "aria-label": "Parts that match" }, parts.map((part, number) => make("li", {},
      `${spanText(inQuery(part))} of the query is ${spanText(part)} of the film, likeness ${part.likeness.toFixed(3)}, speed ${part.speed.toFixed(2)}`,
      make("span.actions", {}, button(above ? "Play both" : "Play", () => playBoth(part), { "aria-label": `Play part ${number + 1}${above ? " of both" : ""}` }))))),
    make("div.screens", {}, above?.element ?? "", below.element));
}

/** From the first part to the last, and a share of it around, within the film. */
function extent(spans, around, duration) {
  const start = Math.min(...spans.map((span) => span.start_s)), end = Math.max(...spans.map((span) => span.end_s));
  const more = around * (end - start);
  return { start_s: Math.max(0, start - more), end_s: Math.min(duration, end + more) };
}

const percent = (at, range) => (100 * (Math.min(Math.max(at, range.start_s), range.end_s) - range.start_s)) / (range.end_s - range.start_s || 1);

/** Frames of a range with its parts on them; a press plays one. */
function rail(source, range, parts, of, play) {
  const marks = parts.map((part, number) => {
    const text = `Part ${number + 1} of ${of}, ${spanText(part)}`;
    const tag = make("span.tag", {}, String(number + 1));
    const mark = play ? button("", () => play(part), { class: `mark s${number % COLOURS}`, title: text, "aria-label": `Play ${text}` })
      : make(`span.mark.s${number % COLOURS}`, { title: text });
    mark.append(tag);
    mark.style.left = `${percent(part.start_s, range)}%`;
    mark.style.width = `${percent(part.end_s, range) - percent(part.start_s, range)}%`;
    return mark;
  });
  return make("div", {}, make("div.rail", { role: "group", "aria-label": `Parts of ${of}` }, source.strip(range.start_s, range.end_s, FRAMES), marks),
    make("div.ends", { "aria-hidden": "true" }, make("span", {}, clock(range.start_s)), make("span", {}, clock(range.end_s))));
}

/** What joins the parts; the list of parts says the same in words. */
function joins(parts, queryRange, filmRange, inQuery) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "joins", "aria-hidden": "true" })) svg.setAttribute(name, value);
  parts.forEach((part, number) => {
    const shape = document.createElementNS("http://www.w3.org/2000/svg", "polygon"), query = inQuery(part);
    const corners = [[query.start_s, queryRange, 0], [query.end_s, queryRange, 0], [part.end_s, filmRange, 10], [part.start_s, filmRange, 10]];
    shape.setAttribute("points", corners.map(([at, range, y]) => `${percent(at, range).toFixed(2)},${y}`).join(" "));
    shape.setAttribute("class", `s${number % COLOURS}`);
    svg.append(shape);
  });
  return svg;
}

/** A player that is there once it plays; null where there is nothing to play. @param {import("./source.js").Source} source */
function screen(source) {
  if (!source.play) return null;
  const element = make("div", {}), note = make("small.note", { role: "status" });
  let video = null;
  return { element, play(span) {
    if (!video) {
      video = make("video.player", { controls: true, playsinline: true, preload: "none", "aria-label": source.name });
      video.muted = true;
      element.append(video, note);
    }
    source.play(video, span, (text) => (note.textContent = text));
    video.play().catch(() => {});
  } };
}
