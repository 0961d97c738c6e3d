import assert from "node:assert/strict";
import { test } from "node:test";
import { unreadCount, waitingSince } from "../../../web/app/desk/attention.js";
import { inLanes } from "../../../web/app/desk/lanes.js";
import { addDays, mondayOf } from "../../../web/app/ui/days.js";

const CLIENT = "client";
const ME = "psychologist";

/** A chat with messages: `c` of the client, `p` of the psychologist, `a` automated; one a minute. */
function chatOf(letters, { read = 0, isOpen = true } = {}) {
  const messages = [...letters].map((letter, at) => ({
    seq: at + 1,
    senderId: letter === "c" ? CLIENT : ME,
    isAutomated: letter === "a",
    isRead: false,
    createdAt: new Date(60_000 * at).toISOString(),
  }));
  return { messages, isOpen, readUpTo: {}, session: { clientId: CLIENT, psychologistId: ME, readUpToSeq: read } };
}

test("the client waits since the first message without an answer, and what is automated is none", () => {
  assert.equal(waitingSince(chatOf("aa")), null);
  assert.equal(waitingSince(chatOf("accp")), null);
  assert.equal(waitingSince(chatOf("acpcca")), 3 * 60_000);
  assert.equal(waitingSince(chatOf("acac")), 60_000);
  assert.equal(waitingSince(chatOf("ac", { isOpen: false })), null);
});

test("unread is what the client wrote beyond the mark, of the service or of this page", () => {
  assert.equal(unreadCount(chatOf("accpc", { read: 2 })), 2);
  const chat = chatOf("accpc");
  chat.readUpTo[ME] = 5;
  assert.equal(unreadCount(chat), 0);
});

test("weeks begin on Monday, days are counted over months", () => {
  assert.equal(mondayOf("2026-03-01"), "2026-02-23");
  assert.equal(mondayOf("2026-02-23"), "2026-02-23");
  assert.equal(addDays("2024-02-28", 1), "2024-02-29");
  assert.equal(addDays("2026-01-01", -1), "2025-12-31");
});

test("what is at one time stands beside each other, and what follows has the width again", () => {
  const at = (start, end) => ({ start, end });
  const placed = inLanes([at(0, 60), at(0, 60), at(30, 90), at(60, 120), at(120, 180)]);
  assert.deepEqual(placed.map(({ lane, lanes }) => [lane, lanes]), [[0, 3], [1, 3], [2, 3], [0, 3], [0, 1]]);
});
