/** The view of all videos. */

import { make } from "./dom.js";
import { filters } from "./filters.js";
import { grid } from "./grid.js";
import { attempt, say } from "./say.js";
import { fresh, link } from "./state.js";
import { counted } from "./times.js";

/** @param {URLSearchParams} state @param {AbortSignal} signal */
export async function show(state, signal) {
  const choices = make("section.card.ask", { "aria-label": "Filters" }, await filters(state, signal));
  const videos = await attempt(() => grid(state, signal, look));
  if (!videos) return [choices];
  say(videos.total ? `${counted(videos.total, "video")}.` : "No video passes. Take a filter away.");
  return [choices, ...videos.content];
}

/** A way to a video. @param {import("./api.js").Video} video */
const look = (video) => make("p.actions", {}, link("Look and search", { video: video.media_id }, fresh("search"),
  { "aria-label": `Look and search: ${video.video_id}` }));
