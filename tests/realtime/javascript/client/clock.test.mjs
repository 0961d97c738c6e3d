import assert from "node:assert/strict";
import { test } from "node:test";
import { ServerClock } from "../../../../web/client/clock.js";

const date = (ms) => new Date(Math.floor(ms / 1000) * 1000).toUTCString();

test("a device that is ten minutes behind learns the server's time to within its answers' precision", () => {
  const ahead = 600_000;
  let device = 1_900_000_000_250;
  const clock = new ServerClock(() => device);
  for (const step of [0, 310, 470, 290, 930]) {
    device += step;
    clock.observe(date(device + 20 + ahead), device, device + 40);
  }
  assert.ok(Math.abs(clock.now() - (device + ahead)) < 200, `${clock.offset}`);
});

test("each answer narrows what is known, and none widens it", () => {
  let device = 1_900_000_000_000;
  const clock = new ServerClock(() => device);
  clock.observe(date(device + 500), device, device + 1000);
  const first = Math.abs(clock.offset);
  device += 990;
  clock.observe(date(device), device, device + 5);
  clock.observe(date(device - 2_000 + 5_000), device - 2_000, device + 5_000);
  assert.ok(Math.abs(clock.offset) <= first + 1000);
  assert.ok(Math.abs(clock.offset) < 600);
});

test("when a clock is set, what contradicts is forgotten", () => {
  let device = 1_900_000_000_000;
  const clock = new ServerClock(() => device);
  clock.observe(date(device), device, device + 10);
  device -= 3_600_000;
  clock.observe(date(device + 3_600_000), device, device + 10);
  assert.ok(Math.abs(clock.offset - 3_600_000) < 1_100);
});

test("without a readable Date the device's own clock serves", () => {
  const clock = new ServerClock(() => 42);
  clock.observe(null, 0, 1);
  clock.observe("tomorrow", 0, 1);
  assert.equal(clock.now(), 42);
});
