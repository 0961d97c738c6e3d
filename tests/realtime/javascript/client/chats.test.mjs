import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, Rdchat, Storage, WrongChatError } from "../../../../web/client/rdchat.js";

const tokenOf = (id) => `x.${Buffer.from(JSON.stringify({ sub: id, role: "client", fullName: id })).toString("base64url")}.x`;
const turns = async (times = 20) => {
  for (let turn = 0; turn < times; turn++) await new Promise(setImmediate);
};

/** A promise that is fulfilled by hand. */
function gate() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { open, opened };
}

/** A service with sessions that are open, and what it was asked. */
class Service {
  asked = [];
  /** Before an answer is given, by what is asked. */
  before = {};

  fetch = async (url, { method, headers, body }) => {
    const path = url.pathname.replace("/api/v1", "");
    const token = headers.Authorization.replace("Bearer ", "");
    this.asked.push({ what: `${method} ${path}`, token, body: body && JSON.parse(body) });
    const status = await this.before[`${method} ${path}`]?.(token);
    const answer = (data, code = 200) => new Response(JSON.stringify(code < 400 ? { data } : { code: "REFUSED" }), { status: code });
    if (status !== undefined) return answer(null, status);
    if (path === "/chat/history") return answer({ data: [], metadata: { hasNextPage: false } });
    if (path === "/chat/messages") return answer({ id: "1", seq: 1, senderId: "budi", ...JSON.parse(body) });
    if (path === "/chat/ably-token") return answer(this.granted);
    return answer({ id: path.split("/")[3], clientId: "budi", psychologistId: "sari", status: "active", isChatEnabled: true, lastSeq: 0, endsAt: "", scheduledAt: "" });
  };

  granted = {
    clientOptions: { endpoint: "x", port: 1, tls: false },
    clientId: "budi",
    notificationChannelName: "n",
    token: "t",
    capability: {},
  };

  count(what) {
    return this.asked.filter((one) => one.what === what).length;
  }
}

/** A channel that says who listens to it. */
class Channel {
  state = "attached";
  handlers = new Set();
  entered = 0;

  presence = {
    handlers: new Set(),
    enter: async () => void this.entered++,
    leave: async () => {},
    get: async () => [],
    subscribe: async (handler) => void this.presence.handlers.add(handler),
    unsubscribe: (handler) => (handler ? this.presence.handlers.delete(handler) : this.presence.handlers.clear()),
  };

  on(_events, handler) {
    this.handlers.add(handler);
  }

  off(handler) {
    this.handlers.delete(handler);
  }

  async subscribe(...given) {
    this.handlers.add(given.at(-1));
  }

  unsubscribe(...given) {
    if (given.length === 0) this.handlers.clear();
    this.handlers.delete(given.at(-1));
  }

  async detach() {}
}

class Realtime {
  channels = {
    all: new Map(),
    get: (name) => {
      if (!this.channels.all.has(name)) this.channels.all.set(name, new Channel());
      return this.channels.all.get(name);
    },
  };
  connection = { state: "connected", on() {}, once() {} };
  authorized = 0;
  auth = { authorize: async () => void this.authorized++ };
  connect() {}
  close() {}
}

/** A storage that can be looked into when it is closed. */
const left = async (storage, session = "a") => Object.fromEntries(await storage.list(session));

async function signIn(service = new Service(), getToken = async () => tokenOf("budi")) {
  const storage = new Storage("budi");
  const rdchat = await Rdchat.signIn({ baseUrl: "http://x", getToken, fetch: service.fetch, storage });
  return { rdchat, storage, service };
}

/** Show a chat for long enough to write in it. */
async function front(rdchat, chat) {
  rdchat.show(chat);
  const until = performance.now() + 310;
  while (performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
}

test("a chat that is asked for twice is given when it is loaded, and stays open until both have closed it", async () => {
  const { rdchat, service } = await signIn();
  const { open, opened } = gate();
  service.before["GET /chat/sessions/a"] = () => opened;
  const first = rdchat.openChat("a");
  const second = rdchat.openChat("a");
  // Who asked first has gone on to another page by then.
  const gone = first.then((chat) => rdchat.closeChat(chat));
  open();
  await gone;
  const chat = await second;
  assert.equal(chat.session.status, "active");
  await front(rdchat, chat);
  await chat.send("halo");
  await turns();
  assert.equal(service.count("POST /chat/messages"), 1);
  assert.deepEqual(chat.pending, []);
  rdchat.closeChat(chat);
  assert.notEqual(await rdchat.openChat("a"), chat);
  rdchat.close();
});

test("a chat that could not be opened can be asked for again", async () => {
  const { rdchat, service } = await signIn();
  service.before["GET /chat/sessions/a"] = () => 403;
  const [one, other] = await Promise.allSettled([rdchat.openChat("a"), rdchat.openChat("a")]);
  assert.ok(one.reason instanceof ApiError && other.reason instanceof ApiError);
  delete service.before["GET /chat/sessions/a"];
  const chat = await rdchat.openChat("a");
  assert.equal(chat.session.id, "a");
  rdchat.close();
});

test("what was typed a moment before the page is left is kept", async () => {
  const page = new EventTarget();
  globalThis.addEventListener = page.addEventListener.bind(page);
  globalThis.removeEventListener = page.removeEventListener.bind(page);
  try {
    const { rdchat, storage } = await signIn();
    const chat = await rdchat.openChat("a");
    for (const text of ["s", "saya", "saya takut"]) chat.write(text);
    assert.deepEqual(await left(storage), { draft: "s" });
    page.dispatchEvent(new Event("pagehide"));
    assert.deepEqual(await left(storage), { draft: "saya takut" });
    rdchat.close();
  } finally {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  }
});

test("of what was sent no draft stays behind that would be sent again", async () => {
  const { rdchat, storage, service } = await signIn();
  service.before["POST /chat/messages"] = () => new Promise(() => {});
  const chat = await rdchat.openChat("a");
  await front(rdchat, chat);
  chat.write("halo");
  rdchat.keep();
  await chat.send("halo");
  assert.deepEqual(Object.keys(await left(storage)), [`sent:${chat.pending[0].id}`]);
  rdchat.close();
});

test("nothing of a person stays on the device when they have signed out", async () => {
  const { rdchat, storage, service } = await signIn();
  service.before["POST /chat/messages"] = () => new Promise(() => {});
  const chat = await rdchat.openChat("a");
  await front(rdchat, chat);
  await chat.send("satu");
  chat.write("dua");
  assert.equal(await rdchat.hasUnsent(), true);
  await rdchat.signOut();
  chat.write("tiga");
  assert.deepEqual(await left(storage), {});
  assert.equal(await storage.isEmpty(), true);
});

test("a call of one person is never made as another who has signed in since", async () => {
  let person = "budi";
  const { rdchat, service } = await signIn(new Service(), async () => tokenOf(person));
  await rdchat.api.get("/chat/sessions/a");
  person = "sari";
  service.before["POST /chat/messages"] = () => 401;
  const refusal = await rdchat.api.post("/chat/messages", { body: { message: "rahasia" } }).catch((error) => error);
  assert.equal(refusal.status, 401);
  assert.equal(service.count("POST /chat/messages"), 1);
  assert.ok(service.asked.every((one) => one.token === tokenOf("budi")));
  rdchat.close();
});

test("what cannot be sent for want of a token waits, and is sent with the next", async () => {
  const { rdchat, service } = await signIn();
  service.before["POST /chat/messages"] = () => 401;
  const chat = await rdchat.openChat("a");
  await front(rdchat, chat);
  await chat.send("halo");
  await turns();
  assert.equal(chat.pending[0].state, "waiting");
  assert.equal(service.count("POST /chat/messages"), 2);
  delete service.before["POST /chat/messages"];
  await chat.catchUp();
  await turns();
  assert.deepEqual(chat.pending, []);
  rdchat.close();
});

test("a token that could not be fetched is a net that is away", async () => {
  let isAway = false;
  const { rdchat, service } = await signIn(new Service(), async () => {
    if (isAway) throw new TypeError("fetch failed");
    return tokenOf("budi");
  });
  const chat = await rdchat.openChat("a");
  service.before["GET /chat/sessions/a"] = () => 401;
  isAway = true;
  await chat.catchUp();
  assert.equal(chat.state, "offline");
  rdchat.close();
});

test("a chat that is closed leaves nothing behind at its channels", async () => {
  const { rdchat, service } = await signIn();
  service.granted.capability = { "chat:session:a": ["*"] };
  let realtime;
  await rdchat.connect(function () {
    realtime = new Realtime();
    realtime.channels.get("n").subscribe = async () => {};
    return realtime;
  });
  const chat = await rdchat.openChat("a");
  const channel = realtime.channels.get("chat:session:a");
  const typing = realtime.channels.get("typing:session:a");
  await turns();
  assert.equal(channel.handlers.size, 3);
  assert.equal(channel.presence.handlers.size, 1);
  rdchat.closeChat(chat);
  assert.equal(channel.handlers.size + channel.presence.handlers.size + typing.handlers.size, 0);
  rdchat.close();
});

test("a chat that was closed while its channels were asked for does not enter them", async () => {
  const { rdchat } = await signIn();
  const { open, opened } = gate();
  const realtime = new Realtime();
  realtime.channels.get("n").subscribe = async () => {};
  await rdchat.connect(function () {
    return realtime;
  });
  rdchat.realtimeFor = async () => {
    await opened;
    return { chat: realtime.channels.get("c"), typing: realtime.channels.get("t") };
  };
  const chat = await rdchat.openChat("a");
  rdchat.closeChat(chat);
  open();
  await turns();
  assert.equal(realtime.channels.get("c").handlers.size + realtime.channels.get("t").handlers.size, 0);
  rdchat.close();
});

test("what is given up goes back to where one writes, before what is written there", async () => {
  const { rdchat, service } = await signIn();
  service.before["POST /chat/messages"] = () => 400;
  const chat = await rdchat.openChat("a");
  await front(rdchat, chat);
  await chat.send("satu");
  await turns();
  chat.write("dua");
  chat.discard(chat.pending[0].id);
  assert.equal(chat.draft, "satu\ndua");
  await assert.rejects((rdchat.show(null), chat.send("dua")), WrongChatError);
  rdchat.close();
});

/** Open a chat on channels that answer, with a token that allows `operations` in it. */
async function listening(operations) {
  const { rdchat, service } = await signIn();
  service.granted.capability = { "chat:session:a": operations };
  let realtime;
  await rdchat.connect(function () {
    realtime = new Realtime();
    realtime.channels.get("n").subscribe = async () => {};
    realtime.channels.get("typing:session:a").detach = async () => void (realtime.detached = true);
    return realtime;
  });
  const chat = await rdchat.openChat("a");
  await turns();
  const [hear] = realtime.channels.get("typing:session:a").handlers;
  return { rdchat, service, chat, realtime, hear };
}

const typing = { userId: "sari", isTyping: true, timestamp: "2027-01-15T07:00:00.000Z" };
const heard = (data, clientId = "sari", name = "typing") => ({ name, clientId, data });

test("only the contract's form says that someone types, and of its sender alone", async () => {
  const long = "x".repeat(60_000);
  const strange = {
    nothing: heard(undefined),
    "a null": heard(null),
    "a text": heard("true"),
    "a list": heard([typing]),
    "a number": heard(1),
    "another name": heard(typing, "sari", "message"),
    "no sender": heard(typing, null),
    "a sender that is none": heard(typing, { toString: () => "sari" }),
    "a stranger": heard({ ...typing, userId: "x" }, "x"),
    "another person": heard({ ...typing, userId: "budi" }),
    "nobody in it": heard({ isTyping: true, timestamp: typing.timestamp }),
    "more in it": heard({ ...typing, text: "Halo" }),
    "much more in it": heard({ ...typing, text: long }),
    "a true text": heard({ ...typing, isTyping: "true" }),
    "a one": heard({ ...typing, isTyping: 1 }),
    "no instant": heard({ userId: "sari", isTyping: true }),
    "a long instant": heard({ ...typing, timestamp: long }),
    "an instant that is a number": heard({ ...typing, timestamp: 1 }),
  };
  for (const [name, message] of Object.entries(strange)) {
    const { rdchat, chat, hear } = await listening(["presence"]);
    hear(message);
    assert.equal(chat.typing.size, 0, name);
    hear(heard(typing));
    assert.deepEqual([...chat.typing], ["sari"], name);
    rdchat.close();
  }
});

test("whoever floods the channel of who is typing is not listened to any more", async () => {
  const flood = {
    "what is none": () => heard("x".repeat(1_000)),
    "too much of it": () => heard(typing),
  };
  for (const [name, message] of Object.entries(flood)) {
    const { rdchat, chat, realtime, hear } = await listening(["presence"]);
    for (let number = 0; number < 100; number++) hear(message());
    assert.equal(realtime.detached, true, name);
    assert.equal(realtime.channels.get("typing:session:a").handlers.size, 0, name);
    assert.equal(chat.typing.size, 0, name);
    rdchat.close();
  }
});

test("a token of before the opening is renewed once the chat is open, and then one is present", async () => {
  const { rdchat, realtime } = await listening(["history", "subscribe"]);
  const channel = realtime.channels.get("chat:session:a");
  assert.equal(channel.entered, 0, "it would be refused");
  for (let waited = 0; realtime.authorized === 0 && waited < 100; waited++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(realtime.authorized, 1);
  rdchat.close();
});

test("with a token of an open chat one is present, and asks for no other", async () => {
  const { rdchat, chat, realtime } = await listening(["history", "presence", "subscribe"]);
  const channel = realtime.channels.get("chat:session:a");
  for (const handler of [...channel.handlers]) handler({ current: "attached" });
  await chat.catchUp();
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  assert.ok(channel.entered > 0);
  assert.equal(realtime.authorized, 0);
  rdchat.close();
});
