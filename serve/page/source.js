/** The film that a query is a part of, to show and to play beside what was found. */

import { ask, stripUrl } from "./api.js";
import { make } from "./dom.js";
import { filesOf, isImage, urlOf } from "./examples.js";
import { load } from "./moment.js";

const HEIGHT = 72;

/**
 * @typedef {{name: string, span: {start_s: number, end_s: number}|null,
 *   strip: (start: number, end: number, count: number) => HTMLElement,
 *   play: ((video: HTMLVideoElement, span: {start_s: number, end_s: number}, tell: (text: string) => void) => void)|null}} Source
 */

/** A video of the library. @param {string} id @param {string} name @returns {Source} */
export const libraryVideo = (id, name, span = null) => ({
  name, span,
  strip: (start, end, count) => make("img", { src: stripUrl(id, start, end, count), alt: `Frames of ${name}` }),
  play: (video, { start_s, end_s }, tell) => load(video, id, `#t=${start_s},${end_s}`, tell),
});

/**
 * What a state's query is a part of; null where it has no times.
 * @param {URLSearchParams} state
 * @param {AbortSignal} signal
 * @returns {Promise<Source|null>}
 */
export async function sourceOf(state, signal) {
  if (state.has("video")) {
    const { video_id } = await ask(`videos/${state.get("video")}`, { signal });
    return libraryVideo(state.get("video"), video_id, { start_s: +(state.get("start") ?? 0), end_s: +state.get("end") });
  }
  const files = filesOf(state);
  if (!files?.length) return null;
  return files.every(isImage) ? pictures(files, state.get("upload")) : file(files[0]);
}

/** A video file of the visitor's, of which the browser takes the frames. */
const file = (given) => ({
  name: given.name, span: null,
  strip(start, end, count) {
    const canvas = make("canvas", { role: "img", "aria-label": `Frames of ${given.name}` });
    draw(canvas, urlOf(given), Array.from({ length: count }, (_, number) => start + ((number + 0.5) * (end - start)) / count));
    return canvas;
  },
  play(video, { start_s, end_s }) {
    video.src = `${urlOf(given)}#t=${start_s},${end_s}`;
  },
});

/** Images that follow each other, which are not played. */
const pictures = (files, name) => ({
  name, span: null, play: null,
  strip: (start, end, count) => make("div.pictures", {}, Array.from({ length: Math.min(count, files.length) }, (_, number) =>
    files[Math.floor((number + 0.5) * files.length / Math.min(count, files.length))]).map((each) => make("img", { src: urlOf(each), alt: each.name }))),
});

/** Draw frames of a file side by side; nothing where the browser cannot play it. */
async function draw(canvas, url, times) {
  const video = make("video", { preload: "auto", src: url });
  video.muted = true;
  const until = (event) => new Promise((done, failed) => {
    video.addEventListener(event, done, { once: true });
    video.addEventListener("error", failed, { once: true });
  });
  try {
    await until("loadeddata");
    const width = Math.round((HEIGHT * video.videoWidth) / video.videoHeight), context = canvas.getContext("2d");
    canvas.width = width * times.length;
    canvas.height = HEIGHT;
    for (const [number, time] of times.entries()) {
      video.currentTime = time;
      await until("seeked");
      context.drawImage(video, number * width, 0, width, HEIGHT);
    }
  } catch {
    canvas.remove();
  }
}
