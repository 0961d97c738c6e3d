// Two people talk by `web/client` where what is said is encrypted, and someone at Ably puts words between:
// `node sealed_client.mjs SERVICE CLIENT_TOKEN PSYCHOLOGIST_TOKEN SESSION`. What has to happen outside is asked for.
import { createInterface } from 'node:readline';
import * as Ably from 'ably';
import { Rdchat, Storage } from '../../../web/client/rdchat.js';

const [service, clientToken, psychologistToken, sessionId] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

async function until(what, holds, seconds = 15) {
  const deadline = Date.now() + seconds * 1000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

let histories = 0;
const counting = (url, options) => {
  if (url.pathname.endsWith('/chat/history')) histories++;
  return fetch(url, options);
};

async function connect(token, name) {
  const rdchat = await Rdchat.connect({
    baseUrl: service,
    getToken: async () => token,
    Realtime: Ably.Realtime,
    ably: { logLevel: 0, transports: ['web_socket'], disableConnectivityCheck: true },
    fetch: counting,
    storage: new Storage(name),
  });
  const chat = await rdchat.openChat(sessionId);
  rdchat.show(chat);
  return { rdchat, chat };
}

const people = [await connect(clientToken, 'client'), await connect(psychologistToken, 'psychologist')];
const chats = people.map((one) => one.chat);
const texts = (chat) => chat.messages.map((one) => one.message);
await until('open and live for both', () => chats.every((chat) => chat.isOpen && chat.state === 'live'), 30);
await until('visible for long enough', () => people.every(({ rdchat, chat }) => rdchat.isVisible(chat)));
await until('both are here', () => chats.every((chat) => chat.present.size === 2));

const before = histories;
const said = ['Halo 😊', 'baris\nkedua "kutip" \\ مرحبا \u2028'];
for (const text of said) await chats[0].send(text);
await until('both have both', () => chats.every((chat) => texts(chat).slice(-2).join() === said.join()));
const live = histories - before;
chats[1].markRead(chats[1].completeTo);
await until('the client hears how far was read', () => chats[0].readUpTo[people[1].rdchat.me.id] === chats[0].completeTo);

say({ ask: 'forge' });
await lines.next();
await chats[1].send('Saya di sini.');
await until('both have the last', () => chats.every((chat) => texts(chat).at(-1) === 'Saya di sini.'));
await chats[1].end();
await until('over for both', () => chats.every((chat) => chat.state === 'over'));

say({ outcome: { live, texts: chats.map((chat) => chat.messages.filter((one) => !one.isAutomated).map((one) => one.message)), dense: chats.map((chat) => chat.messages.every((one, place) => one.seq === place + 1)) } });
for (const { rdchat } of people) rdchat.close();
process.exit(0);
