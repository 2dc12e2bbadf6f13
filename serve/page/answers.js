/** What a classifier says of videos: a label with a timeline, which can be corrected. */

import { ask, byName } from "./api.js";
import { colourOf } from "./colours.js";
import { button, choice, field, make } from "./dom.js";
import { moment } from "./moment.js";
import { attempt, say } from "./say.js";
import { clock, spanText } from "./times.js";

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
    bar.style.background = colourOf(classes.indexOf(span.label));
    return bar;
  });
  return make("div.timeline", {},
    make("div.track.tall", { role: "group", "aria-label": `Timeline of ${video.video_id}` }, bars),
    make("div.ends", { "aria-hidden": "true" }, make("span", {}, clock(video.start_s)), make("span", {}, clock(video.end_s))));
}

/** The true label of a video, or of a part of its timeline, to train on. */
function correction(name, task, said) {
  let label = said.label, part = "";
  const parts = said.spans.map((span, number) => [String(number), `${spanText(span)}, ${span.label}`]);
  const of = choice(`part-${task}-${name}`, [["", "the whole video"], ...parts], part, (value) => (part = value));
  const select = choice(`correct-${task}-${name}`, Object.keys(said.chances).sort().map((each) => [each, each]), label, (value) => (label = value));
  return make("div.row", {}, parts.length > 1 && field(`Part of ${name}`, of), field(`Right ${task} of ${name}`, select),
    button("Save as its label", () => attempt(async () => {
      const span = part && said.spans[+part];
      const spans = span ? [{ video_id: name, start_s: span.start_s, end_s: span.end_s, label }] : [];
      await ask("labels", { body: { changes: span ? {} : { [name]: label }, spans, column: task } });
      say(`${span ? `${spanText(span)} of ` : ""}${name} is labelled ${label}. Train again to learn from it.`);
    })));
}
