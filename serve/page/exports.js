/** Hits as files for other programs. */

import { ask } from "./api.js";
import { momentsOf } from "./hits.js";

/** Frames a second of an edit list whose film cannot be read. */
const UNKNOWN_FPS = 25;

/** @typedef {import("./api.js").Hit} Hit */

/** A row for each moment. @param {Hit[]} hits */
export function toCsv(hits) {
  const rows = hits.flatMap((hit, rank) => momentsOf(hit).map((each) =>
    [rank + 1, hit.video_id, each.start_s, each.end_s, each.likeness, hit.lead ?? "", hit.sure]));
  const cell = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  return ["rank,video_id,start_s,end_s,likeness,lead,sure", ...rows.map((row) => row.map(cell).join(","))].join("\r\n") + "\r\n";
}

/** The answer of the API. @param {Hit[]} hits */
export const toJson = (hits) => JSON.stringify(hits, null, 2) + "\n";

/**
 * Frames a second of the films of hits, by media id; null where the file cannot be read.
 * @param {Hit[]} hits
 * @returns {Promise<Map<string, number|null>>}
 */
export async function ratesOf(hits) {
  const rates = new Map();
  for (const { media_id: id } of hits) rates.set(id, await ask(`videos/${id}/film`).then(({ fps }) => fps, () => null));
  return rates;
}

/**
 * An edit decision list (CMX 3600) of the best moments one after another. Source times count the frames of each film,
 * record times those of the first one.
 * @param {Hit[]} hits
 * @param {Map<string, number|null>} rates see {@link ratesOf}
 */
export function toEdl(hits, rates) {
  const rateOf = (hit) => rates.get(hit.media_id) ?? UNKNOWN_FPS, whole = hits.length ? rateOf(hits[0]) : UNKNOWN_FPS;
  const lines = ["TITLE: SORA-VIDEO", "FCM: NON-DROP FRAME", `* RECORD FRAME RATE: ${whole.toFixed(3)}`, ""];
  let at = 0;
  hits.forEach((hit, number) => {
    const [best] = momentsOf(hit), rate = rateOf(hit);
    const first = Math.round(best.start_s * rate), last = Math.max(first + 1, Math.round(best.end_s * rate));
    const next = at + Math.max(1, Math.round(((last - first) / rate) * whole));
    const times = [timecode(first, rate), timecode(last, rate), timecode(at, whole), timecode(next, whole)].join(" ");
    lines.push(`${String(number + 1).padStart(3, "0")}  AX       V     C        ${times}`);
    lines.push(`* FROM CLIP NAME: ${hit.video_id.replaceAll(/[\r\n]/g, " ")}`);
    lines.push(`* SOURCE FRAME RATE: ${rate.toFixed(3)}${rates.get(hit.media_id) ? "" : ", as the film's own is not known"}`, "");
    at = next;
  });
  return lines.join("\r\n");
}

/** Frames as hours, minutes, seconds and frames, without frames dropped: 29.97 a second count as 30. @param {number} frame @param {number} rate */
function timecode(frame, rate) {
  const base = Math.max(1, Math.round(rate)), seconds = Math.floor(frame / base);
  return [seconds / 3600, (seconds / 60) % 60, seconds % 60, frame % base]
    .map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");
}
