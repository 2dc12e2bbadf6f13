/** What was found: for each video its best moment, how sure it is, and where else in it. */

import { cutUrl, stripUrl } from "./api.js";
import { button, make } from "./dom.js";
import { NOTHING } from "./examples.js";
import { moment } from "./moment.js";
import { attempt } from "./say.js";
import { choose, keyOf, moments as selected } from "./selection.js";
import { address, fresh, go, link } from "./state.js";
import { clock, counted, spanText } from "./times.js";

/** The moments of a hit, best first. @param {import("./api.js").Hit} hit @returns {import("./api.js").Moment[]} */
export function momentsOf(hit) {
  if (hit.aligned.length) return [...hit.aligned].sort((one, other) => other.likeness - one.likeness);
  return hit.moments.length ? hit.moments : [{ start_s: hit.start_s, end_s: hit.end_s, likeness: hit.cosine }];
}

/** Whether a hit is sure, in words. @param {import("./api.js").Hit} hit */
export function verdict(hit) {
  if (hit.lead === null) return "Not judged: ranked by likeness alone";
  const lead = `lead ${hit.lead.toFixed(2)}`;
  return hit.sure ? `Sure: it stands out from the other videos, ${lead}` : `Not sure: it does not stand out enough, ${lead}`;
}

/**
 * The list of hits.
 * @param {import("./api.js").Hit[]} hits @param {URLSearchParams} state @param {AbortSignal} signal
 * @param {boolean} readOnly whether nothing can be labelled
 */
export function hitList(hits, state, signal, readOnly) {
  const chosen = make("p.actions", { role: "status" });
  const update = () => chosen.replaceChildren(...selected.size ? [`${counted(selected.size, "moment")} selected.`,
    link(`Label ${selected.size === 1 ? "it" : "them"}`, {}, fresh("label"), { id: "label-moments" })] : []);
  update();
  return [!readOnly && chosen, make("ol.hits", { "aria-label": "What was found" },
    hits.map((hit, number) => card(hit, number + 1, state, signal, readOnly ? null : update)))].filter(Boolean);
}

/** A box that selects a moment, to give it a label. */
function selectBox(moment, rank, update) {
  const box = make("input", { type: "checkbox", id: `moment-${rank}`, "aria-describedby": `hit-${rank}`, onchange: () => {
    choose(moment, box.checked);
    update();
  } });
  box.checked = selected.has(keyOf(moment));
  return make("span.check", {}, box, make("label", { for: box.id }, "Select to label"));
}

function card(hit, rank, state, signal, update) {
  const moments = momentsOf(hit), [best] = moments;
  const player = moment(hit.media_id, hit.video_id, best);
  const isSlice = best.start_s === hit.start_s && best.end_s === hit.end_s;
  const span = { video: hit.media_id, start: best.start_s, end: best.end_s };
  return make("li.card.hit", {},
    player.element,
    make("div.about", {},
      make("h2.name", { id: `hit-${rank}` }, `${rank}. ${hit.video_id}`),
      make(`p.verdict${hit.sure ? ".sure" : ""}`, {}, verdict(hit)),
      make("p.soft", {}, `${spanText(best)}, likeness ${best.likeness.toFixed(3)}`, ...aligned(best)),
      make("img.strip", { src: stripUrl(hit.media_id, best.start_s, best.end_s), loading: "lazy",
        alt: `Frames of ${hit.video_id}, ${spanText(best)}` }),
      timeline(hit, moments, player),
      hit.aligned.length > 0 && alignmentOf(hit, rank, state, signal),
      make("p.actions", {},
        link("More like this moment", { ...NOTHING, ...(isSlice || !best.speed ? { slice: hit.slice_id } : span) }, state),
        !state.has("text") && link("And like this moment", { slice: [...state.getAll("slice"), hit.slice_id] }, state),
        make("a", { href: cutUrl(hit.media_id, best.start_s, best.end_s), download: "", "aria-describedby": `hit-${rank}` }, "Cut as mp4"),
        link("Look at the video", { ...NOTHING, video: hit.media_id, where: null }, state),
        button("Exclude this video", () => go({ exclude: [...state.getAll("exclude"), hit.video_id] }, state),
          { "aria-describedby": `hit-${rank}` }),
        update && selectBox({ ...hit, start_s: best.start_s, end_s: best.end_s }, rank, update))));
}

/** The alignment with the query, which is made when it is opened; the address keeps which one is open. */
function alignmentOf(hit, rank, state, signal) {
  const place = make("div", {});
  const open = state.get("aligned") === hit.media_id;
  const panel = make("details.alignment", { open, ontoggle: async () => {
    history.replaceState(null, "", address({ aligned: panel.open ? hit.media_id : null }));
    if (!panel.open || place.firstChild) return;
    place.append(make("p.soft", {}, "Aligning…"));
    await attempt(async () => {
      const { alignment } = await import("./alignment.js");
      place.replaceChildren(await alignment(hit, state, signal));
    });
  } }, make("summary", { id: `align-${rank}` }, `Alignment: ${counted(hit.aligned.length, "part")}`), place);
  return panel;
}

/** Which part of the query a moment is. */
function aligned(best) {
  if (best.query_start_s === undefined) return [];
  const query = { start_s: best.query_start_s, end_s: best.query_end_s };
  return [`; it is ${spanText(query)} of the query, at speed ${best.speed.toFixed(2)}`];
}

/** Where in its video each moment lies; a press plays it. */
function timeline(hit, moments, player) {
  const bars = moments.map((each) => {
    const text = `${spanText(each)}, likeness ${each.likeness.toFixed(3)}`;
    return button("", () => player.show(each), { class: "bar", title: text, "aria-label": `Play ${text}` });
  });
  const duration = Math.max(0.1, hit.duration_s);
  moments.forEach((each, number) => {
    bars[number].style.left = `${Math.min(97, (100 * each.start_s) / duration)}%`;
    bars[number].style.width = `${Math.min(100, (100 * (each.end_s - each.start_s)) / duration)}%`;
  });
  return make("div.timeline", {},
    make("div.track", { role: "group", "aria-label": `Moments of ${hit.video_id}` }, bars),
    make("div.ends", { "aria-hidden": "true" }, make("span", {}, clock(0)), make("span", {}, clock(duration))));
}

/** The videos that are left out, with a way to take each back. @param {URLSearchParams} state */
export function excluded(state) {
  const names = state.getAll("exclude");
  return names.length > 0 && make("p.soft", {}, "Left out: ",
    make("ul.chips", {}, names.map((name) => make("li", {}, make("a", {
      href: address({ exclude: names.filter((each) => each !== name) }, state), "aria-label": `Take back ${name}`,
    }, `${name} ✕`)))));
}
