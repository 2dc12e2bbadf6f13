/** What is searched for, to look at and to change: files, a span of a library's video, slices, or words. */

import { ask, cutUrl, posterUrl, stripUrl } from "./api.js";
import { button, field, make } from "./dom.js";
import { NOTHING, filesOf, isImage, keep, urlOf } from "./examples.js";
import { load } from "./moment.js";
import { attempt, say } from "./say.js";
import { fresh, go, link } from "./state.js";
import { spanPicker } from "./span.js";
import { counted, spanText } from "./times.js";

/** Files of a query of which a picture is shown. */
const MOST_SHOWN = 12;

/** A search by files. @param {FileList} files */
export function searchFor(files) {
  if (files.length) go({ ...NOTHING, upload: keep(files) });
}

/** What the encoder takes, asked for once, since it may have to be loaded. @type {Promise<{words: boolean, by: string[]}>|null} */
let encoder = null;
export function encoderOf() {
  encoder ??= ask("encoder").catch((error) => {
    encoder = null;
    throw error;
  });
  return encoder;
}

/** Where files are dropped or chosen. @param {Record<string, any>} info */
export function dropZone({ server }) {
  const input = make("input", { type: "file", id: "file", multiple: true, accept: "video/*,image/*,.mkv,.ts",
    "aria-describedby": "file-help", onchange: () => searchFor(input.files) });
  const zone = make("div.drop", {
    ondragover: (event) => { event.preventDefault(); zone.classList.add("over"); },
    ondragleave: () => zone.classList.remove("over"),
    ondrop: (event) => { event.preventDefault(); zone.classList.remove("over"); searchFor(event.dataTransfer.files); },
  }, make("label", { for: "file" }, "Drop videos or images here, or choose"), input,
  make("small.soft", { id: "file-help" }, `Videos of at most ${counted(server.upload_seconds, "second")}, or images; ${counted(server.upload_megabytes, "megabyte")} in all. Several are searched for at once.`));
  return zone;
}

/** The field for words; nothing where the encoder has none. @param {URLSearchParams} state */
export async function wordsField(state) {
  if (!(await encoderOf()).words) return null;
  const input = make("input", { id: "words", type: "search", value: state.get("text") ?? "", placeholder: "a person falls" });
  return make("form.row", { role: "search", onsubmit: (event) => {
    event.preventDefault();
    if (input.value.trim()) go({ ...NOTHING, text: input.value.trim() });
  } }, field("Words", input), make("button.main", { type: "submit" }, "Search"));
}

/** The query as it is now, to look at and to change. @param {URLSearchParams} state @param {AbortSignal} signal */
export async function present(state, signal) {
  const ids = state.getAll("slice"), isAlone = ids.length === 1 && !state.has("video") && !state.has("upload");
  const panels = [
    state.has("video") && videoPanel(state, signal),
    state.has("upload") && uploadPanel(state),
    isAlone ? slicePanel(ids[0], state, signal) : ids.length > 0 && slicesPanel(ids, state, signal),
  ].filter(Boolean);
  return panels.length ? Promise.all(panels) : null;
}

async function slicePanel(id, state, signal) {
  const slice = await ask(`slices/${id}`, { signal });
  const span = { video: slice.media_id, start: slice.start_s, end: slice.end_s };
  return make("section", { "aria-label": "Query" },
    make("h2", {}, `More like ${slice.video_id}`),
    make("p.soft", {}, `${spanText(slice)}; its own video is left out.`),
    make("img.strip", { src: stripUrl(slice.media_id, slice.start_s, slice.end_s), alt: `Frames of ${slice.video_id}, ${spanText(slice)}` }),
    make("p.actions", {}, link("Choose another span of it", { ...NOTHING, ...span }, state)));
}

/** Slices that are searched for at once, beside what else there is. */
async function slicesPanel(ids, state, signal) {
  const slices = await Promise.all(ids.map((id) => ask(`slices/${id}`, { signal })));
  return make("section", { "aria-label": "Moments of the query" },
    make("h2", {}, state.has("video") || state.has("upload") ? "And like these moments" : "Like all of these moments"),
    make("ul.moments", {}, slices.map((slice) => make("li", {},
      make("img.strip", { src: stripUrl(slice.media_id, slice.start_s, slice.end_s, 3), alt: `Frames of ${slice.video_id}, ${spanText(slice)}` }),
      make("span.soft", {}, `${slice.video_id}, ${spanText(slice)}`),
      link("Take away", { slice: ids.filter((id) => id !== String(slice.slice_id)) }, state, { "aria-label": `Take away ${slice.video_id}, ${spanText(slice)}` })))));
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
  if (files.length > 1 || isImage(files[0])) {
    panel.append(...several(files, state));
    return panel;
  }
  const player = make("video.player", { controls: true, preload: "metadata", "aria-label": name, src: urlOf(files[0]) });
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

/** Pictures of files, and whether images are a film. */
function several(files, state) {
  const images = files.filter(isImage);
  const box = make("input", { type: "checkbox", id: "apart", onchange: () => go({ apart: box.checked ? 1 : null }) });
  box.checked = state.has("apart");
  return [
    make("ul.moments", {}, files.slice(0, MOST_SHOWN).map((file) => make("li", {},
      isImage(file) ? make("img", { src: urlOf(file), alt: file.name }) : make("span", {}, file.name)))),
    files.length > MOST_SHOWN && make("p.soft", {}, `and ${files.length - MOST_SHOWN} more.`),
    images.length > 1 && make("p.check", {}, box, make("label", { for: "apart" }, "Each image is an example of its own, not a part of one film")),
  ].filter(Boolean);
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
