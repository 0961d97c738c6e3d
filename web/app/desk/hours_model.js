/**
 * Working hours as people think of them, and as the service keeps them.
 *
 * The service has hours that are taken away from a day or added to it. People say "away", "other hours", "away from one to
 * three" and "also in the evening". Days in a row on which one is away are one entry here.
 *
 * @typedef {{startTime: string, endTime: string}} Interval `00:00` as an end is the end of the day
 * @typedef {"away" | "other" | "part" | "extra"} Kind
 * @typedef {{key: number, from: string, to: string, kind: Kind, intervals: Interval[]}} Entry `to` differs only for away
 * @typedef {{date: string, isAvailable: boolean, startTime: string, endTime: string}} Exception
 * @typedef {{weekday: number, startTime: string, endTime: string}} Weekly
 */
import { addDays } from "../ui/days.js";

const DAYS = 7;
const MOST_DAYS = 366;
const WHOLE = { startTime: "00:00", endTime: "00:00" };
const isWhole = (/** @type {Interval} */ one) => one.startTime.startsWith("00:00") && one.endTime.startsWith("00:00");
const short = (/** @type {Interval} */ { startTime, endTime }) => ({ startTime: startTime.slice(0, 5), endTime: endTime.slice(0, 5) });

let lastKey = 0;
/** Make an entry. @param {Omit<Entry, "key">} entry @returns {Entry} */
export const newEntry = (entry) => ({ ...entry, key: (lastKey += 1) });

/** @param {Weekly[]} weekly @returns {Interval[][]} by day: Monday is 0 */
export const byDay = (weekly) => Array.from({ length: DAYS }, (_, n) => weekly.filter((one) => one.weekday === n + 1).map(short));

/** @param {Interval[][]} days @returns {Weekly[]} */
export const toWeekly = (days) => days.flatMap((intervals, n) => intervals.map((one) => ({ weekday: n + 1, ...one })));

/** @param {Exception[]} exceptions @returns {Entry[]} in order */
export function toEntries(exceptions) {
  /** @type {Entry[]} */
  const found = [];
  for (const date of [...new Set(exceptions.map((one) => one.date))].sort()) {
    const ofDay = exceptions.filter((one) => one.date === date);
    const added = ofDay.filter((one) => one.isAvailable).map(short);
    const taken = ofDay.filter((one) => !one.isAvailable).map(short);
    const before = found[found.length - 1];
    if (taken.some(isWhole)) {
      if (added.length > 0) found.push(newEntry({ from: date, to: date, kind: "other", intervals: added }));
      else if (before?.kind === "away" && addDays(before.to, 1) === date) before.to = date;
      else found.push(newEntry({ from: date, to: date, kind: "away", intervals: [] }));
      continue;
    }
    if (taken.length > 0) found.push(newEntry({ from: date, to: date, kind: "part", intervals: taken }));
    if (added.length > 0) found.push(newEntry({ from: date, to: date, kind: "extra", intervals: added }));
  }
  return found;
}

/** @param {Entry[]} entries @returns {Exception[]} */
export function toExceptions(entries) {
  return entries.flatMap(({ from, to, kind, intervals }) => {
    const timed = (/** @type {boolean} */ isAvailable) => intervals.map((one) => ({ date: from, isAvailable, ...one }));
    if (kind === "away") return datesOf(from, to).map((date) => ({ date, isAvailable: false, ...WHOLE }));
    if (kind === "other") return [{ date: from, isAvailable: false, ...WHOLE }, ...timed(true)];
    return timed(kind === "extra");
  });
}

/** @param {string} from @param {string} to */
function datesOf(from, to) {
  const found = [from];
  while (found[found.length - 1] < to && found.length < MOST_DAYS) found.push(addDays(found[found.length - 1], 1));
  return found;
}

/** The end of an interval in minutes, where midnight is the end of the day. @param {string} time */
const minutes = (time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5));

/**
 * What is wrong with the intervals of one day.
 *
 * @param {Interval[]} intervals
 * @returns {"" | "missing" | "order" | "overlap"}
 */
export function wrongWith(intervals) {
  if (intervals.some((one) => one.startTime === "" || one.endTime === "")) return "missing";
  const spans = intervals.map((one) => [minutes(one.startTime), minutes(one.endTime) || 24 * 60]).sort(([a], [b]) => a - b);
  if (spans.some(([start, end]) => start >= end)) return "order";
  return spans.some(([start], n) => n > 0 && start < spans[n - 1][1]) ? "overlap" : "";
}

/** What is wrong with an entry. @param {Entry} entry @returns {"" | "date" | "dates" | "none" | "missing" | "order" | "overlap"} */
export function wrongWithEntry({ from, to, kind, intervals }) {
  if (from === "" || (kind === "away" && to === "")) return "date";
  if (kind === "away") return to < from ? "dates" : "";
  return intervals.length === 0 ? "none" : wrongWith(intervals);
}

/** An interval to begin with: behind the last one, or the usual day. @param {Interval[]} intervals @returns {Interval} */
export function nextInterval(intervals) {
  const last = intervals[intervals.length - 1];
  if (last === undefined || last.endTime === "") return { startTime: "09:00", endTime: "17:00" };
  const start = minutes(last.endTime) + 60;
  if (start >= 23 * 60 || last.endTime === "00:00") return { startTime: "", endTime: "" };
  const written = (/** @type {number} */ all) => `${String(Math.floor(all / 60) % 24).padStart(2, "0")}:${String(all % 60).padStart(2, "0")}`;
  return { startTime: written(start), endTime: written(Math.min(start + 180, 24 * 60)) };
}
