/** The view of all videos. */

import { make } from "./dom.js";
import { filters } from "./filters.js";
import { grid } from "./grid.js";
import { say } from "./say.js";
import { fresh, link } from "./state.js";
import { counted } from "./times.js";

/** @param {URLSearchParams} state @param {AbortSignal} signal */
export async function show(state, signal) {
  const [choices, { total, content }] = await Promise.all([filters(state, signal), grid(state, signal, (video) => [
    make("p.actions", {}, link("Look and search", { video: video.media_id }, fresh("search"), { "aria-label": `Look and search: ${video.video_id}` })),
  ])]);
  say(total ? `${counted(total, "video")}.` : "No video passes. Take a filter away.");
  return [make("section.card.ask", { "aria-label": "Filters" }, choices), ...content].filter(Boolean);
}
