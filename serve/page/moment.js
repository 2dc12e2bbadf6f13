/** A picture of a moment, which plays it on hover, and by a click or a key. */

import { mediaUrl, posterUrl } from "./api.js";
import { make } from "./dom.js";
import { spanText } from "./times.js";

const RETRY_MS = 2000;
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * Give a video its file; where its preview is still being made, wait for it.
 * @param {HTMLVideoElement} video
 * @param {string} id of the video
 * @param {string} fragment such as `#t=1,2`
 * @param {(text: string) => void} tell what the viewer must know; "" for nothing
 */
export function load(video, id, fragment, tell) {
  const address = `${mediaUrl(id)}${fragment}`;
  const wanted = () => video.isConnected && video.getAttribute("src") === address;
  video.onerror = async () => {
    if (!wanted()) return;
    const answer = await fetch(mediaUrl(id), { headers: { Range: "bytes=0-0" } }).catch(() => null);
    if (!wanted()) return;
    if (answer && (answer.ok || answer.status === 503)) {
      tell(answer.ok ? "This video cannot be played here." : "A preview is being made.");
      if (answer.status === 503) setTimeout(() => wanted() && (video.src = address), RETRY_MS);
    } else tell(answer ? (await answer.json()).error : "The server does not answer.");
  };
  video.onloadeddata = () => tell("");
  video.src = address;
}

/**
 * @param {string} id of the video
 * @param {string} name of the video
 * @param {{start_s: number, end_s: number}} span
 * @returns {{element: HTMLElement, show: (span: {start_s: number, end_s: number}) => void}} `show` plays another span
 */
export function moment(id, name, span) {
  const video = make("video", { playsinline: true, preload: "none", "aria-hidden": "true", tabindex: -1, hidden: true });
  const picture = make("img", { loading: "lazy", alt: "" });
  const note = make("small.note", { role: "status" });
  const play = make("button.play", { type: "button", "aria-pressed": "false" });
  video.muted = true;
  let held = false, playing = false; // held: by a press, so that it goes on when the pointer leaves

  const face = () => {
    picture.src = posterUrl(id, (span.start_s + span.end_s) / 2);
    picture.alt = `A picture of ${name}`;
    play.setAttribute("aria-label", `Play ${spanText(span)} of ${name}`);
  };
  const start = () => {
    if (playing) return;
    playing = true;
    load(video, id, `#t=${span.start_s},${span.end_s}`, (text) => (note.textContent = text));
    video.play().catch(() => {});
  };
  const stop = () => {
    playing = false;
    video.hidden = true;
    play.setAttribute("aria-pressed", "false");
    video.pause();
    video.removeAttribute("src"); // ends the transfer
    video.load();
    note.textContent = "";
  };
  const again = () => {
    if (!playing || video.currentTime < span.end_s - 0.05 && !video.ended) return;
    video.currentTime = span.start_s;
    video.play().catch(() => {});
  };
  video.addEventListener("playing", () => (video.hidden = false));
  video.addEventListener("pause", again);
  video.addEventListener("ended", again);
  video.addEventListener("canplay", () => playing && video.paused && video.play().catch(() => {}));
  play.addEventListener("click", () => {
    held = !held;
    if (held) start();
    else stop();
    play.setAttribute("aria-pressed", String(held));
  });
  play.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && !stillness.matches && start());
  play.addEventListener("pointerleave", () => !held && stop());
  face();
  return {
    element: make("div.moment", {}, picture, video, play, note),
    show(other) {
      stop();
      span = other;
      face();
      held = true;
      start();
      play.setAttribute("aria-pressed", "true");
    },
  };
}
