/** Hits as files for other programs. */

import { momentsOf } from "./hits.js";

/** Pictures a second of an edit list, which has no other times. */
const EDL_FPS = 25;

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

/** An edit decision list (CMX 3600) of the best moments one after another. @param {Hit[]} hits */
export function toEdl(hits) {
  const lines = ["TITLE: SORA-VIDEO", "FCM: NON-DROP FRAME", ""];
  let at = 0;
  hits.forEach((hit, number) => {
    const [best] = momentsOf(hit);
    const first = Math.round(best.start_s * EDL_FPS), last = Math.max(first + 1, Math.round(best.end_s * EDL_FPS));
    const times = [first, last, at, at + last - first].map(timecode).join(" ");
    lines.push(`${String(number + 1).padStart(3, "0")}  AX       V     C        ${times}`);
    lines.push(`* FROM CLIP NAME: ${hit.video_id.replaceAll(/[\r\n]/g, " ")}`, "");
    at += last - first;
  });
  return lines.join("\r\n");
}

/** @param {number} frame */
function timecode(frame) {
  const seconds = Math.floor(frame / EDL_FPS);
  return [seconds / 3600, (seconds / 60) % 60, seconds % 60, frame % EDL_FPS]
    .map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");
}
