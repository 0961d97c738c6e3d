/** Dates and times in the reader's language and zone, and countdowns by the server's clock. */
import { useEffect, useState } from "preact/hooks";
import { language } from "../preferences.js";
import { t } from "../texts.js";

export const ownZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "Asia/Jakarta";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** @type {Map<string, Intl.DateTimeFormat>} */
const made = new Map();

/** @param {string} name @param {Intl.DateTimeFormatOptions} options */
function format(name, options) {
  const locale = language.value === "id" ? "id-ID" : "en-GB";
  const key = `${locale} ${name} ${options.timeZone ?? ""}`;
  let found = made.get(key);
  if (found === undefined) made.set(key, (found = new Intl.DateTimeFormat(locale, options)));
  return found;
}

/** @typedef {string | number | Date} Instant */

/** `14.00`, or `14:00`. @param {Instant} instant @param {string} [timeZone] */
export const clockTime = (instant, timeZone = ownZone) => format("time", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone }).format(new Date(instant));

/** `14.00.07`: for what is looked at closely. @param {Instant} instant @param {string} [timeZone] */
export const exactTime = (instant, timeZone = ownZone) =>
  format("exact", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone }).format(new Date(instant));

/** `Rabu, 3 Juni`; with the year where it is another. @param {Instant} instant @param {string} [timeZone] */
export function longDate(instant, timeZone = ownZone) {
  const date = new Date(instant);
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return format(`long ${year}`, { weekday: "long", day: "numeric", month: "long", year, timeZone }).format(date);
}

/** `3 Jun`. @param {Instant} instant @param {string} [timeZone] */
export const shortDate = (instant, timeZone = ownZone) => format("short", { day: "numeric", month: "short", timeZone }).format(new Date(instant));

/** `2026-06-03` in a zone, for comparing days and for the API. @param {Instant} instant @param {string} [timeZone] */
export const isoDay = (instant, timeZone = ownZone) => dayFormat(timeZone).format(new Date(instant));

/** Made once: a chat asks for the day of each of its messages. @param {string} timeZone */
function dayFormat(timeZone) {
  let found = made.get(timeZone);
  if (found === undefined) {
    found = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit", timeZone });
    made.set(timeZone, found);
  }
  return found;
}

/** `Hari ini`, `Besok`, or the long date. @param {Instant} instant @param {number} now @param {string} [timeZone] */
export function dayName(instant, now, timeZone = ownZone) {
  const day = isoDay(instant, timeZone);
  if (day === isoDay(now, timeZone)) return t("app.today");
  if (day === isoDay(now + DAY_MS, timeZone)) return t("app.tomorrow");
  if (day === isoDay(now - DAY_MS, timeZone)) return t("app.yesterday");
  return longDate(instant, timeZone);
}

/** `14.00–15.00`. @param {Instant} start @param {Instant} end @param {string} [timeZone] */
export const span = (start, end, timeZone = ownZone) => `${clockTime(start, timeZone)}–${clockTime(end, timeZone)}`;

/**
 * A length of time as people count down: days, then hours and minutes, then minutes and seconds.
 *
 * @param {number} ms
 */
export function left(ms) {
  const english = language.value === "en";
  const whole = Math.max(0, Math.ceil(ms / 1000) * 1000);
  if (whole >= 2 * DAY_MS) return `${Math.floor(whole / DAY_MS)} ${english ? "days" : "hari"}`;
  if (whole >= HOUR_MS) {
    const hours = Math.floor(whole / HOUR_MS);
    const minutes = Math.floor((whole % HOUR_MS) / MINUTE_MS);
    return english ? `${hours} h ${minutes} min` : `${hours} jam ${minutes} mnt`;
  }
  return `${Math.floor(whole / MINUTE_MS)}:${String(Math.floor((whole % MINUTE_MS) / 1000)).padStart(2, "0")}`;
}

/**
 * Show again every second (every half minute far away) by the server's clock.
 *
 * @param {{now: () => number}} clock
 * @param {number} [every] milliseconds
 * @returns {number} the server's time
 */
export function useNow(clock, every = 1000) {
  const [now, setNow] = useState(() => clock.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(clock.now()), every);
    return () => clearInterval(timer);
  }, [clock, every]);
  return now;
}
