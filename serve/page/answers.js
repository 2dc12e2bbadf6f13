/** What a classifier says of videos: a label with a timeline, which can be corrected. */

import { ask, byName } from "./api.js";
import { button, choice, field, make } from "./dom.js";
import { moment } from "./moment.js";
import { attempt, say } from "./say.js";
import { clock, spanText } from "./times.js";

/** Hues of classes, far apart. */
const HUE_STEP = 137.5;

/** @param {any[]} videos of `sora classify predict --json` @param {boolean} readOnly */
export const answers = (videos, readOnly) => Promise.all(videos.map((video) => answer(video, readOnly)));

async function answer(video, readOnly) {
  const known = await byName(video.video_id);
  const player = known && moment(known.media_id, video.video_id, video);
  return make("article.hit.answer", {}, player ? player.element : make("span"),
    make("div.about", {}, make("h2.name", {}, video.video_id),
      Object.entries(video.tasks).map(([task, said]) => [
        make("p", {}, `${task}: `, make("strong", {}, said.label), ` ${percent(said.confidence)}`),
        timeline(video, said, player),
        !readOnly && correction(video.video_id, task, said),
      ])));
}

const percent = (part) => `${Math.round(100 * part)} %`;

/** The spans of a video with their labels; a press plays one. */
function timeline(video, { spans, chances }, player) {
  const classes = Object.keys(chances).sort(), length = Math.max(0.1, video.end_s - video.start_s);
  const bars = spans.map((span) => {
    const text = `${span.label}, ${spanText(span)}, ${percent(span.confidence)}`;
    const bar = button("", () => player?.show(span), { class: "bar", title: text, "aria-label": player ? `Play ${text}` : text });
    bar.append(make("span.tag", {}, span.label));
    bar.style.left = `${(100 * (span.start_s - video.start_s)) / length}%`;
    bar.style.width = `${(100 * (span.end_s - span.start_s)) / length}%`;
    bar.style.background = `hsl(${(classes.indexOf(span.label) * HUE_STEP) % 360} 45% 55%)`;
    return bar;
  });
  return make("div.timeline", {},
    make("div.track.tall", { role: "group", "aria-label": `Timeline of ${video.video_id}` }, bars),
    make("div.ends", { "aria-hidden": "true" }, make("span", {}, clock(video.start_s)), make("span", {}, clock(video.end_s))));
}

/** The true label of a video, to train on. */
function correction(name, task, said) {
  let label = said.label;
  const select = choice(`correct-${task}-${name}`, Object.keys(said.chances).sort().map((each) => [each, each]), label, (value) => (label = value));
  return make("div.row", {}, field(`Right ${task} of ${name}`, select),
    button("Save as its label", () => attempt(async () => {
      await ask("labels", { body: { changes: { [name]: label }, column: task } });
      say(`${name} is labelled ${label}. Train again to learn from it.`);
    })));
}
