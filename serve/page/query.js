/** What is searched for: a file, a span of a library's video, a slice, or words. */

import { ask, cutUrl, posterUrl, stripUrl } from "./api.js";
import { button, field, make } from "./dom.js";
import { load } from "./moment.js";
import { attempt, say } from "./say.js";
import { fresh, go, link } from "./state.js";
import { spanPicker } from "./span.js";
import { counted, spanText } from "./times.js";

/** Files that were chosen, by what the address calls them; an address cannot hold a file. */
const uploads = new Map();
const NOTHING = { video: null, start: null, end: null, slice: null, text: null, upload: null, exclude: null };

/** A search by files. @param {FileList} files */
export function searchFor(files) {
  if (!files.length) return;
  const name = files.length === 1 ? files[0].name : `${files.length} images`;
  uploads.set(name, [...files]);
  go({ ...NOTHING, upload: name });
}

/** The files that a state names. @param {URLSearchParams} state */
export const filesOf = (state) => uploads.get(state.get("upload"));

/** Where files are dropped or chosen. @param {Record<string, any>} info */
export function dropZone({ server }) {
  const input = make("input", { type: "file", id: "file", multiple: true, accept: "video/*,image/*,.mkv,.ts",
    "aria-describedby": "file-help", onchange: () => searchFor(input.files) });
  const zone = make("div.drop", {
    ondragover: (event) => { event.preventDefault(); zone.classList.add("over"); },
    ondragleave: () => zone.classList.remove("over"),
    ondrop: (event) => { event.preventDefault(); zone.classList.remove("over"); searchFor(event.dataTransfer.files); },
  }, make("label", { for: "file" }, "Drop a video or images here, or choose"), input,
  make("small.soft", { id: "file-help" }, `One video of at most ${counted(server.upload_seconds, "second")}, or several images; ${counted(server.upload_megabytes, "megabyte")} in all.`));
  return zone;
}

/** The field for words; nothing where the encoder has none. @param {URLSearchParams} state @param {AbortSignal} signal */
export async function wordsField(state, signal) {
  const { words } = await ask("encoder", { signal });
  if (!words) return null;
  const input = make("input", { id: "words", type: "search", value: state.get("text") ?? "", placeholder: "a person falls" });
  return make("form.row", { role: "search", onsubmit: (event) => {
    event.preventDefault();
    if (input.value.trim()) go({ ...NOTHING, text: input.value.trim() });
  } }, field("Words", input), make("button.main", { type: "submit" }, "Search"));
}

/** The query as it is now, to look at and to change. @param {URLSearchParams} state @param {AbortSignal} signal */
export async function present(state, signal) {
  if (state.has("slice")) return slicePanel(state, signal);
  if (state.has("video")) return videoPanel(state, signal);
  if (state.has("upload")) return uploadPanel(state);
  return null;
}

async function slicePanel(state, signal) {
  const slice = await ask(`slices/${state.get("slice")}`, { signal });
  const span = { video: slice.media_id, start: slice.start_s, end: slice.end_s };
  return make("section", { "aria-label": "Query" },
    make("h2", {}, `More like ${slice.video_id}`),
    make("p.soft", {}, `${spanText(slice)}; its own video is left out.`),
    make("img.strip", { src: stripUrl(slice.media_id, slice.start_s, slice.end_s), alt: `Frames of ${slice.video_id}, ${spanText(slice)}` }),
    make("p.actions", {}, link("Choose another span of it", { ...NOTHING, ...span }, state)));
}

async function videoPanel(state, signal) {
  const id = state.get("video");
  const video = await ask(`videos/${id}`, { signal });
  const duration = Math.max(0.1, video.duration_s), note = make("small.note", { role: "status" });
  const [start, end] = [+(state.get("start") ?? 0), +(state.get("end") ?? duration)];
  const player = make("video.player", { controls: true, preload: "none", "aria-label": video.video_id,
    poster: posterUrl(id, start) });
  player.muted = true;
  const cut = make("a", { id: "cut", download: "" }, "Cut the span as mp4");
  const picker = spanPicker({ duration, start, end, id, name: video.video_id,
    changed: (from, to) => (cut.href = cutUrl(id, +from.toFixed(1), +to.toFixed(1))) });
  const begin = ([from, to]) => {
    load(player, id, `#t=${from},${to}`, (text) => (note.textContent = text));
    player.play().catch(() => {});
  };
  player.addEventListener("play", () => player.getAttribute("src") || begin(picker.value()));
  const search = () => {
    const [from, to] = picker.value();
    const own = state.getAll("exclude");
    go({ ...NOTHING, video: id, start: from, end: to, exclude: own.length ? own : [video.video_id] });
  };
  return make("section", { "aria-label": "Query" },
    make("h2", {}, video.video_id),
    make("div.choose", {}, make("div", {}, player, note),
      make("div", {}, picker.element,
        make("p.actions", {}, button("Search for this span", search, { class: "main", id: "search-span" }),
          button("Play the span", () => begin(picker.value()), { id: "play-span" }),
          cut, link("More videos", { view: "browse" }, fresh("browse"))))));
}

async function uploadPanel(state) {
  const files = filesOf(state), name = state.get("upload");
  if (!files) return make("p.soft", {}, `An address cannot hold a file: choose ${name} again.`);
  const panel = make("section", { "aria-label": "Query" }, make("h2", {}, name));
  if (files.length > 1 || !files[0].type.startsWith("video/")) return panel;
  const player = make("video.player", { controls: true, preload: "metadata", "aria-label": name, src: URL.createObjectURL(files[0]) });
  player.muted = true;
  const place = make("div", {});
  player.addEventListener("loadedmetadata", () => {
    const [start, end] = [+(state.get("start") ?? 0), +(state.get("end") ?? player.duration)];
    const picker = spanPicker({ duration: player.duration, start, end, id: null, name });
    place.replaceChildren(picker.element, make("p.actions", {}, button("Search for this span", () => {
      const [from, to] = picker.value();
      go({ start: from, end: to });
    }, { class: "main", id: "search-span" })));
  });
  panel.append(make("div.choose", {}, player, place));
  return panel;
}

/**
 * Ask for hits of a state; null where it asks for nothing.
 * @param {URLSearchParams} state
 * @param {AbortSignal} signal
 * @returns {Promise<import("./api.js").Hit[]|null>}
 */
export async function find(state, signal) {
  const how = { top: +(state.get("top") ?? 10), exclude: state.getAll("exclude"), where: state.getAll("where"), by: state.get("by") };
  const span = { start_s: state.has("start") ? +state.get("start") : null, end_s: state.has("end") ? +state.get("end") : null };
  const post = async (body) => (await ask("search", { body: { ...how, ...body }, signal })).hits;
  if (state.has("slice")) return post({ slice_id: +state.get("slice") });
  if (state.has("text")) return post({ text: state.get("text") });
  if (state.has("video") && state.has("end")) {
    const { video_id } = await ask(`videos/${state.get("video")}`, { signal });
    return post({ video_id, ...span });
  }
  if (!filesOf(state)) return null;
  const form = new FormData();
  for (const file of filesOf(state)) form.append("file", file, file.name);
  for (const [name, value] of Object.entries({ ...how, ...span }))
    for (const each of [value].flat()) if (each !== null) form.append(name, each);
  return (await ask("search/upload", { body: form, signal })).hits;
}

/** Copy the address. */
export const copyLink = () => attempt(async () => {
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    throw new Error("the browser does not let the page copy; copy the address from its address bar");
  }
  say("The link is copied.");
});
