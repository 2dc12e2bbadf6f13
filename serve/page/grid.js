/** Videos as a grid that is scrolled through, however many a library has: only what is near the window is there. */

import { ask } from "./api.js";
import { field, make } from "./dom.js";
import { moment } from "./moment.js";
import { sayError } from "./say.js";
import { address } from "./state.js";
import { counted } from "./times.js";

/** Videos of a part, which comes and goes as a whole; pixels around the window within which parts are there. */
const PART = 48, AROUND = 1200;
/** Pixels of a video in the grid, until a part was there: width with its gap, and height. */
const [WIDE, HIGH] = [246, 250];
/** Seconds of a video that its picture plays. */
const TASTE_S = 4;

/**
 * The grid of a state, from its beginning; `offset` of the state is what is scrolled to.
 * @param {URLSearchParams} state
 * @param {AbortSignal} signal
 * @param {(video: import("./api.js").Video) => any[]} more what stands below each
 * @returns {Promise<{total: number, content: HTMLElement[]}>}
 */
export async function grid(state, signal, more) {
  const page = (number) => ask("videos", { query: { where: state.getAll("where"), offset: number * PART, limit: PART }, signal });
  const wanted = Math.floor(Math.max(0, +(state.get("offset") ?? 0) || 0) / PART);
  let first = await page(wanted);
  const { total } = first, count = Math.max(1, Math.ceil(total / PART)), start = Math.min(wanted, count - 1);
  if (start < wanted) first = await page(start);
  const parts = Array.from({ length: count }, (_, number) =>
    make("ul.videos", { "aria-label": count === 1 ? "Videos" : `Videos ${number * PART + 1} to ${Math.min(total, (number + 1) * PART)}` }));
  const numbers = new Map(parts.map((part, number) => [part, number])), near = new Set();
  const fill = (part, { videos }) => {
    part.replaceChildren(...videos.map((video) => item(video, more)));
    part.style.minHeight = "";
  };
  const take = (part) => page(numbers.get(part)).then((answer) => near.has(part) && !part.firstChild && fill(part, answer)).catch(sayError);
  const leave = (part) => {
    if (part.contains(document.activeElement)) return;
    if (part.firstChild) part.style.minHeight = `${part.offsetHeight}px`;
    part.replaceChildren();
  };
  for (const part of parts) part.style.minHeight = `${heightOf(PART)}px`;
  fill(parts[start], first);
  let jumped = start === 0;
  const observer = new IntersectionObserver((entries) => {
    if (!jumped && parts[start].isConnected) {
      jumped = true;
      if (!isShown(parts[start])) parts[start].scrollIntoView();
    }
    for (const { target, isIntersecting, boundingClientRect } of entries) {
      if (!target.isConnected || !boundingClientRect.width) continue; // seen before it was on the page
      near[isIntersecting ? "add" : "delete"](target);
      if (!isIntersecting) leave(target);
      else if (!target.firstChild) take(target);
    }
  }, { rootMargin: `${AROUND}px 0px` });
  parts.forEach((part) => observer.observe(part));
  signal.addEventListener("abort", () => observer.disconnect());
  if (count > 1) addEventListener("scrollend", () => note(parts), { signal });
  return { total, content: [count > 1 && jump(parts, total), ...parts].filter(Boolean) };
}

const item = (video, more) => make("li.card.video", {},
  moment(video.media_id, video.video_id, { start_s: 0, end_s: TASTE_S }).element,
  make("h2.name", {}, video.video_id),
  make("p.soft", {}, [counted(video.slices, "slice"), ...Object.entries(video.attributes).map(([name, value]) => `${name} ${value}`)].join(", ")),
  more(video));

/** About how high so many videos are. */
const heightOf = (videos) => HIGH * Math.ceil(videos / Math.max(1, Math.floor(Math.min(innerWidth, 1240) / WIDE)));

const isShown = (part) => {
  const { top, bottom } = part.getBoundingClientRect();
  return top < innerHeight && bottom > 0;
};

/** Keep in the address what is looked at. */
function note(parts) {
  const number = parts.findIndex((part) => part.getBoundingClientRect().bottom > 0);
  history.replaceState(null, "", address({ offset: number > 0 ? number * PART : null }));
}

/** A way to any place of a long grid, and past it. */
function jump(parts, total) {
  const input = make("input", { id: "from", type: "number", min: 1, max: total, value: 1, onchange: () => {
    const number = Math.min(total, Math.max(1, Math.floor(+input.value) || 1));
    parts[Math.floor((number - 1) / PART)].scrollIntoView();
  } });
  return make("nav.row", { "aria-label": "Place in the list" }, field(`Go to video, of ${total.toLocaleString("en")}`, input));
}
