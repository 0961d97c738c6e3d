/** Files that a page has made or fetched, for the person to keep. */

/** A browser may take its time before it reads what was asked for. */
const KEPT_MS = 60_000;

/**
 * Give a file an address for a while.
 *
 * @param {Blob} file
 * @returns {string}
 */
export function addressOfFile(file) {
  const url = URL.createObjectURL(file);
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
  return url;
}

/** @param {Blob} file @param {string} name under which it is kept */
export function download(file, name) {
  Object.assign(document.createElement("a"), { href: addressOfFile(file), download: name }).click();
}
