/** The view of near-duplicates: group by group, to keep one and mark the others. */

import { ask } from "./api.js";
import { button, field, make } from "./dom.js";
import { moment } from "./moment.js";
import { attempt, say } from "./say.js";
import { fresh, go, link } from "./state.js";
import { counted, spanText } from "./times.js";

/** Attribute that keeps a decision, as filters and `sora index` know it. */
const ATTRIBUTE = "duplicate";
const DECISIONS = [["keep", "Keep"], ["marked", "Mark as a duplicate"], ["", "Not decided"]];
/** The groups that were found last, which takes long. @type {{key: string, groups: any[]}} */
let found = { key: "", groups: [] };

/** @param {URLSearchParams} state @param {AbortSignal} signal @param {Record<string, any>} info */
export async function show(state, signal, info) {
  const [threshold, cover] = [state.get("threshold") ?? "0.5", state.get("cover") ?? "0.5"];
  const content = [make("section.card.ask", { "aria-label": "What counts as a duplicate" }, form(threshold, cover),
    link("All marked videos", { where: `${ATTRIBUTE}=marked` }, fresh("browse")))];
  if (!state.has("threshold")) return content;
  const groups = await groupsOf(threshold, cover, signal);
  const number = Math.min(Math.max(1, Math.floor(+(state.get("group") ?? 1)) || 1), groups.length);
  say(groups.length ? `Group ${number} of ${groups.length}: ${counted(groups[number - 1].videos.length, "video")}.` : "There are no duplicates. Lower the likeness to find more.");
  if (groups.length) content.push(await group(groups, number, state, signal, info));
  return content;
}

function form(threshold, cover) {
  const number = (id, value) => make("input", { id, type: "number", min: id === "cover" ? 0.05 : -1, max: 1, step: 0.05, value, required: true });
  const [likeness, part] = [number("threshold", threshold), number("cover", cover)];
  return make("form.row", { onsubmit: (event) => {
    event.preventDefault();
    say("Comparing all videos…");
    found.key = "";
    go({ threshold: likeness.value, cover: part.value, group: null });
  } }, field("Likeness at least", likeness), field("Part that is shared", part), make("button.main", { type: "submit", id: "compare" }, "Find duplicates"));
}

async function groupsOf(threshold, cover, signal) {
  const key = `${threshold} ${cover}`;
  if (found.key !== key) found = { key, groups: (await ask("duplicates", { query: { threshold, cover }, signal })).groups };
  return found.groups;
}

async function group(groups, number, state, signal, info) {
  const { videos, pairs, media_ids: ids } = groups[number - 1];
  const known = await Promise.all(videos.map((name) => ask(`videos/${ids[name]}`, { signal })));
  const items = known.map((video) => make("li.card.video", {},
    moment(video.media_id, video.video_id, shared(video.video_id, pairs)).element,
    make("h2.name", {}, video.video_id),
    ...pairs.filter((pair) => pair.video_id === video.video_id || pair.query_id === video.video_id).map((pair) => told(pair, video.video_id)),
    info.server.read_only ? make("p", {}, video.attributes[ATTRIBUTE] ?? "not decided")
      : decisions(video, () => decide({ [video.video_id]: "keep", ...others(videos, video.video_id) }, number < groups.length ? { group: number + 1 } : {}))));
  return make("section", { "aria-label": `Group ${number}` },
    make("ul.videos", { "aria-label": "Videos of the group" }, items),
    make("nav.row", { "aria-label": "Groups" },
      number > 1 && link("Previous group", { group: number - 1 }, state, { id: "previous" }),
      number < groups.length && link("Next group", { group: number + 1 }, state, { id: "next" })));
}

const others = (videos, kept) => Object.fromEntries(videos.filter((name) => name !== kept).map((name) => [name, "marked"]));

/** The part of a video that another one has too. */
function shared(name, pairs) {
  for (const { query_id, video_id, spans: [span] } of pairs) {
    if (span && video_id === name) return span;
    if (span && query_id === name) return { start_s: span.query_start_s, end_s: span.query_end_s };
  }
  return { start_s: 0, end_s: 4 };
}

const told = (pair, name) => make("p.soft", {}, `Shares ${Math.round(100 * pair.cover)} % of the shorter one with ${pair.video_id === name ? pair.query_id : pair.video_id}, ${spanText(shared(name, [pair]))}, likeness ${pair.likeness.toFixed(3)}`);

/** Keep decisions as attributes. */
const decide = (wanted, next = {}) => attempt(async () => {
  const changes = Object.fromEntries(Object.entries(wanted).map(([name, value]) => [name, { [ATTRIBUTE]: value || null }]));
  await ask("attributes", { body: { changes } });
  go(next);
});

function decisions(video, keepAlone) {
  const present = String(video.attributes[ATTRIBUTE] ?? "");
  const radios = DECISIONS.map(([value, text]) => {
    const id = `${value || "open"}-${video.media_id}`;
    const radio = make("input", { type: "radio", name: `decision-${video.media_id}`, id, onchange: () => decide({ [video.video_id]: value }) });
    radio.checked = present === value;
    return make("span.check", {}, radio, make("label", { for: id }, text));
  });
  return make("fieldset", { "aria-label": `Decision on ${video.video_id}` }, make("legend", {}, "Decision"), radios,
    button("Keep this, mark the others", keepAlone, { class: "keep-alone" }));
}
