/** Requests of the API; a refusal is thrown as an error with the server's own line. */

/** @typedef {{media_id: string, video_id: string, slices: number, duration_s: number, attributes: Record<string, string|number|boolean>}} Video */
/** @typedef {{start_s: number, end_s: number, likeness: number}} Moment */
/**
 * @typedef {{video_id: string, media_id: string, cosine: number, start_s: number, end_s: number, slice_id: number, duration_s: number,
 *   lead: number|null, sure: boolean, moments: Moment[], aligned: (Moment & {query_start_s: number,
 *   query_end_s: number, speed: number})[]}} Hit
 */

/**
 * Ask the server.
 * @param {string} path below `/api/v1/`
 * @param {{query?: Record<string, any>, body?: any, signal?: AbortSignal}} [how] `body` is sent as JSON, or as a form
 * @returns {Promise<any>} the answer; null where there is none
 */
export async function ask(path, { query = {}, body, signal } = {}) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const each of [value].flat()) if (each !== null && each !== undefined) asked.append(name, each);
  const form = body instanceof FormData;
  const options = body === undefined ? {} : {
    method: "POST",
    body: form ? body : JSON.stringify(body),
    headers: form ? {} : { "Content-Type": "application/json" },
  };
  let answer;
  try {
    answer = await fetch(`/api/v1/${path}?${asked}`, { ...options, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the server does not answer; see whether it runs, then try again");
  }
  if (answer.status === 401) location.assign("/login");
  const value = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

/** A video by its name; undefined where there is none. @param {string} name @returns {Promise<Video|undefined>} */
export async function byName(name) {
  const glob = name.replaceAll(/[[*?]/g, "[$&]");
  return (await ask("videos", { query: { where: `videos=${glob}`, limit: 1 } })).videos[0];
}

/** @param {string} id opaque id of a video */
export const mediaUrl = (id) => `/media/${id}`;

/** @param {string} id @param {number} atS */
export const posterUrl = (id, atS) => `/media/${id}/poster.jpg?at_s=${atS}`;

/** A span as a film to save, of a minute at most. @param {string} id @param {number} startS @param {number} endS */
export const cutUrl = (id, startS, endS) =>
  `${mediaUrl(id)}/cut.mp4?start_s=${startS}&end_s=${Math.min(endS, startS + 60)}`;

/** @param {string} id @param {number} startS @param {number} endS @param {number} [count] */
export const stripUrl = (id, startS, endS, count = 6) =>
  `/media/${id}/strip.jpg?start_s=${startS}&end_s=${endS}&count=${count}`;
