/** Days as texts, `2026-06-03`, without a zone: what a calendar shows. */
import { language } from "../preferences.js";
import { longDate } from "../ui/time.js";

const DAY_MS = 86_400_000;

/** @param {string} day */
const noon = (day) => Date.parse(`${day}T12:00:00Z`);
/** @param {number} instant */
const text = (instant) => new Date(instant).toISOString().slice(0, 10);

/** @param {string} day @param {number} days */
export const addDays = (day, days) => text(noon(day) + days * DAY_MS);

/** `2026-06`: the month of a day. @param {string} day */
export const monthOf = (day) => day.slice(0, 7);

/** @param {string} month @param {number} months */
export function addMonths(month, months) {
  const [year, number] = month.split("-").map(Number);
  return text(Date.UTC(year, number - 1 + months, 15)).slice(0, 7);
}

/** The same day of another month, or its last. @param {string} day @param {number} months */
export function sameDay(day, months) {
  const month = addMonths(monthOf(day), months);
  const last = lastDay(month);
  const wanted = `${month}-${day.slice(8)}`;
  return wanted > last ? last : wanted;
}

/** @param {string} month */
export const lastDay = (month) => addDays(`${addMonths(month, 1)}-01`, -1);

/** 0 is Monday. @param {string} day */
export const weekday = (day) => (new Date(noon(day)).getUTCDay() + 6) % 7;

/** The weeks of a month, Monday first; null where a day is of another month. @param {string} month @returns {(string | null)[][]} */
export function weeksOf(month) {
  const first = `${month}-01`;
  const last = lastDay(month);
  const weeks = [];
  for (let monday = addDays(first, -weekday(first)); monday <= last; monday = addDays(monday, 7)) {
    weeks.push(Array.from({ length: 7 }, (_, n) => addDays(monday, n)).map((day) => (monthOf(day) === month ? day : null)));
  }
  return weeks;
}

const locale = () => (language.value === "id" ? "id-ID" : "en-GB");

/** `Juni 2026`. @param {string} month */
export const monthName = (month) => new Intl.DateTimeFormat(locale(), { month: "long", year: "numeric", timeZone: "UTC" }).format(noon(`${month}-15`));

/** `Rabu, 3 Juni`. @param {string} day */
export const dayWords = (day) => longDate(noon(day), "UTC");

/** Names of the days of a week, Monday first: short, and whole. @returns {{short: string, long: string}[]} */
export function weekdayNames() {
  const [short, long] = /** @type {const} */ (["short", "long"]).map((weekday) => new Intl.DateTimeFormat(locale(), { weekday, timeZone: "UTC" }));
  return Array.from({ length: 7 }, (_, n) => noon("2024-01-01") + n * DAY_MS).map((at) => ({ short: short.format(at), long: long.format(at) }));
}
