import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { Rdchat, Storage } from "../../../../web/client/rdchat.js";

const CIPHER_KEY = Buffer.alloc(32, 1).toString("base64");
const PROOF_KEY = Buffer.alloc(32, 2);
const TOKEN = `x.${Buffer.from(JSON.stringify({ sub: "budi", role: "client", fullName: "Budi" })).toString("base64url")}.x`;
const turns = async (times = 50) => {
  for (let turn = 0; turn < times; turn++) await new Promise(setImmediate);
};

const said = (seq, more = {}) => ({ id: `${seq}`, sessionId: "a", seq, senderId: "sari", senderName: "Sari", content: `kata ${seq}`, ...more });

/** An event as Ably's SDK delivers it once it has decrypted it. */
function proven(name, payload) {
  const code = createHmac("sha256", PROOF_KEY).update(`${name}\n${JSON.stringify(payload)}`).digest().subarray(0, 16);
  return { name, data: { ...payload, proof: code.toString("base64") } };
}

/** A chat that listens to an encrypted channel, and what the service was asked of its history. */
async function listening(told = []) {
  const asked = { sessions: 0 };
  const channels = new Map();
  const history = [];
  const answers = {
    "/chat/ably-token": {
      clientOptions: { endpoint: "x", port: 1, tls: false },
      clientId: "budi",
      notificationChannelName: "n",
      token: "t",
      capability: { "chat:session:a:sealed": ["presence"] },
      sessions: [{ sessionId: "a", channelName: "chat:session:a:sealed", typingChannelName: "typing:session:a", cipherKey: CIPHER_KEY, proofKey: PROOF_KEY.toString("base64") }],
    },
  };
  const fetch = async (url) => {
    const path = url.pathname.replace("/api/v1", "");
    if (path === "/notifications") return new Response(JSON.stringify({ data: { data: told } }), { status: told.length > 0 ? 200 : 503 });
    if (path === "/chat/sessions/a") asked.sessions++;
    const session = { id: "a", clientId: "budi", psychologistId: "sari", status: "active", isChatEnabled: true, lastSeq: history.length, endsAt: "", scheduledAt: "" };
    const page = { data: history.slice(Number(url.searchParams.get("after") ?? 0)), metadata: { hasNextPage: false } };
    return new Response(JSON.stringify({ data: answers[path] ?? (path === "/chat/history" ? page : session) }));
  };
  function Realtime() {
    this.connection = { state: "connected", on() {}, once() {} };
    this.auth = { authorize: async () => {} };
    this.close = () => {};
    this.channels = {
      get(name, options) {
        const presence = { enter: async () => {}, leave: async () => {}, get: async () => [], subscribe: async () => {}, unsubscribe() {} };
        if (!channels.has(name)) channels.set(name, { state: "attached", options, presence, on() {}, off() {}, unsubscribe() {}, detach: async () => {} });
        const channel = channels.get(name);
        channel.subscribe = async (...given) => void (channel.hear = given.at(-1));
        return channel;
      },
    };
  }
  const rdchat = await Rdchat.signIn({ baseUrl: "http://x", getToken: async () => TOKEN, fetch, storage: new Storage("budi") });
  await rdchat.connect(Realtime);
  const chat = await rdchat.openChat("a");
  await turns();
  asked.sessions = 0;
  return { rdchat, chat, channel: channels.get("chat:session:a:sealed"), notifications: channels.get("n"), history, asked };
}

/** Codes are computed beside this thread: wait until a chat has come so far, or give up after a second. */
async function until(holds) {
  for (let waited = 0; !holds() && waited < 100; waited++) await new Promise((resolve) => setTimeout(resolve, 10));
}

const shown = (chat) => chat.messages.map((one) => one.message);

test("what the service has proven is shown, in the order in which it came", async () => {
  const { rdchat, chat, channel, asked } = await listening();
  assert.deepEqual(channel.options, { cipher: { key: CIPHER_KEY } });
  for (const seq of [1, 2, 3]) channel.hear(proven("message", said(seq)));
  channel.hear(proven("message-read", { sessionId: "a", userId: "sari", upToSeq: 2, readAt: "" }));
  await until(() => chat.readUpTo.sari === 2);
  assert.deepEqual(shown(chat), ["kata 1", "kata 2", "kata 3"]);
  assert.equal(chat.readUpTo.sari, 2);
  assert.equal(asked.sessions, 0, "nothing had to be asked for");
  rdchat.close();
});

test("what no one has proven is not shown: what was said is read from the history", async () => {
  const genuine = proven("message", said(1));
  const forged = {
    "other words": { name: "message", data: { ...genuine.data, content: "bukan kata saya" } },
    "another event": { name: "message-read", data: genuine.data },
    "no proof": { name: "message", data: said(1, { content: "bukan kata saya" }) },
    "of another session": proven("message", said(1, { sessionId: "b", content: "bukan kata saya" })),
    bytes: { name: "message", data: new Uint8Array(48), encoding: "json/utf-8/cipher+aes-256-cbc" },
    "a text": { name: "message", data: "AAAA", encoding: "json/utf-8/cipher+aes-256-cbc/base64" },
    nothing: { name: "message" },
  };
  for (const [name, event] of Object.entries(forged)) {
    const { rdchat, chat, channel, history, asked } = await listening();
    history.push({ ...said(1), message: "kata 1" });
    channel.hear(event);
    await until(() => chat.messages.length > 0);
    assert.deepEqual(shown(chat), ["kata 1"], name);
    assert.ok(asked.sessions > 0, name);
    rdchat.close();
  }
});

test("a page that cannot decrypt hears that something was said, and reads what", async () => {
  const web = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  Object.defineProperty(globalThis, "crypto", { value: { randomUUID: () => "1" }, configurable: true });
  try {
    const { rdchat, chat, channel, history } = await listening();
    assert.equal(channel.options, undefined);
    history.push({ ...said(1), message: "kata 1" });
    channel.hear({ name: "message", data: new Uint8Array(48) });
    await until(() => chat.messages.length > 0);
    assert.deepEqual(shown(chat), ["kata 1"]);
    rdchat.close();
  } finally {
    Object.defineProperty(globalThis, "crypto", web);
  }
});

test("a notification that came without its words is told with them, if the service can say them", async () => {
  const whole = { id: "1", title: "Sesi dibatalkan", message: "Sesi konseling dengan Sari dibatalkan.", data: { reason: "Sakit" } };
  const bare = { ...whole, message: whole.title, data: { reason: null } };
  for (const [told, sent, expected] of [
    [[{ id: "0" }, whole], bare, whole],
    [[{ id: "0" }], bare, bare],
    [[], bare, bare],
    [[], whole, whole],
  ]) {
    const { rdchat, notifications } = await listening(told);
    const heard = [];
    rdchat.addEventListener("notification", (event) => heard.push(event.detail));
    notifications.hear({ data: sent });
    await until(() => heard.length > 0);
    assert.deepEqual(heard, [expected]);
    rdchat.close();
  }
});
