/** What the address asks for, as examples of a search: slices, a span of a video, words, or files. */

import { ask } from "./api.js";

/** Files that were chosen, by what the address calls them; an address cannot hold a file. @type {Map<string, File[]>} */
const uploads = new Map();
/** Addresses of files within the page, made once. @type {WeakMap<File, string>} */
const urls = new WeakMap();

/** No query, as changes of a state. */
export const NOTHING = { video: null, start: null, end: null, slice: null, text: null, upload: null, apart: null, exclude: null };

/** Keep files, and give them a name for the address. @param {FileList|File[]} files */
export function keep(files) {
  const all = [...files], kind = all.every(isImage) ? "images" : "files";
  const name = all.length === 1 ? all[0].name : `${all.length} ${kind}`;
  uploads.set(name, all);
  return name;
}

/** The files that a state names; undefined where they are not known. @param {URLSearchParams} state */
export const filesOf = (state) => uploads.get(state.get("upload"));

/** @param {File} file */
export const isImage = (file) => file.type.startsWith("image/");

/** @param {File} file */
export function urlOf(file) {
  if (!urls.has(file)) urls.set(file, URL.createObjectURL(file));
  return urls.get(file);
}

/** Whether a state asks for anything. @param {URLSearchParams} state */
export const isAsked = (state) => ["slice", "text", "end", "upload"].some((name) => state.has(name));

/** The span of a state. @param {URLSearchParams} state */
const spanOf = (state) => ({ start_s: state.has("start") ? +state.get("start") : null, end_s: state.has("end") ? +state.get("end") : null });

/**
 * Ask for hits of a state; null where it asks for nothing, or for files that are not known.
 * @param {URLSearchParams} state
 * @param {AbortSignal} signal
 * @returns {Promise<import("./api.js").Hit[]|null>}
 */
export async function find(state, signal) {
  const how = { top: +(state.get("top") ?? 10), exclude: state.getAll("exclude"), where: state.getAll("where"), by: state.get("by") };
  const slices = state.getAll("slice").map(Number);
  if (state.has("upload")) return filesOf(state) ? findFiles(filesOf(state), slices, how, state, signal) : null;
  const examples = slices.map((slice_id) => ({ slice_id }));
  if (state.has("text")) examples.push({ text: state.get("text") });
  if (state.has("video") && state.has("end")) {
    const { video_id } = await ask(`videos/${state.get("video")}`, { signal });
    examples.push({ video_id, ...spanOf(state) });
  }
  if (!examples.length) return null;
  const body = examples.length === 1 ? examples[0] : { several: examples };
  return (await ask("search", { body: { ...how, ...body }, signal })).hits;
}

async function findFiles(files, slices, how, state, signal) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  const more = files.length + slices.length > 1 ? { apart: state.has("apart"), slice_id: slices } : spanOf(state);
  for (const [name, value] of Object.entries({ ...how, ...more }))
    for (const each of [value].flat()) if (each !== null) form.append(name, each);
  return (await ask("search/upload", { body: form, signal })).hits;
}
