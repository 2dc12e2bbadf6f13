/** What happens, said in words: read aloud by screen readers, and shown. */

const status = () => document.getElementById("status");
const problem = () => document.getElementById("problem");

/** @param {string} text */
export function say(text) {
  status().textContent = text;
}

/** Say what went wrong; nothing where a request was only given up. @param {Error} error */
export function sayError(error) {
  if (error.name === "AbortError") return;
  problem().textContent = `${error.message[0].toUpperCase()}${error.message.slice(1)}.`;
  problem().hidden = false;
  say("");
}

/** Take away what was said. */
export function hush() {
  problem().hidden = true;
  problem().textContent = "";
  say("");
}

/** Do something that may fail, and say so. @param {() => Promise<any>} work */
export async function attempt(work) {
  try {
    problem().hidden = true;
    return await work();
  } catch (error) {
    sayError(error);
    return undefined;
  }
}
