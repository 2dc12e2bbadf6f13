/** The page: one view at a time, as the address says. */

import { ask } from "./api.js";
import { make } from "./dom.js";
import { hush, sayError } from "./say.js";
import { address, followLinks, fresh, now } from "./state.js";

const VIEWS = {
  search: ["Search", () => import("./search.js")],
  browse: ["Browse", () => import("./browse.js")],
  map: ["Map", () => import("./map.js")],
  label: ["Label", () => import("./label.js")],
  duplicates: ["Duplicates", () => import("./duplicates.js")],
  watch: ["Watch", () => import("./watch.js")],
  jobs: ["Jobs", () => import("./job_list.js")],
  runs: ["Runs", () => import("./runs.js")],
};
let shown = "", controller = new AbortController();

/** Show the view of the address. */
async function render() {
  controller.abort();
  controller = new AbortController();
  const state = now(), { signal } = controller;
  const name = Object.hasOwn(VIEWS, state.get("view") ?? "") ? state.get("view") : "search";
  const [title, load] = VIEWS[name];
  const focused = document.activeElement?.id, isFirst = !shown, isNew = shown !== name;
  shown = name;
  document.title = `${title}: sora-video`;
  document.getElementById("title").textContent = title;
  markView(name);
  hush();
  try {
    const { show } = await load();
    const info = await ask("info", { signal });
    document.getElementById("logout").hidden = !info.server.asks_token;
    const content = await show(state, signal, info);
    if (signal.aborted) return;
    document.getElementById("view").replaceChildren(...[content].flat());
    if (!isFirst) document.getElementById(isNew || !focused ? "title" : focused)?.focus({ preventScroll: !isNew });
  } catch (error) {
    if (!signal.aborted) sayError(error);
  }
}

/** Mark the view that is shown in the list of views. */
function markView(name) {
  const items = Object.entries(VIEWS).map(([key, [title]]) =>
    make("li", {}, make("a", { href: address({}, fresh(key)), id: `to-${key}`, "aria-current": key === name && "page" }, title)));
  document.getElementById("views").replaceChildren(...items);
}

followLinks();
addEventListener("popstate", render);
render();
