import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../../../web/client/api.js";
import { Outbox } from "../../../../web/client/outbox.js";
import { Storage } from "../../../../web/client/storage.js";

const offline = () => new ApiError({ status: 0, code: "OFFLINE", message: "away" });
const closed = () => new ApiError({ status: 400, code: "SESSION_ENDED", message: "Chat session has ended" });

/** An outbox whose sending is decided by `answer`, and a promise of the next time that nothing waits. */
function outboxWith(answer, storage = new Storage("me")) {
  const sent = [];
  const waiters = [];
  const outbox = new Outbox({
    sessionId: "s",
    storage,
    send: async (pending) => {
      await answer(pending);
      return { id: pending.id, message: pending.text };
    },
    onSent: (message) => sent.push(message.message),
    onChange: () => {
      for (const one of [...waiters]) if (one.holds()) waiters.splice(waiters.indexOf(one), 1), one.resolve();
    },
  });
  const until = (holds) =>
    new Promise((resolve) => (holds() ? resolve() : waiters.push({ holds, resolve })));
  return { outbox, sent, until, storage };
}

test("what is written is sent in order, one at a time", async () => {
  let underWay = 0;
  const { outbox, sent, until } = outboxWith(async () => {
    assert.equal(++underWay, 1);
    await Promise.resolve();
    underWay--;
  });
  for (const text of ["a", "b", "c"]) await outbox.add(text);
  await until(() => outbox.pending.length === 0);
  await Promise.resolve();
  assert.deepEqual(sent, ["a", "b", "c"]);
});

test("what fails for now is sent again, by the same id, when woken", async () => {
  const ids = [];
  const { outbox, sent, until } = outboxWith(async (pending) => {
    ids.push(pending.id);
    if (ids.length === 1) throw offline();
  });
  await outbox.add("a");
  await until(() => outbox.pending[0]?.code === "OFFLINE");
  assert.equal(outbox.pending[0].state, "waiting");
  await new Promise(setImmediate);
  outbox.wake();
  await until(() => outbox.pending.length === 0);
  await Promise.resolve();
  assert.deepEqual(sent, ["a"]);
  assert.equal(ids[0], ids[1]);
});

test("what is refused for good stays with its reason, and lets the next one pass", async () => {
  const { outbox, sent, until } = outboxWith(async ({ text }) => {
    if (text === "a") throw closed();
  });
  await outbox.add("a");
  await outbox.add("b");
  await until(() => outbox.pending.length === 1);
  await Promise.resolve();
  assert.deepEqual(sent, ["b"]);
  assert.deepEqual([outbox.pending[0].state, outbox.pending[0].code], ["refused", "SESSION_ENDED"]);
  assert.equal(outbox.discard(outbox.pending[0].id)?.text, "a");
  assert.equal(outbox.pending.length, 0);
});

test("another page takes up what was left, in order, and what was refused stays refused", async () => {
  const first = outboxWith(async ({ text }) => {
    throw text === "no" ? closed() : offline();
  });
  await first.outbox.add("no");
  await first.outbox.add("a");
  await first.outbox.add("b");
  await first.until(() => first.outbox.pending.some((one) => one.code === "OFFLINE"));
  first.outbox.close();
  const second = outboxWith(async () => {}, first.storage);
  await second.outbox.load();
  await second.until(() => second.outbox.pending.length === 1);
  await Promise.resolve();
  assert.deepEqual(second.sent, ["a", "b"]);
  assert.equal(second.outbox.pending[0].text, "no");
});

test("an event that confirms a message comes before its lost answer: it is not sent again", async () => {
  let fail;
  let tries = 0;
  const { outbox, until } = outboxWith(() => {
    tries++;
    return new Promise((_, reject) => (fail = reject));
  });
  const pending = await outbox.add("a");
  await until(() => outbox.pending[0].state === "sending");
  outbox.confirm(pending.id);
  fail(offline());
  await new Promise(setImmediate);
  outbox.wake();
  assert.equal(outbox.pending.length, 0);
  assert.equal(tries, 1);
});

test("what is being sent cannot be discarded: it may have arrived", async () => {
  const { outbox, until } = outboxWith(() => new Promise(() => {}));
  const pending = await outbox.add("a");
  await until(() => outbox.pending[0].state === "sending");
  assert.equal(outbox.discard(pending.id), undefined);
});
