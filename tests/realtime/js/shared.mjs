// What the scenarios share: what they were started with, clients of the endpoint, and ways to wait.

import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import Ably from 'ably';

export const [scenario, port, format, ...given] = process.argv.slice(2);
export const otherFormat = format === 'json' ? 'msgpack' : 'json';

const common = {
  endpoint: '127.0.0.1',
  port: Number(port),
  tls: false,
  useBinaryProtocol: format === 'msgpack',
  transports: ['web_socket'],
  disableConnectivityCheck: true,
  disconnectedRetryTimeout: 50,
  suspendedRetryTimeout: 50,
  logLevel: 0,
};

/** An authCallback that hands out the tokens one by one, and the last one over and over. */
export function handingOut(tokens) {
  const waiting = [...tokens];
  return (_params, callback) => callback(null, waiting.length > 1 ? waiting.shift() : waiting[0]);
}

/** Options of a client with the tokens that the scenario was given. */
export const options = (more = {}) => ({ ...common, authCallback: handingOut(given), ...more });
/** Options of a client with these credentials alone: `{ key }`, `{ token }`, `{ authCallback }`. */
export const only = (credentials) => ({ ...common, ...credentials });

export const realtime = (more) => new Ably.Realtime(options(more));
export const rest = (more) => new Ably.Rest(options(more));

/** The code and status of the error that a promise ends with; null: it ends well. */
export const code = (promise) => promise.then(() => null, refusal);
export const refusal = (error) => [error.code, error.statusCode];
export const nextState = (emitter, state) => new Promise((resolve) => emitter.once(state, resolve));
export const plain = (data) => (Buffer.isBuffer(data) ? [...data] : data);

/** A function to give things to, and one that waits for the next of them. */
export function queue() {
  const arrived = [];
  const waiting = [];
  const put = (item) => void (waiting.length ? waiting.shift()(item) : arrived.push(item));
  const next = () => new Promise((resolve) => (arrived.length ? resolve(arrived.shift()) : waiting.push(resolve)));
  return [put, next];
}

/** What `next` waits for, so many times. */
export async function several(next, count) {
  const found = [];
  while (found.length < count) found.push(await next());
  return found;
}

/** A channel that is attached, and a function that waits for its next message. */
export async function subscribed(client, name, channelOptions) {
  const channel = client.channels.get(name, channelOptions);
  const [put, next] = queue();
  await channel.subscribe(put);
  return [channel, next];
}

/** The items of all pages, page by page. */
export async function pages(first, describe) {
  const found = [];
  for (let page = await first; page; page = await page.next()) found.push(page.items.map(describe));
  return found;
}

/** Wait until the clock shows another millisecond. */
export async function tick() {
  const now = Date.now();
  while (Date.now() === now) await setImmediate();
}

/** Cut a client's socket, as a network does, and wait until the client has noticed. */
export async function cut(client) {
  const noticed = nextState(client.connection, 'disconnected');
  client.connection.connectionManager.activeProtocol.getTransport().wsConnection.terminate();
  await noticed;
}

/** Cut a client's socket, and let the client never come back. */
export async function vanish(client) {
  client.connection.once('disconnected', () => client.close());
  await cut(client);
}

let answers;

/** Let the test do something, and wait for what it answers. */
export async function ask(what) {
  answers ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  console.log(JSON.stringify({ ask: what }));
  return JSON.parse((await answers.next()).value);
}
