/** The view of the map: videos as points, those that are alike near each other. */

import { ask, posterUrl } from "./api.js";
import { groupsOf, legend } from "./colours.js";
import { button, choice, field, make } from "./dom.js";
import { filters } from "./filters.js";
import { boxOf, cornersOf, isRegion, wordOf } from "./region.js";
import { attempt, say, sayError } from "./say.js";
import { scatter } from "./scatter.js";
import { fresh, go, link } from "./state.js";
import { counted } from "./times.js";

const [RETRY_MS, KEPT_MS, POSTER_MS] = [2000, 300_000, 200];
/** Names of a region's videos that are listed. */
const LISTED = 60;
const WHOLE = [-0.02, -0.02, 1.02, 1.02];
/** The map that was asked for last, which may be large, and the video on it that was found last. */
let known = { key: "", at: 0, drawn: null }, present = "";
/** Videos around one that the key Enter chooses. */
let around = 20;

/** @param {URLSearchParams} state @param {AbortSignal} signal */
export async function show(state, signal) {
  const place = make("section", { id: "atlas", "aria-label": "Map" }), colour = make("div", {});
  const where = state.getAll("where"), others = where.filter((word) => !isRegion(word));
  const attribute = state.get("colour") ?? "", key = JSON.stringify([others, attribute]);
  const content = [
    make("section.card.ask", { "aria-label": "Filters" }, make("div.row", {}, colour, aroundField()), await filters(state, signal)),
    place,
  ];
  ask("videos", { query: { limit: 0 }, signal }).then(({ facets }) => colour.append(colourField(Object.keys(facets), attribute)), () => {});
  const fill = async () => place.replaceChildren(...await atlas(known.drawn, state, attribute, signal));
  if (known.key === key && performance.now() - known.at < KEPT_MS) await fill();
  else waitFor(others, attribute, signal).then((drawn) => {
    known = { key, at: performance.now(), drawn };
    return fill();
  }).catch(sayError);
  return content;
}

/** The map, once it is drawn. */
async function waitFor(where, attribute, signal) {
  for (;;) {
    const drawn = await ask("map", { query: { where, attribute: attribute || null }, signal });
    if (drawn.map !== null) return drawn;
    say("The map is being drawn…");
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    signal.throwIfAborted();
  }
}

function colourField(names, chosen) {
  const all = chosen && !names.includes(chosen) ? [...names, chosen] : names;
  return field("Colour by", choice("colour", [["", "nothing"], ...all.map((name) => [name, name])], chosen, (value) => go({ colour: value })));
}

function aroundField() {
  const input = make("input", { id: "around", type: "number", min: 1, max: 10_000, value: around,
    onchange: () => (around = Math.max(1, Math.floor(+input.value) || 1)) });
  return field("Videos that Enter chooses", input);
}

async function atlas(drawn, state, attribute, signal) {
  const region = state.getAll("where").find(isRegion), corners = region ? cornersOf(region, drawn.map) : [];
  const groups = groupsOf(drawn.videos, attribute), about = make("div.found", { "aria-live": "polite" });
  const box = (state.get("box") ?? "").split(",").map(Number);
  const video = drawn.videos.find(({ media_id }) => media_id === present);
  const plot = scatter({
    points: drawn.videos, groups, corners,
    box: box.length === 4 && box[0] < box[2] && box[1] < box[3] ? box : WHOLE,
    label: `Map of ${counted(drawn.videos.length, "video")}. Arrow keys go to the next one, Page Up and Page Down by name; Enter chooses those around it. Draw around some with the pointer.`,
    present: video,
    count: () => around,
    found: (other) => tell(about, other, attribute),
    chosen: (line) => go({ where: [...state.getAll("where").filter((word) => !isRegion(word)), wordOf(drawn.map, line)], offset: null }),
  }, signal);
  const missing = drawn.missing ? ` ${counted(drawn.missing, "video")} came since and will be on the next map.` : "";
  if (!region) say(`${counted(drawn.videos.length, "video")} on the map.${missing}`);
  if (video) tell(about, video, attribute);
  else about.append(make("p.soft", {}, "Point at a video, or go from one to the next by the arrow keys. Draw around some to choose them."));
  return [
    make("div.atlas", {}, make("div", {}, plot, attribute && legend(groups, attribute), closer(state, corners)), about),
    region && await list(state, signal),
  ].filter(Boolean);
}

/** Ways to a part of the map, and back. */
const closer = (state, corners) => make("p.actions", {},
  corners.length > 0 && link("Look closer at the region", { box: boxOf(corners).join(",") }, state, { id: "closer" }),
  state.has("box") && link("Whole map", { box: null }, state, { id: "whole" }));

let waiting = 0;
/** Show the video that was found; its picture once the pointer rests. */
function tell(about, video, attribute) {
  present = video.media_id;
  const picture = make("img", { alt: `A picture of ${video.video_id}` });
  about.replaceChildren(picture, make("h2.name", {}, video.video_id),
    attribute && make("p.soft", {}, video.value === null ? `no ${attribute}` : `${attribute} ${video.value}`),
    make("p.actions", {}, link("Look and search", { video: video.media_id }, fresh("search"), { "aria-label": `Look and search: ${video.video_id}` })));
  clearTimeout(waiting);
  waiting = setTimeout(() => (picture.src = posterUrl(video.media_id, 1)), POSTER_MS);
}

/** The videos of the region. */
async function list(state, signal) {
  const found = await attempt(() => ask("videos", { query: { where: state.getAll("where"), limit: LISTED }, signal }));
  if (!found) {
    known.key = ""; // the map is another one
    return null;
  }
  say(`${counted(found.total, "video")} in the region.`);
  const [region, more] = [state.getAll("where").find(isRegion), found.total - found.videos.length];
  return make("section.card", { "aria-label": "In the region" }, make("h2", {}, "In the region"),
    make("ul.names", {}, found.videos.map((video) => make("li", {}, link(video.video_id, { video: video.media_id }, fresh("search"))))),
    more > 0 && make("p.soft", {}, `and ${counted(more, "more", "more")}`),
    make("p.actions", {}, link("Browse them", { view: "browse", box: null, colour: null }, state, { id: "browse-region" }),
      link("Search among them", { view: "search", box: null, colour: null }, state),
      button("Take the region away", () => go({ where: state.getAll("where").filter((word) => word !== region) }, state))));
}
