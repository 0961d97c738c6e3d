import assert from "node:assert/strict";
import { test } from "node:test";
import { addDays, addMonths, lastDay, monthOf, sameDay, weekday, weeksOf } from "../../../../web/app/ui/days.js";

test("days and months are counted over the ends of months, of years and of February", () => {
  assert.equal(addDays("2026-12-31", 1), "2027-01-01");
  assert.equal(addDays("2028-03-01", -1), "2028-02-29");
  assert.equal(addMonths("2026-12", 1), "2027-01");
  assert.equal(addMonths("2026-01", -1), "2025-12");
  assert.equal(lastDay("2026-02"), "2026-02-28");
  assert.equal(monthOf("2026-06-03"), "2026-06");
});

test("the same day of a shorter month is its last", () => {
  assert.equal(sameDay("2026-01-31", 1), "2026-02-28");
  assert.equal(sameDay("2026-03-15", -1), "2026-02-15");
  assert.equal(sameDay("2026-10-31", -1), "2026-09-30");
});

test("the weeks of a month begin on Monday, have seven places each, and all its days once", () => {
  assert.equal(weekday("2026-06-01"), 0);
  assert.equal(weekday("2026-06-07"), 6);
  for (let month = "2026-01"; month < "2029-01"; month = addMonths(month, 1)) {
    const weeks = weeksOf(month);
    assert.ok(weeks.every((week) => week.length === 7), month);
    assert.ok(weeks.every((week) => week.some((day) => day !== null)), `${month} has an empty week`);
    const days = weeks.flat().filter((day) => day !== null);
    assert.equal(days[0], `${month}-01`);
    assert.equal(days.at(-1), lastDay(month));
    assert.deepEqual(days, Array.from(days, (_, n) => addDays(`${month}-01`, n)));
    assert.ok(weeks.every((week) => week.every((day, place) => day === null || weekday(day) === place)), month);
  }
});
