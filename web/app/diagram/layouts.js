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
 * @property {number} width
 * @property {number} height
 * @property {number} text size of words
 * @property {{x: number, y: number}} start the dot before the first state
 * @property {Record<string, Box>} boxes
 * @property {Record<string, ArrowRoute>} routes by `source>destination`
 * @property {Record<string, {x: number, y: number, anchor: "start" | "end"}>} loops where it is said what led nowhere else, growing upwards
 */

/** @param {number} x @param {number} y @param {number} width @param {number} height @returns {Box} */
const box = (x, y, width, height) => ({ x, y, width, height });

/** @type {Layout} */
export const WIDE = {
  width: 1000,
  height: 400,
  text: 14,
  start: { x: 14, y: 190 },
  boxes: {
    pending: box(115, 190, 150, 56),
    active: box(375, 190, 150, 56),
    ending_soon: box(640, 190, 150, 56),
    completed: box(915, 190, 150, 56),
    cancelled: box(375, 356, 150, 56),
  },
  routes: {
    "pending>active": { line: "M190,190 H298", x: 244, y: 180 },
    "active>ending_soon": { line: "M450,190 H563", x: 507, y: 180 },
    "ending_soon>completed": { line: "M715,190 H838", x: 776, y: 180 },
    "ending_soon>active": { line: "M615,218 V246 q0,12 -12,12 H422 q-12,0 -12,-12 V221", x: 510, y: 251 },
    "active>completed": { line: "M420,162 V78 q0,-12 12,-12 H903 q12,0 12,12 V159", x: 667, y: 57 },
    "pending>cancelled": { line: "M115,218 V344 q0,12 12,12 H298", x: 207, y: 347 },
    "active>cancelled": { line: "M350,218 V325", x: 341, y: 252, anchor: "end" },
    "ending_soon>cancelled": { line: "M665,218 V344 q0,12 -12,12 H453", x: 560, y: 347 },
  },
  loops: {
    pending: { x: 40, y: 151, anchor: "start" },
    active: { x: 405, y: 151, anchor: "end" },
    ending_soon: { x: 565, y: 151, anchor: "start" },
    completed: { x: 840, y: 238, anchor: "start" },
    cancelled: { x: 300, y: 398, anchor: "start" },
  },
};

/** @type {Layout} */
export const TALL = {
  width: 360,
  height: 616,
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
    "active>completed": { line: "M44,248 H38 q-10,0 -10,10 V566 q0,10 10,10 H41", x: 19, y: 412, turn: -90 },
    "pending>cancelled": { line: "M186,96 H298 q10,0 10,10 V227", x: 246, y: 86 },
    "active>cancelled": { line: "M186,256 H256", x: 222, y: 246 },
    "ending_soon>cancelled": { line: "M186,416 H298 q10,0 10,-10 V285", x: 246, y: 436 },
  },
  loops: {
    pending: { x: 44, y: 140, anchor: "start" },
    active: { x: 44, y: 222, anchor: "start" },
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
