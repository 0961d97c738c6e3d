// A whole session as the web app of Ruang Diri lives it: `node dialect.mjs SERVICE CLIENT_TOKEN PSYCHOLOGIST_TOKEN
// BOOKING`. It does what that app does - one Ably token for ever, whatever it publishes tried on the chat channel first,
// Socket.IO for notifications - and prints what each of the two heard.
import * as Ably from "ably";
import { io } from "socket.io-client";

const [service, clientToken, psychologistToken, booking] = process.argv.slice(2);
const PICTURE = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

async function until(what, holds, seconds = 40) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const found = holds();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

class App {
  heard = [];
  told = [];
  tokens = 0;

  constructor(name, token) {
    Object.assign(this, { name, token });
  }

  async call(method, path, body) {
    const isForm = body instanceof FormData;
    const answer = await fetch(`${service}/api/v1${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${this.token}`,
        Origin: "http://localhost:3000",
        "ngrok-skip-browser-warning": "true",
        ...(body && !isForm && { "Content-Type": "application/json" }),
      },
      body: isForm ? body : body && JSON.stringify(body),
    });
    const said = await answer.json();
    if (said.status !== (answer.ok ? "success" : "error")) throw new Error(`${path} says ${said.status}`);
    if (answer.status === 401) throw new Error("logged out");
    return said;
  }

  socket(transports = ["polling", "websocket"], token = this.token) {
    return io(`${service}/notifications`, { auth: { token }, transports, forceNew: true, reconnection: false });
  }

  async watch() {
    this.notifications = this.socket();
    this.notifications.on("notification:created", (told) => this.told.push(told));
    await new Promise((resolve, reject) => {
      this.notifications.on("connect", resolve);
      this.notifications.on("connect_error", reject);
    });
  }

  async open(sessionId) {
    this.sessionId = sessionId;
    const access = (await this.call("GET", `/chat/ably-token?sessionId=${sessionId}`)).data;
    this.access = access;
    this.ably = new Ably.Realtime({
      ...access.clientOptions,
      clientId: access.clientId,
      authCallback: (_params, callback) => {
        this.tokens++;
        callback(null, access.token);
      },
      transports: ["web_socket"],
      disableConnectivityCheck: true,
      logLevel: 0,
    });
    this.channel = this.ably.channels.get(access.channels.chat);
    await this.channel.subscribe((message) => this.heard.push({ name: message.name, id: message.id, data: message.data }));
  }

  of(name) {
    return this.heard.filter((one) => one.name === name).map((one) => one.data);
  }

  statuses() {
    return this.of("session_status").map((one) => one.status);
  }

  async type(text) {
    let refusal;
    for (const _key of text) {
      await this.channel.publish("typing", { isTyping: true }).catch((error) => (refusal = error.code));
      const said = await this.call("POST", "/chat/typing", { sessionId: this.sessionId, isTyping: true });
      if (!said.success) throw new Error(JSON.stringify(said));
    }
    await this.call("POST", "/chat/typing", { sessionId: this.sessionId, isTyping: false });
    return refusal;
  }

  say(message) {
    return this.call("POST", "/chat/messages", { sessionId: this.sessionId, message, messageType: "text" });
  }

  close() {
    this.notifications?.disconnect();
    this.ably?.close();
  }
}

async function refusal(app, transports, token) {
  const started = Date.now();
  const socket = app.socket(transports, token);
  const why = await new Promise((resolve) => {
    socket.on("connect", () => resolve("let in"));
    socket.on("connect_error", (error) => resolve(error.message));
  });
  socket.disconnect();
  return [why, Date.now() - started];
}

const client = new App("client", clientToken);
const psychologist = new App("psychologist", psychologistToken);
const both = [client, psychologist];
const outcome = { refused: [] };

for (const transports of [["polling"], ["websocket"]])
  for (const token of ["no token", null]) outcome.refused.push(await refusal(client, transports, token));
for (const app of both) await app.watch();

const booked = await client.call("POST", "/counselings/book", JSON.parse(booking));
outcome.booked = [booked.sessionId, booked.psychologistName];
for (const app of both) {
  const found = await app.call("POST", "/chat/sessions/counseling", { counselingId: booked.data.id, scheduledAt: booked.data.scheduledAt });
  await app.open(found.data.sessionId);
}

await until("the first message", () => both.every((app) => app.of("message").length >= 1));
await until("the opening", () => both.every((app) => app.statuses().includes("active")));

outcome.publishing = await client.type("Saya sudah dua minggu sulit tidur, Bu Sari.");
await until("typing, and no longer", () => psychologist.of("typing").some((one) => one.isTyping) && psychologist.of("typing").at(-1)?.isTyping === false);

const sealed = "enc.v1:00ff:QUJDRA==";
const said = [await client.say("Halo"), await client.say(sealed)].map((one) => one.data);
const form = new FormData();
for (const [name, value] of Object.entries({ sessionId: client.sessionId, messageType: "image", text: "" })) form.append(name, value);
form.append("file", new Blob([PICTURE], { type: "image/png" }), "gambar.png");
said.push((await client.call("POST", "/chat/messages/upload", form)).data);
await until("what was said", () => said.every((one) => psychologist.of("message").some((heard) => heard.messageId === one.id)));
const picture = psychologist.of("message").at(-1);
const file = await fetch(picture.attachmentUrl);
outcome.picture = [file.status, file.headers.get("Content-Type")];

await psychologist.call("PUT", `/chat/sessions/${client.sessionId}/messages/read`, { messageId: said[1].id });
await until("a receipt", () => client.of("read_receipt").length === 1);
await psychologist.call("PUT", `/chat/sessions/${client.sessionId}/messages/read`, { messageId: said[2].id });
await until("another receipt", () => client.of("read_receipt").length === 2);
await psychologist.call("PUT", `/chat/sessions/${client.sessionId}/presence`, { status: "away" });
await until("presence", () => client.of("user_presence").length === 1);
await psychologist.say("Baik!");

await until("the warning", () => both.every((app) => app.of("session-status").some((one) => one.status === "ending_soon")));
await client.call("PUT", `/chat/sessions/${client.sessionId}/end`);
await until("the end", () => both.every((app) => app.statuses().includes("completed")));
await until("the last notification", () => psychologist.told.some((one) => one.subType === "session_completed"));

outcome.said = said.map((one) => one.id);
for (const app of both) outcome[app.name] = { heard: app.heard, told: app.told, tokens: app.tokens };
for (const app of both) app.close();
// The SDK would keep a timer or two.
process.stdout.write(JSON.stringify(outcome), () => process.exit(0));
