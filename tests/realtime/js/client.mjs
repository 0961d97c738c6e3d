// Two people hold a whole session by `web/client`, with every fault on the way: `node client.mjs SERVICE CLIENT_TOKEN
// PSYCHOLOGIST_TOKEN SESSION`. What has to happen outside is asked for on stdout, and done when a line comes back.
import { createInterface } from "node:readline";
import * as Ably from "ably";
import { ApiError, Rdchat, Storage, WrongChatError, readToken } from "../../../web/client/rdchat.js";

const [service, clientToken, psychologistToken, sessionId] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

async function ask(what, given = {}) {
  say({ ask: what, ...given });
  await lines.next();
}

async function until(what, holds, seconds = 15) {
  const deadline = Date.now() + seconds * 1000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A net that can be switched off, or lose an answer after the service has done what was asked. */
class Net {
  isOff = false;
  losesAnswers = 0;
  tokens = 0;

  fetch = async (url, options) => {
    if (this.isOff) throw new TypeError("fetch failed");
    if (url.pathname.endsWith("/chat/ably-token")) this.tokens++;
    const answer = await fetch(url, options);
    if (options.method === "POST" && this.losesAnswers > 0) {
      this.losesAnswers--;
      throw new TypeError("fetch failed");
    }
    return answer;
  };
}

async function connect(token, net, storage) {
  const rdchat = await Rdchat.connect({
    baseUrl: service,
    getToken: async () => token,
    Realtime: Ably.Realtime,
    ably: { logLevel: 0, transports: ["web_socket"], disableConnectivityCheck: true, disconnectedRetryTimeout: 300 },
    fetch: net.fetch,
    storage,
  });
  const chat = await rdchat.openChat(sessionId);
  rdchat.show(chat);
  return { rdchat, chat };
}

const texts = (chat) => chat.messages.map((one) => one.message);
const seqs = (chat) => chat.messages.map((one) => one.seq);
const nets = { client: new Net(), psychologist: new Net() };
const outcome = {};

const kept = new Storage(readToken(clientToken).id);
let client = await connect(clientToken, nets.client, kept);
const psychologist = await connect(psychologistToken, nets.psychologist, new Storage(readToken(psychologistToken).id));
const both = () => [client.chat, psychologist.chat];
const agree = () => JSON.stringify(texts(client.chat)) === JSON.stringify(texts(psychologist.chat));
const dense = () => both().every((chat) => seqs(chat).every((seq, place) => seq === place + 1));
const everyone = (count) => until(`${count} messages for both`, () => both().every((chat) => chat.completeTo === count));

outcome.waiting = both().map((chat) => [chat.isOpen, chat.opensIn > 0 && chat.opensIn < 60_000]);
await until("open and live for both", () => both().every((chat) => chat.isOpen && chat.state === "live"), 30);
let count = client.chat.session.lastSeq;
await everyone(count);

// Talk, both at once.
await until("the chat has been visible for long enough", () => both().every((chat, place) => [client, psychologist][place].rdchat.isVisible(chat)));
const said = [...Array(10).keys()].map((number) => `pesan ${number} 😊 مرحبا`);
await Promise.all(both().map(async (chat) => { for (const text of said) await chat.send(text); }));
await everyone((count += 20));
outcome.talk = [agree(), dense(), both().every((chat) => chat.pending.length === 0)];
outcome.order = both().map((chat) => {
  const own = chat === client.chat ? client.rdchat.me.id : psychologist.rdchat.me.id;
  return JSON.stringify(chat.messages.filter((one) => one.senderId === own && !one.isAutomated).map((one) => one.message)) === JSON.stringify(said);
});

// Typing, presence, read marks.
// Said again every few seconds: the other may have begun to listen after the first time.
await until("the other sees that one types", () => {
  client.chat.write("sedang men");
  return psychologist.chat.typing.has(client.rdchat.me.id);
});
await until("both are here", () => both().every((chat) => chat.present.size === 2));
psychologist.chat.markRead(count);
await until("the other hears how far one has read", () => client.chat.readUpTo[psychologist.rdchat.me.id] === count);
await client.chat.send("sedang menulis");
await everyone(++count);
await until("who has sent types no more", () => psychologist.chat.typing.size === 0);
outcome.together = true;

// Deliveries lost, and deliveries twice: what follows shows the gap.
await ask("lose", { deliveries: 4 });
for (const text of ["hilang 1", "hilang 2", "lalu ini", "dan ini"]) await client.chat.send(text);
await everyone((count += 4));
await ask("double", { deliveries: 4 });
for (const text of ["dua kali 1", "dua kali 2"]) await psychologist.chat.send(text);
await everyone((count += 2));
outcome.faults = [agree(), dense()];

// An answer lost after the message was stored: it is sent again, and stored once.
nets.client.losesAnswers = 1;
await client.chat.send("jawabannya hilang");
await everyone(++count);
await until("nothing is pending", () => client.chat.pending.length === 0);
outcome.answer = texts(client.chat).filter((text) => text === "jawabannya hilang").length;

// Sockets cut while the other goes on.
await ask("cut");
await psychologist.chat.send("saat terputus");
await everyone(++count);
await until("live again", () => both().every((chat) => chat.state === "live"));

// The token is revoked: a new one is asked for, and nothing is missed.
const tokens = nets.client.tokens;
await ask("revoke", { person: client.rdchat.me.id });
await until("a new token was asked for", () => nets.client.tokens > tokens);
for (const text of ["sesudah dicabut 1", "sesudah dicabut 2"]) await psychologist.chat.send(text);
await everyone((count += 2));
await until("live after a renewal", () => client.chat.state === "live");

// Offline: what is written waits, survives the page, and goes out in order.
nets.client.isOff = true;
client.chat.write("belum selesai");
for (const text of ["luring 1", "luring 2"]) await client.chat.send(text);
await until("the first is waiting", () => client.chat.pending[0]?.code === "OFFLINE");
outcome.pending = client.chat.pending.map((one) => one.text);
client.rdchat.close();
outcome.draft = (await kept.list(sessionId)).get("draft");
nets.client.isOff = false;
client = await connect(clientToken, nets.client, kept);
outcome.draftAgain = client.chat.draft;
await everyone((count += 2));
outcome.offline = [agree(), dense(), texts(client.chat).slice(-2)];

// To the wrong chat nothing is sent.
client.rdchat.show(null);
outcome.wrong = await client.chat.send("untuk orang lain").catch((error) => error instanceof WrongChatError);
client.rdchat.show(client.chat);
outcome.tooSoon = await client.chat.send("untuk orang lain").catch((error) => error instanceof WrongChatError);
await until("visible for long enough", () => client.rdchat.isVisible(client.chat));

// A file, and its link.
await client.chat.send("catatan", new Blob(["Catatan tidur saya."], { type: "text/plain" }), "tidur.txt");
await everyone(++count);
const { attachment } = client.chat.messages.at(-1);
const [link, again] = [await psychologist.rdchat.linkTo(attachment), await psychologist.rdchat.linkTo(attachment)];
outcome.file = [attachment.fileName, await (await fetch(link)).text(), link === again];

// Older messages, page by page.
const reader = await connect(psychologistToken, new Net(), new Storage("reader"));
reader.rdchat.close();
outcome.history = reader.chat.completeTo === count;

// The end: what comes too late stays with its writer.
await psychologist.chat.end();
await until("over for both", () => both().every((chat) => chat.state === "over"));
await client.chat.send("terlambat");
await until("refused, with the reason", () => client.chat.pending[0]?.state === "refused");
outcome.late = [client.chat.pending[0].code, client.chat.draft];
client.chat.write("");
client.chat.discard(client.chat.pending[0].id);
outcome.discarded = [client.chat.pending.length, client.chat.draft];
await until("the last words for both", () => both().every((chat) => chat.completeTo === chat.session.lastSeq));
outcome.end = [agree(), dense(), client.chat.endsIn >= 0];
outcome.refused = await client.rdchat.api.get("/chat/sessions/00000000-0000-4000-8000-0000000000ff").catch((error) => error instanceof ApiError && error.code);

client.rdchat.close();
psychologist.rdchat.close();
say({ outcome });
process.exit(0);
