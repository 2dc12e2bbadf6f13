/** The view of labels: select videos and moments, label them, train a classifier, and let it classify. */

import { ask, stripUrl } from "./api.js";
import { answers } from "./answers.js";
import { button, choice, field, make } from "./dom.js";
import { filters } from "./filters.js";
import { grid } from "./grid.js";
import { begin, jobPanel } from "./jobs.js";
import { attempt, say } from "./say.js";
import { choose, clear, moments, told, videos as selected } from "./selection.js";
import { go } from "./state.js";
import { counted } from "./times.js";

/** @param {URLSearchParams} state @param {AbortSignal} signal @param {Record<string, any>} info */
export async function show(state, signal, info) {
  const [{ labels, spans }, { heads }, choices] = await Promise.all([ask("labels", { signal }), ask("heads", { signal }), filters(state, signal)]);
  const own = (video) => labels[video]?.label;
  const videos = await attempt(() => grid(state, signal, (video) => selectBox(video, own(video.video_id), info.server.read_only ? null : update)));
  const classifying = make("div", {}, classifyForm(heads) ?? "");
  const known = groupsOf(labels, spans);
  const tools = info.server.read_only ? null : [momentList(), labelForm(known), trainForm(known), classifying];
  const selection = make("p", { id: "selection", role: "status" });
  function update() {
    selection.textContent = `${counted(selected.size, "video")} selected${moments.size ? `, and ${counted(moments.size, "moment")}` : ""}.`;
    for (const box of document.querySelectorAll(".video input[type=checkbox]")) box.checked = selected.has(box.value);
  }
  update();
  if (videos && !state.has("job")) say(`${counted(videos.total, "video")}, ${Object.keys(labels).length} with a label.`);
  return [
    state.has("job") && await jobPanel(state.get("job"), signal, (job) => outcome(job, info, classifying)),
    make("section.card.ask", { "aria-label": "Labels" }, labelList(known, tools && update),
      tools ? [selection, tools] : make("p.soft", {}, "This server is read-only: nothing can be labelled.")),
    make("section.card.ask", { "aria-label": "Filters" }, choices),
    ...(videos?.content ?? []),
  ].filter(Boolean);
}

/** The label of a video, with a box to select it; `update` null: nothing can be selected. */
function selectBox(video, label, update) {
  const given = label && make("strong.label", {}, label);
  if (!update) return given && make("p.check", {}, given);
  const box = make("input", { type: "checkbox", id: `select-${video.media_id}`, value: video.video_id,
    "aria-label": `Select ${video.video_id}`, onchange: () => {
    selected[box.checked ? "add" : "delete"](video.video_id);
    update();
  } });
  box.checked = selected.has(video.video_id);
  return make("p.check", {}, box, make("label", { for: box.id }, "Select"), given);
}

/** What has each label: videos by name, and spans. @returns {Map<string, {videos: string[], spans: any[]}>} */
function groupsOf(labels, spans) {
  const groups = new Map();
  const of = (label) => groups.get(label) ?? groups.set(label, { videos: [], spans: [] }).get(label);
  for (const [video, { label }] of Object.entries(labels)) if (label) of(label).videos.push(video);
  for (const span of spans) if (span.labels.label) of(span.labels.label).spans.push(span);
  return new Map([...groups].sort());
}

/** Labels with counts; a press selects what has one, unless `update` is null. */
function labelList(groups, update) {
  const items = [...groups].map(([label, { videos, spans }]) => {
    const text = `${label} (${videos.length + spans.length})`;
    const whose = [videos.length && counted(videos.length, "video"), spans.length && counted(spans.length, "moment")].filter(Boolean).join(" and ");
    return make("li", {}, !update ? text : button(text, () => {
      clear();
      videos.forEach((video) => selected.add(video));
      spans.forEach((span) => choose(span, true));
      if (spans.length) go({});
      else update();
    }, { "aria-label": `Select the ${whose} labelled ${label}` }));
  });
  return items.length ? make("ul.chips", { "aria-label": "Labels" }, items)
    : make("p.soft", {}, update ? "There are no labels. Select videos below, or moments of a search, and give them one." : "There are no labels.");
}

/** The moments that are selected. */
const momentList = () => moments.size > 0 && make("ul.moments", { "aria-label": "Selected moments" }, [...moments.values()].map((moment) =>
  make("li", {}, make("img.strip", { src: stripUrl(moment.media_id, moment.start_s, moment.end_s, 3), alt: `Frames of ${told(moment)}` }),
    make("span.soft", {}, told(moment)),
    button("Take out", () => { choose(moment, false); go({}); }, { "aria-label": `Take out ${told(moment)}` }))));

function labelForm(groups) {
  const input = make("input", { id: "label", list: "known-labels", autocomplete: "off" });
  const set = (label) => attempt(async () => {
    if (!selected.size && !moments.size) throw new Error("no video is selected; select some below");
    if (label === "") throw new Error("the label is empty; write one");
    const spans = [...moments.values()].map(({ video_id, start_s, end_s }) => ({ video_id, start_s, end_s, label }));
    await ask("labels", { body: { changes: Object.fromEntries([...selected].map((video) => [video, label])), spans } });
    clear();
    go({});
  });
  return make("form.row", { onsubmit: (event) => { event.preventDefault(); set(input.value.trim()); } },
    field("Label", input), make("datalist", { id: "known-labels" }, [...groups.keys()].map((value) => make("option", { value }))),
    make("button.main", { type: "submit", id: "give-label" }, "Give to what is selected"), button("Take away", () => set(null)),
    button("Select none", () => { clear(); go({}); }));
}

function trainForm(groups) {
  const input = make("input", { id: "train-name", value: "labels", pattern: "[A-Za-z0-9][A-Za-z0-9_\\-]{0,63}", required: true });
  return make("form.row", { onsubmit: (event) => { event.preventDefault(); begin({ kind: "train", name: input.value }); } },
    field("Name of the classifier", input),
    make("button", { type: "submit", id: "train", disabled: !groups.size }, "Train on all labels"));
}

function classifyForm(heads) {
  if (!heads.length) return null;
  let head = heads[0].name;
  const select = choice("head", heads.map(({ name }) => [name ?? "", name ?? "of the server"]), head ?? "", (value) => (head = value || null));
  return make("form.row", { onsubmit: (event) => {
    event.preventDefault();
    attempt(async () => {
      if (!selected.size) throw new Error("no video is selected; select some below");
      await begin({ kind: "classify", video_ids: [...selected], head });
    });
  } }, field("Classifier", select), make("button", { type: "submit", id: "classify" }, "Classify the selected videos"));
}

/** What came of a job; a new classifier can be chosen at once. */
async function outcome(job, info, classifying) {
  if (job.kind === "classify") return answers(job.result.videos, info.server.read_only);
  classifying.replaceChildren(classifyForm((await ask("heads")).heads) ?? "");
  return make("p", {}, "Select videos, and let it classify them.");
}
