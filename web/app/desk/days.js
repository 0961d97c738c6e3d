/** Days without a time, in the reader's language. */
import { language } from "../preferences.js";

const locale = () => (language.value === "id" ? "id-ID" : "en-GB");

/** `Rabu, 3 Juni`, or `Rab, 3`. @param {string} day as `2026-06-03` @param {boolean} [isShort] */
export const dayLabel = (day, isShort = false) =>
  new Intl.DateTimeFormat(locale(), { weekday: isShort ? "short" : "long", day: "numeric", month: isShort ? undefined : "long", timeZone: "UTC" }).format(new Date(`${day}T12:00:00Z`));

/** `Senin`. @param {number} weekday 1 is Monday, 7 Sunday */
export const weekdayName = (weekday) => new Intl.DateTimeFormat(locale(), { weekday: "long", timeZone: "UTC" }).format(new Date(Date.UTC(2024, 0, weekday, 12)));
