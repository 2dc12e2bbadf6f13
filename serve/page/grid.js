/** Videos as a grid, page by page, so that a library may have any number of them. */

import { ask } from "./api.js";
import { field, make } from "./dom.js";
import { moment } from "./moment.js";
import { go, link } from "./state.js";
import { counted } from "./times.js";

const PAGE = 48;
/** Seconds of a video that its picture plays. */
const TASTE_S = 4;

/**
 * The page of a state.
 * @param {URLSearchParams} state
 * @param {AbortSignal} signal
 * @param {(video: import("./api.js").Video) => any[]} more what stands below each
 * @returns {Promise<{total: number, videos: import("./api.js").Video[], content: HTMLElement[]}>}
 */
export async function grid(state, signal, more) {
  const offset = Math.max(0, Math.floor(+(state.get("offset") ?? 0)) || 0);
  const { total, videos } = await ask("videos", { query: { where: state.getAll("where"), offset, limit: PAGE }, signal });
  const items = videos.map((video) => make("li.card.video", {},
    moment(video.media_id, video.video_id, { start_s: 0, end_s: TASTE_S }).element,
    make("h2.name", {}, video.video_id),
    make("p.soft", {}, [counted(video.slices, "slice"), ...Object.entries(video.attributes).map(([name, value]) => `${name} ${value}`)].join(", ")),
    more(video)));
  return { total, videos, content: [make("ul.videos", { "aria-label": "Videos" }, items), pages(total, offset, state)].filter(Boolean) };
}

function pages(total, offset, state) {
  const last = Math.max(1, Math.ceil(total / PAGE)), page = Math.floor(offset / PAGE) + 1;
  const to = (number) => ({ offset: number <= 1 ? null : (number - 1) * PAGE });
  const input = make("input", { id: "page", type: "number", min: 1, max: last, value: page,
    onchange: () => go(to(Math.min(last, Math.max(1, Math.floor(+input.value) || 1)))) });
  return last > 1 && make("nav.row", { "aria-label": "Pages" },
    page > 1 && link("Previous", to(page - 1), state, { rel: "prev", id: "previous" }),
    field(`Page of ${last.toLocaleString("en")}`, input),
    page < last && link("Next", to(page + 1), state, { rel: "next", id: "next" }));
}
