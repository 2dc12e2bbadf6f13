/** What is selected to be labelled, on whatever page: videos by name, and moments. */

import { spanText } from "./times.js";

/** @typedef {{media_id: string, video_id: string, start_s: number, end_s: number}} Chosen */

/** Names of videos. @type {Set<string>} */
export const videos = new Set();
/** @type {Map<string, Chosen>} */
export const moments = new Map();

/** What tells moments apart. @param {Chosen} moment */
export const keyOf = ({ video_id, start_s, end_s }) => `${start_s.toFixed(3)} ${end_s.toFixed(3)} ${video_id}`;

/** Select a moment, or no more. @param {Chosen} moment @param {boolean} wanted */
export function choose(moment, wanted) {
  if (wanted) moments.set(keyOf(moment), moment);
  else moments.delete(keyOf(moment));
}

/** Select nothing. */
export function clear() {
  videos.clear();
  moments.clear();
}

/** A moment in words. @param {Chosen} moment */
export const told = (moment) => `${moment.video_id}, ${spanText(moment)}`;
