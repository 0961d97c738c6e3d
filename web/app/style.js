/** Sheets of rooms, loaded when a room is entered. */

/** @type {Map<string, Promise<unknown>>} */
const added = new Map();

/**
 * @param {string} href
 * @returns {Promise<unknown>} when it is there, or has failed: a room without its sheet still works
 */
export function addStyle(href) {
  let loaded = added.get(href);
  if (loaded === undefined) {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
    loaded = new Promise((resolve) => (link.onload = link.onerror = resolve));
    added.set(href, loaded);
    document.head.append(link);
  }
  return loaded;
}
