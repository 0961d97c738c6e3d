import assert from "node:assert/strict";
import { test } from "node:test";
import { byDay, newEntry, nextInterval, toEntries, toExceptions, toWeekly, wrongWith, wrongWithEntry } from "../../../web/app/desk/hours_model.js";

const hours = (startTime, endTime) => ({ startTime, endTime });
const away = (date) => ({ date, isAvailable: false, ...hours("00:00", "00:00") });
const bare = ({ key, ...entry }) => entry;

test("weekly hours are the same after a round by days", () => {
  const weekly = [
    { weekday: 1, ...hours("09:00", "12:00") },
    { weekday: 1, ...hours("13:00", "17:00") },
    { weekday: 7, ...hours("20:00", "00:00") },
  ];
  assert.deepEqual(byDay(weekly)[0].length, 2);
  assert.deepEqual(toWeekly(byDay(weekly)), weekly);
});

test("days away in a row are one entry, over the end of a month", () => {
  const exceptions = ["2026-12-30", "2026-12-31", "2027-01-01", "2027-01-03"].map(away);
  const entries = toEntries(exceptions);
  assert.deepEqual(entries.map(({ from, to, kind }) => [from, to, kind]), [
    ["2026-12-30", "2027-01-01", "away"],
    ["2027-01-03", "2027-01-03", "away"],
  ]);
  assert.deepEqual(toExceptions(entries), exceptions);
});

test("other hours are the whole day taken away and hours added; each kind comes back as itself", () => {
  const one = (kind, ...intervals) => newEntry({ from: "2026-06-03", to: "2026-06-03", kind, intervals });
  for (const entry of [one("other", hours("10:00", "11:00")), one("part", hours("13:00", "15:00")), one("extra", hours("18:00", "20:00"), hours("21:00", "00:00"))]) {
    assert.deepEqual(toEntries(toExceptions([entry])).map(bare), [bare(entry)]);
  }
  const mixed = [one("part", hours("13:00", "15:00")), one("extra", hours("18:00", "20:00"))];
  assert.deepEqual(toEntries(toExceptions(mixed)).map(bare), mixed.map(bare));
});

test("hours that cannot be are named", () => {
  assert.equal(wrongWith([hours("09:00", "12:00"), hours("12:00", "00:00")]), "");
  assert.equal(wrongWith([hours("09:00", "")]), "missing");
  assert.equal(wrongWith([hours("12:00", "09:00")]), "order");
  assert.equal(wrongWith([hours("13:00", "17:00"), hours("09:00", "13:30")]), "overlap");
  assert.equal(wrongWithEntry({ from: "", to: "", kind: "away", intervals: [] }), "date");
  assert.equal(wrongWithEntry({ from: "2026-06-03", to: "2026-06-02", kind: "away", intervals: [] }), "dates");
  assert.equal(wrongWithEntry({ from: "2026-06-03", to: "2026-06-03", kind: "other", intervals: [] }), "none");
});

test("a further interval begins behind the last one, and not where the day has no room", () => {
  assert.deepEqual(nextInterval([]), hours("09:00", "17:00"));
  assert.deepEqual(nextInterval([hours("09:00", "12:00")]), hours("13:00", "16:00"));
  assert.deepEqual(nextInterval([hours("09:00", "20:30")]), hours("21:30", "00:00"));
  assert.deepEqual(nextInterval([hours("09:00", "00:00")]), hours("", ""));
});
