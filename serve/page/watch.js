/** The view of alerts of a running `sora watch`. */

import { code, make } from "./dom.js";
import { listen } from "./events.js";
import { say } from "./say.js";
import { spanText } from "./times.js";

const KEPT = 100;

/** @param {URLSearchParams} state @param {AbortSignal} signal @param {Record<string, any>} info */
export async function show(state, signal, info) {
  if (!info.server.events) return make("p.lead", {}, "This server passes no alerts on. Start it with ", code("--events"), " and the folder of a watch: ",
    code("sora watch … --out alerts"), ", then ", code("sora serve … --events alerts"), ".");
  const list = make("ol.hits", { "aria-label": "Alerts" });
  const add = (item) => {
    list.prepend(item);
    while (list.children.length > KEPT) list.lastChild.remove();
  };
  listen({
    start: (event) => say(`Watching ${event.source ?? "a stream"}.`),
    alert: (event) => {
      add(alert(event));
      say(`Alert at ${spanText(event)}.`);
    },
    summary: (event) => say(`The watch ended: ${event.ended ?? "the stream is over"}; alerts: ${event.alerts}.`),
  }, signal).then(() => say("Listening for alerts."));
  return [make("p.lead", {}, "Alerts appear here as they come, the last one first; earlier ones are in the folder of the watch."), list];
}

function alert(event) {
  const when = event.start_time ? new Date(event.start_time).toLocaleString("en") : null;
  const picture = event.picture && `/media/events/${event.picture}`;
  return make("li.card.hit", {},
    event.clip ? make("video.player", { controls: true, preload: "none", poster: picture, src: `/media/events/${event.clip}`, "aria-label": `Alert, ${spanText(event)}` })
      : picture ? make("img", { src: picture, alt: `The most unusual frame, ${spanText(event)}` }) : make("span"),
    make("div.about", {}, make("h2.name", {}, when ?? spanText(event)),
      make("p", {}, `${spanText(event)} of the stream, distance ${event.distance.toFixed(2)}; 0 is as normal.`),
      event.nearest && make("p.soft", {}, `Most like ${event.nearest.video_id}, ${spanText(event.nearest)}.`)));
}
