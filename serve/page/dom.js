/** Elements. */

/**
 * Make an element; texts are never read as HTML.
 * @param {string} tag name, with classes after dots
 * @param {Record<string, any>} [attributes] `onclick` and the like are listeners; false and null are left out
 * @param {...(Node|string|number|null|undefined|false|any[])} children
 * @returns {any}
 */
export function make(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A command or an option, which stays on its line. @param {string} text */
export const code = (text) => make("code", {}, text);

/** A labelled control. @param {string} text @param {HTMLElement} control with an id */
export const field = (text, control) => make("div.field", {}, make("label", { for: control.id }, text), control);

/** A choice. @param {string} id @param {[string, string][]} options values with texts @param {string} chosen */
export function choice(id, options, chosen, onchange) {
  const select = make("select", { id, onchange: () => onchange(select.value) },
    options.map(([value, text]) => make("option", { value }, text)));
  select.value = chosen;
  return select;
}

/** A button. @param {string} text @param {() => void} onclick @param {Record<string, any>} [more] */
export const button = (text, onclick, more = {}) => make("button", { type: "button", onclick, ...more }, text);

/** Let the browser save a text as a file. @param {string} name @param {string} type @param {string} text */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
