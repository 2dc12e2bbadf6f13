/** What is shown, kept in the address: each state is a link. */

import { make } from "./dom.js";

/** @typedef {Record<string, string|number|string[]|null|undefined>} Changes null takes a value away */

/** The present state. */
export const now = () => new URLSearchParams(location.search);

/**
 * The address of a state.
 * @param {Changes} changes
 * @param {URLSearchParams} [from] what they change
 */
export function address(changes, from = now()) {
  const next = new URLSearchParams(from);
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name);
    for (const each of [value].flat()) if (each !== null && each !== undefined && each !== "") next.append(name, each);
  }
  return `/?${next}`;
}

/** Go to a state. @param {Changes} changes @param {URLSearchParams} [from] */
export function go(changes, from = now()) {
  history.pushState(null, "", address(changes, from));
  dispatchEvent(new Event("popstate"));
}

/** A link to a state. @param {string} text @param {Changes} changes @param {URLSearchParams} [from] */
export const link = (text, changes, from = now(), more = {}) =>
  make("a", { href: address(changes, from), ...more }, text);

/** Follow links within the page without loading it anew. */
export function followLinks() {
  addEventListener("click", (event) => {
    const anchor = event.target.closest("a[href^='/?']");
    if (!anchor || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    history.pushState(null, "", anchor.href);
    dispatchEvent(new Event("popstate"));
  });
}

/** A fresh state of a view. @param {string} view */
export const fresh = (view) => new URLSearchParams({ view });
