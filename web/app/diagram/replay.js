/** A session's timeline as frames, one for each instant at which something happened: what a replay goes through. */

/**
 * A line of `GET /chat/sessions/{id}/timeline`.
 *
 * @typedef {object} Entry
 * @property {string} trigger
 * @property {string} from
 * @property {string} to
 * @property {string} at
 * @property {string | null} plannedAt
 * @property {number | null} latenessMs
 * @property {string | null} [actorId]
 * @property {string | null} outcome
 * @property {string | null} [reason]
 */

/** @typedef {{source: string, trigger: string, destination: string}} Step */

/**
 * @typedef {object} Frame
 * @property {string} at
 * @property {string} state where the session stands from then on
 * @property {number} count how many lines of the timeline there are by then
 * @property {Entry[]} entries the lines of this instant
 * @property {Step[]} steps the way taken by then
 * @property {Step[]} latest what of it was taken at this instant
 */

/**
 * What of the JSON of `GET /chat/sessions/{id}/diagram?format=json` is drawn.
 *
 * @typedef {object} Machine
 * @property {string} initial
 * @property {{name: string, open: boolean, terminal: boolean}[]} states
 * @property {{source: string, trigger: string, destination: string}[]} arrows
 */

/**
 * @param {Machine} machine
 * @param {Entry[]} entries oldest first
 * @returns {Frame[]}
 */
export function framesOf(machine, entries) {
  const terminal = new Set(machine.states.filter((one) => one.terminal).map((one) => one.name));
  /** @type {Frame[]} */
  const frames = [];
  let state = machine.initial;
  /** @type {Step[]} */
  let steps = [];
  entries.forEach((entry, index) => {
    let frame = frames.at(-1);
    if (frame === undefined || frame.at !== entry.at) {
      frame = { at: entry.at, state, count: index, entries: [], steps, latest: [] };
      frames.push(frame);
    }
    if (isStep(entry, terminal)) {
      const step = { source: entry.from, trigger: entry.trigger, destination: entry.to };
      steps = [...steps, step];
      state = entry.to;
      frame.latest.push(step);
    }
    Object.assign(frame, { state, steps, count: index + 1 });
    frame.entries.push(entry);
  });
  return frames;
}

/** Whether a line is a step in the session's life, and not its booking or a timer that was called off. @param {Entry} entry @param {Set<string>} terminal */
const isStep = (entry, terminal) => entry.trigger !== "book" && entry.outcome !== "cancelled" && !terminal.has(entry.from);

/** @param {Step} one */
export const keyOf = (one) => `${one.source} ${one.trigger} ${one.destination}`;

/** How often each step was taken, by its key. @param {Step[]} steps */
export function countSteps(steps) {
  /** @type {Map<string, number>} */
  const counted = new Map();
  for (const step of steps) counted.set(keyOf(step), (counted.get(keyOf(step)) ?? 0) + 1);
  return counted;
}
