/** What is at one time stands side by side. Pure. */

/**
 * Put what is at one time beside each other.
 *
 * @template {{start: number, end: number}} T
 * @param {T[]} items earliest first
 * @returns {{item: T, lane: number, lanes: number}[]} in which of how many lanes each stands
 */
export function inLanes(items) {
  const placed = items.map((item) => ({ item, lane: 0, lanes: 1 }));
  /** @type {typeof placed} */
  let group = [];
  for (const place of placed) {
    const { start } = place.item;
    if (group.every((other) => other.item.end <= start)) group = [];
    const taken = new Set(group.filter((other) => other.item.end > start).map((other) => other.lane));
    while (taken.has(place.lane)) place.lane += 1;
    group.push(place);
    const most = Math.max(...group.map((other) => other.lane)) + 1;
    for (const other of group) other.lanes = most;
  }
  return placed;
}
