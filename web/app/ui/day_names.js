/** Days, months and weekdays by their names, in the reader's language. */
import { language } from "../preferences.js";
import { longDate } from "./time.js";
import { addDays, noon } from "./days.js";

const A_MONDAY = "2024-01-01";
const locale = () => (language.value === "id" ? "id-ID" : "en-GB");

/** `Juni 2026`. @param {string} month */
export const monthName = (month) => new Intl.DateTimeFormat(locale(), { month: "long", year: "numeric", timeZone: "UTC" }).format(noon(`${month}-15`));

/** `Rabu, 3 Juni`. @param {string} day */
export const dayWords = (day) => longDate(noon(day), "UTC");

/** `Rab, 3`. @param {string} day */
export const shortDay = (day) => new Intl.DateTimeFormat(locale(), { weekday: "short", day: "numeric", timeZone: "UTC" }).format(noon(day));

/** Names of the days of a week, Monday first: short, and whole. @returns {{short: string, long: string}[]} */
export function weekdayNames() {
  const [short, long] = /** @type {const} */ (["short", "long"]).map((weekday) => new Intl.DateTimeFormat(locale(), { weekday, timeZone: "UTC" }));
  return Array.from({ length: 7 }, (_, n) => noon(addDays(A_MONDAY, n))).map((at) => ({ short: short.format(at), long: long.format(at) }));
}

/** `Senin`. @param {number} number 1 is Monday, 7 Sunday */
export const weekdayName = (number) => weekdayNames()[number - 1].long;
