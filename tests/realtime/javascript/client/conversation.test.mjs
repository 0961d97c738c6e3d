import assert from "node:assert/strict";
import { test } from "node:test";
import { Conversation, fromEvent } from "../../../../web/client/conversation.js";

const message = (seq) => ({ id: `m${seq}`, seq });
const seqs = (conversation) => conversation.messages.map((one) => one.seq);

test("messages of any order are shown in order, without a gap, once", () => {
  for (const order of permutations([1, 2, 3, 4, 5])) {
    const conversation = new Conversation();
    for (const seq of [...order, ...order]) conversation.add(message(seq));
    assert.deepEqual(seqs(conversation), [1, 2, 3, 4, 5]);
    assert.equal(conversation.hasGap, false);
    assert.equal(conversation.completeTo, 5);
  }
});

test("what lies behind a gap waits until it is filled", () => {
  const conversation = new Conversation();
  conversation.begin([message(7), message(8)]);
  assert.equal(conversation.add(message(10)), true);
  assert.deepEqual(seqs(conversation), [7, 8]);
  assert.equal(conversation.hasGap, true);
  conversation.add(message(9));
  assert.deepEqual(seqs(conversation), [7, 8, 9, 10]);
  assert.equal(conversation.hasGap, false);
});

test("events that come before the first page of the history are kept", () => {
  const conversation = new Conversation();
  conversation.add(message(9));
  conversation.add(message(11));
  conversation.begin([message(8), message(9), message(10)]);
  assert.deepEqual(seqs(conversation), [8, 9, 10, 11]);
});

test("older pages go before what is here, and nothing of them twice", () => {
  const conversation = new Conversation();
  conversation.begin([message(4), message(5)]);
  conversation.prepend([message(2), message(3), message(4)]);
  assert.deepEqual(seqs(conversation), [2, 3, 4, 5]);
  assert.equal(conversation.oldest, 2);
});

test("an event's message has the form of the API", () => {
  const shown = fromEvent({ id: "m1", seq: 1, senderId: "p", senderName: "Sari", content: "Halo" });
  assert.equal(shown.message, "Halo");
  assert.deepEqual(shown.sender, { id: "p", fullName: "Sari" });
  assert.ok(!("content" in shown) && !("senderName" in shown));
});

function permutations(items) {
  if (items.length < 2) return [items];
  return items.flatMap((item, place) => permutations(items.filter((_, other) => other !== place)).map((rest) => [item, ...rest]));
}
