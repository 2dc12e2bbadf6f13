/** Regions of the map, as the filter `within=ID:X,Y,X,Y,X,Y` has them. */

const WORD = /^\s*within\s*=/;
/** Corners of a region at most; those that say least are left out. */
const MOST = 60;
const CIRCLE = 24;

/** @typedef {[number, number]} Place */

/** Whether a filter is a region of the map. @param {string} word */
export const isRegion = (word) => WORD.test(word);

/** The filter of a region. @param {string} id of the map @param {Place[]} corners */
export const wordOf = (id, corners) => `within=${id}:${corners.flat().map((part) => +part.toFixed(4)).join(",")}`;

/** The corners of a region on this map; none where it is on another one. @param {string} word @param {string} id @returns {Place[]} */
export function cornersOf(word, id) {
  const [own, numbers = ""] = word.replace(WORD, "").trim().split(":");
  const parts = numbers.split(",").map(Number);
  if (own !== id || parts.length < 6 || parts.some((part) => !Number.isFinite(part))) return [];
  return parts.flatMap((x, number) => (number % 2 ? [] : [[x, parts[number + 1]]]));
}

/** A path of the pointer with fewer corners. @param {Place[]} path @returns {Place[]} */
export function simpler(path) {
  const left = [...path];
  while (left.length > MOST) {
    let least = 1, area = Infinity;
    for (let number = 1; number < left.length - 1; number += 1) {
      const [[ax, ay], [bx, by], [cx, cy]] = left.slice(number - 1, number + 2);
      const own = Math.abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay));
      if (own < area) [least, area] = [number, own];
    }
    left.splice(least, 1);
  }
  return left;
}

/** A circle around the points that lie nearest to a place. @param {{x: number, y: number}[]} points @param {{x: number, y: number}} centre @param {number} count */
export function circleAround(points, centre, count) {
  const far = points.map(({ x, y }) => Math.hypot(x - centre.x, y - centre.y)).sort((one, other) => one - other);
  const [last, next] = [far[Math.min(count, far.length) - 1], far[count] ?? far.at(-1) + 0.02];
  const reach = (Math.max((last + next) / 2, last + 0.003)) / Math.cos(Math.PI / CIRCLE); // corners lie beyond the circle
  return Array.from({ length: CIRCLE }, (_, number) => {
    const angle = (2 * Math.PI * number) / CIRCLE;
    return [centre.x + reach * Math.cos(angle), centre.y + reach * Math.sin(angle)];
  });
}

/** The box of some places, with a margin. @param {Place[]} corners @returns {[number, number, number, number]} left, top, right, bottom */
export function boxOf(corners) {
  const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
  const [left, top, right, bottom] = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  const margin = 0.08 * Math.max(right - left, bottom - top) + 0.002;
  return [left - margin, top - margin, right + margin, bottom + margin].map((part) => +part.toFixed(4));
}
