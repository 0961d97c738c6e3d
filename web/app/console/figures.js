/** Numbers, lengths of time and ids, as they are written in the console. */
import { language } from "../preferences.js";
import { exactTime, isoDay, shortDate } from "../ui/time.js";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const SHORT = 8;

const locale = () => (language.value === "id" ? "id-ID" : "en-GB");

/** `12.480`, or `12,480`. @param {number} n @param {number} [digits] after the point, at most */
export const number = (n, digits = 0) => n.toLocaleString(locale(), { maximumFractionDigits: digits });

/** `12 ms`, `1,4 dtk`, `3 mnt 20 dtk`, `2 jam 5 mnt`, `3 hari`. @param {number} ms */
export function duration(ms) {
  const [second, minute, hour, day] = language.value === "id" ? ["dtk", "mnt", "jam", "hari"] : ["s", "min", "h", "d"];
  const size = Math.abs(ms);
  const two = (/** @type {number} */ large, /** @type {string} */ ofLarge, /** @type {number} */ small, /** @type {string} */ ofSmall) => {
    const rest = Math.floor((size % large) / small);
    return `${Math.floor(size / large)} ${ofLarge}${rest > 0 ? ` ${rest} ${ofSmall}` : ""}`;
  };
  if (size < SECOND_MS) return `${number(size, size < 10 ? 1 : 0)} ms`;
  if (size < MINUTE_MS) return `${number(size / SECOND_MS, 1)} ${second}`;
  if (size < HOUR_MS) return two(MINUTE_MS, minute, SECOND_MS, second);
  if (size < DAY_MS) return two(HOUR_MS, hour, MINUTE_MS, minute);
  return two(DAY_MS, day, HOUR_MS, hour);
}

/** `3,4 jam`: for sums that are compared. @param {number} minutes */
export const hours = (minutes) => `${number(minutes / 60, 1)} ${language.value === "id" ? "jam" : "h"}`;

/** `1,8 MB`. @param {number} n */
export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [size, unit] = [n, 0];
  while (size >= 1000 && unit < units.length - 1) [size, unit] = [size / 1000, unit + 1];
  return `${number(size, unit > 0 && size < 100 ? 1 : 0)} ${units[unit]}`;
}

/** The end of an id, which is enough to know it again; it is not broken. @param {string} id */
export const shortId = (id) => `…\u2060${id.slice(-SHORT)}`;

/** A day and a time to the second; today without its day. @param {string} instant @param {number} now */
export const moment = (instant, now) => (isoDay(instant) === isoDay(now) ? exactTime(instant) : `${shortDate(instant)} ${exactTime(instant)}`);
