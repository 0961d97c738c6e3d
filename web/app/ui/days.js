/** Days as texts, `2026-06-03`, without a zone: what a calendar shows. Pure. */
const DAY_MS = 86_400_000;

/** An instant within the day, for writing it. @param {string} day */
export const noon = (day) => Date.parse(`${day}T12:00:00Z`);
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

/** The Monday of a day's week. @param {string} day */
export const mondayOf = (day) => addDays(day, -weekday(day));

/** The weeks of a month, Monday first; null where a day is of another month. @param {string} month @returns {(string | null)[][]} */
export function weeksOf(month) {
  const first = `${month}-01`;
  const last = lastDay(month);
  const weeks = [];
  for (let monday = mondayOf(first); monday <= last; monday = addDays(monday, 7)) {
    weeks.push(Array.from({ length: 7 }, (_, n) => addDays(monday, n)).map((day) => (monthOf(day) === month ? day : null)));
  }
  return weeks;
}
