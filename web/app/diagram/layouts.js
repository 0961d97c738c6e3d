/**
 * Where the states of a session stand, and how the arrows between them run: once for wide places, once for phones.
 *
 * Five states that hardly ever change are read more easily laid out by hand. An arrow that has no route here is
 * drawn straight, from middle to middle.
 */

/** @typedef {{x: number, y: number, width: number, height: number}} Box its middle and its size */
/** @typedef {{line: string, x: number, y: number, anchor?: "start" | "middle" | "end", turn?: number}} ArrowRoute `x`, `y`: its words' last line */
/**
 * @typedef {object} Layout
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 * @property {number} text size of words
 * @property {{x: number, y: number}} start the dot before the first state
 * @property {Record<string, Box>} boxes
 * @property {Record<string, ArrowRoute>} routes by `source>destination`
 * @property {Record<string, {x: number, y: number, anchor: "start" | "end", down?: boolean}>} loops where it is said what led nowhere else; more lines go up, or `down`
 */

/** @param {number} x @param {number} y @param {number} width @param {number} height @returns {Box} */
const box = (x, y, width, height) => ({ x, y, width, height });

/** @type {Layout} */
export const WIDE = {
  left: 0,
  top: 0,
  width: 1000,
  height: 400,
  text: 14,
  start: { x: 14, y: 190 },
  boxes: {
    pending: box(108, 190, 136, 56),
    active: box(370, 190, 136, 56),
    ending_soon: box(640, 190, 136, 56),
    completed: box(922, 190, 136, 56),
    cancelled: box(370, 356, 136, 56),
  },
  routes: {
    "pending>active": { line: "M176,190 H300", x: 239, y: 180 },
    "active>ending_soon": { line: "M438,190 H570", x: 505, y: 180 },
    "ending_soon>completed": { line: "M708,190 H852", x: 781, y: 180 },
    "ending_soon>active": { line: "M615,218 V246 q0,12 -12,12 H422 q-12,0 -12,-12 V221", x: 510, y: 251 },
    "active>completed": { line: "M415,162 V72 q0,-12 12,-12 H910 q12,0 12,12 V159", x: 668, y: 51 },
    "pending>cancelled": { line: "M108,218 V344 q0,12 12,12 H300", x: 205, y: 347 },
    "active>cancelled": { line: "M345,218 V325", x: 336, y: 252, anchor: "end" },
    "ending_soon>cancelled": { line: "M665,218 V344 q0,12 -12,12 H441", x: 556, y: 347 },
  },
  loops: {
    pending: { x: 40, y: 151, anchor: "start" },
    active: { x: 400, y: 151, anchor: "end" },
    ending_soon: { x: 572, y: 151, anchor: "start" },
    completed: { x: 854, y: 238, anchor: "start", down: true },
    cancelled: { x: 302, y: 398, anchor: "start" },
  },
};

/** @type {Layout} */
export const TALL = {
  left: -16,
  top: -28,
  width: 376,
  height: 644,
  text: 13,
  start: { x: 115, y: 52 },
  boxes: {
    pending: box(115, 96, 142, 52),
    active: box(115, 256, 142, 52),
    ending_soon: box(115, 416, 142, 52),
    completed: box(115, 576, 142, 52),
    cancelled: box(308, 256, 98, 52),
  },
  routes: {
    "pending>active": { line: "M92,122 V227", x: 100, y: 180, anchor: "start" },
    "active>ending_soon": { line: "M62,282 V387", x: 70, y: 366, anchor: "start" },
    "ending_soon>completed": { line: "M92,442 V547", x: 100, y: 505, anchor: "start" },
    "ending_soon>active": { line: "M168,390 V285", x: 176, y: 322, anchor: "start" },
    "active>completed": { line: "M44,248 H38 q-10,0 -10,10 V566 q0,10 10,10 H41", x: 20, y: 412, turn: -90 },
    "pending>cancelled": { line: "M186,96 H298 q10,0 10,10 V227", x: 246, y: 86 },
    "active>cancelled": { line: "M186,256 H256", x: 222, y: 246 },
    "ending_soon>cancelled": { line: "M186,416 H322 q10,0 10,-10 V285", x: 254, y: 436 },
  },
  loops: {
    pending: { x: 126, y: 32, anchor: "start" },
    active: { x: 194, y: 276, anchor: "start", down: true },
    ending_soon: { x: 176, y: 382, anchor: "start" },
    completed: { x: 196, y: 580, anchor: "start" },
    cancelled: { x: 356, y: 300, anchor: "end" },
  },
};

/** @param {Layout} layout @param {string} source @param {string} destination @returns {ArrowRoute} */
export function routeOf(layout, source, destination) {
  const known = layout.routes[`${source}>${destination}`];
  if (known !== undefined) return known;
  const [from, to] = [layout.boxes[source], layout.boxes[destination]];
  return { line: `M${from.x},${from.y} L${to.x},${to.y}`, x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 - 6 };
}
